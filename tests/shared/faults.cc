#include "tests/shared/faults.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "base/fault_point.h"
#include "tests/shared/tree.h"

namespace umemcg::shared {
namespace {

std::atomic<uint64_t> waits{0};
std::string target;  // empty: any
uint32_t left = 0;   // passages
bool lowered = false;

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Two labels are only passed when a limit is lowered in the middle of a charge.
void lower_limits(const char* label) {
  const bool now =
      (target == "above the limit" &&
       std::strcmp(label, "between the look and the charge") == 0) ||
      (target == "between the levels of an undo" &&
       std::strcmp(label, "between the levels of a charge") == 0);
  static uint32_t passages = 0;
  if (!now || ++passages % 4 != 0) return;
  forbid_growth();
  lowered = true;
}

void pass(const char* label) {
  if (std::strcmp(label, "at the gate") == 0) ++waits;
  if (left == 0) return;
  lower_limits(label);
  if (target.empty() || target == label) {
    if (--left == 0) die();
  }
}

void collect(const std::filesystem::path& file, std::set<std::string>& labels) {
  static const std::regex kPoint(R"lit(fault_point\("([^"]*)"\))lit");
  std::ifstream stream(file);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const std::sregex_iterator end;
  for (std::sregex_iterator at(text.begin(), text.end(), kPoint); at != end;
       ++at) {
    labels.insert((*at)[1]);
  }
}

}  // namespace

void die_at(const char* label, uint32_t passage) {
  target = label != nullptr ? label : "";
  left = passage;
  g_fault_point_hook.install(pass);
}

void restore_limits() {
  if (lowered) set_tree_limits();
  lowered = false;
}

uint64_t gate_waits() { return waits; }

std::vector<std::string> labels_in(const std::string& directory) {
  std::set<std::string> labels;
  for (const char* layer : {"accounting", "stock"}) {
    const auto folder = std::filesystem::path(directory) / layer;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (file.path().extension() == ".cc") collect(file.path(), labels);
    }
  }
  return {labels.begin(), labels.end()};
}

}  // namespace umemcg::shared

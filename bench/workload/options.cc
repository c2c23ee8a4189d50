#include "bench/workload/options.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace umemcg {
namespace {

constexpr std::string_view kUsage =
    "usage: alloc_workload CASE [--seconds S | --ops N] [--json]\n"
    "       alloc_workload --list [--json]\n"
    "       alloc_workload --identify [--json]\n"
    "       alloc_workload --probe BYTES [--json]\n";

[[noreturn]] void DieUsage(const char* why, const char* argument) {
  std::fprintf(stderr, "alloc_workload: %s: %s\n%s", why, argument,
               kUsage.data());
  std::exit(2);
}

uint64_t ParseCount(const char* option, const char* text) {
  char* end = nullptr;
  const uint64_t count = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (count == 0 || *end != '\0') {
    DieUsage("not a positive count", text == nullptr ? option : text);
  }
  return count;
}

double ParseSeconds(const char* text) {
  char* end = nullptr;
  const double seconds = text == nullptr ? 0 : std::strtod(text, &end);
  if (!(seconds > 0) || *end != '\0') {
    DieUsage("not a positive number", text == nullptr ? "--seconds" : text);
  }
  return seconds;
}

const Case* ParseCase(const char* name) {
  const Case* found = FindCase(name);
  if (found == nullptr) {
    DieUsage("no such case (see --list)", name);
  }
  return found;
}

}  // namespace

Options ParseOptions(char** arguments) {
  Options options;
  // The vector ends with a null pointer, so a missing value parses as one; the
  // parsers refuse it before the loop would step over it.
  for (char** at = arguments; *at != nullptr; ++at) {
    const std::string_view argument = *at;
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--list") {
      options.mode = Mode::kList;
    } else if (argument == "--identify") {
      options.mode = Mode::kIdentify;
    } else if (argument == "--probe") {
      options.mode = Mode::kProbe;
      options.probe_bytes = ParseCount("--probe", *++at);
    } else if (argument == "--ops") {
      options.ops = ParseCount("--ops", *++at);
    } else if (argument == "--seconds") {
      options.seconds = ParseSeconds(*++at);
    } else {
      options.to_run = ParseCase(*at);
    }
  }
  if (options.mode == Mode::kCase && options.to_run == nullptr) {
    DieUsage("no case given", "see --list");
  }
  return options;
}

}  // namespace umemcg

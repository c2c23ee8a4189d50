#include "cli/export/look.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "accounting/domain.h"
#include "base/sys.h"
#include "cli/audit.h"
#include "cli/command.h"
#include "cli/top/sample_json.h"

namespace umemcg {
namespace {

using Json = nlohmann::json;

// A damaged domain may keep who looks at it for ever.
constexpr uint64_t kLongestNs = 60'000'000'000;
constexpr uint64_t kMillisecond = 1'000'000;

bool has_ended(int error) { return error == ENOENT || error == ESRCH; }

std::map<uint64_t, GroupAudit> audit_groups(const Sample& sample) {
  std::map<uint64_t, GroupAudit> audits;
  for (const ProcessSample& process : sample.processes) {
    if (process.ended) continue;
    GroupAudit& group = audits[process.group];
    // (0: in another pid namespace, so not to be found here.)
    const ProcessAudit audit =
        process.pid != 0 ? audit_process(process) : ProcessAudit{};
    if (process.pid != 0 && audit.error == 0) {
      group.unaccounted += audit.unaccounted();
    } else if (!has_ended(audit.error)) {
      ++group.unreadable;
    }
  }
  return audits;
}

Json json_of_audits(const Sample& sample) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Json list = Json::array();
  for (const auto& [id, audit] : audit_groups(sample)) {
    list.push_back({id, audit.unaccounted, audit.unreadable});
  }
  const std::chrono::duration<double> taken = Clock::now() - begin;
  return {{"groups", list}, {"seconds", taken.count()}};
}

// What the child sends: not text, since names are any bytes.
std::vector<uint8_t> look_here(const std::string& domain, bool audit) {
  const char* why = "";
  const int error = attach_domain(g_segment, domain.c_str(), &why);
  if (error != 0) return Json::to_msgpack({{"error", error}, {"why", why}});
  settle_domain();
  Sample sample = take_sample();
  Json found = {{"error", 0}, {"why", ""}};
  if (audit) found["audits"] = json_of_audits(sample);
  sample.processes.clear();
  found["sample"] = json_of_sample(sample);
  return Json::to_msgpack(found);
}

// Ends the process; no more of it is run, nor is a core left.
[[noreturn]] void look_and_tell(const std::string& domain, bool audit, int fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sigaction action = {};
  action.sa_handler = [](int number) { ::_exit(number); };
  for (const int number : {SIGBUS, SIGSEGV}) {
    ::sigaction(number, &action, nullptr);
  }
  try {
    const std::vector<uint8_t> found = look_here(domain, audit);
    ::_exit(write_all(fd, std::string(found.begin(), found.end())) == 0 ? 0
                                                                        : 1);
  } catch (...) {
    ::_exit(1);
  }
}

// All that comes until the other end is closed; false if it takes too long.
bool read_all(int fd, std::string* text) {
  const uint64_t end = sys::monotonic_ns() + kLongestNs;
  for (;;) {
    const uint64_t now = sys::monotonic_ns();
    if (now >= end) return false;
    pollfd input = {fd, POLLIN, 0};
    ::poll(&input, 1, static_cast<int>((end - now) / kMillisecond) + 1);
    if (input.revents == 0) continue;
    char buffer[65536];
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got == 0) return true;
    if (got > 0) text->append(buffer, static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) return false;
  }
}

Look failed(const std::string& why, int error) {
  Look look;
  look.why = why;
  look.error = error;
  return look;
}

std::string ending_text(int status) {
  if (!WIFEXITED(status)) return "could not be read to the end";
  if (WEXITSTATUS(status) == SIGBUS) return "was cut short while it was read";
  return WEXITSTATUS(status) == SIGSEGV ? "is damaged" : "could not be read";
}

Look look_of(const std::string& text) {
  const Json found = Json::from_msgpack(text);
  Look look = failed(found.at("why"), found.at("error"));
  if (!look.seen()) return look;
  look.sample = sample_of_json(found.at("sample"));
  if (!found.contains("audits")) return look;
  look.audit_seconds = found["audits"].at("seconds");
  for (const Json& group : found["audits"].at("groups")) {
    look.audits[group.at(0)] = {group.at(1), group.at(2)};
  }
  return look;
}

}  // namespace

Look look_at_domain(const std::string& domain, bool audit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return failed("cannot be looked at", errno);
  }
  const pid_t child = ::fork();
  const int fork_error = errno;
  if (child == 0) look_and_tell(domain, audit, ends[1]);
  ::close(ends[1]);
  std::string text;
  const bool whole = child > 0 && read_all(ends[0], &text);
  ::close(ends[0]);
  if (child < 0) return failed("cannot be looked at", fork_error);
  if (!whole) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return failed("takes too long to read", ETIMEDOUT);
  if (status != 0) return failed(ending_text(status), EIO);
  try {
    return look_of(text);
  } catch (const Json::exception&) {
    return failed("could not be read", EIO);
  }
}

}  // namespace umemcg

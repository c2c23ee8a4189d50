// alloc_workload: times one allocation pattern on whatever allocator the
// process was started with (LD_PRELOAD); it links none itself.
//
//   alloc_workload CASE [--seconds S | --ops N] [--json]
//   alloc_workload --list [--json]        the cases, threads and operations
//   alloc_workload --identify [--json]    the allocator: see identify.h
//   alloc_workload --probe BYTES [--json] how many of BYTES malloc gives

#include <sys/resource.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "bench/workload/cases.h"
#include "bench/workload/identify.h"
#include "bench/workload/options.h"
#include "bench/workload/support.h"

namespace umemcg {

namespace {

// The peak resident set of this program. (getrusage would count the process
// that forked it too.) 0 if /proc is not there.
uint64_t PeakRssKib() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) {
    return 0;
  }
  uint64_t peak = 0;
  char line[256];
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmHWM: %" SCNu64, &peak) == 1) {
      break;
    }
  }
  std::fclose(status);
  return peak;
}

uint64_t MinorFaults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_minflt);
}

// How many operations take about that long: judged by a sixteenth of the
// case's own count, run once.
uint64_t OpsFor(const Case& c, double seconds) {
  const Result trial = c.run(c.ops / 16 + 1);
  const double each =
      static_cast<double>(trial.wall_ns + 1) / static_cast<double>(trial.ops);
  return static_cast<uint64_t>(seconds * 1e9 / each) + 1;
}

int RunCase(const Options& options) {
  const Case& c = *options.to_run;
  uint64_t ops = options.ops != 0 ? options.ops : c.ops;
  if (options.seconds > 0) {
    ops = OpsFor(c, options.seconds);
  }
  const Result result = c.run(ops);
  const double ns_per_op =
      static_cast<double>(result.wall_ns) / static_cast<double>(result.ops);
  if (options.json) {
    std::printf(
        "{\"case\": \"%s\", \"allocator\": \"%s\", \"threads\": %d, "
        "\"ops\": %" PRIu64 ", \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64
        ", \"peak_rss_kib\": %" PRIu64 ", \"minor_faults\": %" PRIu64 "}\n",
        c.name, Identify().allocator, c.threads, result.ops, result.wall_ns,
        result.cpu_ns, PeakRssKib(), MinorFaults());
  } else {
    std::printf("%s: %.2f ns/op, %" PRIu64 " ops\n", c.name, ns_per_op,
                result.ops);
  }
  return 0;
}

int ListCases(bool json) {
  const char* separator = "[";
  for (const Case& c : AllCases()) {
    if (json) {
      std::printf("%s{\"case\": \"%s\", \"threads\": %d, \"ops\": %" PRIu64 "}",
                  separator, c.name, c.threads, c.ops);
      separator = ",\n ";
    } else {
      std::printf("%-18s %d thread%s %9" PRIu64 " ops  %s\n", c.name, c.threads,
                  c.threads == 1 ? " " : "s", c.ops, c.what);
    }
  }
  std::fputs(json ? "]\n" : "", stdout);
  return 0;
}

void PrintJsonString(const char* text) {
  if (text == nullptr) {
    std::fputs("null", stdout);
    return;
  }
  std::putchar('"');
  for (; *text != '\0'; ++text) {
    if (*text == '"' || *text == '\\') {
      std::putchar('\\');
    }
    std::putchar(*text);
  }
  std::putchar('"');
}

int PrintIdentity(bool json) {
  const Identity identity = Identify();
  if (!json) {
    std::puts(identity.allocator);
    return 0;
  }
  std::printf("{\"allocator\": \"%s\", \"malloc\": ", identity.allocator);
  PrintJsonString(identity.malloc_object);
  std::fputs(", \"mimalloc\": ", stdout);
  PrintJsonString(identity.mimalloc_object);
  std::puts("}");
  return 0;
}

// Takes memory in touched blocks, and keeps them, until `bytes` are had or
// malloc refuses: what a limit leaves.
int Probe(uint64_t bytes, bool json) {
  constexpr size_t kBlock = 64 * kKiB;
  uint64_t had = 0;
  while (had < bytes) {
    void* block = std::malloc(kBlock);
    if (block == nullptr) {
      break;
    }
    Touch(static_cast<char*>(block), kBlock);
    had += kBlock;
  }
  std::printf(json ? "{\"bytes\": %" PRIu64 "}\n" : "%" PRIu64 "\n", had);
  return 0;
}

int Main(char** arguments) {
  const Options options = ParseOptions(arguments);
  switch (options.mode) {
    case Mode::kList:
      return ListCases(options.json);
    case Mode::kIdentify:
      return PrintIdentity(options.json);
    case Mode::kProbe:
      return Probe(options.probe_bytes, options.json);
    case Mode::kCase:
      break;
  }
  return RunCase(options);
}

}  // namespace
}  // namespace umemcg

int main(int argc, char** argv) {
  return umemcg::Main(argc > 0 ? argv + 1 : argv);
}

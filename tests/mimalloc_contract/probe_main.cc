// Runs one fact:  mimalloc_contract_probe <Suite.Name>
// Lists them all: mimalloc_contract_probe --list
//   (one line each: Suite <tab> Name <tab> sentence <tab> what depends on it)

#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"

namespace umemcg {
namespace {

// Facts are measured in milliseconds; a hang is a failure like another.
constexpr unsigned kDeadlineSeconds = 30;

constinit const Fact* first_fact = nullptr;
constinit std::atomic<int> failures{0};

void ListFacts() {
  for (const Fact* fact = FirstFact(); fact != nullptr; fact = fact->next) {
    std::printf("%s\t%s\t%s\t%s\n", fact->suite, fact->name, fact->sentence,
                fact->dependence);
  }
}

const Fact* FindFact(const char* full_name) {
  for (const Fact* fact = FirstFact(); fact != nullptr; fact = fact->next) {
    const size_t length = std::strlen(fact->suite);
    if (std::strncmp(full_name, fact->suite, length) == 0 &&
        full_name[length] == '.' &&
        std::strcmp(full_name + length + 1, fact->name) == 0) {
      return fact;
    }
  }
  return nullptr;
}

int RunFact(const char* full_name) {
  const Fact* const fact = FindFact(full_name);
  if (fact == nullptr) {
    std::fprintf(stderr, "no fact named %s\n", full_name);
    return 2;
  }
  alarm(kDeadlineSeconds);
  fact->run();
  if (FailureCount() > 0) {
    PrintEvents();
  }
  // No atexit handlers: mimalloc's are not what is being measured.
  std::fflush(nullptr);
  _exit(FailureCount() > 0 ? 1 : 0);
}

}  // namespace

bool RegisterFact(Fact* fact) {
  fact->next = first_fact;
  first_fact = fact;
  return true;
}

const Fact* FirstFact() { return first_fact; }

void Fail(const char* file, int line, const char* condition, const char* format,
          ...) {
  failures.fetch_add(1, std::memory_order_relaxed);
  std::fprintf(stderr, "  %s:%d: not so: %s; ", file, line, condition);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

void Note(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::putchar('\n');
}

int FailureCount() { return failures.load(std::memory_order_relaxed); }

}  // namespace umemcg

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s --list | <Suite.Name>\n", argv[0]);
    return 2;
  }
  if (std::strcmp(argv[1], "--list") == 0) {
    umemcg::ListFacts();
    return 0;
  }
  return umemcg::RunFact(argv[1]);
}

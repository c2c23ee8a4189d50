// The form in which a fact about mimalloc is written down and checked.
//
//   FACT(Hook, RefusedCommitMeansNull,
//        "a commit that the hook refuses makes malloc return NULL",
//        "alloc/: a refusal is the only way in which a limit holds") {
//     ...
//     EXPECT(p == nullptr, "malloc gave %p", p);
//   }
//
// Every fact runs in a process of its own (probe_main.cc, started by
// contract_test.cc): options before the first allocation, crashes and hangs
// stay apart. A fact that does not return within its time has failed too.

#ifndef UMEMCG_TESTS_MIMALLOC_CONTRACT_FACT_H_
#define UMEMCG_TESTS_MIMALLOC_CONTRACT_FACT_H_

namespace umemcg {

struct Fact {
  const char* suite;
  const char* name;
  const char* sentence;    // what holds
  const char* dependence;  // what in umemcg relies on it
  void (*run)();
  const Fact* next = nullptr;
};

// Called by FACT before main.
bool RegisterFact(Fact* fact);

const Fact* FirstFact();

// Records a failure of the running fact; the fact goes on.
[[gnu::format(printf, 4, 5)]] void Fail(const char* file, int line,
                                        const char* condition,
                                        const char* format, ...);

// Says something that is worth knowing but breaks nothing (e.g. that a
// workaround of ours is no longer needed).
[[gnu::format(printf, 1, 2)]] void Note(const char* format, ...);

int FailureCount();

}  // namespace umemcg

#define FACT(suite, name, sentence, dependence)                              \
  static void Run##suite##name();                                            \
  static ::umemcg::Fact fact_##suite##name = {#suite, #name, sentence,       \
                                              dependence, Run##suite##name}; \
  [[maybe_unused]] static const bool registered_##suite##name =              \
      ::umemcg::RegisterFact(&fact_##suite##name);                           \
  static void Run##suite##name()

// EXPECT(condition, "format of what was seen instead", values...)
#define EXPECT(condition, ...)        \
  ((condition) ? static_cast<void>(0) \
               : ::umemcg::Fail(__FILE__, __LINE__, #condition, __VA_ARGS__))

// Also ends the fact.
#define REQUIRE(condition, ...)                                    \
  do {                                                             \
    if (!(condition)) {                                            \
      ::umemcg::Fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
      return;                                                      \
    }                                                              \
  } while (false)

#endif  // UMEMCG_TESTS_MIMALLOC_CONTRACT_FACT_H_

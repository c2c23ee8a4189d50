#include "base/check.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::ChildOutcome;
using test::run_child;

constexpr int kAborted = 256 + SIGABRT;

TEST(Check, PassesWithoutAWord) {
  ChildOutcome outcome = run_child([] { UMEMCG_CHECK(1 + 1 == 2); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error_text, "");
}

TEST(Check, NamesThePlaceAndTheConditionAndAborts) {
  constexpr int kLine = __LINE__ + 1;
  ChildOutcome outcome = run_child([] { UMEMCG_CHECK(1 + 1 == 3); });
  EXPECT_EQ(outcome.code, kAborted);
  EXPECT_EQ(outcome.error_text, "umemcg: " __FILE__ ":" +
                                    std::to_string(kLine) +
                                    ": check failed: 1 + 1 == 3\n");
}

TEST(Check, DebugCheckIsFreeInReleaseBuilds) {
  int evaluated = 0;
  ChildOutcome outcome = run_child([] { UMEMCG_DCHECK(false); });
  UMEMCG_DCHECK(++evaluated > 0);
#ifdef NDEBUG
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(evaluated, 0);
#else
  EXPECT_EQ(outcome.code, kAborted);
  EXPECT_EQ(evaluated, 1);
#endif
}

void warn_here() { UMEMCG_WARN_ONCE("here"); }

TEST(WarnOnce, SaysItOnceAtEachPlace) {
  ChildOutcome outcome = run_child([] {
    for (int i = 0; i < 3; ++i) warn_here();
    for (int i = 0; i < 3; ++i) UMEMCG_WARN_ONCE("there");
  });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error_text,
            "umemcg: warning: here\numemcg: warning: there\n");
}

TEST(WarnOnce, KeepsErrno) {
  ChildOutcome outcome = run_child([] {
    errno = 22;
    warn_here();
    EXPECT_EQ(errno, 22);
  });
  EXPECT_EQ(outcome.code, 0);
}

TEST(FirstTime, IsTrueForOneOfManyThreads) {
  for (int round = 0; round < 100; ++round) {
    std::atomic<bool> done{false};
    std::atomic<int> firsts{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { firsts += first_time(done); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(firsts, 1);
    ASSERT_FALSE(first_time(done));
  }
}

}  // namespace
}  // namespace umemcg

// Out of memory by policy, in a domain: the test is one of its processes, its
// children are others.

#include "reclaim/oom.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "accounting/oom_policy.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "accounting/victim.h"
#include "base/sys.h"
#include "reclaim/shrinker_table.h"
#include "tests/unit/stock/world.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::Shared;
using test::wait_until;

constexpr int64_t kLimit = 64;
constexpr int kKilled = 256 + SIGKILL;

uint64_t now_ms() { return sys::monotonic_ns() / 1'000'000; }

class OomTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_domain_world();
    reset_thread();
    t_context.exiting = true;  // charges exactly
    install_reclaim({false});
    account_ = &new_account(kLimit);
    group_ = account_->group;
    limiting_ = &g_segment.group(group_)->memory;
  }
  void TearDown() override {
    set_oom_callback({});
    if (ProcessSlot* self = own_process()) self->flags = 0, self->forced = 0;
    reset_thread();
  }

  ChargeRequest request(int64_t pages) {
    ChargeRequest request{account_, pages, 0};
    request.failed = limiting_;
    return request;
  }
  OomVerdict run(int64_t pages) {
    ChargeRequest wanted = request(pages);
    return out_of_memory(wanted, group_);
  }
  void set_policy(const char* text) {
    ASSERT_EQ(0, set_oom_policy(*g_segment.group(group_), text));
  }
  uint64_t events(Event event) {
    return g_segment.group(group_)->events[static_cast<int>(event)];
  }
  int64_t pages() { return limiting_->usage(); }

  // A process of the domain with `pages` in the group. (A slot of a child that
  // a test before has left is reaped on the way.)
  std::unique_ptr<Child> member(int64_t pages) {
    const int before = *joined_;
    auto child = std::make_unique<Child>([=, this] {
      set_thread_line(nullptr);
      ASSERT_EQ(0, attach_process(group_, "member"));
      accounts_inherit();
      if (pages > 0) account_charge(*account_of(group_), pages);
      ++*joined_;
      for (;;) ::pause();
    });
    EXPECT_TRUE(wait_until([&] { return *joined_ > before; }));
    return child;
  }

  Account* account_ = nullptr;
  uint32_t group_ = kNone;
  PageCounter* limiting_ = nullptr;
  Shared<std::atomic<int>> joined_;
};

TEST_F(OomTest, FailRaisesTheEvent) {
  EXPECT_EQ(run(4), OomVerdict::kNoMemory);
  EXPECT_EQ(events(Event::kOom), 1u);
  EXPECT_EQ(events(Event::kOomKill), 0u);
  EXPECT_EQ(oom_outcome(group_), Outcome::kFailed);
}

class KillTest : public OomTest {
 protected:
  void SetUp() override {
    OomTest::SetUp();
    set_policy("kill");
  }
};

TEST_F(KillTest, TheVictimsPagesAreThereAtOnce) {
  auto victim = member(60);
  EXPECT_EQ(run(10), OomVerdict::kRetry);
  EXPECT_EQ(pages(), 0);
  EXPECT_EQ(victim->wait(), kKilled);
  EXPECT_EQ(events(Event::kOom), 1u);
  EXPECT_EQ(events(Event::kOomKill), 1u);
  RefusalView views[kRefusals];
  ASSERT_EQ(read_refusals(*g_segment.group(group_), views), 1);
  EXPECT_EQ(views[0].outcome, Outcome::kKilled);
  EXPECT_EQ(views[0].usage, 60);
  EXPECT_EQ(views[0].request, 10);
}

TEST_F(KillTest, NobodyToKill) {
  EXPECT_EQ(run(kLimit + 1), OomVerdict::kNoMemory);
  EXPECT_EQ(events(Event::kOom), 1u);
  EXPECT_EQ(events(Event::kOomKill), 0u);
}

TEST_F(KillTest, ThereIsRoomBySomebodyElse) {
  EXPECT_EQ(run(kLimit), OomVerdict::kRetry);
  EXPECT_EQ(events(Event::kOom), 0u);
}

TEST_F(KillTest, ManyAtOnceKillOnce) {
  auto large = member(40);
  auto small = member(20);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(run(10), OomVerdict::kRetry); });
    }
  }
  EXPECT_EQ(large->wait(), kKilled);
  EXPECT_EQ(pages(), 20);
  EXPECT_EQ(events(Event::kOom), 1u);
  EXPECT_EQ(events(Event::kOomKill), 1u);
  EXPECT_EQ(::kill(small->pid(), 0), 0);
}

TEST_F(KillTest, WhoIsOnItsWayOutIsWaitedFor) {
  auto leaving = member(60);
  auto other = member(4);
  const uint32_t slot = find_process(g_segment, leaving->pid());
  ASSERT_NE(slot, kNone);
  mark_ending(*g_segment.process(slot), kProcessExiting);
  std::jthread ends([&] {
    sys::sleep_ns(20'000'000);
    ::kill(leaving->pid(), SIGKILL);
  });
  EXPECT_EQ(run(10), OomVerdict::kRetry);
  EXPECT_EQ(pages(), 4);
  EXPECT_EQ(events(Event::kOom), 0u);
  EXPECT_EQ(events(Event::kOomKill), 0u);
}

TEST_F(KillTest, WhoHasMostIsTheCaller) {
  auto other = member(10);
  Child self([&] {
    set_thread_line(nullptr);
    ASSERT_EQ(0, attach_process(group_, "self"));
    accounts_inherit();
    account_ = account_of(group_);
    account_charge(*account_, 50);
    run(10);
    ADD_FAILURE() << "it lives";
  });
  EXPECT_EQ(self.wait(), kKilled);
  EXPECT_EQ(events(Event::kOomKill), 1u);
  EXPECT_EQ(::kill(other->pid(), 0), 0);
}

TEST_F(KillTest, AKillerThatDiedHoldsUpNobody) {
  auto victim = member(60);
  Child killer([&] {
    set_thread_line(nullptr);
    ASSERT_EQ(0, attach_process(group_, "killer"));
    // As if it had been killed in the middle.
    g_segment.header().oom_lease = (uint64_t{this_process()} + 1) << 44 |
                                   static_cast<uint32_t>(sys::coarse_ms());
    ++*joined_;
    for (;;) ::pause();
  });
  ASSERT_TRUE(wait_until([&] { return *joined_ == 2; }));
  killer.kill();
  EXPECT_EQ(run(10), OomVerdict::kRetry);
  EXPECT_EQ(victim->wait(), kKilled);
  EXPECT_EQ(g_segment.header().oom_lease, 0u);
}

class WaitTest : public OomTest {
 protected:
  void SetUp() override {
    OomTest::SetUp();
    set_policy("wait 10000");
    account_charge(*account_, kLimit);
    EXPECT_EQ(oom_outcome(group_), Outcome::kWaited);
  }
  void TearDown() override {
    account_uncharge(*account_, pages());
    OomTest::TearDown();
  }
  // Once somebody waits.
  [[nodiscard]] bool waiting(uint64_t threads) {
    return wait_until([&] { return events(Event::kOom) == threads; });
  }
};

TEST_F(WaitTest, TheDeadlineIsOneForTheCharge) {
  set_policy("wait 40");
  ChargeRequest wanted = request(1);
  const uint64_t start = now_ms();
  EXPECT_EQ(out_of_memory(wanted, group_), OomVerdict::kNoMemory);
  const uint64_t waited = now_ms() - start;
  EXPECT_GE(waited, 39u);
  EXPECT_LT(waited, 5000u);
  // Its time is up. (The shortest of some, since the machine may be busy.)
  uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const uint64_t again = now_ms();
    EXPECT_EQ(out_of_memory(wanted, group_), OomVerdict::kNoMemory);
    const uint64_t took = now_ms() - again;
    if (took < shortest) shortest = took;
  }
  EXPECT_LT(shortest, 30u);
  EXPECT_EQ(events(Event::kOom), 1u);
}

TEST_F(WaitTest, ASmallRequestDoesNotWaitForALargeOne) {
  OomVerdict large = OomVerdict::kRetry;
  set_policy("wait 300");
  std::jthread first([&] { large = run(kLimit); });
  ASSERT_TRUE(waiting(1));
  set_policy("wait 10000");
  std::jthread second([&] { EXPECT_EQ(run(2), OomVerdict::kRetry); });
  ASSERT_TRUE(waiting(2));
  account_uncharge(*account_, 2);
  second.join();
  first.join();
  EXPECT_EQ(large, OomVerdict::kNoMemory);
}

TEST_F(WaitTest, ARaisedLimitIsRoom) {
  std::jthread waiter([&] { EXPECT_EQ(run(8), OomVerdict::kRetry); });
  ASSERT_TRUE(waiting(1));
  limiting_->store_max(kLimit + 8);
}

TEST_F(WaitTest, AnotherPolicyEndsIt) {
  std::jthread waiter([&] { EXPECT_EQ(run(8), OomVerdict::kRetry); });
  ASSERT_TRUE(waiting(1));
  set_policy("fail");
}

TEST_F(WaitTest, SoDoesTheProcesssEnd) {
  std::jthread waiter([&] { EXPECT_EQ(run(8), OomVerdict::kRetry); });
  ASSERT_TRUE(waiting(1));
  mark_exiting();
}

class CallbackTest : public OomTest {
 protected:
  void SetUp() override {
    OomTest::SetUp();
    set_policy("callback");
    account_charge(*account_, kLimit);
    EXPECT_EQ(oom_outcome(group_), Outcome::kCallback);
  }
  void TearDown() override {
    account_uncharge(*account_, pages());
    OomTest::TearDown();
  }
  // What the program does; whether it made room.
  using Body = std::function<bool(Account& limiting, int64_t pages)>;
  void install(Body body) {
    body_ = std::move(body);
    set_oom_callback(
        {[](const OomCallback& callback, Account& limiting, int64_t wanted) {
           auto& test = *static_cast<CallbackTest*>(callback.argument);
           ++test.calls_;
           return test.body_(limiting, wanted) ? 1 : 0;
         },
         nullptr, this});
  }

  Body body_;
  std::atomic<int> calls_{0};
};

TEST_F(CallbackTest, WithoutAFunctionItFails) {
  EXPECT_EQ(run(1), OomVerdict::kNoMemory);
  EXPECT_EQ(events(Event::kOom), 1u);
}

TEST_F(CallbackTest, ItDecides) {
  bool answer = true;
  install([&](Account& limiting, int64_t wanted) {
    EXPECT_EQ(&limiting, account_);
    EXPECT_EQ(wanted, 3);
    EXPECT_TRUE(t_context.reclaiming);
    EXPECT_EQ(t_context.account, process_account());
    return answer;
  });
  EXPECT_EQ(run(3), OomVerdict::kRetry);
  answer = false;
  EXPECT_EQ(run(3), OomVerdict::kNoMemory);
  EXPECT_EQ(calls_, 2);
  EXPECT_FALSE(t_context.reclaiming);
}

TEST_F(CallbackTest, OneThatMakesNoRoomIsNotBelievedForEver) {
  install([](Account&, int64_t) { return true; });
  ChargeRequest wanted = request(1);
  int retries = 0;
  while (out_of_memory(wanted, group_) == OomVerdict::kRetry) ++retries;
  EXPECT_EQ(retries, 16);
  EXPECT_EQ(calls_, 16);
}

TEST_F(CallbackTest, OneThatDoesIs) {
  install([&](Account&, int64_t) {
    account_uncharge(*account_, 1);
    return true;
  });
  ChargeRequest wanted = request(40);
  int retries = 0;
  while (pages() > kLimit - 40) {
    ASSERT_EQ(out_of_memory(wanted, group_), OomVerdict::kRetry);
    ++retries;
  }
  EXPECT_EQ(retries, 40);
}

TEST_F(CallbackTest, UpAndDownIsNoProgress) {
  install([&](Account&, int64_t) {
    pages() == kLimit ? account_uncharge(*account_, 1)
                      : account_charge(*account_, 1);
    return true;
  });
  ChargeRequest wanted = request(40);
  while (out_of_memory(wanted, group_) == OomVerdict::kRetry) {
    ASSERT_LT(calls_, 300);
  }
  // From the second on, which found a page less.
  EXPECT_EQ(calls_, 1 + 16);
}

TEST_F(CallbackTest, AsLittleProgressAsCanBeIsNotEnough) {
  limiting_->store_max(1000);
  account_charge(*account_, 1000 - kLimit);
  install([&](Account&, int64_t) {
    account_uncharge(*account_, 1);
    return true;
  });
  ChargeRequest wanted = request(900);
  while (out_of_memory(wanted, group_) == OomVerdict::kRetry) {
    ASSERT_LT(calls_, 300);
  }
  EXPECT_EQ(calls_, 256);
}

// In a call of the function until it is told to return, which has made room.
TEST_F(CallbackTest, RoomThatACallHasMadeIsThereBeforeItsEnd) {
  std::atomic<bool> over{false};
  install([&](Account&, int64_t) {
    account_uncharge(*account_, pages());
    EXPECT_TRUE(wait_until([&] { return over.load(); }));
    return true;
  });
  std::jthread caller([&] {
    t_context.exiting = true;
    run(1);
  });
  ASSERT_TRUE(wait_until([&] { return calls_ == 1 && pages() == 0; }));
  const uint64_t start = now_ms();
  EXPECT_EQ(run(10), OomVerdict::kRetry);
  EXPECT_LT(now_ms() - start, 400u);
  over = true;
}

// The function may wait for the end of the shrinker's call.
TEST_F(CallbackTest, AShrinkerDoesNotWaitForItWithoutABound) {
  std::atomic<bool> over{false};
  install([&](Account&, int64_t) {
    EXPECT_TRUE(wait_until([&] { return over.load(); }));
    return false;
  });
  std::jthread caller([&] {
    t_context.exiting = true;
    run(1);
  });
  ASSERT_TRUE(wait_until([&] { return calls_ == 1; }));
  ShrinkerCall call = {};
  t_shrinker_call = &call;
  EXPECT_EQ(set_oom_callback({}), EDEADLK);
  over = true;
  caller.join();
  EXPECT_EQ(set_oom_callback({}), 0);
  t_shrinker_call = nullptr;
}

TEST_F(CallbackTest, OneCallAtATimeAndTheNextFindsRoom) {
  std::atomic<int> inside{0};
  install([&](Account&, int64_t) {
    EXPECT_EQ(++inside, 1);
    sys::sleep_ns(5'000'000);
    if (pages() > 0) account_uncharge(*account_, pages());
    --inside;
    return true;
  });
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      t_context.exiting = true;
      EXPECT_EQ(run(10), OomVerdict::kRetry);
    });
  }
  threads.clear();
  EXPECT_EQ(calls_, 1);
}

TEST_F(CallbackTest, ItMayRemoveItself) {
  install([&](Account&, int64_t) {
    set_oom_callback({});
    return false;
  });
  EXPECT_EQ(run(1), OomVerdict::kNoMemory);
  EXPECT_EQ(run(1), OomVerdict::kNoMemory);
  EXPECT_EQ(calls_, 1);
}

TEST_F(CallbackTest, TheChildOfAForkIsNotHeldUpByItsParentsCall) {
  std::atomic<bool> forked{false};
  install([&](Account&, int64_t) {
    EXPECT_TRUE(wait_until([&] { return forked.load(); }));
    return false;
  });
  std::jthread caller([&] {
    t_context.exiting = true;
    run(1);
  });
  ASSERT_TRUE(wait_until([&] { return calls_ == 1; }));
  Child child([&] {
    reset_oom();
    const uint64_t start = now_ms();
    set_oom_callback({});
    EXPECT_LT(now_ms() - start, 400u);
  });
  forked = true;
  EXPECT_EQ(child.wait(), 0);
}

class ExitTest : public OomTest {};

TEST_F(ExitTest, WhoExitsMayGoOverTheLimitUpToABound) {
  EXPECT_FALSE(may_force_charge(1));
  mark_exiting();
  EXPECT_TRUE(may_force_charge(kMostForcedPages - 1));
  EXPECT_FALSE(may_force_charge(2));
  EXPECT_TRUE(may_force_charge(1));
  EXPECT_FALSE(may_force_charge(1));
}

TEST_F(ExitTest, AVictimToo) {
  mark_ending(*own_process(), kProcessVictim);
  EXPECT_TRUE(may_force_charge(1));
}

TEST_F(ExitTest, AChildThatHasNoSlotDoesNotMarkItsParents) {
  Child child([] {
    EXPECT_EQ(own_process(), nullptr);
    mark_exiting();
    EXPECT_FALSE(may_force_charge(1));
    // The slot that it takes afterwards says so.
    set_thread_line(nullptr);
    ASSERT_EQ(attach_process(kRootGroup, "child"), 0);
    EXPECT_TRUE(may_force_charge(1));
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_FALSE(is_ending(*own_process()));
}

}  // namespace
}  // namespace umemcg

// Asking other processes for pages: who is asked, who is waited for, and how
// long. The others are slots of a domain's file that the test fills.

#include "accounting/reclaim_request.h"

#include <atomic>
#include <thread>

#include "accounting/stat.h"
#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"

namespace umemcg {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 5000 * kMs;

class ReclaimRequestTest : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    group_ = test::make_group(domain_, "/a");
    child_ = test::make_group(domain_, "/a/b");
    other_ = test::make_group(domain_, "/c");
  }

  ProcessSlot& slot(uint32_t process) {
    ProcessSlot* found = domain_.process(process);
    if (found == nullptr) throw std::out_of_range("no such process");
    return *found;
  }
  Ledger& ledger(uint32_t index) {
    Ledger* found = domain_.ledger(index);
    if (found == nullptr) throw std::out_of_range("no such ledger");
    return *found;
  }
  // A process that has `charged` pages, `cached` of them, in the group.
  void add_process(uint32_t process, uint32_t group, int64_t charged,
                   int64_t cached) {
    slot(process).state = ProcessState::kAttached;
    Ledger& row = ledger(process);
    row.owner = make_owner(process, group);
    row.pages = charged;
    row.stat[static_cast<int>(Stat::kCached)] = cached;
    test::group_at(domain_, group).memory.charge(charged);
    if (domain_.header().processes_high <= process) {
      domain_.header().processes_high = process + 1;
      domain_.header().ledgers_high = process + 1;
    }
  }
  // It answers as soon as it is asked, and gives that much back.
  std::thread answering(uint32_t process, uint32_t group, int64_t pages) {
    return std::thread([this, process, group, pages] {
      const uint32_t before = slot(process).reclaim_seen;
      uint32_t now;
      while ((now = domain_.header().reclaim_seq) == before) sys::yield();
      test::group_at(domain_, group).memory.uncharge(pages);
      slot(process).reclaim_seen = now;
    });
  }
  uint64_t ask(uint32_t group, uint64_t wait_ns, int64_t* got = nullptr) {
    const uint64_t start = sys::monotonic_ns();
    const int64_t pages = request_reclaim(domain_, group, 40, wait_ns);
    if (got != nullptr) *got = pages;
    return sys::monotonic_ns() - start;
  }

  uint32_t group_ = kNone;
  uint32_t child_ = kNone;
  uint32_t other_ = kNone;
};

TEST_F(ReclaimRequestTest, WithoutAnybodyWhoHasSomethingNobodyIsAsked) {
  add_process(0, other_, 100, 100);
  add_process(1, group_, 100, 0);
  EXPECT_LT(ask(group_, kLong), kLong / 2);
  EXPECT_EQ(0u, domain_.header().reclaim_seq);
}

TEST_F(ReclaimRequestTest, WhatIsAskedStandsInTheGroup) {
  add_process(0, child_, 100, 100);
  EXPECT_FALSE(reclaim_requested(domain_, 0));
  ask(group_, 0);
  EXPECT_TRUE(reclaim_requested(domain_, 0));
  const Group& group = test::group_at(domain_, group_);
  EXPECT_EQ(40, group.reclaim_pages);
  EXPECT_TRUE(asked_since(group, 0));
  EXPECT_FALSE(asked_since(group, domain_.header().reclaim_seq));
  EXPECT_FALSE(asked_since(test::group_at(domain_, child_), 0));
  slot(0).reclaim_seen = domain_.header().reclaim_seq.load();
  EXPECT_FALSE(reclaim_requested(domain_, 0));
}

TEST_F(ReclaimRequestTest, AnAnswerEndsTheWait) {
  add_process(0, child_, 100, 100);
  std::thread process = answering(0, child_, 40);
  int64_t got = 0;
  EXPECT_LT(ask(group_, kLong, &got), kLong / 2);
  EXPECT_EQ(40, got);
  process.join();
}

TEST_F(ReclaimRequestTest, WhoMissesOneIsNotWaitedForUntilItAnswers) {
  add_process(0, child_, 100, 100);
  EXPECT_GE(ask(group_, 30 * kMs), 30 * kMs);
  EXPECT_LT(ask(group_, kLong), kLong / 2);
  slot(0).reclaim_seen = domain_.header().reclaim_seq.load();
  EXPECT_GE(ask(group_, 30 * kMs), 30 * kMs);
}

TEST_F(ReclaimRequestTest, OneThatSleepsDoesNotKeepAnotherFromBeingWaitedFor) {
  add_process(0, child_, 100, 100);
  ask(group_, 10 * kMs);
  add_process(1, group_, 100, 100);
  slot(1).reclaim_seen = domain_.header().reclaim_seq.load();
  std::thread process = answering(1, group_, 40);
  int64_t got = 0;
  EXPECT_LT(ask(group_, kLong, &got), kLong / 2);
  EXPECT_EQ(40, got);
  process.join();
}

TEST_F(ReclaimRequestTest, OneThatEndsMeanwhileIsNotWaitedFor) {
  add_process(0, child_, 100, 100);
  std::thread end([this] {
    sys::sleep_ns(10 * kMs);
    slot(0).state = ProcessState::kFree;
  });
  EXPECT_LT(ask(group_, kLong), kLong / 2);
  end.join();
}

TEST_F(ReclaimRequestTest, OneThatShrinksIsAskedThoughNothingIsCached) {
  add_process(0, child_, 100, 0);
  slot(0).flags = kProcessShrinkers;
  EXPECT_GE(ask(group_, 10 * kMs), 10 * kMs);
  // Not for what is not its own.
  EXPECT_LT(ask(other_, kLong), kLong / 2);
}

TEST_F(ReclaimRequestTest, EachOfManyAskersHasANumberOfItsOwn) {
  add_process(0, child_, 100, 100);
  add_process(1, other_, 100, 100);
  constexpr int kTimes = 2000;
  auto often = [this](uint32_t group) {
    for (int i = 0; i < kTimes; ++i) ask(group, 0);
  };
  std::thread one(often, group_);
  std::thread two(often, other_);
  one.join();
  two.join();
  const uint32_t last = domain_.header().reclaim_seq;
  EXPECT_EQ(2u * kTimes, last);
  // Whose was the last is asked at that number.
  EXPECT_TRUE(asked_since(test::group_at(domain_, group_), last - 1) ||
              asked_since(test::group_at(domain_, other_), last - 1));
}

TEST_F(ReclaimRequestTest, WhatAProcessCouldGiveIsSummedUp) {
  add_process(0, child_, 100, 30);
  add_process(1, group_, 50, 7);
  add_process(2, other_, 10, 10);
  const Givable own = givable_pages(domain_, group_, 0);
  EXPECT_EQ(30, own.cached);
  EXPECT_EQ(100, own.charged);
  const Givable all = givable_pages(domain_, group_, kNone);
  EXPECT_EQ(37, all.cached);
  EXPECT_EQ(150, all.charged);
}

TEST_F(ReclaimRequestTest, ALoneProcessAsksNobody) {
  Segment lone;
  ASSERT_EQ(0, lone.create_private(test::kSmall));
  const uint32_t group = test::make_group(lone, "/a");
  EXPECT_EQ(0, request_reclaim(lone, group, 40, kLong));
  EXPECT_EQ(0u, lone.header().reclaim_seq);
  EXPECT_EQ(0, request_reclaim(domain_, kNone, 40, kLong));
  EXPECT_EQ(0, request_reclaim(domain_, group_, 0, kLong));
  lone.detach();
}

}  // namespace
}  // namespace umemcg

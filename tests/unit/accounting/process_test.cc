// Processes of a domain that come, charge, fork and are killed. The children
// are killed with SIGKILL: nothing of theirs may be needed to clean up.

#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "accounting/stock_word.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/sys.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::kSmall;
using test::Shared;
using test::wait_until;

class ProcessTest : public test::FileSegmentTest {
 protected:
  void SetUp() override {
    FileSegmentTest::SetUp();
    group_ = test::make_group(domain_, "/a/b");
  }

  // Makes the calling child a process of the domain, with `pages` charged.
  Account& join(int64_t pages = 0, const char* name = "test") {
    const char* why = "";
    EXPECT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    EXPECT_EQ(attach_process(group_, name), 0);
    Account* account = account_of(group_);
    if (account == nullptr) throw std::runtime_error("no account");
    if (pages > 0) account_charge(*account, pages);
    return *account;
  }
  // A child that joins, charges, and waits to be killed.
  std::unique_ptr<Child> member(int64_t pages) {
    const int before = *joined_;
    auto child = std::make_unique<Child>([=, this] {
      join(pages);
      ++*joined_;
      ::pause();
    });
    EXPECT_TRUE(wait_until([&] { return *joined_ > before; }));
    return child;
  }
  int64_t usage(uint32_t group) { return domain_.group(group)->memory.usage(); }
  int64_t stat(Stat which) {
    int64_t stats[kStats];
    read_stats(domain_, group_, false, stats);
    return stats[static_cast<int>(which)];
  }
  uint32_t processes(uint32_t group) { return domain_.group(group)->processes; }

  uint32_t group_ = kNone;
  Shared<std::atomic<int>> joined_;
};

TEST_F(ProcessTest, TakesASlotAndIsCountedAbove) {
  Child child([&] {
    join(0, "a name that is longer than what fits in the slot");
    EXPECT_EQ(this_process(), 0u);
    const ProcessSlot& slot = *g_segment.process(0);
    EXPECT_EQ(slot.pid, ::getpid());
    EXPECT_EQ(slot.group, group_);
    EXPECT_STREQ(slot.name, "a name that is longer than what");
    EXPECT_TRUE(process_alive(g_segment, 0));
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(domain_.processes_used(), 1u);
  for (uint32_t group : {group_, parent_group(domain_, group_), kRootGroup}) {
    EXPECT_EQ(processes(group), 1u);
    EXPECT_EQ(domain_.group(group)->processes_total, 1u);
  }
  EXPECT_FALSE(process_alive(domain_, 0));
  EXPECT_FALSE(process_alive(domain_, 1));
  EXPECT_FALSE(process_alive(domain_, kSmall.processes));
}

// What was asked of others before it came does not make it attentive.
TEST_F(ProcessTest, OwesNoAnswerToWhatWasAskedBefore) {
  domain_.header().reclaim_seq = 7;
  Child child([&] {
    join();
    EXPECT_FALSE(reclaim_requested_here());
    domain_.header().reclaim_seq = 8;
    EXPECT_TRUE(reclaim_requested_here());
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_F(ProcessTest, TwoProcessesChargeOneGroup) {
  auto first = member(10);
  auto second = member(5);
  EXPECT_EQ(usage(group_), 15);
  EXPECT_EQ(usage(kRootGroup), 15);
  EXPECT_EQ(processes(group_), 2u);
  EXPECT_TRUE(process_alive(domain_, 0));
  EXPECT_TRUE(process_alive(domain_, 1));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  EXPECT_EQ(usage(group_), 15);
}

TEST_F(ProcessTest, AKilledOneGivesEverythingBackAndItsCountsStay) {
  auto first = member(10);
  auto second = member(5);
  first->kill();
  EXPECT_FALSE(process_alive(domain_, 0));
  EXPECT_EQ(usage(group_), 15);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(group_), 5);
  EXPECT_EQ(usage(kRootGroup), 5);
  EXPECT_EQ(processes(group_), 1u);
  EXPECT_EQ(processes(kRootGroup), 1u);
  EXPECT_EQ(domain_.group(group_)->processes_total, 2u);
  EXPECT_EQ(stat(Stat::kCharged), 15);
  EXPECT_EQ(stat(Stat::kUncharged), 10);
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  second->kill();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(kRootGroup), 0);
  EXPECT_EQ(stat(Stat::kCharged), 15);
  EXPECT_EQ(stat(Stat::kUncharged), 15);
}

TEST_F(ProcessTest, AmountsEndWithTheirProcess) {
  Child child([&] {
    Account& account = join(10);
    count_stat(account, Stat::kUsed, 8);
    count_stat(account, Stat::kCached, 2);
    count_stat(account, Stat::kPgpgin, 3);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(stat(Stat::kUsed), 8);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(stat(Stat::kUsed), 0);
  EXPECT_EQ(stat(Stat::kCached), 0);
  EXPECT_EQ(stat(Stat::kPgpgin), 3);
}

// What its threads held in stock is in its ledger; their lines are free again.
TEST_F(ProcessTest, LinesOfItsThreadsAreReapedToo) {
  Child child([&] {
    Account& account = join(10);
    StockLine& line = *g_segment.line(2);
    line.owner = this_process() + 1;
    line.group = group_ + 1;
    line.slots[1] = StockWord(account.ledger_index, 4).bits();
    line.reservation = StockWord(account.ledger_index, 2).bits();
    g_segment.header().lines_high = 3;
    account.ledger->threads = 1;
    add_to_ancestors(g_segment, group_, &Group::threads, +1);
    set_thread_line(&line);
    count_stat(account, Stat::kPgpgout, 6);
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(domain_.group(kRootGroup)->threads, 1u);
  EXPECT_EQ(stat(Stat::kPgpgout), 6);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(kRootGroup), 0);
  EXPECT_EQ(domain_.group(group_)->threads, 0u);
  EXPECT_EQ(domain_.group(kRootGroup)->threads, 0u);
  EXPECT_EQ(stat(Stat::kPgpgout), 6);
  const StockLine& line = *domain_.line(2);
  EXPECT_EQ(line.owner, 0u);
  EXPECT_EQ(line.slots[1], 0u);
  EXPECT_EQ(line.reservation, 0u);
}

TEST_F(ProcessTest, ItsSlotIsReused) {
  auto first = member(1);
  auto second = member(2);
  first->kill();
  reap_dead_processes(domain_);
  auto third = member(4);
  EXPECT_EQ(domain_.process(0)->pid, third->pid());
  EXPECT_EQ(domain_.processes_used(), 2u);
  EXPECT_EQ(usage(group_), 6);
  // And so may be its ledger, which starts from nothing.
  third->kill();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(group_), 2);
}

// Nobody looked in between: who takes the slot gives back what was charged.
TEST_F(ProcessTest, WhoTakesADeadOnesSlotReapsIt) {
  member(10)->kill();
  EXPECT_EQ(usage(group_), 10);
  auto next = member(3);
  EXPECT_EQ(usage(group_), 3);
  EXPECT_EQ(processes(group_), 1u);
  EXPECT_EQ(domain_.process(0)->pid, next->pid());
}

TEST_F(ProcessTest, ComeAndGoLeavesNothing) {
  for (int i = 0; i < 30; ++i) {
    auto first = member(i + 1);
    auto second = member(1);
    first->kill();
    second->kill();
    if (i % 3 == 0) reap_dead_processes(domain_);
  }
  reap_dead_processes(domain_);
  EXPECT_EQ(usage(kRootGroup), 0);
  EXPECT_EQ(processes(kRootGroup), 0u);
  EXPECT_LE(domain_.processes_used(), 2u);
  for (uint32_t i = 0; i < kSmall.ledgers; ++i) {
    EXPECT_EQ(domain_.ledger(i)->owner, 0u);
  }
  EXPECT_EQ(stat(Stat::kCharged), 30 * 31 / 2 + 30);
}

TEST_F(ProcessTest, AFullTableIsAnError) {
  std::vector<std::unique_ptr<Child>> members;
  for (uint32_t i = 0; i < kSmall.processes; ++i) members.push_back(member(1));
  Child late([&] {
    const char* why;
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
    EXPECT_EQ(attach_process(group_, "late"), ENOSPC);
  });
  EXPECT_EQ(late.wait(), 0);
  members[3]->kill();
  auto next = member(1);
  EXPECT_EQ(domain_.process(3)->pid, next->pid());
  EXPECT_EQ(usage(group_), kSmall.processes);
}

TEST_F(ProcessTest, ALockThatCannotBeHadIsAnError) {
  const char* unused;
  Segment holder;
  ASSERT_EQ(holder.attach_file(path_.c_str(), &unused), 0);
  ASSERT_TRUE(holder.lock());
  Child late([&] {
    const char* why;
    ASSERT_EQ(g_segment.attach_file(path_.c_str(), &why), 0);
    EXPECT_EQ(attach_process(group_, "late"), EBUSY);
  });
  EXPECT_EQ(late.wait(), 0);
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  holder.unlock();
  holder.detach();
}

TEST_F(ProcessTest, WithoutTheFileNobodyIsTakenForDead) {
  auto first = member(10);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  EXPECT_TRUE(process_alive(domain_, 0));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  EXPECT_EQ(usage(group_), 10);
}

TEST_F(ProcessTest, KeepsErrno) {
  Child child([&] {
    errno = 22;
    join(1);
    reap_dead_processes(g_segment);
    process_alive(g_segment, 0);
    EXPECT_EQ(errno, 22);
  });
  EXPECT_EQ(child.wait(), 0);
}

using LoneProcess = test::OwnSegmentTest;

TEST_F(LoneProcess, IsAlwaysAliveAndNeverReaped) {
  const uint32_t group = test::make_group(g_segment, "/lone");
  EXPECT_EQ(attach_process(group, "lone"), 0);
  EXPECT_EQ(this_process(), 0u);
  EXPECT_TRUE(process_alive(g_segment, 0));
  EXPECT_FALSE(process_alive(g_segment, 1));
  EXPECT_EQ(reap_dead_processes(g_segment), 0u);
  EXPECT_EQ(g_segment.group(group)->processes, 1u);
  EXPECT_EQ(g_segment.process(0)->pid, ::getpid());
}

TEST_F(LoneProcess, AddToAncestorsIgnoresGroupsThatDoNotExist) {
  add_to_ancestors(g_segment, kNone, &Group::threads, +1);
  add_to_ancestors(g_segment, test::kSmall.groups, &Group::threads, +1);
  EXPECT_EQ(g_segment.group(kRootGroup)->threads, 0u);
}

}  // namespace
}  // namespace umemcg

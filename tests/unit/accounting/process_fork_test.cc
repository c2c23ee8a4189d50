// The lock that says "alive" lives exactly as long as the address space: a
// fork does not copy it, closing descriptors does not end it, exec does.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "accounting/liveness.h"
#include "accounting/process.h"
#include "tests/unit/accounting/fixture.h"
#include "tests/unit/support/child.h"

namespace umemcg {
namespace {

using test::Child;
using test::Shared;
using test::wait_until;

class ProcessForkTest : public test::FileSegmentTest {
 protected:
  struct Stage {
    std::atomic<int> step;
    std::atomic<pid_t> grandchild;
  };

  void SetUp() override {
    FileSegmentTest::SetUp();
    group_ = test::make_group(domain_, "/a");
  }
  void TearDown() override {
    if (stage_->grandchild != 0) ::kill(stage_->grandchild, SIGKILL);
    FileSegmentTest::TearDown();
  }

  Account& join(int64_t pages) {
    const char* why = "";
    EXPECT_EQ(g_segment.attach_file(path_.c_str(), &why), 0) << why;
    EXPECT_EQ(attach_process(group_, "test"), 0);
    Account& account = *account_of(group_);
    account_charge(account, pages);
    return account;
  }
  // Says how far it came, and waits for the test to go on from there.
  void reach(int step) { stage_->step = step; }
  [[nodiscard]] bool reached(int step) {
    return wait_until([&] { return stage_->step == step; });
  }
  // A child of the child, that outlives it.
  template <typename Body>
  pid_t fork_grandchild(Body body) {
    pid_t pid = ::fork();
    if (pid == 0) {
      // Here, since the child may be killed before it stores it.
      stage_->grandchild = ::getpid();
      body();
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    return pid;
  }
  // It is nobody's child here: its end is seen by its locks.
  void end_grandchild() {
    ::kill(stage_->grandchild.exchange(0), SIGKILL);
    LivenessFile file(domain_);
    EXPECT_TRUE(wait_until([&] { return file.of(0) == Remains::kNothing; }));
  }
  int64_t usage() { return domain_.group(group_)->memory.usage(); }

  uint32_t group_ = kNone;
  Shared<Stage> stage_;
};

// The parent is dead, but what the child got from it stays charged as long as
// the child lives, whether or not it ever joins.
TEST_F(ProcessForkTest, AForkedChildKeepsItsParentsCharges) {
  Child parent([&] {
    join(10);
    fork_grandchild([&] {
      reach(1);
      ::pause();
    });
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  EXPECT_TRUE(process_alive(domain_, 0));
  parent.kill();
  EXPECT_EQ(::kill(stage_->grandchild, 0), 0);
  EXPECT_FALSE(process_alive(domain_, 0));
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(), 10);
  EXPECT_EQ(domain_.process(0)->state, ProcessState::kOrphaned);
  EXPECT_EQ(domain_.group(group_)->processes, 0u);
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  end_grandchild();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(), 0);
  EXPECT_EQ(domain_.process(0)->state, ProcessState::kFree);
}

// A program of its own has nothing of what its parent had.
TEST_F(ProcessForkTest, AChildThatCalledExecKeepsNothing) {
  Child parent([&] {
    join(10);
    fork_grandchild([&] { ::execl("/bin/sleep", "sleep", "100", nullptr); });
    reach(1);
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  ASSERT_TRUE(wait_until([&] { return stage_->grandchild != 0; }));
  parent.kill();
  EXPECT_TRUE(wait_until([&] {
    reap_dead_processes(domain_);
    return usage() == 0;
  }));
  EXPECT_EQ(::kill(stage_->grandchild, 0), 0);
}

TEST_F(ProcessForkTest, AForkedChildThatEndsLeavesItsParentAlive) {
  Child parent([&] {
    join(10);
    pid_t pid = fork_grandchild([] { ::close_range(3, ~0u, 0); });
    int status;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    stage_->grandchild = 0;
    reach(1);
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  EXPECT_TRUE(process_alive(domain_, 0));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  EXPECT_EQ(usage(), 10);
}

TEST_F(ProcessForkTest, ClosingAllDescriptorsDoesNotEndIt) {
  Child process([&] {
    join(10);
    ::close_range(3, ~0u, 0);
    reach(1);
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  EXPECT_TRUE(process_alive(domain_, 0));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  process.kill();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(), 0);
}

TEST_F(ProcessForkTest, ExecEndsIt) {
  Child process([&] {
    join(10);
    reach(1);
    ::execl("/bin/sleep", "sleep", "100", nullptr);
  });
  ASSERT_TRUE(reached(1));
  EXPECT_TRUE(wait_until([&] { return !process_alive(domain_, 0); }));
  EXPECT_EQ(::kill(process.pid(), 0), 0);
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(), 0);
}

TEST_F(ProcessForkTest, AForkedChildTakesASlotOfItsOwn) {
  Child parent([&] {
    Account& inherited = join(10);
    fork_grandchild([&] {
      EXPECT_EQ(attach_process(group_, "forked"), 0);
      accounts_inherit();
      EXPECT_EQ(this_process(), 1u);
      Account& own = *account_of(group_);
      EXPECT_NE(own.ledger, inherited.ledger);
      account_charge(own, 5);
      account_uncharge(inherited, 10);  // the parent's pages: nothing happens
      reach(HasFailure() ? -1 : 1);
      ::pause();
    });
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  EXPECT_EQ(usage(), 15);
  EXPECT_TRUE(process_alive(domain_, 0));
  EXPECT_TRUE(process_alive(domain_, 1));
  EXPECT_EQ(domain_.process(1)->pid, stage_->grandchild);
  parent.kill();
  EXPECT_EQ(reap_dead_processes(domain_), 1u);
  EXPECT_EQ(usage(), 15);
  EXPECT_TRUE(process_alive(domain_, 1));
  end_grandchild();
  // (Of one that is just ending, one lock may go before the other.)
  uint32_t reaped = 0;
  EXPECT_TRUE(test::wait_until([&] {
    reaped += reap_dead_processes(domain_);
    return usage() == 0;
  }));
  EXPECT_GE(reaped, 2u);
}

// The child's child has its parent's slot number until it joins; the lock is
// not its own, so its end says nothing about the slot.
TEST_F(ProcessForkTest, AChildThatNeverJoinsChangesNothing) {
  Child parent([&] {
    join(10);
    pid_t pid = fork_grandchild([] {});
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    stage_->grandchild = 0;
    reach(1);
    ::pause();
  });
  ASSERT_TRUE(reached(1));
  EXPECT_EQ(reap_dead_processes(domain_), 0u);
  EXPECT_EQ(domain_.group(group_)->processes, 1u);
  EXPECT_EQ(usage(), 10);
}

}  // namespace
}  // namespace umemcg

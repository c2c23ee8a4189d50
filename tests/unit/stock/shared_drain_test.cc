// Stocks in a domain: a drain takes those of other processes, stopped ones
// too, and of no other domain's business.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "stock/charge.h"
#include "stock/current.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

class SharedDrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "umemcg-drain." + std::to_string(getpid());
    ASSERT_EQ(0, g_segment.create_file(path_.c_str(), {16, 8, 64, 64}));
    ASSERT_EQ(0, create_group(g_segment, "/limited", &group_));
    ASSERT_EQ(0, create_group(g_segment, "/other", &other_));
    ASSERT_EQ(0, attach_process(group_, "parent"));
    account_ = account_of(group_);
    ASSERT_NE(nullptr, account_);
    set_accounts(account_, account_of(kRootGroup));
  }
  void TearDown() override {
    release_line();
    unlink(path_.c_str());
  }

  int64_t usage(uint32_t group) {
    return g_segment.group(group)->memory.usage();
  }

  // A process of the domain that charged one page to `group`, and its batch.
  pid_t start_charger(uint32_t group) {
    int ready[2];
    EXPECT_EQ(0, pipe(ready));
    pid_t child = fork();
    if (child == 0) {
      bool charged = charge_as_child(group);
      char answer = charged ? 'y' : 'n';
      if (write(ready[1], &answer, 1) != 1) _exit(2);
      for (;;) pause();
    }
    char answer = 0;
    EXPECT_EQ(1, read(ready[0], &answer, 1));
    EXPECT_EQ('y', answer);
    close(ready[0]);
    close(ready[1]);
    return child;
  }

  static bool charge_as_child(uint32_t group) {
    set_thread_line(nullptr);
    if (attach_process(group, "child") != 0) return false;
    accounts_inherit();
    Account* account = account_of(group);
    PageCounter* failed = nullptr;
    return account != nullptr && try_charge(*account, 1, &failed);
  }

  static void end(pid_t child) {
    kill(child, SIGKILL);
    int status;
    EXPECT_EQ(child, waitpid(child, &status, 0));
  }

  static void stop(pid_t child) {
    kill(child, SIGSTOP);
    int status = 0;
    EXPECT_EQ(child, waitpid(child, &status, WUNTRACED));
    EXPECT_TRUE(WIFSTOPPED(status));
  }

  std::string path_;
  uint32_t group_ = kNone;
  uint32_t other_ = kNone;
  Account* account_ = nullptr;
};

// One test: the process can join one domain only.
TEST_F(SharedDrainTest, TakesTheStockOfOtherProcesses) {
  PageCounter* failed = nullptr;
  pid_t running = start_charger(group_);
  pid_t stopped = start_charger(group_);
  pid_t beside = start_charger(other_);
  stop(stopped);
  EXPECT_EQ(64, usage(group_));
  EXPECT_EQ(32, usage(other_));

  // A stopped process's stock causes no failure: what is charged ahead is
  // there for whoever needs it.
  g_segment.group(group_)->memory.store_max(64);
  EXPECT_FALSE(try_charge(*account_, 40, &failed));
  EXPECT_EQ(62, drain_all_stock(g_segment, group_));
  EXPECT_TRUE(try_charge(*account_, 40, &failed));
  EXPECT_EQ(42, usage(group_));
  EXPECT_EQ(32, usage(other_));

  // The dead give back what is left: one page each.
  kill(stopped, SIGCONT);
  end(running);
  end(stopped);
  end(beside);
  EXPECT_EQ(3u, reap_dead_processes(g_segment));
  EXPECT_EQ(40, usage(group_));
  EXPECT_EQ(0, usage(other_));
  EXPECT_EQ(0, stock_pages(g_segment, kRootGroup));
}

}  // namespace
}  // namespace umemcg

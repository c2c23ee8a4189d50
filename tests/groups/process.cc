#include "tests/groups/process.h"

#include <gtest/gtest.h>
#include <mimalloc.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/recount.h"
#include "accounting/stat_line.h"
#include "alloc/attention.h"
#include "alloc/cached.h"
#include "alloc/fork.h"
#include "alloc/fork_gate.h"
#include "alloc/group_heap.h"
#include "alloc/heap.h"
#include "alloc/range.h"
#include "alloc/zombie.h"
#include "reclaim/charge.h"
#include "reclaim/serve.h"
#include "stock/charge.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr SegmentSizes kSizes = {8192, 16, 16384, 512};

pthread_key_t thread_key;
thread_local bool t_leaving = false;

// What follows is shim/lifecycle.cc's.
void end_thread(void*) {
  check_fork();
  t_context.exiting = true;
  end_thread_group();
  release_line();
  if (t_leaving) leave_fork_gate();
  t_leaving = false;
}

void line_acquired() {
  name_thread_group();
  pthread_setspecific(thread_key, &t_context);
}

void join_as_child() {
  const uint32_t group = process_account()->group;
  leave_parents_line();
  if (attach_process(group, "forked") != 0) return;
  accounts_inherit();
  set_accounts(account_of(group), account_of(kRootGroup));
  adopt_heaps();
}

void forked_child() {
  mark_this_process();
  g_segment.reset_lock();
  accounts_reset_lock();
  reset_range_lock();
  reset_purges();
  reset_serving();
  if (t_leaving) leave_fork_gate();
  t_leaving = false;
  reset_fork_gate();
  t_charge_record.armed = false;
  forget_other_heaps();
  if (g_segment.is_private()) {
    release_other_lines();
    adopt_heaps();
  } else {
    join_as_child();
  }
}

void before_fork() {
  g_fork_gate.close();
  for (int i = 0; i < 100 && purge_in_progress(); ++i) sys::sleep_ns(100'000);
}

void start_allocation() {
  uint32_t group = kNone;
  ASSERT_EQ(0, create_group(g_segment, "/process", &group));
  ASSERT_EQ(0, attach_process(group, "test"));
  set_accounts(account_of(group), account_of(kRootGroup));
  map_fork_page();
  ReclaimSettings settings;
  settings.report_refusal = false;
  install_reclaim(settings);
  install_serving();
  g_line_acquired_hook.install(line_acquired);
  g_fork_child_hook.install(forked_child);
  report_errors();
  ASSERT_EQ(AllocatorStart::kAccounted, start_allocator());
  ASSERT_EQ(0, pthread_key_create(&thread_key, end_thread));
  if (thread_line() != nullptr) line_acquired();
  pthread_atfork(
      before_fork, [] { g_fork_gate.open(); },
      [] {
        reset_fork_gate();
        check_fork();
      });
}

}  // namespace

void start_process() {
  if (g_segment.mapped()) return;
  ASSERT_EQ(0, g_segment.create_private(kSizes));
  start_allocation();
}

void start_domain_process() {
  if (g_segment.mapped()) return;
  static const pid_t starter = getpid();
  std::string path =
      ::testing::TempDir() + "umemcg-groups." + std::to_string(starter);
  ASSERT_EQ(0, g_segment.create_file(path.c_str(), kSizes));
  std::atexit([] {
    if (getpid() == starter) unlink(g_segment.path());
  });
  start_allocation();
}

void* grab(size_t size) {
  check_attention();
  return mi_malloc(size);
}

void release(void* block) { mi_free(block); }

ProgramThread::ProgramThread(std::function<void()> body) {
  Account* tag = t_context.tag;
  if (tag != nullptr) account_get(*tag);
  thread_ = std::thread([tag, body = std::move(body)] {
    {
      ForkGateScope gate;
      prime_thread();
    }
    begin_thread_group(tag);
    if (tag != nullptr) account_put(*tag);
    body();
    pthread_setspecific(thread_key, &t_context);
    enter_fork_gate();
    t_leaving = true;
  });
}

void ProgramThread::join() {
  if (thread_.joinable()) thread_.join();
}

Account* owner(const void* block) { return owner_of(block); }

void settle() {
  collect_thread();
  drain_own_stock();
  drop_reservation();
  purge_cached_subtree(kRootGroup, INT64_MAX, PurgeReason::kTrim);
}

int remove(Account& account) {
  const int error = remove_group(g_segment, account.group);
  sync_accounts();
  sync_thread();
  return error;
}

bool wait_released(const Account& account, uint32_t generation, int ms) {
  for (int i = 0; i < ms; ++i) {
    if (account.generation != generation || account.group_id == 0) return true;
    sync_thread();
    bury_all_zombies();
    sys::sleep_ns(1'000'000);
  }
  return false;
}

void expect_exact(const char* what) {
  for (uint32_t id = 1; id <= account_count(); ++id) {
    Account& account = *account_at(id);
    if (account.group_id == 0 || account.inherited.load(kRelaxed)) continue;
    const PageTotals pages = count_pages(id);
    const int64_t stocks = all_stock(account) + all_reservations(account);
    // Mappings of mimalloc's own records are in no page table.
    if (&account == records_account()) {
      EXPECT_LE(pages.used + pages.cached + stocks, account_pages(account))
          << what;
    } else {
      EXPECT_EQ(pages.used + pages.cached + stocks, account_pages(account))
          << what << ": account " << id << " used " << pages.used << " cached "
          << pages.cached << " stocks " << stocks;
    }
    EXPECT_EQ(pages.cached, account.cached_pages.load(kRelaxed)) << what;
  }
  EXPECT_EQ(0, audit(g_segment)) << what;
}

}  // namespace umemcg

// A thousand tenants on eight threads: blocks of random sizes, freed by other
// threads and from other groups, groups removed while their blocks live and are
// freed, forks while heaps come and go. After each epoch the page table's sum
// for each account and the stocks equal the ledger, and the ledgers the
// counters.
//
// UMEMCG_STRESS_SECONDS: how long.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "alloc/fork_gate.h"
#include "alloc/group_heap.h"
#include "alloc/heap.h"
#include "alloc/zombie.h"
#include "stock/current.h"
#include "tests/groups/process.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace umemcg {
#if defined(UMEMCG_TEST_LATE_CALLS)
extern bool own_calls_begin;
#endif
namespace {

// The sanitizer does not see that mimalloc hands memory from thread to thread
// in order: what a block's users write must not be taken for a race.
#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libmimalloc.so.3\nrace:libmimalloc.so.3\n";
}
char handed_on;
void* after_others(void* block) {
  __tsan_acquire(&handed_on);
  return block;
}
void before_others() { __tsan_release(&handed_on); }
#else
void* after_others(void* block) { return block; }
void before_others() {}
#endif

constexpr int kThreads = 8;
constexpr size_t kTenants = 1000;
constexpr size_t kShelves = 512;  // where blocks wait for whoever frees them
constexpr int kStepsPerEpoch = 1500;

using Random = std::minstd_rand;

double seconds() {
  const char* text = std::getenv("UMEMCG_STRESS_SECONDS");
  return text != nullptr ? std::atof(text) : 4.0;
}

// What a block begins with: whose it is, so that a mix-up is seen.
struct Block {
  uint32_t account;
  uint32_t generation;
  uint64_t size;
};

uint64_t random_size(Random& random) {
  switch (random() % 16) {
    case 0:
      return 100'000 + random() % 2'000'000;
    case 1:
    case 2:
      return 8'000 + random() % 60'000;
    default:
      return sizeof(Block) + random() % 2'000;
  }
}

// A tenant: its group is removed now and then, and made anew.
struct Tenant {
  std::mutex mutex;  // of its making and removal
  std::atomic<Account*> account{nullptr};
};

class TenantsTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(UMEMCG_TEST_LATE_CALLS)
    own_calls_begin = true;
#endif
    if (std::getenv("UMEMCG_TEST_DOMAIN") != nullptr) {
      start_domain_process();
    } else {
      start_process();
    }
    root_ = new_group();
    tenants_ = std::make_unique<Tenant[]>(kTenants);
    for (size_t i = 0; i < kTenants; ++i) renew(tenants_[i]);
  }

  // A new group for the tenant, with a handle on its account.
  void renew(Tenant& tenant) {
    Account& account = new_account(kPageCounterMax, root_);
    ASSERT_TRUE(account_get(account));
    tenant.account.store(&account);
  }

  // The calling thread works for a tenant; null if it was removed meanwhile.
  Account* enter(Random& random) {
    Tenant& tenant = tenants_[random() % kTenants];
    std::unique_lock<std::mutex> lock(tenant.mutex, std::try_to_lock);
    if (!lock.owns_lock()) return nullptr;
    Account* account = tenant.account.load();
    const int error = set_thread_group(account);
    EXPECT_EQ(0, error);
    return error == 0 ? account : nullptr;
  }

  void allocate(Random& random) {
    Account* account = enter(random);
    if (account == nullptr) return;
    for (int i = 0; i < 8; ++i) {
      const uint64_t size = random_size(random);
      auto* block = static_cast<Block*>(after_others(grab(size)));
      ASSERT_NE(nullptr, block);
      Account* const holder = owner(block);
      ASSERT_EQ(t_context.base, holder);
      *block = {holder->id, holder->generation, size};
      put(random, block);
    }
  }

  void call_in_group(Random& random) {
    Tenant& tenant = tenants_[random() % kTenants];
    std::unique_lock<std::mutex> lock(tenant.mutex, std::try_to_lock);
    if (!lock.owns_lock()) return;
    Account* account = tenant.account.load();
    const uint64_t size = random_size(random);
    auto* block =
        static_cast<Block*>(after_others(group_malloc(*account, size)));
    ASSERT_NE(nullptr, block);
    ASSERT_EQ(account, owner(block));
    *block = {account->id, account->generation, size};
    put(random, block);
  }

  // Puts a block on a shelf; what was there is freed, by this thread and in
  // whatever group it is in.
  void put(Random& random, Block* block) {
    free_block(shelves_[random() % kShelves].exchange(block));
  }

  void free_block(Block* block) {
    if (block == nullptr) return;
    const Account* account = owner(block);
    ASSERT_NE(nullptr, account);
    ASSERT_EQ(block->account, account->id);
    ASSERT_EQ(block->generation, account->generation);
    std::memset(block, 0xee, sizeof(Block));
    before_others();
    release(block);
  }

  // The group goes while its blocks are on the shelves.
  void replace(Random& random) {
    Tenant& tenant = tenants_[random() % kTenants];
    std::unique_lock<std::mutex> lock(tenant.mutex, std::try_to_lock);
    if (!lock.owns_lock()) return;
    Account* account = tenant.account.load();
    const int error = remove_group(g_segment, account->group);
    if (error == EBUSY) return;  // a thread is in it
    ASSERT_EQ(0, error);
    account_put(*account);
    renew(tenant);
    removed_.fetch_add(1);
  }

  // A child allocates and frees a little, and ends.
  void fork_once(Random& random) {
    const unsigned seed = static_cast<unsigned>(random());
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(20);
      Random mine(seed);
      for (int i = 0; i < 50; ++i) {
        release(grab(random_size(mine)));
        Account& own = *account_of(root_);
        if (set_thread_group(i % 2 == 0 ? &own : nullptr) != 0) _exit(3);
        free_block(shelves_[mine() % kShelves].exchange(nullptr));
      }
      _exit(HasFailure() ? 2 : 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    EXPECT_EQ(0, status) << "signal " << (status & 127) << " exit "
                         << (status >> 8);
    forks_.fetch_add(1);
  }

  void step(Random& random) {
    const auto what = random() % 2048;
    if (what < 1024) {
      allocate(random);
    } else if (what < 1536) {
      call_in_group(random);
    } else if (what < 1920) {
      put(random, nullptr);
    } else if (what < 2040) {
      replace(random);
    } else if (what < 2047) {
      EXPECT_EQ(0, set_thread_group(nullptr));
    } else {
      fork_once(random);
    }
  }

  void run_epoch(unsigned seed) {
    std::vector<ProgramThread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, seed, i] {
        Random random(seed * kThreads + static_cast<unsigned>(i) + 1);
        for (int s = 0; s < kStepsPerEpoch && !HasFailure(); ++s) step(random);
      });
    }
  }

  uint32_t root_ = 0;
  std::unique_ptr<Tenant[]> tenants_;
  std::atomic<Block*> shelves_[kShelves] = {};
  std::atomic<int> removed_{0};
  std::atomic<int> forks_{0};
};

TEST_F(TenantsTest, EveryPageIsChargedOnceWhateverThreadsAndGroupsDo) {
  const uint64_t end =
      sys::monotonic_ns() + static_cast<uint64_t>(seconds() * 1e9);
  unsigned epochs = 0;
  while (sys::monotonic_ns() < end && !HasFailure()) {
    run_epoch(++epochs);
    sync_accounts();
    sync_thread();
    settle();
    expect_exact("after an epoch");
  }
  for (auto& shelf : shelves_) free_block(shelf.exchange(nullptr));
  for (size_t i = 0; i < kTenants; ++i) {
    Account* account = tenants_[i].account.load();
    EXPECT_EQ(0, remove_group(g_segment, account->group));
    account_put(*account);
  }
  settle();
  for (int i = 0; i < 200; ++i) {
    bury_all_zombies();
    sys::sleep_ns(1'000'000);
  }
  reap_dead_processes(g_segment);
  expect_exact("at the end");
  EXPECT_EQ(0, group_usage(root_));
  uint32_t left = 0;
  for (uint32_t id = 1; id <= account_count(); ++id) {
    const Account& account = *account_at(id);
    left += account.group_id != 0 && account.stale.load() ? 1 : 0;
  }
  EXPECT_EQ(0u, left);
  std::printf("%u epochs, %d groups removed, %d forks\n", epochs,
              removed_.load(), forks_.load());
}

}  // namespace
}  // namespace umemcg

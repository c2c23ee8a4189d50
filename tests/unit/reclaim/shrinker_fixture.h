// Tests of shrinkers, in a world without a heap: what a cache holds is a number
// of bytes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/sys.h"
#include "base/units.h"
#include "reclaim/shrinker.h"
#include "reclaim/shrinker_table.h"
#include "tests/unit/stock/world.h"

namespace umemcg {

// The account that a callback is for, by what the tests' hook hands on.
inline Account& account_in(umemcg_group* handle) {
  return *reinterpret_cast<Account*>(handle);
}

inline size_t call_directly(const ShrinkerCallbacks& callbacks,
                            ShrinkerStep step, Account& account, size_t bytes) {
  auto* handle = reinterpret_cast<umemcg_group*>(&account);
  return step == ShrinkerStep::kCount
             ? callbacks.count(handle, callbacks.argument)
             : callbacks.scan(handle, bytes, callbacks.argument);
}

// A cache with a shrinker, which goes with it.
class Cache {
 public:
  explicit Cache(size_t size, ShrinkerSpec spec = {}) : bytes(size) {
    spec.callbacks = {count, scan, this};
    spec.name = spec.name != nullptr ? spec.name : "cache";
    EXPECT_EQ(0, register_shrinker(spec, &id));
  }
  ~Cache() { leave(); }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  static ShrinkerSpec of(const Account& account) {
    ShrinkerSpec spec = {};
    spec.group = account.group.load();
    spec.group_id = account.group_id.load();
    return spec;
  }
  static ShrinkerSpec costing(int cost) {
    ShrinkerSpec spec = {};
    spec.cost = cost;
    return spec;
  }
  static ShrinkerSpec within(uint32_t deadline_ms) {
    ShrinkerSpec spec = {};
    spec.deadline_ms = deadline_ms;
    return spec;
  }

  void leave() {
    if (id == 0) return;
    EXPECT_EQ(0, unregister_shrinker(id));
    id = 0;
  }
  ShrinkerStats stats() const {
    ShrinkerStats found = {};
    EXPECT_EQ(0, read_shrinker(id, &found));
    return found;
  }
  ShrinkerRow& row() const { return g_shrinkers[id & (kMostShrinkers - 1)]; }

  std::atomic<size_t> bytes;
  int id = 0;
  size_t last_asked = 0;
  int counted = 0;
  int scanned = 0;
  Account* last_account = nullptr;
  std::function<void()> in_count;
  std::function<void()> in_scan;
  // Instead of what it has freed.
  size_t says = 0;

 private:
  static size_t count(umemcg_group* group, void* argument) {
    Cache& cache = *static_cast<Cache*>(argument);
    ++cache.counted;
    cache.last_account = &account_in(group);
    if (cache.in_count) cache.in_count();
    return cache.bytes.load();
  }
  static size_t scan(umemcg_group*, size_t wanted, void* argument) {
    Cache& cache = *static_cast<Cache*>(argument);
    ++cache.scanned;
    cache.last_asked = wanted;
    if (cache.in_scan) cache.in_scan();
    if (cache.says != 0) return cache.says;
    const size_t freed = std::min(wanted, cache.bytes.load());
    cache.bytes -= freed;
    return freed;
  }
};

class ShrinkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    g_call_shrinker_hook.install(call_directly);
    account_ = &new_account();
  }
  void TearDown() override {
    EXPECT_FALSE(any_shrinkers());
    EXPECT_EQ(nullptr, t_shrinker_call);
    reset_thread();
  }

  static constexpr size_t kPage = kPageSize;
  Account* account_ = nullptr;
};

}  // namespace umemcg

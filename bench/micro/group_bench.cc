// Groups over the real mimalloc: what it costs to make one, to use it first, to
// switch to it and to remove it, and what memory that takes.
//
// BM_SwitchRatio holds set_thread_group against mimalloc's own
// mi_theap_set_default, both in turn so that the machine treats them alike:
// `ratio` is its figure.

#include <benchmark/benchmark.h>
#include <mimalloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "accounting/mem_cgroup.h"
#include "alloc/account_heap.h"
#include "alloc/group_heap.h"
#include "alloc/heap.h"
#include "alloc/thread_heaps.h"
#include "alloc/zombie.h"
#include "stock/current.h"
#include "tests/groups/process.h"

namespace umemcg {
namespace {

using Clock = std::chrono::steady_clock;

void Enter(Account* account) {
  if (set_thread_group(account) != 0) std::abort();
}

std::vector<Account*> MakeGroups(size_t count) {
  start_process();
  std::vector<Account*> groups;
  for (size_t i = 0; i < count; ++i) groups.push_back(&new_account());
  return groups;
}

// Out of them, and all is given back.
void RemoveGroups(const std::vector<Account*>& groups) {
  Enter(nullptr);
  settle();
  for (Account* group : groups) {
    if (remove_group(g_segment, group->group) != 0) std::abort();
  }
  sync_accounts();
  sync_thread();
  for (int i = 0; i < 3; ++i) {
    bury_all_zombies();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  settle();
}

constexpr int64_t kGroups = 200;  // in one turn of the benchmarks below

void BM_Create(benchmark::State& state) {
  for (auto _ : state) {
    auto groups = MakeGroups(kGroups);
    state.PauseTiming();
    RemoveGroups(groups);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kGroups);
}
BENCHMARK(BM_Create)->Iterations(5);

// A thread's first block in a group: heap and theap are made and primed.
void BM_FirstUse(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto groups = MakeGroups(kGroups);
    state.ResumeTiming();
    for (Account* group : groups) {
      Enter(group);
      release(grab(64));
    }
    state.PauseTiming();
    RemoveGroups(groups);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kGroups);
}
BENCHMARK(BM_FirstUse)->Iterations(5);

// From remove_group() until nothing is left of groups that were used.
void BM_Remove(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto groups = MakeGroups(kGroups);
    for (Account* group : groups) {
      Enter(group);
      release(grab(64));
    }
    Enter(nullptr);
    settle();
    state.ResumeTiming();
    for (Account* group : groups) remove_group(g_segment, group->group);
    sync_accounts();
    sync_thread();
    bury_all_zombies();
    state.PauseTiming();
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    state.ResumeTiming();
    bury_all_zombies();
  }
  state.SetItemsProcessed(state.iterations() * kGroups);
}
BENCHMARK(BM_Remove)->Iterations(5);

void BM_SwitchBare(benchmark::State& state) {
  auto groups = MakeGroups(2);
  mi_theap_t* theaps[2];
  for (size_t i = 0; i < 2; ++i) {
    Enter(groups[i]);
    theaps[i] = mi_theap_get_default();
  }
  unsigned i = 0;
  for (auto _ : state) mi_theap_set_default(theaps[++i % 2]);
  Enter(groups[0]);
  Enter(groups[1]);
  RemoveGroups(groups);
}
BENCHMARK(BM_SwitchBare);

// Among N groups that the thread has used; 16 are kept, more come and go.
void BM_Switch(benchmark::State& state) {
  auto groups = MakeGroups(static_cast<size_t>(state.range(0)));
  for (Account* group : groups) Enter(group);
  size_t i = 0;
  for (auto _ : state) {
    Enter(groups[i]);
    if (++i == groups.size()) i = 0;
  }
  RemoveGroups(groups);
}
BENCHMARK(BM_Switch)->ArgName("groups")->Arg(2)->Arg(8)->Arg(15)->Arg(40);

void BM_Scope(benchmark::State& state) {
  auto groups = MakeGroups(2);
  Enter(groups[1]);
  Enter(groups[0]);
  for (auto _ : state) end_active(begin_active(groups[1]));
  RemoveGroups(groups);
}
BENCHMARK(BM_Scope);

void BM_SwitchRatio(benchmark::State& state) {
  constexpr int kTurn = 2000;
  auto groups = MakeGroups(2);
  mi_theap_t* theaps[2];
  for (size_t i = 0; i < 2; ++i) {
    Enter(groups[i]);
    theaps[i] = mi_theap_get_default();
  }
  std::vector<double> ratios;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (unsigned i = 0; i < kTurn; ++i) mi_theap_set_default(theaps[i % 2]);
    const auto middle = Clock::now();
    for (unsigned i = 0; i < kTurn; ++i) Enter(groups[i % 2]);
    const std::chrono::duration<double> ours = Clock::now() - middle;
    const std::chrono::duration<double> bare = middle - start;
    ratios.push_back(ours / bare);
  }
  std::nth_element(ratios.begin(), ratios.begin() + ratios.size() / 2,
                   ratios.end());
  state.counters["ratio"] = ratios[ratios.size() / 2];
  Enter(groups[0]);
  RemoveGroups(groups);
}
BENCHMARK(BM_SwitchRatio);

double KibibytesOf(int64_t pages) { return static_cast<double>(pages) * 4; }

// What a group that one thread has used costs the root group, while there are
// a thousand of them.
void BM_Metadata(benchmark::State& state) {
  constexpr size_t kUsed = 1000;
  for (auto _ : state) {
    start_process();
    settle();
    const int64_t before = usage(*records_account());
    auto groups = MakeGroups(kUsed);
    for (Account* group : groups) {
      Enter(group);
      release(grab(64));
    }
    Enter(nullptr);
    settle();
    state.counters["KiB/group"] =
        KibibytesOf(usage(*records_account()) - before) / kUsed;
    RemoveGroups(groups);
    state.counters["KiB/group_left"] =
        KibibytesOf(usage(*records_account()) - before) / kUsed;
  }
}
BENCHMARK(BM_Metadata)->Iterations(1)->Unit(benchmark::kMillisecond);

// What eight threads still hold that have used a thousand groups each and
// freed everything, before anybody asks for it and after that.
void BM_HeldByThreads(benchmark::State& state) {
  constexpr int kThreads = 8;
  for (auto _ : state) {
    auto groups = MakeGroups(1000);
    std::atomic<int> ready{0};
    std::atomic<bool> done{false};
    std::vector<ProgramThread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (Account* group : groups) {
          Enter(group);
          void* blocks[20];
          for (size_t i = 0; i < 20; ++i)
            blocks[i] = grab(size_t{16} << i % 10);
          for (void* block : blocks) release(block);
        }
        ready.fetch_add(1);
        while (!done.load()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        Enter(nullptr);
      });
    }
    while (ready.load() != kThreads) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    int64_t held = 0;
    for (Account* group : groups) held += usage(*group);
    settle();
    int64_t kept = 0;
    for (Account* group : groups) kept += usage(*group);
    state.counters["MiB_held"] = KibibytesOf(held) / 1024;
    state.counters["MiB_after_reclaim"] = KibibytesOf(kept) / 1024;
    done.store(true);
    for (ProgramThread& thread : threads) thread.join();
    RemoveGroups(groups);
  }
}
BENCHMARK(BM_HeldByThreads)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace umemcg

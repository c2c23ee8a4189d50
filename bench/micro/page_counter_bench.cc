// page_counter by depth and threads. All threads charge the same leaf, so with
// more than one the figures are those of contended cache lines.

#include "accounting/page_counter.h"

#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/micro/threads.h"

namespace umemcg {
namespace {

constexpr int kMostLevels = 8;

PageCounter g_levels[kMostLevels];

// A leaf with state.range(0) levels, the root included. Thread 0 makes it; the
// others start when it has. `root_max` is a limit that only the root has.
PageCounter& Leaf(const benchmark::State& state,
                  int64_t root_max = kPageCounterMax) {
  const int depth = static_cast<int>(state.range(0));
  if (state.thread_index() == 0) {
    for (int i = 0; i < depth; ++i) {
      g_levels[i].init(i == 0 ? nullptr : &g_levels[i - 1], true);
    }
    g_levels[0].store_max(root_max);
  }
  return g_levels[depth - 1];
}

void ByDepth(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("depth")->Arg(1)->Arg(2)->Arg(4)->Arg(8);
  EachThreadCount(benchmark);
}

void ChargeAndUncharge(benchmark::State& state, PageCounter& leaf) {
  PageCounter* failed = nullptr;
  for (auto _ : state) {
    if (!leaf.try_charge(1, &failed)) std::abort();
    leaf.uncharge(1);
  }
}

// No limit: add, check.
void BM_ChargeUncharge(benchmark::State& state) {
  ChargeAndUncharge(state, Leaf(state));
}
BENCHMARK(BM_ChargeUncharge)->Apply(ByDepth);

// So near the root's limit that it is charged by compare-and-swap.
void BM_ChargeUnchargeNearLimit(benchmark::State& state) {
  ChargeAndUncharge(state, Leaf(state, 1024));
}
BENCHMARK(BM_ChargeUnchargeNearLimit)->Apply(ByDepth);

// The root refuses, and the levels below it are undone.
void BM_ChargeRefused(benchmark::State& state) {
  PageCounter& leaf = Leaf(state, 0);
  PageCounter* failed = nullptr;
  for (auto _ : state) {
    if (leaf.try_charge(1, &failed)) std::abort();
  }
}
BENCHMARK(BM_ChargeRefused)->Apply(ByDepth);

}  // namespace
}  // namespace umemcg

// malloc and free by size, of whatever allocator this runs on: the label of
// each row says which. Run it once as it is, and once with
// LD_PRELOAD=libumemcg.so; bench/compare.py is the one that compares.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdlib>
#include <vector>

#include "base/units.h"
#include "bench/micro/threads.h"
#include "bench/workload/identify.h"

namespace umemcg {
namespace {

// Blocks that live at once in BM_MallocFreeBatch, and their bytes at most.
constexpr size_t kBatchBlocks = 128;
constexpr size_t kBatchBytes = 4 * kMiB;

void* MakeBlock(size_t size) {
  char* block = static_cast<char*>(std::malloc(size));
  if (block == nullptr) std::abort();
  *block = 1;
  benchmark::DoNotOptimize(block);
  return block;
}

void BM_MallocFree(benchmark::State& state) {
  const size_t size = static_cast<size_t>(state.range(0));
  for (auto _ : state) std::free(MakeBlock(size));
  state.SetLabel(Identify().allocator);
}
BENCHMARK(BM_MallocFree)
    ->RangeMultiplier(8)
    ->Range(8, 4 * kMiB)
    ->Apply(EachThreadCount);

// Several blocks live at once; freed in the order in which they were made.
void BM_MallocFreeBatch(benchmark::State& state) {
  const size_t size = static_cast<size_t>(state.range(0));
  const size_t most = kBatchBytes / size;
  std::vector<void*> blocks(most < kBatchBlocks ? most : kBatchBlocks);
  for (auto _ : state) {
    for (void*& block : blocks) block = MakeBlock(size);
    for (void* block : blocks) std::free(block);
  }
  state.SetItemsProcessed(state.iterations() *
                          static_cast<int64_t>(blocks.size()));
  state.SetLabel(Identify().allocator);
}
BENCHMARK(BM_MallocFreeBatch)
    ->RangeMultiplier(8)
    ->Range(8, kMiB)
    ->Apply(EachThreadCount);

void BM_NewDelete(benchmark::State& state) {
  const size_t size = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    void* block = ::operator new(size);
    benchmark::DoNotOptimize(block);
    ::operator delete(block);
  }
  state.SetLabel(Identify().allocator);
}
BENCHMARK(BM_NewDelete)->Arg(64)->Arg(4096);

}  // namespace
}  // namespace umemcg

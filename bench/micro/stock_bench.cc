// The charge stock, in a group of depth 4 (root included) without a limit.
//
// The BM_...APage rows are ways to pay for one page, s/page their figure: four
// atomics, as a counter without a stock would cost at least; page_counter; the
// stock, a page at a time; and the batch that fills it.

#include "stock/stock.h"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "accounting/account.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "bench/micro/threads.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr int kAccounts = kStockSlots + 1;
constexpr auto kRelaxed = std::memory_order_relaxed;

// The accounts of /a/b/0 to /a/b/7, in a tree of their own.
Account** MakeAccounts() {
  static Account* accounts[kAccounts];
  if (g_segment.create_private(SegmentSizes{}) != 0) std::abort();
  for (int i = 0; i < kAccounts; ++i) {
    const std::string path = "/a/b/" + std::to_string(i);
    uint32_t group = kNone;
    if (create_group(g_segment, path.c_str(), &group) != 0) std::abort();
    if (i == 0 && attach_process(group, "bench") != 0) std::abort();
    accounts[i] = account_of(group);
    if (accounts[i] == nullptr) std::abort();
  }
  set_accounts(accounts[0], account_of(kRootGroup));
  return accounts;
}

Account& AccountAt(int64_t index) {
  static Account** const accounts = MakeAccounts();
  return *accounts[index];
}

// The calling thread has a stock in this scope.
class WithLine {
 public:
  WithLine() {
    AccountAt(0);
    acquire_line();
    if (thread_line() == nullptr) std::abort();
  }
  ~WithLine() { release_line(); }
};

void Charge(Account& account, uint32_t pages) {
  PageCounter* failed = nullptr;
  if (!try_charge(account, pages, &failed)) std::abort();
}

// The page is in slot N of the stock: those before it are looked at first.
void BM_StockHit(benchmark::State& state) {
  WithLine line;
  Account& account = AccountAt(0);
  auto& slot = thread_line()->slots[state.range(0)];
  const uint64_t full = StockWord(account.ledger_index, kMostStockPages).bits();
  uint32_t left = 0;
  for (auto _ : state) {
    if (left == 0) {
      slot.store(full, kRelaxed);
      left = kMostStockPages;
    }
    --left;
    Charge(account, 1);
  }
  slot.store(0, kRelaxed);
}
BENCHMARK(BM_StockHit)->ArgName("slot")->Arg(3)->Arg(6);
BENCHMARK(BM_StockHit)->ArgName("slot")->Arg(0)->Apply(EachThreadCount);

// An empty stock: a batch is charged, and the rest of it put into the stock.
void BM_StockMiss(benchmark::State& state) {
  WithLine line;
  Account& account = AccountAt(0);
  auto& slot = thread_line()->slots[0];
  for (auto _ : state) {
    Charge(account, 1);
    slot.store(0, kRelaxed);
  }
  account_uncharge(account, state.iterations() * kChargeBatch);
}
BENCHMARK(BM_StockMiss)->Apply(EachThreadCount);

// A page for each of N accounts in turn, batches included. With one account
// more than there are slots, each charge finds its slot taken.
void BM_StockSwitch(benchmark::State& state) {
  WithLine line;
  const int64_t accounts = state.range(0);
  int64_t i = 0;
  int64_t charged[kAccounts] = {};
  for (auto _ : state) {
    Charge(AccountAt(i), 1);
    ++charged[i];
    if (++i == accounts) i = 0;
  }
  drain_own_stock();
  for (i = 0; i < accounts; ++i) account_uncharge(AccountAt(i), charged[i]);
}
BENCHMARK(BM_StockSwitch)->ArgName("accounts")->DenseRange(1, kAccounts);

void BM_FourAtomicsAPage(benchmark::State& state) {
  struct alignas(kCacheSeparation) Level {
    std::atomic<int64_t> usage;
  };
  static Level levels[4];
  for (auto _ : state) {
    for (Level& level : levels) level.usage.fetch_add(1, kRelaxed);
  }
  ReportPages(state, 1);
}
BENCHMARK(BM_FourAtomicsAPage)->Apply(EachThreadCount);

void BM_CounterAPage(benchmark::State& state) {
  PageCounter& counter = *AccountAt(0).counter;
  PageCounter* failed = nullptr;
  for (auto _ : state) {
    if (!counter.try_charge(1, &failed)) std::abort();
  }
  counter.uncharge(state.iterations());
  ReportPages(state, 1);
}
BENCHMARK(BM_CounterAPage)->Apply(EachThreadCount);

void BM_StockAPage(benchmark::State& state) {
  WithLine line;
  Account& account = AccountAt(0);
  for (auto _ : state) Charge(account, 1);
  drain_own_stock();
  account_uncharge(account, state.iterations());
  ReportPages(state, 1);
}
BENCHMARK(BM_StockAPage)->Apply(EachThreadCount);

void BM_BatchAPage(benchmark::State& state) {
  WithLine line;
  Account& account = AccountAt(0);
  PageCounter* failed = nullptr;
  for (auto _ : state) {
    if (!account_try_charge(account, kChargeBatch, &failed)) std::abort();
  }
  account_uncharge(account, state.iterations() * kChargeBatch);
  ReportPages(state, kChargeBatch);
}
BENCHMARK(BM_BatchAPage)->Apply(EachThreadCount);

}  // namespace
}  // namespace umemcg

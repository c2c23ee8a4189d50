// Charges by the byte, in a group of depth 4 (root included) without a limit.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "accounting/account.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "bench/micro/threads.h"
#include "reclaim/charge_object.h"
#include "stock/current.h"
#include "stock/stock.h"

namespace umemcg {

namespace {

constexpr int kAccounts = 2;

// The accounts of /a/b/0 and /a/b/1, in a tree of their own.
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

void Charge(Account& account, Kind kind, size_t bytes) {
  if (charge_object(account, kind, bytes, 0) != 0) std::abort();
}

// Both ways, within what is left of a page.
void BM_ObjectHit(benchmark::State& state) {
  WithLine line;
  Account& account = AccountAt(0);
  Charge(account, Kind::kMmap, 1);
  for (auto _ : state) {
    Charge(account, Kind::kMmap, 64);
    uncharge_object(account, Kind::kMmap, 64);
  }
  uncharge_object(account, Kind::kMmap, 1);
}
BENCHMARK(BM_ObjectHit)->Apply(EachThreadCount);

// Objects of N bytes one after the other: a page now and then, a batch of
// pages now and then. Uncharged at the end, which is not timed.
void BM_ObjectCharge(benchmark::State& state, Kind kind) {
  WithLine line;
  Account& account = AccountAt(0);
  const auto bytes = static_cast<size_t>(state.range(0));
  for (auto _ : state) Charge(account, kind, bytes);
  const auto charged = static_cast<size_t>(state.iterations());
  uncharge_object(account, kind, bytes * charged);
}
BENCHMARK_CAPTURE(BM_ObjectCharge, mmap, Kind::kMmap)->Arg(64)->Arg(1024);
BENCHMARK_CAPTURE(BM_ObjectCharge, kmem, Kind::kKmem)->Arg(64)->Arg(1024);

// A whole page both ways, through the page stock; for kmem also to and from
// its own counters.
void BM_ObjectPage(benchmark::State& state, Kind kind) {
  WithLine line;
  Account& account = AccountAt(0);
  for (auto _ : state) {
    Charge(account, kind, kPageSize);
    uncharge_object(account, kind, kPageSize);
  }
}
BENCHMARK_CAPTURE(BM_ObjectPage, mmap, Kind::kMmap)->Apply(EachThreadCount);
BENCHMARK_CAPTURE(BM_ObjectPage, kmem, Kind::kKmem)->Apply(EachThreadCount);

// Two accounts in turn: what is left of a page goes to the one and comes from
// the other each time.
void BM_ObjectTurn(benchmark::State& state) {
  WithLine line;
  Account& one = AccountAt(0);
  Account& other = AccountAt(1);
  Charge(one, Kind::kMmap, 1);
  Charge(other, Kind::kMmap, 1);
  for (auto _ : state) {
    uncharge_object(one, Kind::kMmap, 64);
    uncharge_object(other, Kind::kMmap, 64);
    Charge(one, Kind::kMmap, 64);
    Charge(other, Kind::kMmap, 64);
  }
  uncharge_object(one, Kind::kMmap, 1);
  uncharge_object(other, Kind::kMmap, 1);
}
BENCHMARK(BM_ObjectTurn);

}  // namespace
}  // namespace umemcg

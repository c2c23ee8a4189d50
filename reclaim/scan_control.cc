#include "reclaim/scan_control.h"

#include "accounting/event.h"
#include "accounting/mem_cgroup.h"
#include "accounting/vmpressure.h"
#include "alloc/page_table.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Cached pages are given back by slices: what may be taken of a protected
// group is less by what a slice may be too much.
constexpr int64_t kGrain = kSlicePages;

// Where the next walk begins, so that no group is always the first.
constinit std::atomic<uint32_t> next_start{0};

// What may be taken from a group now, at most; 0: it is protected.
int64_t allowance(ScanControl& sc, uint32_t group, int64_t size,
                  bool* overridden) {
  if (group == sc.root) return size;
  const PageCounter& counter = g_segment.group(group)->memory;
  const PageCounter::Effective own = counter.effective_protection_under(
      g_segment.group(sc.root)->memory, kRecursiveProtection);
  const int64_t usage = counter.usage();
  if (own.min != 0 && usage <= own.min + kGrain) return 0;
  const bool below_low = own.low != 0 && usage <= own.low + kGrain;
  if (below_low && !sc.over_low) {
    sc.low_skipped = true;
    return 0;
  }
  *overridden = below_low;
  int64_t kept = own.min;
  if (!sc.over_low && own.low > kept) kept = own.low;
  if (kept <= 0) return size;
  // The scan is cut by the share that is protected, and never reaches it.
  const auto part = static_cast<int64_t>(static_cast<__int128>(size) * kept /
                                         ((usage > kept ? usage : kept) + 1));
  int64_t most = size - part;
  if (most < kReclaimBatch) most = kReclaimBatch;
  const int64_t above = usage - kept - kGrain;
  return most < above ? most : above;
}

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// One group at the walk's priority. The pages that could be taken of it.
int64_t shrink_group(ScanControl& sc, const Spread& spread, Account& account) {
  const int64_t size = spread.size(account);
  if (size <= 0) return 0;
  const uint32_t group = account.charged.load(kRelaxed);
  bool overridden = false;
  const int64_t most = allowance(sc, group, size, &overridden);
  if (most <= 0) return 0;
  // Shares below a batch are added up, over groups and priorities, and taken
  // where they make one: in proportion on the whole, and never a page at a
  // time.
  sc.owed += most >> sc.priority;
  if (sc.owed < kReclaimBatch && sc.priority != 0) return most;
  const int64_t share = least(sc.owed, most);
  sc.owed = 0;
  if (overridden) memcg_memory_event(g_segment, group, Event::kLow);
  const int64_t got = spread.shrink(account, share);
  const int index = static_cast<int>(spread.source);
  sc.sum->scanned[index] += share > got ? share : got;
  sc.sum->pages[index] += got;
  sc.reclaimed += got;
  return most;
}

bool is_candidate(const Account& account) {
  return !account.released.load(kRelaxed) &&
         account.group_id.load(kRelaxed) != 0 &&
         !account.inherited.load(kRelaxed);
}

// Calls visit(account) for the process's accounts in the subtree of `within`
// that may have something, from where the last walk left off, until it says
// false.
template <typename Visit>
void for_each_account(uint32_t within, const Spread& spread, Visit visit) {
  const uint32_t count = account_count();
  if (count == 0) return;
  const uint32_t start = next_start.fetch_add(1, kRelaxed) % count;
  for (uint32_t i = 0; i < count; ++i) {
    Account* account = account_at((start + i) % count + 1);
    if (account == nullptr || !is_candidate(*account) ||
        !spread.has(*account) ||
        !in_subtree(g_segment, account->charged.load(kRelaxed), within)) {
      continue;
    }
    if (!visit(*account)) return;
  }
}

// One walk. The pages that could be taken of all groups.
int64_t shrink_groups(ScanControl& sc, const Spread& spread) {
  int64_t found = 0;
  for_each_account(sc.within, spread, [&](Account& account) {
    found += shrink_group(sc, spread, account);
    return !sc.done();
  });
  return found;
}

bool is_pressure(ReclaimReason reason) {
  return reason != ReclaimReason::kProactive;
}

// The group between `group` and `root` (that not included) that is furthest
// over its soft limit; by how much, in *excess.
uint32_t furthest_over(uint32_t group, uint32_t root, int64_t* excess) {
  uint32_t found = kNone;
  *excess = 0;
  for (int level = 0; level <= kMaxDepth; ++level) {
    if (group == kNone || group == root) break;
    const Group& row = *g_segment.group(group);
    const int64_t over = row.memory.usage() - row.soft_limit.load(kRelaxed);
    if (over > *excess) {
      *excess = over;
      found = group;
    }
    group = parent_group(g_segment, group);
  }
  return found;
}

}  // namespace

void shrink_spread(ScanControl& sc, const Spread& spread) {
  for (sc.priority = kFirstPriority; sc.priority >= 0; --sc.priority) {
    const int index = static_cast<int>(spread.source);
    const int64_t scanned = sc.sum->scanned[index];
    const int64_t reclaimed = sc.sum->pages[index];
    const int64_t found = shrink_groups(sc, spread);
    if (is_pressure(sc.reason)) {
      vmpressure(g_segment, sc.root, sc.sum->scanned[index] - scanned,
                 sc.sum->pages[index] - reclaimed);
    }
    if (sc.done() || found == 0) return;
  }
}

void shrink_over_soft_limit(ScanControl& sc, const Spread& spread) {
  // Groups further over it than this have had their turn.
  int64_t ceiling = INT64_MAX;
  constexpr int kMostTurns = 8;
  for (int i = 0; i < kMostTurns && !sc.done(); ++i) {
    uint32_t worst = kNone;
    int64_t most = 0;
    for_each_account(sc.root, spread, [&](Account& account) {
      int64_t excess;
      const uint32_t group =
          furthest_over(account.charged.load(kRelaxed), sc.root, &excess);
      if (group != kNone && excess > most && excess < ceiling) {
        worst = group;
        most = excess;
      }
      return true;
    });
    if (worst == kNone) return;
    ScanControl one = sc;
    one.within = worst;
    one.goal = least(most, sc.left());
    one.reclaimed = 0;
    one.over_low = false;
    shrink_spread(one, spread);
    sc.reclaimed += one.reclaimed;
    ceiling = most;
  }
}

}  // namespace umemcg

#include "alloc/zombie.h"

#include "accounting/gate.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "alloc/account_heap.h"
#include "alloc/cached.h"
#include "alloc/compound.h"
#include "alloc/page_table.h"
#include "base/lock.h"
#include "base/sys.h"
#include "stock/current.h"
#include "stock/obj_stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Accounts that one call looks at, and zombies that it works on.
constexpr uint32_t kLooks = 256;
constexpr int kBurials = 8;
// From one pass over all accounts to the next, and from one look for records
// that zombies were charged for to the next: at first, and at most. The pauses
// double while nothing comes of it, until the tree changes.
constexpr uint64_t kPassMs = 20;
constexpr uint64_t kLongestPassMs = 1000;
constexpr uint64_t kRecordsMs = 100;
constexpr uint64_t kLongestRecordsMs = 60'000;
// For so long a heap is empty before it goes.
constexpr uint32_t kEmptyMs = 20;

// Lets something happen after a pause, which doubles each time.
class Pace {
 public:
  constexpr Pace(uint64_t first, uint64_t longest)
      : first_(first), longest_(longest), pause_(first) {}

  bool due() {
    const uint64_t now = sys::coarse_ms();
    if (now - last_ < pause_) return false;
    last_ = now;
    pause_ = pause_ < first_ ? first_ : pause_ * 2;
    if (pause_ > longest_) pause_ = longest_;
    return true;
  }
  void quicken() { pause_ = first_; }

 private:
  const uint64_t first_;
  const uint64_t longest_;
  uint64_t pause_;
  uint64_t last_ = 0;
};

// One thread at a time.
constinit Lock lock;
constinit Pace pass_pace{kPassMs, kLongestPassMs};
constinit Pace records_pace{kRecordsMs, kLongestRecordsMs};
constinit uint32_t cursor = 0;  // the last account looked at; 0: no pass
constinit bool zombies_left = false;
constinit bool some_buried = false;
constinit std::atomic<bool> due{false};
constinit std::atomic<uint32_t> seen_generation{0};

uint32_t tree_generation() {
  return g_segment.header().generation.load(std::memory_order_acquire);
}

// Words of the process's own lines that name the account's ledger, taken out.
void drain_words(const Account& account) {
  auto drain = [&account](std::atomic<uint64_t>& slot) {
    const StockWord word(slot.load(kRelaxed));
    if (word.ledger() != account.ledger_index) return;
    ChargeSection section;
    uint64_t bits = word.bits();
    if (slot.compare_exchange_strong(bits, 0, kRelaxed)) {
      settle_word(g_segment, word);
    }
  };
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    StockLine* line = g_segment.line(i);
    if (line == nullptr || line->owner.load(kRelaxed) != this_process() + 1) {
      continue;
    }
    for (auto& slot : line->slots) drain(slot);
    drain(line->reservation);
  }
}

bool is_zombie(const Account& account) {
  return account.group_id != 0 && account.stale.load(kRelaxed) &&
         !account.inherited.load(kRelaxed);
}

// Whether a slice may be one of the records below.
bool may_be_record(SliceWord word) {
  const Account* owner = account_at(word.owner());
  return word.used() != 0 && !word.purging() && owner != nullptr &&
         owner != home_account() && !owner->inherited.load(kRelaxed);
}

// One thread at a time looks at all slices, in order.
constinit Lock records_lock;
constinit SliceNumber next_slice = 0;  // after the last one that was asked for
constinit bool last_in_main_heap = false;
constinit uint32_t last_owner = 0;
constinit int64_t given_back = 0;  // pages, so far

// mimalloc does not know the heap of the last slices of a large page: it is
// that of those before them. Nor does it know that of a page in the making,
// which may come after them, so what follows has to be the same account's.
// (A page in the making of that very account is root's then until it is freed.)
// REQUIRES: records_lock.
bool lies_in_main_heap(SliceNumber number, uint32_t owner) {
  const mi_heap_t* heap =
      mi_heap_of(reinterpret_cast<void*>(slice_address(number)));
  const bool follows =
      last_in_main_heap && next_slice == number && last_owner == owner;
  last_in_main_heap = heap != nullptr ? heap == mi_heap_main() : follows;
  last_owner = owner;
  next_slice = number + 1;
  return last_in_main_heap;
}

// A slice of a group's that lies in the main heap: mimalloc's records of a
// range, which it made in the middle of an allocation of the group (priming
// covers the ranges of its time only). They become root's, as they should have
// been; they go with the heap, so a removed group's could not go before them.
// REQUIRES: records_lock; the chunk's gate, alone.
void give_to_records(SliceNumber number, Slice& slice) {
  const SliceWord word = slice.load();
  if (!may_be_record(word) || !lies_in_main_heap(number, word.owner())) return;
  Account* const from = account_at(word.owner());
  Account& records = *records_account();
  if (from == &records) return;
  const int64_t used = pages_in(word.used());
  const int64_t cached = pages_in(word.cached());
  account_charge(records, used + cached);
  slice.store(word.with_owner(records.id));
  if (in_compounds(number)) break_compound(*from, number);
  account_uncharge(*from, used + cached);
  from->cached_pages.fetch_sub(cached, kRelaxed);
  records.cached_pages.fetch_add(cached, kRelaxed);
  count_stat(*from, Stat::kUsed, -used);
  count_stat(*from, Stat::kCached, -cached);
  count_stat(records, Stat::kUsed, used);
  count_stat(records, Stat::kCached, cached);
  if (word.queued()) note_misplaced();
  given_back += used + cached;
}

bool holds_pages(const Account& account) {
  if (account_pages(account) == 0) return false;
  if (!records_pace.due()) return true;
  give_back_records();
  return account_pages(account) != 0;
}

// Whether it has been empty for a while.
bool stays_empty(Account& account) {
  auto now = static_cast<uint32_t>(sys::coarse_ms());
  const uint32_t since = account.empty_ms.load(kRelaxed);
  if (since != 0) return now - since >= kEmptyMs;
  account.empty_ms.store(now != 0 ? now : 1, kRelaxed);
  return false;
}

// Whether nothing of it is left.
bool bury(Account& account) {
  if (account.cached_pages.load(kRelaxed) != 0) sort_misplaced();
  purge_cached(account, INT64_MAX, PurgeReason::kTrim);
  drain_objects_of(account);
  drain_words(account);
  // Handles keep the account, but not its heap.
  if (heap_users(account) != 0) return false;
  if (holds_pages(account)) {
    account.empty_ms.store(0, kRelaxed);
    return false;
  }
  if (heap_of(account) != nullptr) {
    if (!stays_empty(account) || !delete_heap(account)) return false;
  }
  account.empty_ms.store(0, kRelaxed);
  return account_release(account);
}

// Looks at some accounts of the pass.
void step(uint32_t looks) {
  int burials = 0;
  const uint32_t last = account_count();
  while (looks-- != 0 && cursor < last && burials < kBurials) {
    Account& account = *account_at(++cursor);
    if (!is_zombie(account)) continue;
    ++burials;
    (bury(account) ? some_buried : zombies_left) = true;
  }
  if (cursor < last) return;
  cursor = 0;
  if (some_buried) {
    // What mimalloc freed of their heaps.
    purge_cached(*records_account(), INT64_MAX, PurgeReason::kTrim);
    pass_pace.quicken();
  }
  some_buried = false;
  due.store(zombies_left, kRelaxed);
  zombies_left = false;
}

// Begins a pass if there is something to look for. REQUIRES: lock.
bool begin_pass() {
  if (cursor != 0) return true;
  if (seen_generation.load(kRelaxed) != tree_generation()) {
    pass_pace.quicken();
    records_pace.quicken();
  }
  if (!pass_pace.due()) return false;
  // What changes from here on is the next pass's. Accounts that are not looked
  // through yet are looked at again.
  zombies_left = accounts_outdated();
  due.store(true, kRelaxed);
  seen_generation.store(tree_generation(), kRelaxed);
  return true;
}

}  // namespace

bool give_back_records() {
  if (!records_lock.try_lock()) return false;
  const int64_t before = given_back;
  // A handler may have interrupted its own thread within the gate, and others
  // do not stay in it for long: those slices wait for the next time.
  for_each_slice([](SliceNumber number, Slice& slice) {
    if (!may_be_record(slice.load())) return;
    ChunkGate& gate = chunk_gate(number);
    if (!gate.try_enter_alone()) return;
    give_to_records(number, slice);
    gate.leave_alone();
  });
  const bool some = given_back != before;
  records_lock.unlock();
  return some;
}

void bury_zombies() {
  if (UMEMCG_LIKELY(!due.load(kRelaxed)) &&
      seen_generation.load(kRelaxed) == tree_generation()) {
    return;
  }
  if (!lock.try_lock()) return;
  if (begin_pass()) step(kLooks);
  lock.unlock();
}

void bury_all_zombies() {
  if (process_account() == nullptr) return;
  LockGuard guard(lock);
  sync_accounts();
  give_back_records();
  const uint32_t last = account_count();
  for (uint32_t id = 1; id <= last; ++id) {
    Account& account = *account_at(id);
    if (is_zombie(account) && !bury(account)) due.store(true, kRelaxed);
  }
}

void reset_zombies() {
  lock.reset();
  records_lock.reset();
  cursor = 0;
}

}  // namespace umemcg

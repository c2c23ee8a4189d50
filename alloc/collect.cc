#include "alloc/collect.h"

#include <mimalloc.h>

#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stat_line.h"
#include "alloc/account_heap.h"
#include "alloc/attention.h"
#include "alloc/thread_heaps.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "stock/current.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kPlaces = 1024;
// How often an asker looks for answers.
constexpr uint64_t kLookNs = 20'000;

// Of a thread that can be waited for.
struct alignas(64) Place {
  std::atomic<uint32_t> taken;
  std::atomic<uint32_t> answered;  // the last request
  // A request that it has not answered in time; it is not waited for until it
  // has.
  std::atomic<uint32_t> missed;
  // A bit for each account that it has a theap of, by the end of its id.
  std::atomic<uint64_t> accounts;
};

constinit Place places[kPlaces] = {};
constinit std::atomic<uint32_t> places_used{0};
constinit UMEMCG_TLS Place* t_place = nullptr;
// The thread ends, or there was no place: it is not tried again.
constinit UMEMCG_TLS bool t_without_place = false;

uint64_t bit_of(const Account& account) {
  return uint64_t{1} << account.id % 64;
}

constexpr uint32_t number_of(uint64_t request) {
  return static_cast<uint32_t>(request >> 32);
}

bool not_after(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) <= 0;
}

// A thread is in the main heap unless it has always been elsewhere.
uint64_t own_accounts() {
  uint64_t bits = 0;
  if (const Account* home = home_account()) bits |= bit_of(*home);
  for (const TheapEntry& entry : t_heaps.entries) {
    if (entry.account != nullptr) bits |= bit_of(*entry.account);
  }
  return bits;
}

Place* claim_place() {
  for (int i = 0; i < kPlaces; ++i) {
    uint32_t free = 0;
    // acquire: pairs with leave_collect_place().
    if (!places[i].taken.compare_exchange_strong(
            free, 1, std::memory_order_acquire, kRelaxed)) {
      continue;
    }
    const auto used = static_cast<uint32_t>(i + 1);
    uint32_t before = places_used.load(kRelaxed);
    while (before < used &&
           !places_used.compare_exchange_weak(before, used, kRelaxed)) {
    }
    return &places[i];
  }
  return nullptr;
}

// Of the accounts of this process in the subtree.
uint64_t accounts_in(uint32_t group) {
  uint64_t bits = 0;
  for (uint32_t id = 1; id <= account_count(); ++id) {
    const Account& account = *account_at(id);
    if (!in_subtree(g_segment, account.charged.load(kRelaxed), group)) continue;
    bits |= bit_of(account);
  }
  return bits;
}

// Who has anything in a heap has charged it, and so has a line. Without other
// threads the exported functions need not look from now on.
bool has_other_threads() {
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine* line = g_segment.line(i);
    if (line != thread_line() &&
        line->owner.load(kRelaxed) == this_process() + 1) {
      return true;
    }
  }
  return false;
}

// Raises the request; its number.
uint32_t publish(uint32_t group) {
  uint64_t before = g_collect_request.load(kRelaxed);
  uint64_t next;
  do {
    next = uint64_t{number_of(before) + 1} << 32 | group;
    // release: pairs with collect_as_asked().
  } while (!g_collect_request.compare_exchange_weak(
      before, next, std::memory_order_release, kRelaxed));
  return number_of(next);
}

// Whether the thread of that place is one to wait for, had it not answered.
bool usually_answers(const Place& place, uint64_t accounts) {
  const uint32_t missed = place.missed.load(kRelaxed);
  return &place != t_place && place.taken.load(kRelaxed) != 0 &&
         (place.accounts.load(kRelaxed) & accounts) != 0 &&
         (missed == 0 || not_after(missed, place.answered.load(kRelaxed)));
}

// Those that were found waiting at the beginning and have not answered; the
// last look marks them.
class Awaited {
 public:
  Awaited(uint64_t accounts, uint32_t number) : number_(number) {
    const auto used = static_cast<int>(places_used.load(kRelaxed));
    for (int i = 0; i < used; ++i) {
      if (!usually_answers(places[i], accounts)) continue;
      words_[i / 64] |= uint64_t{1} << i % 64;
    }
  }

  // Whether some have yet to answer; `late`: they are not waited for any more.
  bool any(bool late) {
    bool missing = false;
    for (int word = 0; word < kPlaces / 64; ++word) {
      for (uint64_t left = words_[word]; left != 0; left &= left - 1) {
        const int bit = __builtin_ctzll(left);
        Place& place = places[word * 64 + bit];
        // acquire: what it has collected is cached. Pairs with
        // collect_as_asked().
        const bool done =
            place.taken.load(kRelaxed) == 0 ||
            not_after(number_, place.answered.load(std::memory_order_acquire));
        if (done) {
          words_[word] &= ~(uint64_t{1} << bit);
        } else if (late) {
          place.missed.store(number_, kRelaxed);
        } else {
          missing = true;
        }
      }
    }
    return missing;
  }

 private:
  const uint32_t number_;
  uint64_t words_[kPlaces / 64] = {};
};

// The thread's theaps of the subtree.
void collect_subtree(uint32_t group) {
  mi_theap_t* const current = mi_theap_get_default();
  const Account* base =
      t_context.base != nullptr ? t_context.base : home_account();
  auto wanted = [group](const Account& account) {
    return in_subtree(g_segment, account.charged.load(kRelaxed), group);
  };
  if (current != nullptr && base != nullptr && wanted(*base)) {
    mi_theap_collect(current, true);
  }
  for (const TheapEntry& entry : t_heaps.entries) {
    if (entry.account == nullptr || entry.theap == current) continue;
    if (wanted(*entry.account)) mi_theap_collect(entry.theap, true);
  }
}

void answer(uint32_t number) {
  if (t_place == nullptr) return;
  // release: pairs with Awaited::any().
  t_place->answered.store(number, std::memory_order_release);
}

}  // namespace

constinit std::atomic<uint64_t> g_collect_request{0};
constinit UMEMCG_TLS uint32_t t_collected = 0;

void ask_threads_to_collect(uint32_t group, uint64_t wait_ns) {
  if (!has_other_threads()) return;
  const uint64_t accounts = accounts_in(group);
  if (accounts == 0) return;
  const uint32_t number = publish(group);
  // The asker has collected its own, or does so without being asked.
  t_collected = number;
  answer(number);
  g_attention_hook();
  const uint64_t deadline = sys::monotonic_ns() + wait_ns;
  Awaited awaited(accounts, number);
  while (awaited.any(sys::monotonic_ns() >= deadline)) {
    sys::sleep_ns(kLookNs);
  }
}

void collect_as_asked() {
  // acquire: pairs with publish().
  const uint64_t request = g_collect_request.load(std::memory_order_acquire);
  const uint32_t number = number_of(request);
  if (t_place == nullptr) take_collect_place();
  if (number == t_collected || making_heap()) return;
  // The last but one may have named another group.
  const bool skipped = number != t_collected + 1;
  // First: collecting calls back.
  t_collected = number;
  if (!t_context.exiting && process_account() != nullptr) {
    ErrnoSaver saver;
    collect_subtree(skipped ? kRootGroup : static_cast<uint32_t>(request));
  }
  answer(number);
}

void take_collect_place() {
  if (UMEMCG_LIKELY(t_place != nullptr) || t_without_place) return;
  Place* place = claim_place();
  if (place == nullptr) {
    t_without_place = true;
    return;
  }
  place->missed.store(0, kRelaxed);
  place->answered.store(t_collected, kRelaxed);
  place->accounts.store(own_accounts(), kRelaxed);
  t_place = place;
  g_line_acquired_hook();  // the thread's end is to be heard of
}

void name_theaps() {
  if (t_place != nullptr) t_place->accounts.store(own_accounts(), kRelaxed);
}

void leave_collect_place() {
  t_without_place = true;
  Place* place = t_place;
  t_place = nullptr;
  if (place == nullptr) return;
  place->accounts.store(0, kRelaxed);
  // release: pairs with claim_place().
  place->taken.store(0, std::memory_order_release);
}

void reset_collect() {
  for (Place& place : places) {
    if (&place == t_place) continue;
    place.accounts.store(0, kRelaxed);
    place.taken.store(0, kRelaxed);
  }
}

}  // namespace umemcg

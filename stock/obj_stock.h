// The object stock: charges by the byte. Objects that are not heap pages are
// charged page by page, and what is left of a page is kept for the next object:
// in the thread's line, for one account at a time, or, when the thread turns to
// another, in Account::remainder. consume_obj_stock, refill_obj_stock and
// drain_obj_stock in Linux.
//
//   pages on the counter = bytes of objects + remainders, for each account and
//   part; a remainder is below a page, whole ones are uncharged at once
//
// A part is what the pages are charged to beside the group: remainders of one
// are no good for another.
//
// The thread's remainder is one word, {ledger + 1 : 20, account : 24, part : 2,
// bytes : 12}, in its line. It consumes and refills by compare-and-swap; so
// does a signal handler in between, and any other thread of the process takes
// it back by that (other processes do not know its accounts). All orders are
// relaxed: the word carries its own meaning and guards nothing else.
//
// Async-signal-safe, all of it; errno is kept.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/account.h"
#include "accounting/kind.h"
#include "accounting/stat_line.h"
#include "base/attributes.h"
#include "base/units.h"

namespace umemcg {

// Indices of Account::remainder.
inline constexpr uint32_t kKmemPart = 0;
inline constexpr uint32_t kSockPart = 1;
inline constexpr uint32_t kPlainPart = 2;

constexpr uint32_t part_of(Kind kind) {
  if (kind == Kind::kKmem) return kKmemPart;
  return kind == Kind::kSock ? kSockPart : kPlainPart;
}

class ObjectWord {
 public:
  constexpr explicit ObjectWord(uint64_t bits) : bits_(bits) {}
  // Empty if there are no bytes: what holds none names nobody.
  ObjectWord(const Account& account, uint32_t part, uint32_t bytes)
      : bits_(bytes != 0 ? key(account, part) << kPageShift | bytes : 0) {}

  constexpr uint64_t bits() const { return bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr uint32_t bytes() const {
    return static_cast<uint32_t>(bits_) & (kPageSize - 1);
  }
  constexpr uint32_t part() const {
    return static_cast<uint32_t>(bits_ >> kPageShift) & 3;
  }
  constexpr uint32_t account() const {
    return static_cast<uint32_t>(bits_ >> (kPageShift + 2)) & kMostAccounts;
  }
  bool is_of(const Account& account, uint32_t part) const {
    return bits_ >> kPageShift == key(account, part);
  }

 private:
  static constexpr uint32_t kMostAccounts = (1u << 24) - 1;

  static uint64_t key(const Account& account, uint32_t part) {
    return (uint64_t{account.ledger_index} + 1) << 26 |
           uint64_t{account.id & kMostAccounts} << 2 | part;
  }

  uint64_t bits_;
};

// Takes `bytes` out of the thread's remainder; false if it is not as much, or
// another account's. REQUIRES: 0 < bytes < kPageSize.
UMEMCG_FAST bool consume_object(const Account& account, uint32_t part,
                                uint32_t bytes) {
  StockLine* line = thread_line();
  if (UMEMCG_UNLIKELY(line == nullptr)) return false;
  uint64_t word = line->object.load(std::memory_order_relaxed);
  for (;;) {
    const ObjectWord seen(word);
    if (!seen.is_of(account, part) || seen.bytes() < bytes) return false;
    const ObjectWord rest(account, part, seen.bytes() - bytes);
    if (line->object.compare_exchange_weak(word, rest.bits(),
                                           std::memory_order_relaxed)) {
      return true;
    }
  }
}

// The same out of what threads have left with the account.
bool consume_remainder(Account& account, uint32_t part, uint32_t bytes);

// `bytes` that are charged belong to no object (any more): they are kept, in
// the thread's line if it has one, and whole pages are uncharged.
// REQUIRES: bytes <= kPageSize.
void refill_object(Account& account, uint32_t part, uint32_t bytes);

// Pages that were charged for objects are written down as such.
inline void count_object_pages(Account& account, uint32_t part, int64_t pages) {
  if (part != kPlainPart) return;  // its counter does
  account.plain_pages.fetch_add(pages, std::memory_order_relaxed);
}

// Uncharges whole pages, through the thread's page stock if there is room.
// Never more than the account can have for objects: that is said once.
void uncharge_object_pages(Account& account, uint32_t part, int64_t pages);

// The remainder in the line goes to its account. REQUIRES: the line is the
// calling process's.
void drain_object_word(StockLine& line);

// The same for all threads of the process, as far as their accounts charge
// groups in the subtree of `root`.
void drain_objects(uint32_t root);
// Of one account alone: it is about to be released, and what an idle thread
// keeps of a page would hold it.
void drain_objects_of(const Account& account);

}  // namespace umemcg

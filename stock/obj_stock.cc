#include "stock/obj_stock.h"

#include "accounting/gate.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/stock_word.h"
#include "base/check.h"
#include "stock/stock.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kPageBytes = int64_t{kPageSize};

// Pages that the thread has charged ahead for the account.
int64_t own_stock_pages(const Account& account) {
  const StockLine* line = thread_line();
  if (line == nullptr) return 0;
  int64_t pages = 0;
  for (const auto& slot : line->slots) {
    const StockWord word(slot.load(kRelaxed));
    if (word.ledger() == account.ledger_index) pages += word.pages();
  }
  return pages;
}

// How many pages the account has for objects of that part.
int64_t most_object_pages(const Account& account, uint32_t part) {
  if (part == kKmemPart) return account.ledger->kmem.load(kRelaxed);
  if (part == kSockPart) return account.ledger->sock.load(kRelaxed);
  return account.plain_pages.load(kRelaxed);
}

// `pages`, or what is left to uncharge.
int64_t clamp_pages(const Account& account, uint32_t part, int64_t pages) {
  if (UMEMCG_LIKELY(pages <= most_object_pages(account, part))) return pages;
  // Again: a signal handler may have given the stock back in between.
  const int64_t most = most_object_pages(account, part);
  if (pages <= most) return pages;
  UMEMCG_WARN_ONCE("more bytes of objects were uncharged than charged");
  return most > 0 ? most : 0;
}

void uncharge_part(Account& account, uint32_t part, int64_t pages) {
  if (part == kPlainPart) account.plain_pages.fetch_sub(pages, kRelaxed);
  if (part == kKmemPart) account_uncharge_kind(account, Kind::kKmem, pages);
  if (part == kSockPart) account_uncharge_kind(account, Kind::kSock, pages);
}

void uncharge_exactly(Account& account, uint32_t part, int64_t pages) {
  pages = clamp_pages(account, part, pages);
  if (pages == 0) return;
  uncharge_part(account, part, pages);
  account_uncharge(account, pages);
}

// A drain's part of it: the thread has turned to another account, or ends.
void put_remainder(Account& account, uint32_t part, int64_t bytes) {
  std::atomic<int64_t>& remainder = account.remainder[part];
  int64_t sum = remainder.fetch_add(bytes, kRelaxed) + bytes;
  while (sum >= kPageBytes) {
    if (remainder.compare_exchange_weak(sum, sum % kPageBytes, kRelaxed)) {
      uncharge_exactly(account, part, sum / kPageBytes);
      return;
    }
  }
}

int64_t take_remainder(Account& account, uint32_t part) {
  std::atomic<int64_t>& remainder = account.remainder[part];
  return remainder.load(kRelaxed) != 0 ? remainder.exchange(0, kRelaxed) : 0;
}

// Whose bytes those are; null in a damaged segment, or if they are the parent
// process's.
Account* account_of_word(ObjectWord word) {
  Account* account = account_at(word.account());
  if (account == nullptr || word.part() > kPlainPart ||
      !word.is_of(*account, word.part()) || account->inherited.load(kRelaxed)) {
    return nullptr;
  }
  return account;
}

// A word that was taken out of a line.
void put_back(ObjectWord word) {
  if (word.empty()) return;
  Account* account = account_of_word(word);
  if (account != nullptr) put_remainder(*account, word.part(), word.bytes());
}

}  // namespace

bool consume_remainder(Account& account, uint32_t part, uint32_t bytes) {
  std::atomic<int64_t>& remainder = account.remainder[part];
  int64_t seen = remainder.load(kRelaxed);
  while (seen >= bytes) {
    if (remainder.compare_exchange_weak(seen, seen - bytes, kRelaxed)) {
      return true;
    }
  }
  return false;
}

void refill_object(Account& account, uint32_t part, uint32_t bytes) {
  StockLine* line = thread_line();
  if (UMEMCG_UNLIKELY(line == nullptr)) {
    put_remainder(account, part, bytes);
    return;
  }
  uint64_t bits = line->object.load(kRelaxed);
  int64_t own = bytes;  // with what was taken over from the account
  for (;;) {
    const ObjectWord seen(bits);
    const bool same = seen.is_of(account, part);
    if (!same) own += take_remainder(account, part);
    const int64_t sum = own + (same ? seen.bytes() : 0);
    const auto rest = static_cast<uint32_t>(sum % kPageBytes);
    const ObjectWord next(account, part, rest);
    if (!line->object.compare_exchange_weak(bits, next.bits(), kRelaxed)) {
      continue;
    }
    if (!same) put_back(seen);
    if (sum >= kPageBytes) {
      uncharge_object_pages(account, part, sum / kPageBytes);
    }
    return;
  }
}

void uncharge_object_pages(Account& account, uint32_t part, int64_t pages) {
  pages = clamp_pages(account, part, pages);
  if (pages == 0) return;
  // One section, so that the pages are not seen between counter and stock: see
  // press.h.
  ChargeSection section;
  uncharge_part(account, part, pages);
  const bool room =
      thread_line() != nullptr && pages <= kChargeBatch &&
      own_stock_pages(account) + pages <= int64_t{batch_size(account)};
  if (room) {
    refill_stock(account, static_cast<uint32_t>(pages));
  } else {
    account_uncharge(account, pages);
  }
}

void drain_object_word(StockLine& line) {
  put_back(ObjectWord(line.object.exchange(0, kRelaxed)));
}

namespace {

// Takes the words of this process's lines whose account `wanted` says.
template <typename Wanted>
void drain_words(Wanted wanted) {
  const uint32_t own = this_process() + 1;
  const uint32_t used = g_segment.lines_used();
  for (uint32_t i = 0; i < used; ++i) {
    StockLine& line = *g_segment.line(i);
    uint64_t bits = line.object.load(kRelaxed);
    if (bits == 0 || line.owner.load(kRelaxed) != own) continue;
    const ObjectWord word(bits);
    const Account* account = account_of_word(word);
    if (account == nullptr || !wanted(*account)) continue;
    // As it was looked at: the line may be another process's by now. A thread
    // that is at work on its own keeps it.
    if (line.object.compare_exchange_strong(bits, 0, kRelaxed)) put_back(word);
  }
}

}  // namespace

void drain_objects(uint32_t root) {
  drain_words([root](const Account& account) {
    return in_subtree(g_segment, account.charged.load(kRelaxed), root);
  });
}

void drain_objects_of(const Account& account) {
  drain_words([&account](const Account& seen) { return &seen == &account; });
}

}  // namespace umemcg

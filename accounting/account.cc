#include "accounting/account.h"

#include "accounting/gate.h"
#include "accounting/notify.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "base/fault_point.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

PageCounter* kind_counter(const Account& account, Kind kind) {
  Group* group = g_segment.group(account.charged.load(kRelaxed));
  if (group == nullptr) return nullptr;
  if (kind == Kind::kKmem) return &group->kmem;
  return kind == Kind::kSock ? &group->sock : nullptr;
}

std::atomic<int64_t>& kind_pages(Account& account, Kind kind) {
  return kind == Kind::kKmem ? account.ledger->kmem : account.ledger->sock;
}

}  // namespace

// Counter first, then ledger, and the other way round for an uncharge: so the
// counter of a process that is killed in between is too high, never too low.
bool account_try_charge(Account& account, int64_t pages, PageCounter** failed,
                        PageCounter::Limit limit, bool count_failure) {
  {
    ChargeSection section;
    if (!account.counter.load(kRelaxed)->try_charge(pages, failed, limit,
                                                    count_failure)) {
      return false;
    }
    fault_point("between try and commit");
    account.ledger->pages.fetch_add(pages, kRelaxed);
    count_stat(account, Stat::kCharged, pages);
  }
  return true;
}

void account_charge(Account& account, int64_t pages) {
  {
    ChargeSection section;
    account.counter.load(kRelaxed)->charge(pages);
    fault_point("between charge and ledger");
    account.ledger->pages.fetch_add(pages, kRelaxed);
    count_stat(account, Stat::kCharged, pages);
  }
}

void account_uncharge(Account& account, int64_t pages) {
  if (account.inherited.load(kRelaxed)) return;
  // With the last page gone the account may be released, and its row be
  // another's: what is needed of it is read before.
  const uint32_t group = account.charged.load(kRelaxed);
  {
    ChargeSection section;
    PageCounter* counter = account.counter.load(kRelaxed);
    count_stat(account, Stat::kUncharged, pages);
    account.ledger->pages.fetch_sub(pages, kRelaxed);
    fault_point("between ledger and uncharge");
    counter->uncharge(pages);
  }
  threshold_events(g_segment, group, pages);
}

bool account_try_charge_kind(Account& account, Kind kind, int64_t pages,
                             PageCounter** failed) {
  ChargeSection section;
  PageCounter* counter = kind_counter(account, kind);
  if (counter == nullptr) return true;
  if (!counter->try_charge(pages, failed)) return false;
  fault_point("between a kind's counter and ledger");
  kind_pages(account, kind).fetch_add(pages, kRelaxed);
  return true;
}

void account_charge_kind(Account& account, Kind kind, int64_t pages) {
  ChargeSection section;
  PageCounter* counter = kind_counter(account, kind);
  if (counter == nullptr) return;
  counter->charge(pages);
  fault_point("between a kind's forced charge and ledger");
  kind_pages(account, kind).fetch_add(pages, kRelaxed);
}

void account_uncharge_kind(Account& account, Kind kind, int64_t pages) {
  if (account.inherited.load(kRelaxed)) return;
  ChargeSection section;
  PageCounter* counter = kind_counter(account, kind);
  if (counter == nullptr) return;
  kind_pages(account, kind).fetch_sub(pages, kRelaxed);
  fault_point("between a kind's ledger and counter");
  counter->uncharge(pages);
}

int64_t account_pages(const Account& account) {
  int64_t pages = account.ledger->pages.load(kRelaxed);
  auto subtract = [&](const std::atomic<uint64_t>& slot) {
    const StockWord word(slot.load(kRelaxed));
    if (word.ledger() == account.ledger_index) pages -= word.given();
  };
  for (uint32_t i = 0; i < g_segment.lines_used(); ++i) {
    const StockLine& line = *g_segment.line(i);
    if (line.owner.load(kRelaxed) == 0) continue;
    for (const auto& slot : line.slots) subtract(slot);
    subtract(line.reservation);
  }
  return pages;
}

}  // namespace umemcg

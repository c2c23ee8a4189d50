#include "tests/shared/workload.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "accounting/control_file.h"
#include "accounting/kind.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/psi.h"
#include "accounting/stat_line.h"
#include "accounting/stock_word.h"
#include "base/units.h"
#include "stock/charge.h"
#include "stock/current.h"
#include "stock/obj_stock.h"
#include "stock/stock.h"
#include "tests/shared/tree.h"

namespace umemcg::shared {
namespace {

constexpr int kParts = 3;
constexpr int64_t kMostPages = 3000;  // held of one account
constexpr int64_t kPageBytes = int64_t{kPageSize};

Kind kind_of(int part) {
  if (part == kKmemPart) return Kind::kKmem;
  return part == kSockPart ? Kind::kSock : Kind::kHeap;
}

}  // namespace

int Workload::join() {
  const uint32_t group = tree_group(static_cast<int>(below(kTreeGroups)));
  const int error = attach_process(group, "worker");
  if (error != 0) return error;
  Account* home = account_of(group);
  Account* records = account_of(kRootGroup);
  if (home == nullptr || records == nullptr) return ENOMEM;
  account_get(*home);  // the thread is counted there: it is never released
  set_accounts(home, records);
  return 0;
}

bool Workload::step() {
  const uint32_t what = below(100);
  if (what < 35) {
    charge();
  } else if (what < 62) {
    uncharge();
  } else if (what < 76) {
    charge_bytes();
  } else if (what < 90) {
    uncharge_bytes();
  } else if (what < 92) {
    charge_forced();
  } else if (what < 93) {
    stall();
  } else if (what < 94) {
    reserve();
  } else if (what < 97) {
    take_reserved();
  } else if (eager_ || below(20) == 0) {
    step_rarely();
  }
  return what < 35;
}

void Workload::step_rarely() {
  follow_tree();
  switch (below(eager_ ? 12 : 30)) {
    case 0:
      return make_and_leave_group();
    case 1:
      return set_control();
    case 2:
      return move();
    case 3:
      return end_thread();
    case 4:
      drain_all_stock(g_segment,
                      tree_group(static_cast<int>(below(kTreeGroups))));
      return;
    case 5:
      return forget_empty();
    case 6:
      if (eager_) return make_corpse();
      return;
    case 7:
      if (eager_) return switch_controller();
      return;
    case 8:
      reap_dead_processes(g_segment);
      return;
    default:
      return make_and_leave_group();
  }
}

Holding& Workload::holding_of(Account& account) {
  for (Holding& holding : holdings_) {
    if (holding.account == &account) return holding;
  }
  holdings_.push_back(Holding{&account, {}, {}, 0});
  return holdings_.back();
}

Holding& Workload::any_holding() {
  if (holdings_.empty()) holding_of(*any_account());
  return holdings_[below(static_cast<uint32_t>(holdings_.size()))];
}

// A group of the tree, mostly one of a few, so that they fill up.
Account* Workload::any_account() {
  const uint32_t spread = below(4) == 0 ? kTreeGroups : 9;
  Account* account = account_of(tree_group(static_cast<int>(below(spread))));
  return account != nullptr ? account : home_account();
}

bool Workload::pages_charged(Account& account, int64_t pages, int part) {
  PageCounter* failed = nullptr;
  bool charged = try_charge(account, static_cast<uint32_t>(pages), &failed);
  if (!charged && below(16) == 0) {
    drain_all_stock(g_segment, account.charged);
    charged = try_charge(account, static_cast<uint32_t>(pages), &failed);
  }
  if (charged &&
      !account_try_charge_kind(account, kind_of(part), pages, &failed)) {
    account_uncharge(account, pages);
    charged = false;
  }
  return charged;
}

void Workload::charge() {
  Account& account = *any_account();
  const int part = static_cast<int>(below(kParts));
  const int64_t pages = below(8) == 0 ? 1 + below(200) : 1 + below(12);
  Holding& holding = holding_of(account);
  if (holding.pages[part] > kMostPages) {
    free_pages(holding, part, holding.pages[part] / 2);
  }
  if (pages_charged(account, pages, part)) holding.pages[part] += pages;
}

void Workload::charge_forced() {
  Account& account = *any_account();
  const int part = static_cast<int>(below(kParts));
  account_charge(account, 3);
  account_charge_kind(account, kind_of(part), 3);
  holding_of(account).pages[part] += 3;
}

void Workload::free_pages(Holding& holding, int part, int64_t pages) {
  Account& account = *holding.account;
  holding.pages[part] -= pages;
  account_uncharge_kind(account, kind_of(part), pages);
  if (pages <= int64_t{kChargeBatch} && below(2) == 0) {
    refill_stock(account, static_cast<uint32_t>(pages));
  } else {
    account_uncharge(account, pages);
  }
}

void Workload::uncharge() {
  Holding& holding = any_holding();
  const int part = static_cast<int>(below(kParts));
  const int64_t held = holding.pages[part];
  if (held == 0) return;
  free_pages(holding, part, 1 + below(static_cast<uint32_t>(held)));
}

void Workload::charge_bytes() {
  Account& account = *any_account();
  const int part = static_cast<int>(below(kParts));
  const auto of = static_cast<uint32_t>(part);
  const uint32_t bytes = 1 + below(kPageSize - 1);
  if (!consume_object(account, of, bytes) &&
      !consume_remainder(account, of, bytes)) {
    if (!pages_charged(account, 1, part)) return;
    count_object_pages(account, of, 1);
    refill_object(account, of, kPageSize - bytes);
  }
  holding_of(account).bytes[part] += bytes;
}

// (Objects have no sizes of their own here: the sum is what is held.)
void Workload::free_bytes(Holding& holding, int part, uint32_t bytes) {
  holding.bytes[part] -= bytes;
  refill_object(*holding.account, static_cast<uint32_t>(part), bytes);
}

void Workload::uncharge_bytes() {
  Holding& holding = any_holding();
  const int part = static_cast<int>(below(kParts));
  if (holding.bytes[part] == 0) return;
  const auto most = static_cast<uint32_t>(
      holding.bytes[part] < kPageBytes ? holding.bytes[part] : kPageBytes);
  free_bytes(holding, part, 1 + below(most));
}

void Workload::reserve() {
  Account& account = *any_account();
  const int64_t pages = 1 + below(60);
  PageCounter* failed = nullptr;
  if (!account_try_charge(account, pages, &failed)) return;
  reserve_pages(account, static_cast<uint32_t>(pages));
}

// Stands still for want of memory, and gives some back meanwhile.
void Workload::stall() {
  MemstallScope scope(any_account()->charged);
  uncharge();
}

void Workload::take_reserved() {
  const StockWord word(reservation_word().load());
  if (word.pages() == 0) return;
  for (Holding& holding : holdings_) {
    if (holding.account->ledger_index != word.ledger()) continue;
    holding.pages[kPlainPart] +=
        take_reservation(*holding.account, 1 + below(60));
    return;
  }
  drop_reservation();
}

// Groups come and go under the feet of those that charge them.
void Workload::make_and_leave_group() {
  const std::string path = "/e/t" + std::to_string(below(4));
  uint32_t group = find_group(g_segment, path.c_str());
  if (group != kNone && below(3) == 0) {
    remove_group(g_segment, group);
    release_groups(g_segment);
    return follow_tree();
  }
  if (create_group(g_segment, path.c_str(), &group) != 0) return;
  Account* account = account_of(group);
  if (account == nullptr) return;
  Holding& holding = holding_of(*account);
  if (pages_charged(*account, 5, kPlainPart)) holding.pages[kPlainPart] += 5;
}

void Workload::switch_controller() {
  const uint32_t group = find_group(g_segment, kSwitched);
  const bool on = below(2) == 0;
  set_subtree_control(g_segment, group, on ? kControllerMemory : 0,
                      on ? 0 : kControllerMemory);
  follow_tree();
}

void Workload::set_control() {
  const int row = static_cast<int>(below(kTreeGroups));
  struct Setting {
    const char* file;
    int64_t pages;
  };
  const Setting settings[] = {
      {"memory.min", kTree[row].min}, {"memory.low", kTree[row].low},
      {"memory.min", kTree[row].low}, {"memory.high", kTree[row].max / 2},
      {"memory.max", kTree[row].max},
  };
  const Setting& setting = settings[below(5)];
  const uint32_t group = tree_group(row);
  // (Where the controller is switched off there is no such file.)
  const ControlFile* file = find_control_file(setting.file);
  if (!has_control_file(g_segment, group, *file)) return;
  const std::string value = setting.pages >= kPageCounterMax / 2
                                ? "max"
                                : std::to_string(setting.pages * kPageBytes);
  file->store(g_segment, group, value.c_str(), value.size());
}

void Workload::move() {
  move_process(g_segment, this_process(),
               tree_group(static_cast<int>(below(kTreeGroups))));
}

void Workload::end_thread() { release_line(); }

void Workload::follow_tree() {
  if (accounts_outdated()) sync_accounts();
}

// Accounts of groups that are gone, when nothing is held any more.
void Workload::forget_empty() {
  for (size_t i = 0; i < holdings_.size(); ++i) {
    Holding& holding = holdings_[i];
    if (!holding.account->stale.load()) continue;
    for (int part = 0; part < kParts; ++part) {
      if (holding.pages[part] != 0) {
        free_pages(holding, part, holding.pages[part]);
      }
      while (holding.bytes[part] != 0) {
        const int64_t bytes = holding.bytes[part];
        free_bytes(holding, part,
                   static_cast<uint32_t>(bytes < 4096 ? bytes : 4096));
      }
    }
    release_line();
    if (account_release(*holding.account)) {
      holdings_[i--] = holdings_.back();
      holdings_.pop_back();
    }
  }
}

void Workload::give_back() {
  for (Holding& holding : holdings_) {
    for (int part = 0; part < kParts; ++part) {
      if (holding.pages[part] != 0) {
        free_pages(holding, part, holding.pages[part]);
      }
      while (holding.bytes[part] != 0) {
        const int64_t bytes = holding.bytes[part];
        free_bytes(holding, part,
                   static_cast<uint32_t>(bytes < 4096 ? bytes : 4096));
      }
    }
  }
  release_line();
}

// A word's pages and what was taken out of it are one number that only its
// thread changes, however many drain it meanwhile: so this is exact.
std::string Workload::disagreement() {
  std::string text;
  StockLine* line = thread_line();
  for (const Holding& holding : holdings_) {
    const Account& account = *holding.account;
    int64_t ledger = account.ledger->pages.load();
    int64_t bytes = 0;
    int64_t held = 0;
    auto subtract = [&](const std::atomic<uint64_t>& slot) {
      const StockWord word(slot.load());
      if (word.ledger() != account.ledger_index) return;
      ledger -= word.pages() + word.given();
    };
    if (line != nullptr) {
      for (const auto& slot : line->slots) subtract(slot);
      const ObjectWord object(line->object.load());
      if (object.account() == account.id && !object.empty()) {
        bytes += object.bytes();
      }
    }
    subtract(reservation_word());
    for (int part = 0; part < kParts; ++part) {
      held += holding.pages[part];
      bytes += holding.bytes[part] + account.remainder[part].load();
    }
    if (ledger * kPageBytes != held * kPageBytes + bytes) {
      text += "account " + std::to_string(account.id) + ": ledger " +
              std::to_string(ledger) + " pages, held " + std::to_string(held) +
              " and " + std::to_string(bytes) + " bytes\n";
    }
  }
  return text;
}

void Workload::make_corpse() {
  const auto seed = static_cast<uint32_t>(random_());
  const pid_t pid = fork();
  if (pid == 0) live_and_die(seed);
  if (pid < 0) return;
  waitpid(pid, nullptr, 0);
  reap_dead_processes(g_segment);
}

}  // namespace umemcg::shared

#include "shim/group_handle.h"

#include <cerrno>

#include "accounting/mem_cgroup.h"
#include "alloc/group_heap.h"
#include "shim/init.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool still_online(const MadeFor& of) {
  return group_id(g_segment, of.group) == of.id &&
         group_online(g_segment, of.group);
}

// This process's account of the group if it has one. Takes no lock.
Account* known_account(const MadeFor& of) {
  const uint32_t last = account_count();
  for (uint32_t i = 1; i <= last; ++i) {
    Account* account = account_at(i);
    if (MadeFor(*account) == of && !is_inherited(*account)) {
      return account;
    }
  }
  return nullptr;
}

Account* heir_of(const Account& inherited) {
  Account* heir = account_named(
      reinterpret_cast<umemcg_group*>(inherited.heir.load(kRelaxed)));
  const bool fits = heir != nullptr && !is_inherited(*heir) &&
                    MadeFor(*heir) == MadeFor(inherited);
  return fits ? heir : nullptr;
}

void set_heir(Account& inherited, Account* heir) {
  inherited.heir.store(reinterpret_cast<uint64_t>(handle_of(heir)), kRelaxed);
}

// What `inherited` is to the child of a fork: its own account of the group, or,
// if that is gone, of the group that has its charges. Null if the table is
// full.
Account* own_account(Account& inherited) {
  Account* heir = heir_of(inherited);
  if (heir != nullptr) return heir;
  heir = current_of(&inherited);
  if (heir == &inherited) return nullptr;
  set_heir(inherited, heir);
  return heir;
}

// The group that is charged for the account: the nearest one that is online.
uint32_t charged_online(const Account& account) {
  uint32_t group = account.charged.load(kRelaxed);
  for (int level = 0; level <= kMaxDepth && group != kNone; ++level) {
    if (group_online(g_segment, group)) return group;
    group = parent_group(g_segment, group);
  }
  return kNone;
}

}  // namespace

bool accounted() {
  if (UMEMCG_UNLIKELY(state() != State::kReady)) {
    ensure_started();
    if (state() != State::kReady) return false;
  }
  check_fork();
  return true;
}

Account* account_behind_slow(umemcg_group* handle, int* error) {
  if (UMEMCG_UNLIKELY(!accounted())) {
    *error = ENODEV;
    return nullptr;
  }
  Account* account = account_named(handle);
  if (UMEMCG_UNLIKELY(account == nullptr)) {
    *error = EBADF;
    return nullptr;
  }
  if (UMEMCG_LIKELY(!is_inherited(*account))) return account;
  *error = ENODEV;  // if the table is full
  return own_account(*account);
}

Account* account_for_handler(umemcg_group* handle) {
  Account* account = account_named(handle);
  if (account == nullptr || !is_inherited(*account)) return account;
  Account* heir = heir_of(*account);
  if (heir != nullptr) return heir;
  heir = known_account(MadeFor(*account));
  if (heir == nullptr) return account;
  set_heir(*account, heir);
  return heir;
}

Account* account_or_own(umemcg_group* group, int* error) {
  if (group != nullptr) return account_behind(group, error);
  *error = ENODEV;
  if (!accounted()) return nullptr;
  sync_thread();  // the process may have been moved
  return process_account();
}

int group_behind(umemcg_group* handle, uint32_t* group) {
  int error = 0;
  Account* account = account_or_own(handle, &error);
  if (account == nullptr) return error;
  // What a handle from before a fork names may have been removed.
  const Account* named = handle != nullptr ? account_named(handle) : account;
  if (named == nullptr) return ENODEV;
  const MadeFor of(*named);
  if (!still_online(of)) return ENODEV;
  *group = of.group;
  return 0;
}

umemcg_group* owner_handle(Account& account) {
  const uint32_t group = charged_online(account);
  if (group == kNone) return nullptr;
  const MadeFor charged(group, group_id(g_segment, group));
  return handle_of(MadeFor(account) == charged ? &account
                                               : known_account(charged));
}

uint64_t owner_ino(const Account& account) {
  const uint32_t group = charged_online(account);
  return group != kNone ? group_id(g_segment, group) : 0;
}

bool take_reference(Account& account) { return account_get_handle(account); }

// If its group is gone so is the account, unless something is charged. That it
// is may not be known yet: looks through all accounts have their pauses.
bool drop_reference(Account& account) {
  if (!account_put_handle(account)) return false;
  if (!still_online(MadeFor(account))) sync_account(account);
  if (account.stale.load(kRelaxed)) account_release(account);
  return true;
}

}  // namespace umemcg

// What a umemcg_group* is: no address, but a place in the process's table of
// accounts and the generation of what lies there, under a tag that no address
// has. So every value is checked before anything is read by it, and one that is
// out of date is known as such.
//
// A handle from before a fork names an account that the child has inherited;
// the child goes on with its own account of the same group.
#pragma once

#include <atomic>
#include <cstdint>

#include "accounting/account.h"
#include "alloc/fork.h"
#include "alloc/thread_heaps.h"
#include "base/attributes.h"
#include "include/umemcg/umemcg.h"

namespace umemcg {

inline constexpr int kHandleIdBits = kAccountIdBits;
inline constexpr uint64_t kHandleTag = 0x75;  // not canonical on any machine

UMEMCG_FAST umemcg_group* handle_of(Account* account) {
  if (account == nullptr) return nullptr;
  return reinterpret_cast<umemcg_group*>(kHandleTag << 56 |
                                         account_name(*account));
}

// The account's name in it (alloc/thread_heaps.h), if it is a handle at all;
// otherwise nobody's.
UMEMCG_FAST uint64_t name_in(const umemcg_group* handle) {
  return reinterpret_cast<uint64_t>(handle) - (kHandleTag << 56);
}

// The account that the handle was made for, or null if there is none of that
// generation. Takes no lock.
UMEMCG_FAST Account* account_named(const umemcg_group* handle) {
  const uint64_t bits = reinterpret_cast<uint64_t>(handle);
  if (UMEMCG_UNLIKELY(bits >> 56 != kHandleTag)) return nullptr;
  const uint32_t id = bits & ((1u << kHandleIdBits) - 1);
  Account* account = account_at(id);
  if (UMEMCG_UNLIKELY(account == nullptr)) return nullptr;
  const auto generation = static_cast<uint32_t>(bits >> kHandleIdBits);
  constexpr auto kRelaxed = std::memory_order_relaxed;
  // No group: it was released, or never made.
  const bool same = account->generation.load(kRelaxed) == generation &&
                    account->group_id.load(kRelaxed) != 0;
  return UMEMCG_LIKELY(same) ? account : nullptr;
}

UMEMCG_FAST bool is_inherited(const Account& account) {
  return account.inherited.load(std::memory_order_relaxed);
}

// The account that serves a handle in this process: the one it names, or this
// process's own of the same group if that was inherited. Null with *error =
// EBADF or ENODEV. Takes a lock in the child of a fork only.
UMEMCG_COLD Account* account_behind_slow(umemcg_group* handle, int* error);
UMEMCG_FAST Account* account_behind(umemcg_group* handle, int* error) {
  check_fork();
  Account* account = account_named(handle);
  if (UMEMCG_LIKELY(account != nullptr && !is_inherited(*account))) {
    return account;
  }
  return account_behind_slow(handle, error);
}

// The same for signal handlers: takes no lock. Where this process has no
// account of the group yet it is the inherited one, for which begin_active()
// finds its own at the thread's next allocation. Null if the handle names none.
Account* account_for_handler(umemcg_group* handle);

// account_behind(), or the process's for null.
Account* account_or_own(umemcg_group* group, int* error);

// The index of the handle's group (the process's for null), if it is online:
// 0, or EBADF or ENODEV.
int group_behind(umemcg_group* handle, uint32_t* group);

// Whoever is charged for what the account holds: the nearest online group, as
// a handle (null if this process has no account of it) and by its id (0: none).
// Lock-free.
umemcg_group* owner_handle(Account& account);
uint64_t owner_ino(const Account& account);

// Which group the account was made for: its index and id.
struct MadeFor {
  explicit MadeFor(const Account& account)
      : group(account.group.load(std::memory_order_relaxed)),
        id(account.group_id.load(std::memory_order_relaxed)) {}
  MadeFor(uint32_t index, uint64_t its_id) : group(index), id(its_id) {}
  bool operator==(const MadeFor&) const = default;

  uint32_t group;
  uint64_t id;
};

// umemcg_group_open's reference, and giving it back: false if the handle has
// none.
bool take_reference(Account& account);
bool drop_reference(Account& account);

// Whether the process is accounted; starts umemcg if it has not been, and
// notices that this is the child of a fork.
bool accounted();

}  // namespace umemcg

// Turning a thread to a group whose theap it has: the part of
// set_thread_group() (group_heap.h) that umemcg_thread_set has inlined.
#pragma once

#include <mimalloc.h>

#include "accounting/account.h"
#include "accounting/stat_line.h"
#include "alloc/thread_heaps.h"
#include "base/attributes.h"
#include "stock/current.h"

namespace umemcg {

// Whether nothing new is to be charged to it. (A removal that comes between
// this look and what follows is noticed by the next sync.)
UMEMCG_FAST bool is_gone(const Account& account, const Group& group) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  return account.stale.load(kRelaxed) ||
         group.state.load(kRelaxed) != GroupState::kOnline ||
         group.id.load(kRelaxed) != account.group_id.load(kRelaxed);
}

UMEMCG_FAST void turn_to(Account* account, const TheapEntry& entry) {
  mi_theap_set_default(entry.theap);
  t_context.base = account;
  t_context.account = account;
}

// (Threads that follow their process are seen by that.)
UMEMCG_FAST void name_group_of(const Account* tag) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  StockLine* line = thread_line();
  if (line == nullptr) return;
  line->group.store(tag != nullptr ? tag->group.load(kRelaxed) + 1 : 0,
                    kRelaxed);
}

// A handler has left a scope open meanwhile.
void turn_to_scope();

// Puts the thread, which is in no scope, into `tag`, charging `to`, whose entry
// it is; false, and nothing is done, if that is gone.
UMEMCG_FAST bool switch_to(Account* tag, Account* to, const TheapEntry& entry) {
  if (UMEMCG_UNLIKELY(is_gone(*to, *entry.row))) return false;
  t_context.tag = tag;
  order_for_handlers();
  turn_to(to, entry);
  name_group_of(tag);
  order_for_handlers();
  if (UMEMCG_UNLIKELY(t_context.active != nullptr)) turn_to_scope();
  return true;
}

// Puts the thread into the account of that name (thread_heaps.h) if it has its
// theap. False, and nothing is done, if not.
UMEMCG_FAST bool switch_to_known(uint64_t name) {
  if (UMEMCG_UNLIKELY(t_context.active != nullptr)) return false;
  TheapEntry* entry = t_heaps.hints[name % kTheapsPerThread];
  if (UMEMCG_UNLIKELY(entry == nullptr || entry->name != name)) return false;
  Account* const account = entry->account;
  if (UMEMCG_UNLIKELY(account == nullptr ||
                      account->inherited.load(std::memory_order_relaxed))) {
    return false;
  }
  entry->used = ++t_heaps.clock;
  return switch_to(account, account, *entry);
}

}  // namespace umemcg

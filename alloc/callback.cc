#include "alloc/callback.h"

#include "alloc/attention.h"
#include "alloc/group_heap.h"
#include "alloc/thread_heaps.h"
#include "alloc/turn.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// In the child of a fork what was saved before it is its parent's.
Account* own(Account* account) {
  const bool inherited =
      account != nullptr && account->inherited.load(kRelaxed);
  return inherited ? current_of(account) : account;
}

// The scope's account may be another's by now, as nothing holds on to it.
Account* scope_of(const ThreadContext& saved) {
  Account* const active = saved.active;
  const bool same = active != nullptr && active->generation.load(kRelaxed) ==
                                             saved.active_generation;
  return same ? own(active) : nullptr;
}

// Without memory for the theap it turns at its next allocation.
void turn_back(Account* tag) {
  const bool moved = t_context.tag != tag;
  if (moved && put_thread_into(tag) == 0) return;
  t_context.tag = tag;
  if (moved) name_thread_group();
  if (!turn()) raise_attention();
}

}  // namespace

void begin_callback(Account& account, CallbackContext* saved) {
  saved->context = t_context;
  saved->call = t_heaps.call;
  saved->own_map = t_own_map;
  Account* const tag = t_context.tag;
  saved->held = tag != nullptr && account_get(*tag);
  t_heaps.call = nullptr;
  t_own_map = {};
  t_context.account = t_context.base;
  t_context.no_fail = false;
  t_context.flags = 0;
  t_context.reclaiming = true;
  // (At its end the thread has no theaps any more.)
  if (t_context.exiting) return;
  store_active(current_of(&account));
  turn();
}

void end_callback(const CallbackContext& saved) {
  const ThreadContext& before = saved.context;
  if (!t_context.exiting) {
    store_active(scope_of(before));
    turn_back(own(before.tag));
  }
  // An allocation under way goes on in its theap, charging what it charged.
  t_heaps.call = own(saved.call);
  if (t_heaps.call != nullptr) {
    t_context.account = t_heaps.call;
  } else if (t_context.base == own(before.base)) {
    t_context.account = own(before.account);
  }
  t_own_map = saved.own_map;
  t_context.no_fail = before.no_fail;
  t_context.flags = before.flags;
  t_context.reclaiming = before.reclaiming;
  if (saved.held) account_put(*before.tag);
}

void abandon_callback(const CallbackContext& saved) {
  end_callback(saved);
  t_own_map = {};
  t_context.reclaiming = false;
}

}  // namespace umemcg

// Threads following changes of the tree and of the process's group; their
// beginning, their end, and the child of a fork.

#include "accounting/process.h"
#include "accounting/reclaim_request.h"
#include "alloc/account_heap.h"
#include "alloc/attention.h"
#include "alloc/collect.h"
#include "alloc/fork.h"
#include "alloc/group_heap.h"
#include "alloc/thread_heaps.h"
#include "alloc/turn.h"
#include "alloc/zombie.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit Lock process_lock;

// Whether new charges of the process go elsewhere: it was moved, or its group
// is gone.
bool process_moved() {
  const ProcessSlot* slot = g_segment.process(this_process());
  const Account& account = *process_account();
  return slot != nullptr &&
         (slot->group.load(kRelaxed) != account.group.load(kRelaxed) ||
          account.stale.load(kRelaxed));
}

// Its account has a reference as long as it is the process's.
void follow_process() {
  if (!process_moved() || !process_lock.try_lock()) return;
  Account* before = process_account();
  const ProcessSlot* slot = g_segment.process(this_process());
  Account* now = account_of(slot->group.load(kRelaxed));
  if (now != nullptr && now != before && account_get(*now)) {
    set_accounts(now, records_account());
    if (before != home_account()) account_put(*before);
  }
  process_lock.unlock();
}

// Accounts are looked through by whoever comes first after a change.
void look_at_tree() {
  if (accounts_outdated()) sync_accounts();
  follow_process();
}

// Whether nothing new goes to it: its group is gone, or it is the parent's that
// this process was forked from.
bool is_left(const Account& account) {
  return account.stale.load(kRelaxed) || account.inherited.load(kRelaxed);
}

// What the thread was put into, and its scope, when their groups are gone.
void leave_stale_groups() {
  Account* tag = t_context.tag;
  if (tag != nullptr && is_left(*tag)) put_thread_into(current_of(tag));
  Account* active = t_context.active;
  if (active == nullptr || !is_left(*active)) return;
  // Nothing holds a scope's account: its place may be another's.
  const bool same =
      active->generation.load(kRelaxed) == t_context.active_generation;
  store_active(same ? current_of(active) : nullptr);
}

Account* heir_of(Account* account) {
  if (!account->inherited.load(kRelaxed)) return account;
  Account* heir = current_of(account);
  take_inherited_heap(*heir);
  return heir;
}

uint32_t tree_generation() {
  // acquire: pairs with the changes, which are there when it is seen.
  return g_segment.header().generation.load(std::memory_order_acquire);
}

// Whether the thread is to charge something else than it does, as far as that
// can be seen without a lock.
bool out_of_place() {
  return process_moved() || is_elsewhere() || is_gone(*thread_account());
}

}  // namespace

void notice_tree() {
  if (process_account() == nullptr || t_context.exiting || making_heap()) {
    return;
  }
  const uint32_t tree = tree_generation();
  if (out_of_place()) {
    raise_attention();
  } else {
    t_context.tree = tree;
  }
}

void serve_attention() {
  if (making_heap() || t_heaps.under_way != 0) return;
  ErrnoSaver saver;
  t_context.attention = false;
  check_fork();
  sync_thread();
  if (asked_to_collect()) collect_as_asked();
  g_attention_work_hook();
}

void sync_thread() {
  if (process_account() == nullptr || making_heap()) return;
  look_at_tree();
  leave_stale_groups();
  turn();
  if (t_heaps.under_way == 0) drop_stale_theaps();
  bury_zombies();
}

void glance_at_tree() {
  if (process_account() == nullptr || making_heap()) return;
  look_at_tree();
  if (is_elsewhere() || has_stale_theaps() || reclaim_requested_here()) {
    raise_attention();
  }
  bury_zombies();
}

void begin_home() {
  Account& home = *home_account();
  account_get(home);
  // (In the child of a fork it may be an ancestor of what it was, with a heap
  // of its own: that stays its heap.)
  if (heap_of(home) == nullptr) give_main_heap(home);
}

void begin_thread_group(Account* tag) {
  Account* to = tag != nullptr ? tag : process_account();
  if (to == nullptr || t_context.exiting) return;
  if (tag != nullptr || to != home_account()) set_thread_group(tag);
}

void end_thread_group() {
  leave_collect_place();
  t_context.tag = nullptr;
  t_context.active = nullptr;
  t_context.base = nullptr;
  t_context.account = nullptr;
  t_context.attention = false;
  forget_theaps();
}

namespace {

void adopt_home() {
  Account* const home = home_account();
  if (!home->inherited.load(kRelaxed)) return;
  Account* heir = current_of(home);
  home->heap.store(nullptr, kRelaxed);
  take_inherited_heap(*heir);
  set_home_account(heir);
  begin_home();
  Account* const process = process_account();
  if (process != heir) account_get(*process);
}

}  // namespace

void forget_other_heaps() {
  forget_other_threads();
  reset_collect();
  reset_heap_lock();
  process_lock.reset();
  reset_zombies();
}

void adopt_heaps() {
  adopt_home();
  inherit_theaps(heir_of);
  auto inherit = [](Account*& account) {
    if (account != nullptr) account = heir_of(account);
  };
  inherit(t_context.tag);
  inherit(t_context.base);
  inherit(t_context.account);
  inherit(t_heaps.call);
  if (t_context.active != nullptr) store_active(heir_of(t_context.active));
  name_thread_group();
}

}  // namespace umemcg

// Heaps of groups: per (process, group) one mimalloc heap, made on first use,
// and per thread the theaps of the 16 groups it used last.
//
//   a thread charges, in this order:
//     the group of the call         umemcg_malloc
//     the scope it is in            umemcg_active_begin
//     the group set on the thread   umemcg_thread_set
//     the process's group
//
// A thread's default theap and t_context.account change together, so a page is
// always charged to the group whose heap it is in. When groups are removed, or
// the process moved, the thread switches before its next allocation after a
// slow path (sync_thread, attention.h).
//
// The parts:
//   group_heap    switching, scopes, calls that name a group
//   follow        threads following the tree and the process; begin, end, fork
//   thread_heaps  a thread's theaps, 16 of them
//   account_heap  making and deleting heaps and theaps
//   zombie        heaps and accounts of groups that are gone
//   attention     what waits for a thread's next allocation
//
// Bounds. An allocation that a handler interrupts, and after which it leaves
// the thread in another group (a scope that it opened and did not close), may
// charge what it has yet to commit to that group: one block. A scope whose
// theap the thread has yet to make begins with the thread's next malloc, calloc
// or realloc (aligned ones and operator new among them). A thread that is put
// into a group at the very moment that the group is removed stays in it until
// its next slow path, charging its nearest ancestor. A thread that allocates
// nothing any more keeps the theaps that it has, and with them the empty heaps
// of up to 16 removed groups.
#pragma once

#include "accounting/account.h"

namespace umemcg {

// The calling thread charges `account` (null: the process's) from now on.
// 0 or an error number: ESTALE, the account's group was removed (the thread
// then charges the nearest online ancestor); ENOMEM, its heap could not be had
// (the thread stays where it was).
int set_thread_group(Account* account);
// What was set on it, or null.
Account* thread_group();

// Scopes (set_active_memcg in Linux). begin returns what end takes. Safe in
// signal handlers, whatever they interrupted.
Account* begin_active(Account* account);
void end_active(Account* before);

// Allocates from the account's heap, whatever the thread's group is.
// Null with errno as malloc.
void* group_malloc(Account& account, size_t size);
void* group_calloc(Account& account, size_t count, size_t size);
void* group_realloc(Account& account, void* block, size_t size);
void* group_aligned_alloc(Account& account, size_t alignment, size_t size);

// A slow path: after a change of the tree, the thread leaves groups that are
// gone and follows its process, and stale accounts are released that hold
// nothing. Not from the commit hook.
void sync_thread();
// The same within an allocation: what has to wait for its end comes before the
// thread's next one (alloc/attention.h).
void glance_at_tree();

// The calling thread has a line now: it names the group that the thread was
// put into, if it was.
void name_thread_group();

// The thread begins in its creator's group (shim/thread.cc); it ends: its
// theaps are gone (mimalloc's own destructor has run), its references go.
void begin_thread_group(Account* tag);
void end_thread_group();

// The process's accounts are set: mimalloc's main heap is the home account's.
void begin_home();

// In the child of a fork: the other threads, and what they held, are not here.
void forget_other_heaps();
// Then, when the accounts are ready and threads are counted anew: if accounts
// were inherited, their heaps go over to the new accounts of the same groups.
void adopt_heaps();

// The account that is charged for the block's first page, or null. Lock-free;
// racy as page_cgroup_ino.
Account* owner_of(const void* block);

}  // namespace umemcg

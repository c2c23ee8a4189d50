// The mimalloc heap of an account, and a thread's theap of it: made, primed and
// deleted here, with forks kept away and at the root group's expense.
//
// What mimalloc needs for a heap (its struct, a bitmap for each range that it
// has pages in) and for a theap (the struct, the thread's table of theaps) is
// never refused. Both are primed by one block that is made and freed, so that a
// group that has not allocated yet reads exactly 0, and one whose limit is
// smaller than a heap's records can allocate.
//
// Not for signal handlers: mimalloc allocates these records from the thread's
// main theap (mi_heap_new, mi_thread_locals_expand in its source), which the
// handler may have interrupted in the middle of a malloc. See attention.h.
#pragma once

#include <mimalloc.h>

#include "accounting/account.h"

namespace umemcg {

// The calling thread's theap in the account's heap, which is made if there is
// none yet; null without memory for it. errno is kept.
// REQUIRES: the caller has a reference to the account.
mi_theap_t* make_theap(Account& account);

// Its pages go back, as far as they are empty; those with live blocks stay in
// the heap. REQUIRES: it is not the thread's default, nor is an allocation from
// it under way.
void delete_theap(mi_theap_t* theap);

// Whether the thread is in the middle of the above: then its default theap is
// the main one.
bool making_heap();

// Deletes the account's heap, if it has one; false if it is in use after all: a
// page is in it, or a thread has a theap of it. REQUIRES: the account holds no
// pages, and its group is gone.
bool delete_heap(Account& account);

// The account's heap, without making one. Null if there is none.
mi_heap_t* heap_of(const Account& account);

// In the child of a fork: the heap of an inherited account of the same group is
// this account's from now on, if it has none.
void take_inherited_heap(Account& account);

// Says that the main heap is this account's.
void give_main_heap(Account& account);

// In the child of a fork: whoever held the lock is not here.
void reset_heap_lock();

}  // namespace umemcg

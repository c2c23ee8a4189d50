// Turning the calling thread to the group that it is to charge: what
// group_heap.cc offers to follow.cc.
#pragma once

#include "accounting/account.h"

namespace umemcg {

// The thread turns to where its scope, its own group or its process says. False
// if it stays where it was, without memory for a theap.
bool turn();
// Whether it charges somewhere else than that says.
bool is_elsewhere();

// Whether nothing new is to be charged to it: its group is gone.
bool is_gone(const Account& account);

// Puts the thread into the account's group (null: it follows its process). 0
// or ENOMEM.
int put_thread_into(Account* account);

// The thread's scope is `account`'s from now on; it does not turn.
void store_active(Account* account);

}  // namespace umemcg

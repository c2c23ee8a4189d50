// Accounts whose groups are gone. The mimalloc heap of one is a zombie: blocks
// live on in it, charged to the nearest ancestor, and nothing new is allocated
// from it. When its last page has gone back it is deleted, and the account is
// released.
//
// mimalloc deletes no heap while blocks of it are freed (tests/
// mimalloc_contract), so a heap goes when no page of it is charged, no thread
// has a theap of it, and that was so a while ago, too.
#pragma once

namespace umemcg {

// Gives back what a few zombies hold that nobody needs, and releases those that
// hold nothing. Bounded; most calls are one load.
void bury_zombies();

// All of them, as far as they can be at once. For tests and trim.
void bury_all_zombies();

// mimalloc makes records of its own in the middle of an allocation, and they
// are charged to whichever group that was for: they are root's from now on.
// False if there were none. It looks at all pages of the process.
bool give_back_records();

// In the child of a fork: whoever was at it is not here.
void reset_zombies();

}  // namespace umemcg

// The stack of an account's slices with cached pages, linked through
// Slice::next.
//
// It is lock-free: pushing is one compare-and-swap on its head; a purge takes
// the whole stack by exchange, keeps the slices it needs and puts the rest back
// before it calls the system. A slice may have been committed again since it
// was pushed; whoever takes it from the stack finds that out in its word.
#pragma once

#include <cstdint>

#include "accounting/account.h"
#include "alloc/page_table.h"

namespace umemcg {

// A run of slices to push, linked through Slice::next.
class SliceChain {
 public:
  // Adds a slice whose word says `queued` already.
  void add(SliceNumber number, Slice& slice, uint32_t now_ms);
  // Pushes all on the account's stack.
  void push(Account& account);

 private:
  SliceNumber first_ = 0;
  Slice* last_ = nullptr;
};

// Slices that stay in the stack, linked in the order they had.
class KeptSlices {
 public:
  void keep(SliceNumber number, Slice& slice) {
    if (last_ == nullptr) {
      first_ = number + 1;
    } else {
      last_->next.store(number + 1, std::memory_order_relaxed);
    }
    last_ = &slice;
  }
  // The chain of what was kept and, behind it, of `rest`.
  uint32_t with_rest(uint32_t rest) {
    if (last_ == nullptr) return rest;
    last_->next.store(rest, std::memory_order_relaxed);
    return first_;
  }

 private:
  uint32_t first_ = 0;
  Slice* last_ = nullptr;
};

// Pushes a chain that ends at `last`.
void push_chain(Account& account, SliceNumber first, Slice& last);

// Takes the whole stack: the first slice's number + 1, 0 if it is empty.
uint32_t take_stack(Account& account);

// Puts a chain back whose end nobody knows: on top of nothing, so that it
// need not be walked; what was pushed meanwhile is put in front of it.
void put_back(Account& account, uint32_t chain);

}  // namespace umemcg

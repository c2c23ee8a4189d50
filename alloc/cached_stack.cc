#include "alloc/cached_stack.h"

namespace umemcg {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
}  // namespace

void SliceChain::add(SliceNumber number, Slice& slice, uint32_t now) {
  slice.cached_ms.store(now, kRelaxed);
  if (last_ == nullptr) {
    first_ = number;
  } else {
    last_->next.store(number + 1, kRelaxed);
  }
  last_ = &slice;
}

void SliceChain::push(Account& account) {
  if (last_ != nullptr) push_chain(account, first_, *last_);
}

void push_chain(Account& account, SliceNumber first, Slice& last) {
  uint32_t head = account.cached_head.load(kRelaxed);
  do {
    last.next.store(head, kRelaxed);
    // release: pairs with the acquire exchange in take_stack().
  } while (!account.cached_head.compare_exchange_weak(
      head, first + 1, std::memory_order_release, kRelaxed));
}

uint32_t take_stack(Account& account) {
  if (account.cached_head.load(kRelaxed) == 0) return 0;
  return account.cached_head.exchange(0, std::memory_order_acquire);
}

void put_back(Account& account, uint32_t chain) {
  uint32_t empty = 0;
  while (chain != 0 && !account.cached_head.compare_exchange_strong(
                           empty, chain, std::memory_order_release, kRelaxed)) {
    empty = 0;
    uint32_t pushed = take_stack(account);
    if (pushed == 0) continue;
    Slice* last = find_slice(pushed - 1);
    while (uint32_t next = last->next.load(kRelaxed)) {
      last = find_slice(next - 1);
    }
    last->next.store(chain, kRelaxed);
    chain = pushed;
  }
}

}  // namespace umemcg

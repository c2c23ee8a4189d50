#include "tests/unit/reclaim/heaps.h"

#include "alloc/callback.h"
#include "alloc/collect.h"
#include "alloc/heap.h"
#include "alloc/zombie.h"

namespace umemcg {

std::function<void()> g_on_collect;

void collect_thread() {
  if (g_on_collect) g_on_collect();
}

void ask_threads_to_collect(uint32_t, uint64_t) {}

bool give_back_records() { return false; }

// Charges go where the callback's group is, without a heap of it.
void begin_callback(Account& account, CallbackContext* saved) {
  saved->context = t_context;
  t_context.account = &account;
  t_context.flags = 0;
  t_context.reclaiming = true;
}

void end_callback(const CallbackContext& saved) {
  t_context.account = saved.context.account;
  t_context.flags = saved.context.flags;
  t_context.reclaiming = saved.context.reclaiming;
}

void abandon_callback(const CallbackContext& saved) {
  end_callback(saved);
  t_context.reclaiming = false;
}

}  // namespace umemcg

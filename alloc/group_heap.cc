#include "alloc/group_heap.h"

#include <cerrno>
#include <cstring>

#include "accounting/mem_cgroup.h"
#include "accounting/stat_line.h"
#include "alloc/account_heap.h"
#include "alloc/attention.h"
#include "alloc/fork.h"
#include "alloc/own_map.h"
#include "alloc/page_table.h"
#include "alloc/switch.h"
#include "alloc/thread_heaps.h"
#include "alloc/turn.h"
#include "base/errno_saver.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Where the thread's charges are to go. The scope's account is looked at by its
// generation: its group may be gone, and its place another's.
UMEMCG_FAST Account* target() {
  Account* active = t_context.active;
  if (UMEMCG_UNLIKELY(active != nullptr) &&
      active->generation.load(kRelaxed) == t_context.active_generation) {
    return active;
  }
  return thread_account();
}

UMEMCG_FAST Account* base_account() {
  return t_context.base != nullptr ? t_context.base : home_account();
}

// Turns to the target as far as the thread has its theap; again if a handler
// changed it meanwhile. False if it has not. Async-signal-safe.
UMEMCG_FAST bool try_turn() {
  for (;;) {
    Account* const to = target();
    if (to == nullptr) return true;
    if (to == base_account()) return true;
    if (UMEMCG_UNLIKELY(making_heap())) return false;
    TheapEntry* entry = find_theap(*to);
    if (UMEMCG_UNLIKELY(entry == nullptr)) return false;
    turn_to(to, *entry);
    order_for_handlers();
  }
}

// Its group was removed: into the nearest ancestor that is online.
int put_into_ancestor(Account* account) {
  if (!account->inherited.load(kRelaxed)) sync_account(*account);
  Account* now = current_of(account);
  const int error = put_thread_into(now);
  if (error != 0) return error;
  return now->group_id.load(kRelaxed) == account->group_id.load(kRelaxed)
             ? 0
             : ESTALE;
}

UMEMCG_COLD int put_into_slowly(Account* account) {
  ErrnoSaver saver;
  check_fork();
  sync_thread();
  if (account != nullptr && is_gone(*account)) {
    return put_into_ancestor(account);
  }
  return put_thread_into(account);
}

}  // namespace

bool turn() {
  while (!try_turn()) {
    if (making_heap() || need_theap(*target()) == nullptr) return false;
  }
  return true;
}

bool is_gone(const Account& account) {
  return account.inherited.load(kRelaxed) ||
         is_gone(account, *g_segment.group(account.group.load(kRelaxed)));
}

void turn_to_scope() { try_turn(); }

bool is_elsewhere() { return target() != base_account(); }

void name_thread_group() { name_group_of(t_context.tag); }

// Its theap is made even within a scope: the scope's end finds it there.
int put_thread_into(Account* account) {
  Account* const before = t_context.tag;
  Account* const to = account != nullptr ? account : process_account();
  if (to != base_account() && need_theap(*to) == nullptr) return ENOMEM;
  t_context.tag = account;
  order_for_handlers();
  if (!turn()) {
    t_context.tag = before;
    return ENOMEM;
  }
  name_group_of(account);
  return 0;
}

int set_thread_group(Account* account) {
  Account* const to = account != nullptr ? account : process_account();
  TheapEntry* entry = t_context.active == nullptr ? find_theap(*to) : nullptr;
  const bool done = entry != nullptr && switch_to(account, to, *entry);
  return UMEMCG_LIKELY(done) ? 0 : put_into_slowly(account);
}

Account* thread_group() { return t_context.tag; }

// A handler that comes in between finds no scope, and leaves none.
void store_active(Account* account) {
  t_context.active = nullptr;
  order_for_handlers();
  t_context.active_generation =
      account != nullptr ? account->generation.load(kRelaxed) : 0;
  order_for_handlers();
  t_context.active = account;
  order_for_handlers();
}

Account* begin_active(Account* account) {
  Account* const before = t_context.active;
  store_active(account);
  if (UMEMCG_UNLIKELY(!try_turn())) raise_attention();
  return before;
}

void end_active(Account* before) {
  store_active(before);
  if (UMEMCG_UNLIKELY(!try_turn())) raise_attention();
}

namespace {

// A call in the account's heap: what it commits is the account's.
class CallScope {
 public:
  explicit CallScope(Account& account)
      : outer_call_(t_heaps.call), outer_(t_context.account) {
    t_heaps.call = &account;
    t_context.account = &account;
  }
  ~CallScope() {
    t_heaps.call = outer_call_;
    t_context.account = outer_call_ != nullptr ? outer_ : t_context.base;
  }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  Account* const outer_call_;
  Account* const outer_;
};

UMEMCG_COLD Account* find_live_account(Account* account) {
  ErrnoSaver saver;
  if (!account->inherited.load(kRelaxed)) sync_account(*account);
  return current_of(account);
}

template <typename Allocate>
void* call_in(Account& account, Allocate allocate) {
  check_fork();
  check_attention();
  Account* to = &account;
  if (UMEMCG_UNLIKELY(is_gone(account))) to = find_live_account(to);
  TheapEntry* entry = need_theap(*to);
  if (UMEMCG_UNLIKELY(entry == nullptr)) {
    errno = ENOMEM;
    return nullptr;
  }
  void* block;
  {
    CallScope scope(*to);
    block = allocate(entry->theap);
  }
  settle_attention();
  return block;
}

UMEMCG_COLD void* too_large() {
  errno = ENOMEM;
  return nullptr;
}

constexpr size_t kOwnMapAlignment = 128 * kKiB;

}  // namespace

void* group_malloc(Account& account, size_t size) {
  return call_in(account, [size](mi_theap_t* theap) {
    return mi_theap_malloc(theap, size);
  });
}

void* group_calloc(Account& account, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return too_large();
  return call_in(account, [bytes](mi_theap_t* theap) {
    return mi_theap_zalloc(theap, bytes);
  });
}

void* group_realloc(Account& account, void* block, size_t size) {
  if (block == nullptr) return group_malloc(account, size);
  Account* const owner = owner_of(block);
  if (owner == nullptr || owner == &account) {
    return call_in(account, [block, size](mi_theap_t* theap) {
      return mi_theap_realloc(theap, block, size);
    });
  }
  // Another group's: it moves, even if it fits where it is.
  void* moved = group_malloc(account, size);
  if (moved == nullptr) return nullptr;
  const size_t before = mi_usable_size(block);
  std::memcpy(moved, block, before < size ? before : size);
  mi_free(block);
  return moved;
}

void* group_aligned_alloc(Account& account, size_t alignment, size_t size) {
  if (size > PTRDIFF_MAX) return too_large();
  auto allocate = [alignment, size](mi_theap_t* theap) {
    return mi_theap_malloc_aligned(theap, size, alignment);
  };
  if (alignment < kOwnMapAlignment) return call_in(account, allocate);
  OwnMapScope scope;
  return call_in(account, allocate);
}

Account* owner_of(const void* block) {
  const Slice* slice = find_slice_of(block);
  if (slice == nullptr) return nullptr;
  const SliceWord word = slice->load();
  const uintptr_t at = reinterpret_cast<uintptr_t>(block) % kSliceSize;
  const uint32_t page = 1u << (at >> kPageShift);
  const bool charged = ((word.used() | word.cached()) & page) != 0;
  return charged ? account_at(word.owner()) : nullptr;
}

}  // namespace umemcg

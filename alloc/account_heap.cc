#include "alloc/account_heap.h"

#include "alloc/cached.h"
#include "alloc/fork_gate.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "stock/current.h"

namespace umemcg {
namespace {

// One heap is made or deleted at a time. Below it mimalloc's own locks, chunk
// gates and extend_lock.
constinit Lock heap_lock;
constinit UMEMCG_TLS uint32_t t_making = 0;

mi_theap_t* main_theap() { return mi_heap_theap(mi_heap_main()); }

// mimalloc's records are root's, and lie in the main heap: the thread's table
// of theaps would otherwise be a live block of whatever group comes first, and
// keep its heap from ever being empty.
class MakingScope {
 public:
  MakingScope() : records_(records_account()), before_(mi_theap_get_default()) {
    ++t_making;
    mi_theap_set_default(main_theap());
  }
  ~MakingScope() {
    mi_theap_set_default(before_);
    --t_making;
  }
  MakingScope(const MakingScope&) = delete;
  MakingScope& operator=(const MakingScope&) = delete;

 private:
  ErrnoSaver errno_;
  ForkGateScope gate_;
  NoFailScope records_;
  mi_theap_t* const before_;
};

// The child of a fork has accounts that it inherited.
constinit std::atomic<bool> some_inherited{false};

// The heap of an inherited account of the same group, with the blocks that are
// in it.
mi_heap_t* take_inherited(const Account& account) {
  if (!some_inherited.load(std::memory_order_relaxed)) return nullptr;
  for (uint32_t id = 1; id <= account_count(); ++id) {
    Account& other = *account_at(id);
    if (other.inherited.load(std::memory_order_relaxed) &&
        other.group.load(std::memory_order_relaxed) ==
            account.group.load(std::memory_order_relaxed) &&
        other.group_id.load(std::memory_order_relaxed) ==
            account.group_id.load(std::memory_order_relaxed)) {
      void* heap = other.heap.exchange(nullptr, std::memory_order_relaxed);
      if (heap != nullptr) return static_cast<mi_heap_t*>(heap);
    }
  }
  return nullptr;
}

// REQUIRES: within a MakingScope.
mi_heap_t* ensure_heap(Account& account) {
  // Under the lock even if there is one: it may be about to be deleted, by
  // somebody who has not seen the caller's reference (delete_heap).
  LockGuard guard(heap_lock);
  mi_heap_t* heap = heap_of(account);
  if (heap != nullptr) return heap;
  heap = take_inherited(account);
  if (heap == nullptr) heap = mi_heap_new();
  // release: pairs with heap_of().
  account.heap.store(heap, std::memory_order_release);
  return heap;
}

// A theap, or the dummy that stands for "no memory": mi_theap_set_default
// ignores it (tests/mimalloc_contract).
bool is_real(mi_theap_t* theap) {
  if (theap == nullptr) return false;
  mi_theap_t* const before = mi_theap_set_default(theap);
  const bool real = mi_theap_get_default() == theap;
  mi_theap_set_default(before);
  return real;
}

// Its first block: the records of the range come with it, and the page goes
// back to the system.
bool prime(mi_theap_t* theap) {
  void* block = mi_theap_malloc(theap, 1);
  if (block == nullptr) return false;
  mi_free(block);
  mi_theap_collect(theap, true);
  return true;
}

mi_theap_t* make_in_scope(Account& account) {
  MakingScope scope;
  mi_heap_t* heap = ensure_heap(account);
  if (heap == nullptr) return nullptr;
  mi_theap_t* theap = mi_heap_theap(heap);
  if (!is_real(theap)) return nullptr;
  if (heap != mi_heap_main() && !prime(theap)) {
    mi_theap_delete(theap);
    return nullptr;
  }
  return theap;
}

// Whether no page is in it. Pages that are charged to others count: a handler
// may have changed the group in the middle of an allocation, and a child's
// inherited blocks are nobody's.
bool is_empty(mi_heap_t* heap) {
  if (heap == mi_heap_main()) return true;
  auto stop = [](const mi_heap_t*, const mi_heap_area_t*, void*, size_t,
                 void*) { return false; };
  return mi_heap_visit_blocks(heap, false, stop, nullptr);
}

}  // namespace

mi_theap_t* make_theap(Account& account) {
  mi_theap_t* theap = make_in_scope(account);
  ErrnoSaver saver;
  // What priming left cached is root's: nobody else's first pages.
  purge_cached(*records_account(), INT64_MAX, PurgeReason::kTrim);
  return theap;
}

void delete_theap(mi_theap_t* theap) {
  MakingScope scope;
  if (theap != main_theap()) mi_theap_delete(theap);
}

bool making_heap() { return t_making != 0; }

mi_heap_t* heap_of(const Account& account) {
  // acquire: pairs with ensure_heap().
  return static_cast<mi_heap_t*>(account.heap.load(std::memory_order_acquire));
}

bool delete_heap(Account& account) {
  MakingScope scope;
  if (!heap_lock.try_lock()) return false;
  mi_heap_t* heap = heap_of(account);
  // A thread that came late has a reference, and a theap.
  const bool unused = heap_users(account) == 0;
  const bool deleted = heap == nullptr || (unused && is_empty(heap));
  if (heap != nullptr && deleted) {
    account.heap.store(nullptr, std::memory_order_relaxed);
    if (heap != mi_heap_main()) mi_heap_delete(heap);
  }
  heap_lock.unlock();
  return deleted;
}

void take_inherited_heap(Account& account) {
  some_inherited.store(true, std::memory_order_relaxed);
  if (heap_of(account) != nullptr) return;
  account.heap.store(take_inherited(account), std::memory_order_release);
}

void give_main_heap(Account& account) {
  account.heap.store(mi_heap_main(), std::memory_order_release);
}

void reset_heap_lock() { heap_lock.reset(); }

}  // namespace umemcg

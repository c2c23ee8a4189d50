#include "shim/stub/table.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cstring>

#include "base/errno_saver.h"

// shim/new_link/load_library.h, where that is linked too; else null, and only a
// library that is there already is used.
extern "C" const umemcg::ApiTable* umemcg_load_library() __attribute__((weak));

namespace umemcg::stub {

constinit std::atomic<const ApiTable*> g_table{nullptr};

namespace {

// Recursive: what looks for the library may call operator new.
constinit pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
constinit bool deciding = false;
constinit ApiTable merged{};

const ApiTable* find_library() {
  void* found = ::dlsym(RTLD_DEFAULT, "umemcg_api_v1");
  if (found != nullptr) return static_cast<const ApiTable*>(found);
  return umemcg_load_library != nullptr ? umemcg_load_library() : nullptr;
}

// An older library has fewer functions: the fallbacks for the others.
const ApiTable* complete(const ApiTable* theirs) {
  if (theirs == nullptr) return &kFallbacks;
  if (theirs->size >= sizeof(ApiTable)) return theirs;
  merged = kFallbacks;
  std::memcpy(&merged, theirs, theirs->size);
  return &merged;
}

const ApiTable* choose() {
  // Asked in the middle of looking: what is allocated now is the C library's,
  // and so is all that follows.
  if (deciding) return &kFallbacks;
  deciding = true;
  const ApiTable* found = find_library();
  const ApiTable* chosen = g_table.load(std::memory_order_relaxed);
  return chosen != nullptr ? chosen : complete(found);
}

}  // namespace

const ApiTable* decide_table() {
  ErrnoSaver saver;
  ::pthread_mutex_lock(&lock);
  const ApiTable* chosen = g_table.load(std::memory_order_relaxed);
  if (chosen == nullptr) {
    chosen = choose();
    // release: pairs with table().
    g_table.store(chosen, std::memory_order_release);
  }
  ::pthread_mutex_unlock(&lock);
  return chosen;
}

namespace {

// So that the first call may come from a signal handler.
__attribute__((constructor)) void on_start() { table(); }

}  // namespace
}  // namespace umemcg::stub

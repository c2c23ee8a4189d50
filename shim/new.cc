// operator new and delete. The fast path is ours; what happens on failure
// (new_handler, bad_alloc) is the business of the C++ library that the caller
// uses: that library's own operator new is found and called. So a C program
// does not get a C++ library, and a plugin catches its own bad_alloc, be it
// loaded RTLD_LOCAL or linked with a static libstdc++.

#include <dlfcn.h>
#include <cstdlib>
#include <new>

#include "alloc/mimalloc_calls.h"
#include "base/attributes.h"
#include "base/text.h"
#include "shim/malloc_calls.h"
#include "shim/real.h"
#include "stock/current.h"

// The body of an operator new. The caller is looked at only after a failure.
#define UMEMCG_NEW(allocate, ...)        \
  void* block = allocate;                \
  return UMEMCG_LIKELY(block != nullptr) \
             ? block                     \
             : umemcg::new_failed(__builtin_return_address(0), __VA_ARGS__)

namespace umemcg {
namespace {

constexpr const char* kLibraries[] = {"libstdc++.so.6", "libc++.so.1",
                                      "libc++abi.so.1"};

// The definition that `library` sees, unless it is ours. It stays loaded by
// those who have loaded it.
void* find_in(const char* library, const char* symbol) {
  void* handle = ::dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return nullptr;
  void* found = ::dlsym(handle, symbol);
  ::dlclose(handle);
  return object_of(found) != object_of(&kLibraries) ? found : nullptr;
}

// What the caller would have called without us. (The program itself has no
// name; it would have taken the next definition after ours.)
void* find_new(const char* symbol, const void* caller) {
  const link_map* object = object_of(caller);
  void* found = nullptr;
  if (object != nullptr && object->l_name[0] != '\0') {
    found = find_in(object->l_name, symbol);
  }
  if (found == nullptr) found = ::dlsym(RTLD_NEXT, symbol);
  for (const char* library : kLibraries) {
    if (found == nullptr) found = find_in(library, symbol);
  }
  return found;
}

// Null if there is none. Looking it up may allocate, and this thread has just
// been refused.
template <typename Function>
Function library_new(const char* symbol, const void* caller) {
  NoFailScope scope(current_account());
  return reinterpret_cast<Function>(find_new(symbol, caller));
}

[[noreturn]] void cannot_throw() {
  Line line;
  print_line(
      line.text("operator new failed, and no C++ library is loaded "
                "that could throw std::bad_alloc"));
  std::abort();
}

using Align = std::align_val_t;
using Nothrow = const std::nothrow_t&;

UMEMCG_COLD void* new_failed(const void* caller, size_t size) {
  using Function = void* (*)(size_t);
  auto library = library_new<Function>("_Znwm", caller);
  if (library == nullptr) cannot_throw();
  return library(size);
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Align alignment) {
  using Function = void* (*)(size_t, Align);
  auto library = library_new<Function>("_ZnwmSt11align_val_t", caller);
  if (library == nullptr) cannot_throw();
  return library(size, alignment);
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Nothrow nothrow) {
  using Function = void* (*)(size_t, Nothrow);
  auto library = library_new<Function>("_ZnwmRKSt9nothrow_t", caller);
  return library != nullptr ? library(size, nothrow) : nullptr;
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Align alignment,
                             Nothrow nothrow) {
  using Function = void* (*)(size_t, Align, Nothrow);
  auto library =
      library_new<Function>("_ZnwmSt11align_val_tRKSt9nothrow_t", caller);
  return library != nullptr ? library(size, alignment, nothrow) : nullptr;
}

UMEMCG_FAST void* plain(size_t size) {
  return g_malloc_calls.malloc_call(size);
}
UMEMCG_FAST void* aligned(size_t size, Align alignment) {
  return aligned_malloc(static_cast<size_t>(alignment), size);
}

}  // namespace
}  // namespace umemcg

using std::align_val_t;
using std::nothrow_t;
using umemcg::aligned;
using umemcg::plain;

UMEMCG_EXPORT void* operator new(size_t n) { UMEMCG_NEW(plain(n), n); }
UMEMCG_EXPORT void* operator new[](size_t n) { UMEMCG_NEW(plain(n), n); }
UMEMCG_EXPORT void* operator new(size_t n, const nothrow_t& t) noexcept {
  UMEMCG_NEW(plain(n), n, t);
}
UMEMCG_EXPORT void* operator new[](size_t n, const nothrow_t& t) noexcept {
  UMEMCG_NEW(plain(n), n, t);
}
UMEMCG_EXPORT void* operator new(size_t n, align_val_t a) {
  UMEMCG_NEW(aligned(n, a), n, a);
}
UMEMCG_EXPORT void* operator new[](size_t n, align_val_t a) {
  UMEMCG_NEW(aligned(n, a), n, a);
}
UMEMCG_EXPORT void* operator new(size_t n, align_val_t a,
                                 const nothrow_t& t) noexcept {
  UMEMCG_NEW(aligned(n, a), n, a, t);
}
UMEMCG_EXPORT void* operator new[](size_t n, align_val_t a,
                                   const nothrow_t& t) noexcept {
  UMEMCG_NEW(aligned(n, a), n, a, t);
}

UMEMCG_EXPORT void operator delete(void* p) noexcept { mi_free(p); }
UMEMCG_EXPORT void operator delete[](void* p) noexcept { mi_free(p); }
UMEMCG_EXPORT void operator delete(void* p, size_t) noexcept { mi_free(p); }
UMEMCG_EXPORT void operator delete[](void* p, size_t) noexcept { mi_free(p); }
UMEMCG_EXPORT void operator delete(void* p, const nothrow_t&) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete[](void* p, const nothrow_t&) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete(void* p, align_val_t) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete[](void* p, align_val_t) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete(void* p, size_t, align_val_t) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete[](void* p, size_t, align_val_t) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete(void* p, align_val_t,
                                   const nothrow_t&) noexcept {
  mi_free(p);
}
UMEMCG_EXPORT void operator delete[](void* p, align_val_t,
                                     const nothrow_t&) noexcept {
  mi_free(p);
}

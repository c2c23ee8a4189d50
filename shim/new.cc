// operator new and delete. The fast path is ours; what happens on failure
// (new_handler, bad_alloc) is the host's C++ library's: its own operator new is
// found if one is loaded, wherever, and called. So a C program does not get a
// C++ library, and a plugin loaded RTLD_LOCAL catches its own bad_alloc.

#include <dlfcn.h>
#include <mimalloc.h>

#include <cstdlib>
#include <new>

#include "base/attributes.h"
#include "base/text.h"
#include "shim/malloc_calls.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr const char* kLibraries[] = {"libstdc++.so.6", "libc++.so.1",
                                      "libc++abi.so.1"};

// Looking it up may allocate, and this thread has just been refused.
void* find_new(const char* symbol) {
  NoFailScope scope(current_account());
  for (const char* name : kLibraries) {
    void* library = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    void* found = library != nullptr ? ::dlsym(library, symbol) : nullptr;
    if (found != nullptr) return found;
  }
  return nullptr;
}

template <typename Function>
Function library_new(const char* symbol) {
  void* found = find_new(symbol);
  if (found == nullptr) {
    Line line;
    print_line(line.text("operator new failed, and no C++ library is loaded "
                         "that could throw std::bad_alloc"));
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

using Align = std::align_val_t;
using Nothrow = const std::nothrow_t&;

UMEMCG_COLD void* new_failed(size_t size) {
  return library_new<void* (*)(size_t)>("_Znwm")(size);
}
UMEMCG_COLD void* new_failed(size_t size, Align alignment) {
  return library_new<void* (*)(size_t, Align)>("_ZnwmSt11align_val_t")(
      size, alignment);
}
UMEMCG_COLD void* new_failed(size_t size, Nothrow nothrow) {
  return library_new<void* (*)(size_t, Nothrow)>("_ZnwmRKSt9nothrow_t")(
      size, nothrow);
}
UMEMCG_COLD void* new_failed(size_t size, Align alignment, Nothrow nothrow) {
  using Function = void* (*)(size_t, Align, Nothrow);
  return library_new<Function>("_ZnwmSt11align_val_tRKSt9nothrow_t")(
      size, alignment, nothrow);
}

template <typename... How>
UMEMCG_FAST void* make(size_t size, How&&... how) {
  void* block = g_malloc_calls.malloc_call(size);
  return UMEMCG_LIKELY(block != nullptr) ? block : new_failed(size, how...);
}
template <typename... How>
UMEMCG_FAST void* make_aligned(size_t size, Align alignment, How&&... how) {
  void* block = aligned_malloc(static_cast<size_t>(alignment), size);
  return UMEMCG_LIKELY(block != nullptr)
             ? block
             : new_failed(size, alignment, how...);
}

}  // namespace
}  // namespace umemcg

using umemcg::make;
using umemcg::make_aligned;
using std::align_val_t;
using std::nothrow_t;

UMEMCG_EXPORT void* operator new(size_t n) { return make(n); }
UMEMCG_EXPORT void* operator new[](size_t n) { return make(n); }
UMEMCG_EXPORT void* operator new(size_t n, const nothrow_t& t) noexcept {
  return make(n, t);
}
UMEMCG_EXPORT void* operator new[](size_t n, const nothrow_t& t) noexcept {
  return make(n, t);
}
UMEMCG_EXPORT void* operator new(size_t n, align_val_t a) {
  return make_aligned(n, a);
}
UMEMCG_EXPORT void* operator new[](size_t n, align_val_t a) {
  return make_aligned(n, a);
}
UMEMCG_EXPORT void* operator new(size_t n, align_val_t a,
                                 const nothrow_t& t) noexcept {
  return make_aligned(n, a, t);
}
UMEMCG_EXPORT void* operator new[](size_t n, align_val_t a,
                                   const nothrow_t& t) noexcept {
  return make_aligned(n, a, t);
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

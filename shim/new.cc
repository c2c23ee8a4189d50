// operator new and delete. The fast path is ours; what happens on failure
// (new_handler, bad_alloc) is the business of the C++ library that the caller
// uses: that library's functions are found and called. So a C program does not
// get a C++ library, and a plugin catches its own bad_alloc, be it loaded
// RTLD_LOCAL or linked with a static libstdc++.
//
// A new_handler is called by that library's operator new, which tries once more
// before it does. Without one there is nothing to try again: the failure has
// waited, called back and been counted, and all of it would come twice.

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
void* find(const char* symbol, const void* caller) {
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

// What there is of the caller's C++ library.
template <typename Function>
struct Library {
  // Looking it up may allocate, and this thread has just been refused.
  Library(const char* symbol, const void* caller) {
    NoFailScope scope(current_account());
    void* own = find(symbol, caller);
    allocate = reinterpret_cast<Function>(own);
    handler = reinterpret_cast<std::new_handler (*)()>(
        find_with(own, "_ZSt15get_new_handlerv", caller));
    raise = reinterpret_cast<void (*)()>(
        find_with(own, "_ZSt17__throw_bad_allocv", caller));
  }

  bool has_no_handler() const {
    return handler != nullptr && handler() == nullptr;
  }

  Function allocate;              // its operator new; null: there is none
  std::new_handler (*handler)();  // std::get_new_handler
  void (*raise)();                // std::__throw_bad_alloc

 private:
  // Null if it is another library's.
  static void* find_with(const void* own, const char* symbol,
                         const void* caller) {
    void* found = own != nullptr ? find(symbol, caller) : nullptr;
    return found != nullptr && object_of(found) == object_of(own) ? found
                                                                  : nullptr;
  }
};

[[noreturn]] void cannot_throw() {
  Line line;
  print_line(
      line.text("operator new failed, and no C++ library is loaded "
                "that could throw std::bad_alloc"));
  std::abort();
}

using Align = std::align_val_t;
using Nothrow = const std::nothrow_t&;

// The arguments are those of its operator new.
template <typename... Args>
void* fail(const char* symbol, const void* caller, Args... args) {
  const Library<void* (*)(Args...)> library(symbol, caller);
  if (library.allocate == nullptr) cannot_throw();
  if (library.raise != nullptr && library.has_no_handler()) library.raise();
  return library.allocate(args...);
}
template <typename... Args>
void* fail_quietly(const char* symbol, const void* caller, Nothrow nothrow,
                   Args... args) {
  const Library<void* (*)(Args..., Nothrow)> library(symbol, caller);
  if (library.allocate == nullptr || library.has_no_handler()) return nullptr;
  return library.allocate(args..., nothrow);
}

UMEMCG_COLD void* new_failed(const void* caller, size_t size) {
  return fail("_Znwm", caller, size);
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Align alignment) {
  return fail("_ZnwmSt11align_val_t", caller, size, alignment);
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Nothrow nothrow) {
  return fail_quietly("_ZnwmRKSt9nothrow_t", caller, nothrow, size);
}
UMEMCG_COLD void* new_failed(const void* caller, size_t size, Align alignment,
                             Nothrow nothrow) {
  return fail_quietly("_ZnwmSt11align_val_tRKSt9nothrow_t", caller, nothrow,
                      size, alignment);
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

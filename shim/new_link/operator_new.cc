// operator new and delete at link time, and nothing else: the program's malloc
// stays the C library's. Each is one look at the table (shim/stub/table.h) and
// a jump into umemcg's allocator.
//
// All replaceable forms are here, in one object: whoever uses one has them all.

#include <cstddef>
#include <new>

#include "base/attributes.h"
#include "shim/new_link/load_library.h"
#include "shim/stub/table.h"

namespace {

using umemcg::stub::table;

// Whoever links this links the loader, which the table knows by a weak name.
[[gnu::used]] constexpr auto* kLoader = &umemcg_load_library;

struct Plain {
  void* operator()() const { return table().allocate(size); }
  std::size_t size;
};

struct Aligned {
  void* operator()() const {
    return table().allocate_aligned(static_cast<std::size_t>(alignment), size);
  }
  std::size_t size;
  std::align_val_t alignment;
};

// What the standard says of a failure: the new_handler makes room, throws or
// ends the program; without one it is bad_alloc.
template <typename Allocate>
UMEMCG_COLD void* retry_with_handler(Allocate allocate) {
  for (;;) {
    std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
    void* block = allocate();
    if (block != nullptr) return block;
  }
}

template <typename Allocate>
UMEMCG_FAST void* throwing(Allocate allocate) {
  void* block = allocate();
  return UMEMCG_LIKELY(block != nullptr) ? block : retry_with_handler(allocate);
}

template <typename Allocate>
UMEMCG_FAST void* not_throwing(Allocate allocate) noexcept {
  void* block = allocate();
  if (UMEMCG_LIKELY(block != nullptr)) return block;
  try {
    return retry_with_handler(allocate);
  } catch (...) {
    return nullptr;
  }
}

void release(void* block) { table().release(block); }

}  // namespace

using std::align_val_t;
using std::nothrow_t;
using std::size_t;

void* operator new(size_t n) { return throwing(Plain{n}); }
void* operator new[](size_t n) { return throwing(Plain{n}); }
void* operator new(size_t n, const nothrow_t&) noexcept {
  return not_throwing(Plain{n});
}
void* operator new[](size_t n, const nothrow_t&) noexcept {
  return not_throwing(Plain{n});
}
void* operator new(size_t n, align_val_t a) { return throwing(Aligned{n, a}); }
void* operator new[](size_t n, align_val_t a) {
  return throwing(Aligned{n, a});
}
void* operator new(size_t n, align_val_t a, const nothrow_t&) noexcept {
  return not_throwing(Aligned{n, a});
}
void* operator new[](size_t n, align_val_t a, const nothrow_t&) noexcept {
  return not_throwing(Aligned{n, a});
}

void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }
void operator delete(void* p, const nothrow_t&) noexcept { release(p); }
void operator delete[](void* p, const nothrow_t&) noexcept { release(p); }
void operator delete(void* p, align_val_t) noexcept { release(p); }
void operator delete[](void* p, align_val_t) noexcept { release(p); }
void operator delete(void* p, size_t, align_val_t) noexcept { release(p); }
void operator delete[](void* p, size_t, align_val_t) noexcept { release(p); }
void operator delete(void* p, align_val_t, const nothrow_t&) noexcept {
  release(p);
}
void operator delete[](void* p, align_val_t, const nothrow_t&) noexcept {
  release(p);
}

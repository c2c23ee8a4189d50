#include "bench/workload/identify.h"

#include <dlfcn.h>

namespace umemcg {
namespace {

// The shared object that a symbol is found in; base is nullptr if in none.
struct Object {
  const void* base;
  const char* file;
};

Object OwnerOf(const char* symbol) {
  Dl_info info;
  void* address = dlsym(RTLD_DEFAULT, symbol);
  if (address == nullptr || dladdr(address, &info) == 0) {
    return {nullptr, nullptr};
  }
  return {info.dli_fbase, info.dli_fname};
}

// A symbol that only this allocator has, in the object that has its malloc.
struct Mark {
  const char* allocator;
  const char* symbol;
};

constexpr Mark kMarks[] = {
    {"mimalloc", "mi_version"},
    {"jemalloc", "mallctl"},
    {"tcmalloc", "MallocExtension_GetNumericProperty"},
    {"tcmalloc", "tc_version"},
    {"glibc", "gnu_get_libc_version"},
};

// libumemcg.so may hand out mimalloc's own malloc (as an auxiliary filter), so
// with it loaded, mimalloc's malloc is umemcg's too.
bool IsUmemcg(Object malloc_owner, Object mimalloc) {
  const Object umemcg = OwnerOf("umemcg_get");
  return umemcg.base != nullptr && (malloc_owner.base == umemcg.base ||
                                    malloc_owner.base == mimalloc.base);
}

const char* NameOf(Object malloc_owner, Object mimalloc) {
  if (IsUmemcg(malloc_owner, mimalloc)) {
    return "umemcg";
  }
  for (const Mark& mark : kMarks) {
    if (OwnerOf(mark.symbol).base == malloc_owner.base) {
      return mark.allocator;
    }
  }
  return "unknown";
}

}  // namespace

Identity Identify() {
  const Object malloc_owner = OwnerOf("malloc");
  const Object mimalloc = OwnerOf("mi_version");
  return {NameOf(malloc_owner, mimalloc), malloc_owner.file, mimalloc.file};
}

}  // namespace umemcg

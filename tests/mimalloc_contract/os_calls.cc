#include "tests/mimalloc_contract/os_calls.h"

#include <dlfcn.h>
#include <mimalloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace umemcg {
namespace {

constinit std::atomic<MmapFunction> mimalloc_mmap{nullptr};
constinit std::atomic<MprotectFunction> mimalloc_mprotect{nullptr};

constexpr size_t kPageMapStep = 64 * 1024;
constexpr size_t kBlockAlignment = 256 * 1024 * 1024;

uintptr_t ToInteger(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

void* ToPointer(long value) { return reinterpret_cast<void*>(value); }

}  // namespace

void SetMimallocMmap(MmapFunction function) {
  mimalloc_mmap.store(function, std::memory_order_relaxed);
}

void SetMimallocMprotect(MprotectFunction function) {
  mimalloc_mprotect.store(function, std::memory_order_relaxed);
}

void* RawMmap(void* address, size_t size, int prot, int flags) {
  return ToPointer(syscall(SYS_mmap, address, size, prot, flags, -1, 0));
}

int RawMunmap(void* address, size_t size) {
  return static_cast<int>(syscall(SYS_munmap, address, size));
}

int RawMprotect(void* address, size_t size, int prot) {
  return static_cast<int>(syscall(SYS_mprotect, address, size, prot));
}

bool IsInMimalloc(uintptr_t address) {
  dl_find_object where;
  dl_find_object mimalloc;
  return _dl_find_object(reinterpret_cast<void*>(address), &where) == 0 &&
         _dl_find_object(reinterpret_cast<void*>(&mi_version), &mimalloc) ==
             0 &&
         where.dlfo_link_map == mimalloc.dlfo_link_map;
}

void* ReserveAligned(size_t size, size_t alignment, int prot) {
  void* const memory = RawMmap(nullptr, size + alignment, prot,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  if (memory == MAP_FAILED) {
    return nullptr;
  }
  const uintptr_t begin = ToInteger(memory);
  const uintptr_t aligned = (begin + alignment - 1) / alignment * alignment;
  if (aligned > begin) {
    RawMunmap(memory, aligned - begin);
  }
  if (begin + alignment > aligned) {
    RawMunmap(reinterpret_cast<void*>(aligned + size),
              begin + alignment - aligned);
  }
  return reinterpret_cast<void*>(aligned);
}

void* MmapAligned256MiB(void*, size_t size, int, int) {
  void* const memory =
      ReserveAligned(size, kBlockAlignment, PROT_READ | PROT_WRITE);
  return memory != nullptr ? memory : MAP_FAILED;
}

void* MmapAligned64KiB(void*, size_t size, int, int) {
  void* const memory = ReserveAligned(size + kPageMapStep, kBlockAlignment,
                                      PROT_READ | PROT_WRITE);
  return memory != nullptr ? static_cast<char*>(memory) + kPageMapStep
                           : MAP_FAILED;
}

void* MmapRefuse(void*, size_t, int, int) {
  errno = ENOMEM;
  return MAP_FAILED;
}

void* MmapRefuseBlocks(void* address, size_t size, int prot, int flags) {
  const bool page_map = size == kPageMapStep && prot != PROT_NONE;
  return page_map ? RawMmap(address, size, prot, flags)
                  : MmapRefuse(address, size, prot, flags);
}

int MprotectRefuse(void*, size_t, int) {
  errno = ENOMEM;
  return -1;
}

int MprotectNothing(void*, size_t, int) { return 0; }

}  // namespace umemcg

// The return address is taken here, in the exported function itself.

extern "C" {

void* mmap(void* address, size_t size, int prot, int flags, int fd,
           off_t offset) noexcept {
  using namespace umemcg;
  const uintptr_t from = ToInteger(__builtin_return_address(0));
  const MmapFunction answer = mimalloc_mmap.load(std::memory_order_relaxed);
  void* const result = answer != nullptr && fd == -1 && IsInMimalloc(from)
                           ? answer(address, size, prot, flags)
                           : ToPointer(syscall(SYS_mmap, address, size, prot,
                                               flags, fd, offset));
  Log({.kind = EventKind::kMmap,
       .ok = result != MAP_FAILED,
       .value = prot,
       .flags = flags,
       .from = from,
       .hint = ToInteger(address),
       .start = ToInteger(result),
       .size = size});
  return result;
}

int munmap(void* address, size_t size) noexcept {
  using namespace umemcg;
  const uintptr_t from = ToInteger(__builtin_return_address(0));
  const int result = RawMunmap(address, size);
  Log({.kind = EventKind::kMunmap,
       .ok = result == 0,
       .from = from,
       .start = ToInteger(address),
       .size = size});
  return result;
}

int mprotect(void* address, size_t size, int prot) noexcept {
  using namespace umemcg;
  const uintptr_t from = ToInteger(__builtin_return_address(0));
  const MprotectFunction answer =
      mimalloc_mprotect.load(std::memory_order_relaxed);
  const int result = answer != nullptr && IsInMimalloc(from)
                         ? answer(address, size, prot)
                         : RawMprotect(address, size, prot);
  Log({.kind = EventKind::kMprotect,
       .ok = result == 0,
       .value = prot,
       .from = from,
       .start = ToInteger(address),
       .size = size});
  return result;
}

int madvise(void* address, size_t size, int advice) noexcept {
  using namespace umemcg;
  const uintptr_t from = ToInteger(__builtin_return_address(0));
  const int result =
      static_cast<int>(syscall(SYS_madvise, address, size, advice));
  Log({.kind = EventKind::kMadvise,
       .ok = result == 0,
       .value = advice,
       .from = from,
       .start = ToInteger(address),
       .size = size});
  return result;
}

}  // extern "C"

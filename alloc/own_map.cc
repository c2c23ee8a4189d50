#include "alloc/own_map.h"

#include <dlfcn.h>
#include <mimalloc.h>
#include <sys/mman.h>

#include <cerrno>

#include "accounting/stat_line.h"
#include "alloc/commit.h"
#include "alloc/fork.h"
#include "alloc/options.h"
#include "alloc/own_map_state.h"
#include "alloc/page_table.h"
#include "alloc/range.h"
#include "base/sys.h"
#include "base/units.h"
#include "stock/charge.h"
#include "stock/current.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// One leaf of mimalloc's page map: the only mapping of exactly this size, see
// tests/mimalloc_contract.
constexpr size_t kPageMapLeaf = 64 * kKiB;
// What mimalloc wants of a block's mapping, and what its hints are.
constexpr size_t kBlockAlignment = 256 * kMiB;

constinit std::atomic<uintptr_t> text_low{0};
constinit std::atomic<uintptr_t> text_high{0};
constinit std::atomic<bool> accounted{false};
constinit std::atomic<int64_t> early_pages{0};

// _dl_find_object takes no lock and allocates nothing.
void find_text() {
  dl_find_object found;
  if (_dl_find_object(reinterpret_cast<void*>(&mi_malloc), &found) != 0) return;
  text_low.store(reinterpret_cast<uintptr_t>(found.dlfo_map_start), kRelaxed);
  // release: pairs with in_allocator(), which looks at this word first.
  text_high.store(reinterpret_cast<uintptr_t>(found.dlfo_map_end),
                  std::memory_order_release);
}

int fail(int error) {
  errno = error;
  return -1;
}

// mimalloc may do without what is refused, and then its malloc succeeds: errno
// stays as it was, but for 0, which would tell mimalloc of success. (If it does
// fail, the error callback says ENOMEM.)
void refuse_for_now() {
  if (errno == 0) errno = ENOMEM;
}

void* plain_mmap(void* hint, size_t size, int protection, int flags, int fd,
                 long offset) {
  int error = 0;
  void* at = sys::memory.map(hint, size, protection, flags, fd, offset, &error);
  if (at != nullptr) return at;
  errno = error;
  return MAP_FAILED;
}

// mimalloc's own records: charged to the root group, never refused.
void charge_records(size_t size) {
  const auto pages = static_cast<int64_t>(bytes_to_pages_up(size));
  Account* account = records_account();
  if (account == nullptr) {
    early_pages.fetch_add(pages, kRelaxed);
    return;
  }
  account_charge(*account, pages);
  count_stat(*account, Stat::kUsed, pages);
}

// Memory aligned as mimalloc wants it (256 MiB), or it would map again and cut
// off the ends. Its own hint is aligned so, and mostly free.
uintptr_t map_aligned_block(void* hint, size_t size, int flags, int* error) {
  void* base =
      sys::memory.map(hint, size, PROT_READ | PROT_WRITE, flags, -1, 0, error);
  if (base == nullptr) return 0;
  uintptr_t low = reinterpret_cast<uintptr_t>(base);
  if (low % kBlockAlignment == 0) return low;
  sys::unmap(base, size);
  base = sys::memory.map(nullptr, size + kBlockAlignment,
                         PROT_READ | PROT_WRITE, flags, -1, 0, error);
  if (base == nullptr) return 0;
  low = reinterpret_cast<uintptr_t>(base);
  uintptr_t start = round_up(low, kBlockAlignment);
  if (start > low) sys::unmap(base, start - low);
  uintptr_t end = low + size + kBlockAlignment;
  sys::unmap(reinterpret_cast<void*>(start + size), end - start - size);
  return start;
}

// Mapped first, since the charge is written to the page table of the address.
void* map_block(void* hint, size_t size, int flags) {
  int error = 0;
  size = round_up(size, kPageSize);
  uintptr_t start = map_aligned_block(hint, size, flags, &error);
  if (start == 0) {
    errno = error;
    return MAP_FAILED;
  }
  void* block = reinterpret_cast<void*>(start);
  sys::advise(block, size, MADV_NOHUGEPAGE);
  if (!map_page_table(start, size) || !commit_pages(start, size, nullptr)) {
    sys::unmap(block, size);
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return block;
}

// Whether a range could serve what is asked for. If so it is noted, and
// mimalloc gets no mapping until its callback has seen to it: the next thing
// that it asks for is the same size and 256 MiB more, to cut an aligned piece
// out of.
bool must_wait_for_range(size_t size) {
  if (t_own_map.refused != 0) return true;
  if (size >= kRangeObjectMax || t_own_map.aligned || ranges_exhausted()) {
    return false;
  }
  t_own_map.refused = size;
  t_own_map.refused_errno = errno;
  return true;
}

}  // namespace

bool in_allocator(const void* return_address) {
  uintptr_t high = text_high.load(std::memory_order_acquire);
  if (UMEMCG_UNLIKELY(high == 0)) {
    find_text();
    high = text_high.load(kRelaxed);
  }
  uintptr_t address = reinterpret_cast<uintptr_t>(return_address);
  return address < high && address >= text_low.load(kRelaxed);
}

void account_own_maps() {
  int64_t pages = early_pages.exchange(0, kRelaxed);
  // release: pairs with allocator_mmap().
  accounted.store(true, std::memory_order_release);
  if (pages > 0) charge_records(static_cast<size_t>(pages) * kPageSize);
}

void forget_own_maps() { accounted.store(false, kRelaxed); }

void* allocator_mmap(void* hint, size_t size, int protection, int flags, int fd,
                     long offset) {
  check_fork();
  const bool ready = accounted.load(std::memory_order_acquire);
  if (!ready) forbid_startup_arenas();
  if (!ready || size == kPageMapLeaf || fd >= 0) {
    if ((protection & PROT_WRITE) != 0) charge_records(size);
    return plain_mmap(hint, size, protection, flags, fd, offset);
  }
  if (t_charge_record.armed || must_wait_for_range(size)) {
    refuse_for_now();
    return MAP_FAILED;
  }
  return map_block(hint, size, flags);
}

int allocator_munmap(void* address, size_t size) {
  check_fork();
  if (find_slice_of(address) != nullptr) {
    release_pages(reinterpret_cast<uintptr_t>(address), size);
  }
  int error = sys::unmap(address, size);
  return error == 0 ? 0 : fail(error);
}

int allocator_mprotect(void* address, size_t size, int protection) {
  check_fork();
  const bool write = (protection & PROT_WRITE) != 0;
  if (in_range(address)) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(address);
    if (!write) {
      decommit_pages(start, size);
      return 0;
    }
    if (commit_pages(start, size, nullptr)) return 0;
    refuse_for_now();
    return -1;
  }
  // A block of its own is accessible and charged whole already.
  Slice* slice = find_slice_of(address);
  if (slice != nullptr && slice->load().used() != 0) return 0;
  int error = sys::protect(address, size, protection);
  if (error != 0) return fail(error);
  if (write) charge_records(size);
  return 0;
}

OwnMapScope::OwnMapScope() : outer_(t_own_map.aligned) {
  t_own_map.aligned = true;
}
OwnMapScope::~OwnMapScope() { t_own_map.aligned = outer_; }

size_t take_refused_map() {
  size_t size = t_own_map.refused;
  if (size != 0) errno = t_own_map.refused_errno;
  t_own_map.refused = 0;
  return size;
}

}  // namespace umemcg

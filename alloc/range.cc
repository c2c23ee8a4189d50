#include "alloc/range.h"

#include <mimalloc.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "alloc/cached.h"
#include "alloc/commit.h"
#include "alloc/compound.h"
#include "alloc/fork.h"
#include "alloc/page_table.h"
#include "base/errno_saver.h"
#include "base/lock.h"
#include "base/sys.h"
#include "base/text.h"
#include "stock/current.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr size_t kFirstSize = 256 * kMiB;
constexpr size_t kLargestSize = 16 * kGiB;
constexpr size_t kSmallestSize = 32 * kMiB;  // mimalloc takes no less
constexpr size_t kAlignment = 256 * kMiB;
constexpr size_t kLowWater = 64 * kMiB;
constexpr int kMaxRanges = 150;

struct Range {
  uintptr_t start;
  size_t size;
  // One past the highest page that was ever committed.
  std::atomic<uintptr_t> touched;
};

constinit Range ranges[kMaxRanges] = {};
constinit std::atomic<int> range_count{0};
constinit std::atomic<bool> exhausted{false};
constinit Lock extend_lock;
constinit bool strict = false;
constinit size_t next_size = kFirstSize;
constinit uintptr_t next_hint = 0;
constinit bool scarce_said = false;  // one line about address space is enough

bool overcommit_is_strict() {
  char text[8];
  return sys::read_file("/proc/sys/vm/overcommit_memory", text, sizeof(text)) >
             0 &&
         text[0] == '2';
}

size_t resource_limit(int resource) {
  rlimit limit;
  ErrnoSaver saver;
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 ||
      limit.rlim_cur == RLIM_INFINITY) {
    return SIZE_MAX;
  }
  return limit.rlim_cur;
}

// Where to ask for the next range: between 2 and 6 TiB, at random, upwards, as
// mimalloc itself does for its arenas.
uintptr_t first_hint() {
#if defined(__SANITIZE_THREAD__)
  return kTiB / 4;  // where the sanitizer has a shadow
#endif
  // 16 bytes at any address.
  const auto* random = reinterpret_cast<const char*>(::getauxval(AT_RANDOM));
  uint64_t bits = 0;
  if (random != nullptr) std::memcpy(&bits, random + 8, sizeof(bits));
  return 2 * kTiB + (bits % (4 * kTiB / kAlignment)) * kAlignment;
}

int range_protection() { return strict ? PROT_NONE : PROT_READ | PROT_WRITE; }

// Address space of `size`, aligned as mimalloc wants it: at the hint, or
// wherever there is room after cutting off the ends. 0 if there is none.
uintptr_t map_aligned(size_t size) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  int error = 0;
  for (int attempt = 0; attempt < 16; ++attempt) {
    void* at = sys::memory.map(reinterpret_cast<void*>(next_hint), size,
                               range_protection(), kFlags | MAP_FIXED_NOREPLACE,
                               -1, 0, &error);
    uintptr_t hint = next_hint;
    next_hint += round_up(size, kAlignment);
    if (reinterpret_cast<uintptr_t>(at) == hint) return hint;
    if (at != nullptr) sys::unmap(at, size);  // a kernel that took it as a hint
    if (error == ENOMEM) break;
  }
  void* base = sys::memory.map(nullptr, size + kAlignment, range_protection(),
                               kFlags, -1, 0, &error);
  if (base == nullptr) return 0;
  uintptr_t low = reinterpret_cast<uintptr_t>(base);
  uintptr_t start = round_up(low, kAlignment);
  if (start > low) sys::unmap(base, start - low);
  uintptr_t end = low + size + kAlignment;
  if (end > start + size) {
    sys::unmap(reinterpret_cast<void*>(start + size), end - start - size);
  }
  return start;
}

void note_touched(Range& range, uintptr_t end) {
  uintptr_t seen = range.touched.load(kRelaxed);
  while (end > seen &&
         !range.touched.compare_exchange_weak(seen, end, kRelaxed)) {
  }
}

// mimalloc's commit hook. A decommit answers true: "commit it again before
// use"; without that the matching commit would never come. Without `is_zero` a
// commit is for mimalloc's records of the range itself: the root group's, and
// never refused (tests/mimalloc_contract).
bool commit_hook(bool commit, void* start, size_t size, bool* is_zero,
                 void* arg) {
  check_fork();
  const uintptr_t address = reinterpret_cast<uintptr_t>(start);
  if (!commit) {
    decommit_pages(address, size);
    return true;
  }
  if (UMEMCG_UNLIKELY(is_zero == nullptr)) {
    NoFailScope scope(records_account());
    if (!commit_pages(address, size, nullptr)) return false;
  } else if (!commit_pages(address, size, is_zero)) {
    return false;
  }
  note_touched(*static_cast<Range*>(arg), address + size);
  return true;
}

// A huge-page fault would bring in pages that are not charged: no huge pages,
// unless they are charged by huge pages. mimalloc keeps records at the start of
// each 256 MiB, so a compound there could never be given back.
void advise_huge_pages(const Range& range) {
  sys::advise(reinterpret_cast<void*>(range.start), range.size,
              MADV_NOHUGEPAGE);
  if (!compound_mode()) return;
  constexpr size_t kRecords = kChunkSlices * kSliceSize;
  for (size_t at = 0; at < range.size; at += kAlignment) {
    size_t part = range.size - at < kAlignment ? range.size - at : kAlignment;
    uintptr_t start = range.start + at + kRecords;
    sys::advise(reinterpret_cast<void*>(start), part - kRecords, MADV_HUGEPAGE);
    allow_compounds(start, part - kRecords);
  }
}

bool give_to_mimalloc(Range& range) {
  mi_arena_id_t id;
  NoFailScope records(records_account());
  return mi_manage_memory(reinterpret_cast<void*>(range.start), range.size,
                          false, false, true, -1, false, commit_hook, &range,
                          &id);
}

// REQUIRES: extend_lock.
bool add_range(size_t size) {
  int index = range_count.load(kRelaxed);
  if (index >= kMaxRanges) return false;
  uintptr_t start = map_aligned(size);
  if (start == 0) return false;
  Range& range = ranges[index];
  range.start = start;
  range.size = size;
  range.touched.store(start, kRelaxed);
  void* memory = reinterpret_cast<void*>(start);
  if (!map_page_table(start, size)) {
    sys::unmap(memory, size);
    return false;
  }
  advise_huge_pages(range);
  // Known to in_range() before another thread can be given any of it.
  // release: pairs with ranges_low() and in_range().
  range_count.store(index + 1, std::memory_order_release);
  if (give_to_mimalloc(range)) return true;
  range.size = 0;  // the place is spent
  sys::unmap(memory, size);
  return false;
}

// The next range, or a smaller one where address space is scarce.
// REQUIRES: extend_lock.
bool add_next_range() {
  for (size_t size = next_size; size >= kSmallestSize; size /= 2) {
    if (!add_range(size)) continue;
    next_size =
        size < next_size ? size : (size < kLargestSize ? size * 2 : size);
    return true;
  }
  return false;
}

void choose_first_size() {
  size_t space = resource_limit(RLIMIT_AS);
  if (space / 4 >= kFirstSize) return;
  next_size = kSmallestSize;
  while (next_size * 2 <= space / 4) next_size *= 2;
  Line line;
  line.text("the address space is limited to ").bytes(space);
  line.text(": using smaller ranges, of ").bytes(next_size);
  print_line(line);
  scarce_said = true;
}

}  // namespace

bool strict_mode() { return strict; }

bool init_ranges() {
  strict = overcommit_is_strict() || resource_limit(RLIMIT_DATA) != SIZE_MAX;
  set_commit_protects(strict);
  set_purge_protects(strict);
  next_hint = first_hint();
  choose_first_size();
  LockGuard guard(extend_lock);
  return add_next_range();
}

bool in_range(const void* address) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  int count = range_count.load(std::memory_order_acquire);
  for (int i = 0; i < count; ++i) {
    if (at - ranges[i].start < ranges[i].size) return true;
  }
  return false;
}

bool ranges_low() {
  int count = range_count.load(std::memory_order_acquire);
  if (count == 0) return false;
  const Range& last = ranges[count - 1];
  const size_t low = last.size / 4 < kLowWater ? last.size / 4 : kLowWater;
  return last.start + last.size - last.touched.load(kRelaxed) < low;
}

bool ranges_exhausted() { return exhausted.load(kRelaxed); }

bool extend_ranges(size_t needed) {
  if (exhausted.load(kRelaxed)) return false;
  if (needed == 0 && !ranges_low()) return true;
  if (!extend_lock.try_lock()) {
    // Another thread is adding one: wait for it, then look again.
    extend_lock.lock();
    extend_lock.unlock();
    return true;
  }
  bool added = (needed == 0 && !ranges_low()) || add_next_range();
  if (!added && !exhausted.exchange(true, kRelaxed) && !scarce_said) {
    Line line;
    print_line(
        line.text("no address space for another range; blocks that do "
                  "not fit are mapped one by one"));
  }
  extend_lock.unlock();
  return added;
}

void reset_range_lock() { extend_lock.reset(); }

}  // namespace umemcg

// What mimalloc maps by itself: blocks that no range can hold, and steps of its
// page map. shim/ charges the first and lets the second through.

#include <mimalloc.h>
#include <sys/mman.h>

#include <csignal>
#include <cstring>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

constexpr size_t kPageMapStep = 64 * kKiB;

constexpr struct Block {
  size_t size;
  size_t alignment;
} kBlocks[] = {
    {300 * kMiB, 16},       {64, 128 * kKiB},      {100'000, 128 * kKiB},
    {640'000, 1 * kMiB},    {5'000'000, 4 * kMiB}, {100, 32 * kMiB},
    {50 * kMiB, 64 * kMiB},
};

void* Allocate(const Block& block) {
  return mi_malloc_aligned(block.size, block.alignment);
}

bool IsPageMapStep(const Event& event) {
  return event.kind == EventKind::kMmap && event.size == kPageMapStep &&
         event.value == (PROT_READ | PROT_WRITE);
}

// The one mapping for a block among the recent events; null if there is another
// number of them.
const Event* BlockMapping() {
  const Event* mapping = nullptr;
  for (const Event& event : RecentEvents()) {
    if (event.kind == EventKind::kMmap && !IsPageMapStep(event)) {
      if (mapping != nullptr) {
        return nullptr;
      }
      mapping = &event;
    }
  }
  return mapping;
}

FACT(OwnMapping, ForLargeAndAligned,
     "a block of more than 220 MiB, or aligned to 128 KiB and more, is a "
     "mapping of mimalloc's own: mmap(PROT_NONE, private, anonymous) from "
     "its text",
     "shim/: it is charged in the interposed mmap") {
  const Range range = StartWithOneRange();
  for (const Block& block : kBlocks) {
    Mark();
    void* const pointer = Allocate(block);
    REQUIRE(pointer != nullptr, "NULL for %zu at %zu", block.size,
            block.alignment);
    EXPECT(!range.Contains(pointer), "block of %zu at %zu is in a range",
           block.size, block.alignment);
    const Event* const mapping = BlockMapping();
    REQUIRE(mapping != nullptr, "not one mapping for %zu at %zu", block.size,
            block.alignment);
    EXPECT(mapping->value == PROT_NONE, "prot %d", mapping->value);
    EXPECT(IsInMimalloc(mapping->from), "from %#zx", mapping->from);
    mi_free(pointer);
  }
}

FACT(OwnMapping, SmallAlignmentsStayInRanges,
     "blocks aligned to 64 KiB and less come from a range",
     "shim/: only rare calls leave the ranges") {
  const Range range = StartWithOneRange();
  for (size_t alignment = 16; alignment <= 64 * kKiB; alignment *= 2) {
    const size_t sizes[] = {16, 100'000, 3 * kMiB};
    for (const size_t size : sizes) {
      const void* const block = mi_malloc_aligned(size, alignment);
      EXPECT(range.Contains(block), "%zu at %zu: %p", size, alignment, block);
    }
  }
}

FACT(OwnMapping, AlignmentEndsBelow256MiB,
     "alignments of 256 MiB and more are impossible: NULL and ENOMEM without "
     "an mmap",
     "shim/: posix_memalign's documented bound") {
  StartWithOneRange();
  Mark();
  EXPECT(mi_malloc_aligned(100, 256 * kMiB) == nullptr, "a block");
  EXPECT(Count(RecentEvents(), EventKind::kMmap) == 0, "mmap is asked");
  EXPECT(mi_malloc_aligned(100, 64 * kMiB) != nullptr, "NULL for 64 MiB");
}

FACT(OwnMapping, SizeIsBounded,
     "such a mapping is at most 1/8 + 4 MiB + 64 KiB larger than size + "
     "alignment, and the kernel's answer to mimalloc's hint (a multiple of "
     "256 MiB) is used as it is",
     "shim/: what a large block is charged") {
  StartWithOneRange();
  for (const Block& block : kBlocks) {
    Mark();
    REQUIRE(Allocate(block) != nullptr, "NULL");
    const Event* const mapping = BlockMapping();
    REQUIRE(mapping != nullptr, "not one mapping");
    const size_t needed = block.size + block.alignment;
    EXPECT(mapping->size <= needed + needed / 8 + 4 * kMiB + 64 * kKiB,
           "%zu KiB for %zu at %zu", mapping->size / kKiB, block.size,
           block.alignment);
    EXPECT(mapping->hint % kRangeAlignment == 0, "hint %#zx", mapping->hint);
  }
}

FACT(OwnMapping, TakesMemoryAlignedTo256MiB,
     "when mmap answers with readable and writable memory at a multiple of "
     "256 MiB, and mprotect does nothing, there is one mmap, no munmap, and "
     "the block is usable as a whole",
     "shim/: this is how the interposed mmap answers libmimalloc") {
  StartWithOneRange();
  SetMimallocMmap(&MmapAligned256MiB);
  SetMimallocMprotect(&MprotectNothing);
  for (const Block& block : kBlocks) {
    Mark();
    void* const pointer = Allocate(block);
    REQUIRE(pointer != nullptr, "NULL");
    EXPECT(BlockMapping() != nullptr, "not one mapping");
    EXPECT(Count(RecentEvents(), EventKind::kMunmap) == 0, "%zu munmaps",
           Count(RecentEvents(), EventKind::kMunmap));
    char* const bytes = static_cast<char*>(pointer);
    bytes[0] = 1;
    bytes[mi_usable_size(pointer) - 1] = 1;
    mi_free(pointer);
  }
}

FACT(OwnMapping, TrimsOtherMemory,
     "memory at another address than a multiple of 256 MiB is unmapped "
     "again, 256 MiB more are mapped, and both ends are unmapped",
     "shim/: with 64 KiB alignment a block would need 256 MiB of charge for "
     "an instant") {
  StartWithOneRange();
  SetMimallocMmap(&MmapAligned64KiB);
  SetMimallocMprotect(&MprotectNothing);
  Mark();
  void* const block = mi_malloc(300 * kMiB);
  EXPECT(block != nullptr, "NULL");
  const size_t unmapped = Count(RecentEvents(), EventKind::kMunmap);
  if (unmapped == 0) {
    Note("mimalloc takes memory that is not at a multiple of 256 MiB");
    return;
  }
  EXPECT(unmapped == 3, "%zu munmaps", unmapped);
  for (const Event& event : RecentEvents()) {
    EXPECT(event.from == 0 || IsInMimalloc(event.from), "from %#zx",
           event.from);
  }
}

FACT(OwnMapping, CommitsByMprotect,
     "inside such a mapping mimalloc makes two parts accessible with "
     "mprotect: the first one to three pages, and the block itself",
     "shim/: an alternative to charging the whole mapping") {
  StartWithOneRange();
  for (const Block& block : kBlocks) {
    Mark();
    REQUIRE(Allocate(block) != nullptr, "NULL");
    const Event* const mapping = BlockMapping();
    REQUIRE(mapping != nullptr, "not one mapping");
    size_t committed = 0;
    for (const Event& event : RecentEvents()) {
      if (event.kind == EventKind::kMprotect) {
        committed += event.size;
        EXPECT(event.start >= mapping->start && event.end() <= mapping->end(),
               "outside the mapping");
      }
    }
    EXPECT(committed >= block.size && committed <= mapping->size,
           "%zu KiB of %zu", committed / kKiB, mapping->size / kKiB);
  }
}

FACT(OwnMapping, UnmappedWhole,
     "free unmaps such a mapping with one munmap of all of it, from "
     "libmimalloc's text, on the thread that frees; at once from 512 KiB, "
     "smaller ones by the next forced collect",
     "shim/: the interposed munmap uncharges") {
  StartWithOneRange();
  for (const Block& block : kBlocks) {
    Mark();
    void* const pointer = Allocate(block);
    const Event* const mapping = BlockMapping();
    REQUIRE(pointer != nullptr && mapping != nullptr, "not one mapping");
    const Event map = *mapping;
    Mark();
    mi_free(pointer);
    if (block.size <= 512 * kKiB) {
      mi_collect(true);
    }
    REQUIRE(Count(RecentEvents(), EventKind::kMunmap) == 1, "%zu munmaps",
            Count(RecentEvents(), EventKind::kMunmap));
    const Event* const unmap = First(RecentEvents(), EventKind::kMunmap);
    EXPECT(unmap->start == map.start && unmap->size == map.size,
           "%zu KiB of %zu", unmap->size / kKiB, map.size / kKiB);
    EXPECT(IsInMimalloc(unmap->from), "from %#zx", unmap->from);
  }
}

FACT(OwnMapping, NeedsReadWriteOnDemand,
     "with page_commit_on_demand a page that mimalloc maps itself crashes it "
     "when the mapping stays PROT_NONE",
     "only the reason for the readable and writable answer of mmap") {
  const int status = RunForked([] {
    SetOptions();  // and no range
    void* const block = mi_malloc(100);
    std::memset(block, 1, 100);
  });
  if (SignalOf(status) != SIGSEGV) {
    Note("mappings of mimalloc's own work with page_commit_on_demand");
  }
}

FACT(OwnMapping, DisallowOsAllocStopsThem,
     "with disallow_os_alloc = 1 such blocks fail without an mmap, a refused "
     "hook is asked once per range and try, and page-map steps are mapped "
     "all the same",
     "shim/: an option for programs that must not leave the ranges") {
  SetOptions();
  mi_option_set(mi_option_disallow_os_alloc, 1);
  const Range range = AddRange(256 * kMiB);
  RecordErrors();
  EXPECT(range.Contains(mi_malloc(100)), "the range is not used");
  Mark();
  for (const Block& block : kBlocks) {
    EXPECT(Allocate(block) == nullptr, "a block of %zu at %zu", block.size,
           block.alignment);
  }
  AcceptCommits(false);
  EXPECT(mi_malloc(kSingleton) == nullptr, "a block");
  EXPECT(Count(RecentEvents(), EventKind::kMmap) == 0, "%zu mmaps",
         Count(RecentEvents(), EventKind::kMmap));
  EXPECT(Count(RecentEvents(), EventKind::kCommit) <= 2, "%zu commits",
         Count(RecentEvents(), EventKind::kCommit));
}

FACT(OwnMapping, ReallocIsMallocAndCopy,
     "growing a block of 230 MiB to 460 MiB maps the second before it unmaps "
     "the first, and keeps the contents",
     "docs: such a realloc needs room for both") {
  StartWithOneRange();
  char* block = static_cast<char*>(mi_malloc(230 * kMiB));
  REQUIRE(block != nullptr, "NULL");
  block[0] = 7;
  block[200 * kMiB] = 8;
  Mark();
  block = static_cast<char*>(mi_realloc(block, 460 * kMiB));
  REQUIRE(block != nullptr, "NULL");
  EXPECT(block[0] == 7 && block[200 * kMiB] == 8, "contents are lost");
  const Event* const map = First(RecentEvents(), EventKind::kMmap);
  const Event* const unmap = First(RecentEvents(), EventKind::kMunmap);
  if (map == nullptr || unmap == nullptr || unmap < map) {
    Note("a huge realloc no longer needs both blocks at once");
  }
}

}  // namespace
}  // namespace umemcg

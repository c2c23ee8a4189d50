// Random loads, and a page table as alloc/ will keep it: does what mimalloc
// tells the hook and mprotect account for every page of every block?

#include <mimalloc.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <bitset>
#include <memory>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

// Ample: 75 MiB in three threads' pages of all sizes can fill 256 MiB, and then
// mimalloc maps pages by itself.
constexpr size_t kRangeSize = 1 * kGiB;
constexpr size_t kStep = 16 * kKiB;

// Which pages of a range are committed, from the events.
class PageTable {
 public:
  explicit PageTable(const Range& range) : range_(range) {}

  // Applies one event and checks its form.
  void Apply(const Event& event) {
    if (event.kind == EventKind::kCommit && event.ok) {
      EXPECT(event.start % kSliceSize == 0 && event.size % kPageSize == 0,
             "commit at %#zx of %zu", event.start, event.size);
      overlaps_ += event.value != 0 && CountIn(event) > 0 ? 1 : 0;
      Set(&committed_, event, true);
      if (event.value == 0) {
        Set(&metadata_, event, true);
      }
    } else if (event.kind == EventKind::kMprotect &&
               range_.Contains(event.start)) {
      ApplyStep(event);
    } else if (event.kind == EventKind::kDecommit) {
      EXPECT(event.start % kSliceSize == 0 && event.size % kSliceSize == 0,
             "decommit at %#zx of %zu", event.start, event.size);
      EXPECT(committed_[PageOf(event.start)], "decommit of a free page at %#zx",
             event.start);
      Set(&committed_, event, false);
    }
  }

  bool IsCommitted(const void* start, size_t size) const {
    const uintptr_t first = reinterpret_cast<uintptr_t>(start);
    for (size_t page = PageOf(first); page <= PageOf(first + size - 1);
         ++page) {
      if (!committed_[page]) {
        return false;
      }
    }
    return true;
  }

  // Without metadata of the range.
  size_t committed_pages() const { return (committed_ & ~metadata_).count(); }
  size_t metadata_pages() const { return metadata_.count(); }
  size_t overlaps() const { return overlaps_; }

 private:
  using Bits = std::bitset<kRangeSize / kPageSize>;

  // A later step goes on where the page's committed part ends.
  void ApplyStep(const Event& event) {
    EXPECT(event.start % kStep == 0 && event.size % kStep == 0,
           "step at %#zx of %zu", event.start, event.size);
    EXPECT(committed_[PageOf(event.start) - 1], "nothing before the step");
    EXPECT(CountIn(event) == 0, "%zu pages of the step are committed",
           CountIn(event));
    Set(&committed_, event, true);
  }

  size_t PageOf(uintptr_t address) const {
    return (address - range_.start) / kPageSize;
  }

  size_t CountIn(const Event& event) const {
    size_t count = 0;
    for (size_t page = PageOf(event.start); page < PageOf(event.end());
         ++page) {
      count += committed_[page] ? 1 : 0;
    }
    return count;
  }

  void Set(Bits* bits, const Event& event, bool value) {
    for (size_t page = PageOf(event.start); page < PageOf(event.end());
         ++page) {
      (*bits)[page] = value;
    }
  }

  const Range range_;
  Bits committed_;
  Bits metadata_;
  size_t overlaps_ = 0;
};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}

  size_t Below(size_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<size_t>(state_ >> 11) % bound;
  }

  // Mostly small, now and then a whole page or more.
  size_t Size() {
    constexpr size_t kBounds[] = {64,        1 * kKiB,   8 * kKiB, 8 * kKiB,
                                  80 * kKiB, 500 * kKiB, 3 * kMiB};
    return 1 + Below(kBounds[Below(std::size(kBounds))]);
  }

 private:
  uint64_t state_;
};

// The range, registered but not used, and the table of what that committed.
std::unique_ptr<PageTable> StartCounting(Range* range) {
  SetOptions();
  ClearEvents();
  *range = AddRange(kRangeSize);
  auto table = std::make_unique<PageTable>(*range);
  return table;
}

void ApplyAll(PageTable* table) {
  for (const Event& event : Events()) {
    table->Apply(event);
  }
  ClearEvents();
}

FACT(Load, EveryPageOfABlockIsCommitted,
     "over 20,000 random mallocs, aligned mallocs, reallocs and frees each "
     "page of each block was committed by the hook or a later step and not "
     "decommitted; commits start at slices, steps continue the committed "
     "part, decommits are whole slices",
     "alloc/: the charge is exact by pages; nothing else needs to be watched") {
  Range range;
  const auto table = StartCounting(&range);
  std::array<void*, 200> blocks = {};
  Random random(1);
  for (int i = 0; i < 20'000 && FailureCount() == 0; ++i) {
    void*& slot = blocks[random.Below(blocks.size())];
    const size_t kind = random.Below(8);
    const size_t size = random.Size();
    if (kind == 0) {
      slot = mi_realloc(slot, size);
    } else {
      mi_free(slot);
      slot = kind == 1 ? mi_malloc_aligned(size, size_t{16} << random.Below(13))
                       : mi_malloc(size);
    }
    ApplyAll(table.get());
    REQUIRE(range.Contains(slot), "block of %zu at %p", size, slot);
    EXPECT(table->IsCommitted(slot, mi_usable_size(slot)),
           "a page of block %p of %zu is not", slot, size);
  }
  Note("%zu commits named pages that were committed", table->overlaps());
}

FACT(Load, AllComesBack,
     "when all blocks are freed and the thread has collected, what stays "
     "committed is the range's own metadata (and at most 256 KiB)",
     "alloc/: usage falls to nothing when a group frees everything") {
  Range range;
  const auto table = StartCounting(&range);
  std::array<void*, 500> blocks = {};
  Random random(2);
  for (int i = 0; i < 5'000; ++i) {
    void*& slot = blocks[random.Below(blocks.size())];
    mi_free(slot);
    slot = mi_malloc(random.Size());
    ApplyAll(table.get());
  }
  for (void* const block : blocks) {
    mi_free(block);
  }
  mi_collect(true);
  ApplyAll(table.get());
  EXPECT(table->committed_pages() <= 64, "%zu pages", table->committed_pages());
  EXPECT(table->metadata_pages() <= 1024, "%zu pages of metadata",
         table->metadata_pages());
}

std::array<std::atomic<void*>, 300> shared_blocks;
std::atomic<uint64_t> next_seed{3};

void* AllocateAndFreeForOthers(void*) {
  Random random(next_seed.fetch_add(1));
  for (int i = 0; i < 3'000; ++i) {
    std::atomic<void*>& slot = shared_blocks[random.Below(300)];
    mi_free(slot.exchange(mi_malloc(random.Size())));
  }
  return nullptr;
}

FACT(Load, ThreadsKeepTheOrder,
     "with three threads that free each other's blocks, a page's commits, "
     "steps and decommits alternate as with one thread, and all of it comes "
     "back",
     "alloc/: state changes of a page need no lock beyond the page's own "
     "state") {
  Range range;
  const auto table = StartCounting(&range);
  pthread_t threads[3];
  for (pthread_t& thread : threads) {
    pthread_create(&thread, nullptr, &AllocateAndFreeForOthers, nullptr);
  }
  for (const pthread_t thread : threads) {
    pthread_join(thread, nullptr);
  }
  for (std::atomic<void*>& block : shared_blocks) {
    mi_free(block.load());
  }
  mi_collect(true);
  ApplyAll(table.get());
  // Metadata of the threads stays; abandoned pages which this thread took over
  // are gone.
  EXPECT(table->committed_pages() <= 256, "%zu pages",
         table->committed_pages());
}

}  // namespace
}  // namespace umemcg

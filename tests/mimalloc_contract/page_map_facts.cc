// The page map: the mappings that mimalloc makes for itself. shim/ has to tell
// them from mappings for blocks.

#include <mimalloc.h>
#include <sys/mman.h>

#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

bool IsPageMapStep(const Event& event) {
  return event.kind == EventKind::kMmap && event.size == 64 * kKiB &&
         event.value == (PROT_READ | PROT_WRITE);
}

FACT(PageMap, GrowsBySteps,
     "the page map grows by mappings of exactly 64 KiB, readable and "
     "writable, one for each 512 MiB of addresses with blocks; they are "
     "never unmapped",
     "shim/: not charged to a group") {
  StartWithOneRange();
  AddRange(4 * kGiB);
  Mark();
  for (int i = 0; i < 10; ++i) {
    EXPECT(mi_malloc(200 * kMiB) != nullptr, "NULL");
  }
  size_t steps = 0;
  for (const Event& event : RecentEvents()) {
    steps += IsPageMapStep(event) ? 1 : 0;
    EXPECT(event.kind != EventKind::kMmap || IsPageMapStep(event),
           "%zu KiB, prot %d", event.size / kKiB, event.value);
  }
  EXPECT(steps >= 1 && steps <= 10, "%zu steps", steps);
}

FACT(PageMap, BlocksLookDifferent,
     "a mapping for blocks is 128 KiB or more and PROT_NONE, also when the "
     "ranges are full and small pages are mapped one by one",
     "shim/: 64 KiB, readable and writable = page map, uncharged and never "
     "refused") {
  SetOptions();
  SetMimallocMmap(&MmapAligned256MiB);
  SetMimallocMprotect(&MprotectNothing);
  Mark();
  const size_t sizes[] = {8, kSmall, kMedium, kLarge, kSingleton};
  for (const size_t size : sizes) {
    EXPECT(mi_malloc(size) != nullptr, "NULL for %zu", size);
  }
  EXPECT(mi_heap_malloc(mi_heap_new(), 100) != nullptr, "NULL");
  for (const Event& event : RecentEvents()) {
    if (event.kind == EventKind::kMmap && !IsPageMapStep(event)) {
      EXPECT(event.size >= 128 * kKiB && event.value == PROT_NONE,
             "%zu KiB, prot %d", event.size / kKiB, event.value);
    }
  }
}

FACT(PageMap, RefusedStepFailsTheMalloc,
     "when the page map cannot grow, malloc fails although the hook "
     "accepted, and what was committed is given back",
     "shim/: an mmap of 64 KiB, readable and writable, is never refused") {
  SetOptions();
  RecordCallbacks();
  AddRange(256 * kMiB);
  SetMimallocMmap(&MmapRefuse);
  Mark();
  EXPECT(mi_malloc(100) == nullptr, "a block");
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) > 0, "no decommit");
}

}  // namespace
}  // namespace umemcg

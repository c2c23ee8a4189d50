// The version, and what mimalloc does before and at the first allocation.

#include <mimalloc.h>
#include <sys/mman.h>

#include <cstdlib>

#include "tests/mimalloc_contract/child.h"
#include "tests/mimalloc_contract/event_log.h"
#include "tests/mimalloc_contract/fact.h"
#include "tests/mimalloc_contract/os_calls.h"
#include "tests/mimalloc_contract/range.h"

namespace umemcg {
namespace {

constexpr int kTestedVersion = 30600;

// Does the first block come from a hooked range, with these options?
bool FirstBlockIsInRange(void (*set_options)()) {
  set_options();
  const Range range = AddRange(256 * kMiB);
  return range.Contains(mi_malloc(100));
}

FACT(Start, VersionIsKnown,
     "the library is mimalloc 3.6.0 or newer and says so with mi_version()",
     "set-up: older versions lack mi_theap_delete; a newer one is named in "
     "one line") {
  const int version = mi_version();
  EXPECT(version >= kTestedVersion, "mi_version() is %d", version);
  if (version > kTestedVersion) {
    Note("mimalloc %d is newer than the tested %d: these facts decide", version,
         kTestedVersion);
  }
}

FACT(Start, ConstructorMapsOnlyThePageMap,
     "libmimalloc's constructor makes one mapping (2,304 KiB, readable and "
     "writable, no hint) and no arena; nothing else happens before the first "
     "allocation",
     "shim/: this mmap arrives before umemcg has any state and goes through "
     "uncharged; options can still be set at the first malloc") {
  REQUIRE(Events().size() == 1, "%zu events before main", Events().size());
  const Event& map = Events()[0];
  EXPECT(map.kind == EventKind::kMmap && map.value == (PROT_READ | PROT_WRITE),
         "kind %d, prot %d", static_cast<int>(map.kind), map.value);
  EXPECT(map.size <= 4 * kMiB, "%zu KiB", map.size / kKiB);
  EXPECT(map.hint == 0, "hint %#zx", map.hint);
  EXPECT(IsInMimalloc(map.from), "called from %#zx", map.from);
}

FACT(Start, NoArenaOfItsOwn,
     "with arena_reserve = 0 set before the first allocation mimalloc "
     "reserves no arena: the first block lies in our range and the only "
     "mapping is one 64 KiB step of the page map",
     "shim/ initialises in the first malloc; memory outside the hook would "
     "void every limit") {
  SetOptions();
  const Range range = AddRange(256 * kMiB);
  Mark();
  const void* const block = mi_malloc(100);
  EXPECT(range.Contains(block), "block at %p", block);
  for (const Event& event : RecentEvents()) {
    EXPECT(event.kind != EventKind::kMmap || event.size == 64 * kKiB,
           "it maps %zu KiB", event.size / kKiB);
  }
}

FACT(Start, DefaultTakesAnArena,
     "without that option the first allocation reserves 1 GiB which no hook "
     "sees",
     "only the reason for NoArenaOfItsOwn") {
  mi_option_set(mi_option_purge_delay, 0);
  const void* const block = mi_malloc(100);
  REQUIRE(block != nullptr, "no block");
  if (SumOfSizes(Events(), EventKind::kMmap) < 512 * kMiB) {
    Note("the default reserves no large arena any more");
  }
}

FACT(Start, FirstAllocationWithoutRangeNeedsMmap,
     "a first allocation without a range goes to mmap",
     "shim/: register the first range before the first mi_ allocation, and "
     "let the interposed mmap serve or refuse what comes before") {
  SetOptions();
  SetMimallocMmap(&MmapAligned256MiB);
  SetMimallocMprotect(&MprotectNothing);
  Mark();
  const void* const block = mi_malloc(100);
  EXPECT(block != nullptr, "NULL");
  EXPECT(Count(RecentEvents(), EventKind::kMmap) > 0, "no mmap");
}

FACT(Start, EnvironmentChangesOptions,
     "MIMALLOC_PURGE_DELAY, MIMALLOC_ARENA_RESERVE, "
     "MIMALLOC_PAGE_COMMIT_ON_DEMAND and MIMALLOC_DISALLOW_ARENA_ALLOC alter "
     "mimalloc's options",
     "shim/ has to override them, and to check at start that a block lies in "
     "our range") {
  const EnvironmentVariable variables[] = {
      {"MIMALLOC_PURGE_DELAY", "77"},
      {"MIMALLOC_ARENA_RESERVE", "64MiB"},
      {"MIMALLOC_PAGE_COMMIT_ON_DEMAND", "2"},
      {"MIMALLOC_DISALLOW_ARENA_ALLOC", "1"},
  };
  EXPECT(RunAgain(variables, "Start.AsTheEnvironmentSays") == 0,
         "a process with these variables has other values");
}

// Run by EnvironmentChangesOptions; without its variables there is nothing to
// say.
FACT(Start, AsTheEnvironmentSays,
     "the options have the values of the MIMALLOC_ variables",
     "helper of Start.EnvironmentChangesOptions") {
  if (std::getenv("MIMALLOC_PURGE_DELAY") == nullptr) {
    return;
  }
  EXPECT(mi_option_get(mi_option_purge_delay) == 77, "purge_delay %ld",
         mi_option_get(mi_option_purge_delay));
  EXPECT(mi_option_get_size(mi_option_arena_reserve) == 64 * kMiB,
         "arena_reserve %zu", mi_option_get_size(mi_option_arena_reserve));
  EXPECT(mi_option_get(mi_option_page_commit_on_demand) == 2,
         "page_commit_on_demand %ld",
         mi_option_get(mi_option_page_commit_on_demand));
  SetMimallocMmap(&MmapAligned256MiB);
  SetMimallocMprotect(&MprotectNothing);
  const bool in_range =
      FirstBlockIsInRange([] { mi_option_set(mi_option_arena_reserve, 0); });
  EXPECT(!in_range, "disallow_arena_alloc does not keep blocks out of ranges");
}

FACT(Start, SettingOverridesTheEnvironment,
     "mi_option_set before the first allocation wins over the MIMALLOC_ "
     "variables",
     "shim/: a variable in the environment must not void the limit") {
  const EnvironmentVariable variables[] = {
      {"MIMALLOC_PURGE_DELAY", "77"},
      {"MIMALLOC_ARENA_RESERVE", "64MiB"},
      {"MIMALLOC_PAGE_COMMIT_ON_DEMAND", "0"},
      {"MIMALLOC_DISALLOW_ARENA_ALLOC", "1"},
  };
  EXPECT(RunAgain(variables, "Start.AsUmemcgSays") == 0,
         "a process with these variables does not do as it was told");
}

FACT(Start, AsUmemcgSays,
     "with umemcg's options a small block takes 16 KiB of our range and a "
     "freed one is given back at once",
     "helper of Start.SettingOverridesTheEnvironment") {
  const bool in_range = FirstBlockIsInRange([] {
    SetOptions();
    mi_option_set(mi_option_disallow_arena_alloc, 0);
  });
  EXPECT(in_range, "the first block lies elsewhere");
  Mark();
  mi_free(mi_malloc(kSingleton));
  EXPECT(Count(RecentEvents(), EventKind::kDecommit) == 1, "%zu decommits",
         Count(RecentEvents(), EventKind::kDecommit));
  Mark();
  EXPECT(mi_malloc(kSmall) != nullptr, "NULL");
  EXPECT(SumOfSizes(RecentEvents(), EventKind::kCommit) == 16 * kKiB,
         "%zu KiB committed",
         SumOfSizes(RecentEvents(), EventKind::kCommit) / kKiB);
}

}  // namespace
}  // namespace umemcg

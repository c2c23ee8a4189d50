#include "reclaim/shrinker_table.h"

#include <cerrno>
#include <cstring>

#include "accounting/process.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr int kPlaceBits = 8;
static_assert(1 << kPlaceBits == kMostShrinkers);
// After so long it is said that a call is being waited for.
constexpr uint64_t kLongWaitMs = 10'000;
constexpr uint32_t kLookMs = 100;

constinit Lock table_lock;

// Ids are places under a generation, so that an old one fails.
int next_id(int last, int place) {
  constexpr int kLastGeneration = INT32_MAX >> kPlaceBits;
  const int generation = last >> kPlaceBits;
  return (generation < kLastGeneration ? generation + 1 : 1) << kPlaceBits |
         place;
}

uint32_t place_of(const ShrinkerRow& row) {
  return static_cast<uint32_t>(&row - g_shrinkers);
}

ShrinkerRow* row_of(int id) {
  if (id <= 0) return nullptr;
  ShrinkerRow& row = g_shrinkers[id & (kMostShrinkers - 1)];
  return row.is_live() && row.id.load(kRelaxed) == id ? &row : nullptr;
}

// Other processes ask this one to reclaim only if there is something.
void tell_domain(bool any) {
  ProcessSlot* slot = g_segment.process(this_process());
  if (slot == nullptr) return;
  if (any) {
    slot->flags.fetch_or(kProcessShrinkers, kRelaxed);
  } else {
    slot->flags.fetch_and(~uint32_t{kProcessShrinkers}, kRelaxed);
  }
}

void count_live(int by) {
  tell_domain(g_shrinkers_live.fetch_add(by, kRelaxed) + by != 0);
}

ShrinkerRow* free_row() {
  for (ShrinkerRow& row : g_shrinkers) {
    if (row.state.load(kRelaxed) == ShrinkerState::kFree) return &row;
  }
  return nullptr;
}

void clear_counts(ShrinkerCounts& counts) {
  for (auto* count :
       {&counts.counts, &counts.scans, &counts.asked, &counts.freed,
        &counts.busy, &counts.overruns, &counts.longest_ns}) {
    count->store(0, kRelaxed);
  }
}

void fill(ShrinkerRow& row, const ShrinkerSpec& spec) {
  row.group.store(spec.group, kRelaxed);
  row.group_id.store(spec.group_id, kRelaxed);
  row.cost.store(spec.cost, kRelaxed);
  row.not_before_ms.store(0, kRelaxed);
  row.pause_ms.store(0, kRelaxed);
  row.callbacks = spec.callbacks;
  row.deadline_ms =
      spec.deadline_ms != 0 ? spec.deadline_ms : kShrinkerDeadlineMs;
  TextBuffer name(row.name, sizeof(row.name));
  name.text(spec.name != nullptr ? spec.name : "without a name");
  clear_counts(row.counts);
}

void raise_high(int above) {
  if (g_shrinkers_high.load(kRelaxed) < above) {
    g_shrinkers_high.store(above, kRelaxed);
  }
}

// Whether the call that `row` is in waits, over however many others, for the
// end of `own`.
bool waits_for(const ShrinkerRow& row, const ShrinkerRow& own) {
  const ShrinkerRow* at = &row;
  for (int i = 0; i < kMostShrinkers; ++i) {
    const uint32_t next = at->waits_for.load(kRelaxed);
    if (next == 0) return false;
    at = &g_shrinkers[next - 1];
    if (at == &own) return true;
  }
  return false;
}

void report_wait(const ShrinkerRow& row) {
  Line line;
  line.text("unregistering shrinker ").text(row.name);
  print_line(line.text(" waits for its call to end, for 10 s so far"));
}

// Until nobody is in it; false if that would wait for this thread itself.
// (Several that wait for each other look again and again: one of them sees it.)
bool wait_for_call(ShrinkerRow& row, ShrinkerRow* own) {
  const uint64_t since = sys::coarse_ms();
  if (own != nullptr) own->waits_for.store(place_of(row) + 1, kRelaxed);
  bool said = false;
  bool got = false;
  bool circle = false;
  while (!got && !circle) {
    got = row.running.lock_within(kLookMs);
    circle = !got && own != nullptr && waits_for(row, *own);
    if (!got && !said && sys::coarse_ms() - since >= kLongWaitMs) {
      report_wait(row);
      said = true;
    }
  }
  if (own != nullptr) own->waits_for.store(0, kRelaxed);
  return got;
}

// Takes the row of `id` out of use. 0 or EBADF.
int begin_leaving(int id, ShrinkerRow** row) {
  LockGuard guard(table_lock);
  *row = row_of(id);
  if (*row == nullptr) return EBADF;
  (*row)->state.store(ShrinkerState::kLeaving, kRelaxed);
  count_live(-1);
  return 0;
}

// (The child of a fork by a handler has freed it before; it may be another's.)
void end_leaving(ShrinkerRow& row, int id) {
  LockGuard guard(table_lock);
  if (row.id.load(kRelaxed) != id) return;
  row.state.store(ShrinkerState::kFree, kRelaxed);
}

void stay(ShrinkerRow& row) {
  LockGuard guard(table_lock);
  // release: as in register_shrinker().
  row.state.store(ShrinkerState::kLive, std::memory_order_release);
  count_live(+1);
}

// In the child of a fork while another thread was waiting: nobody waits here.
void reset_row(ShrinkerRow& row) {
  const ShrinkerCall* call = t_shrinker_call;
  const bool in_call = call != nullptr && call->row == &row;
  row.running.reset();
  if (in_call) row.running.try_lock();
  row.waits_for.store(0, kRelaxed);
  if (row.state.load(kRelaxed) == ShrinkerState::kLeaving) {
    row.state.store(ShrinkerState::kFree, kRelaxed);
  }
}

}  // namespace

constinit ShrinkerRow g_shrinkers[kMostShrinkers] = {};
constinit std::atomic<int> g_shrinkers_high{0};
constinit std::atomic<int> g_shrinkers_live{0};
constinit UMEMCG_TLS ShrinkerCall* t_shrinker_call = nullptr;

bool ShrinkerRow::is_for(const Account& account) const {
  const uint64_t wanted = group_id.load(kRelaxed);
  return wanted == 0 || (wanted == account.group_id.load(kRelaxed) &&
                         group.load(kRelaxed) == account.group.load(kRelaxed));
}

bool ShrinkerRow::is_pausing() const {
  const uint64_t until = not_before_ms.load(kRelaxed);
  return until != 0 && sys::coarse_ms() < until;
}

int register_shrinker(const ShrinkerSpec& spec, int* id) {
  LockGuard guard(table_lock);
  ShrinkerRow* row = free_row();
  if (row == nullptr) return ENOSPC;
  fill(*row, spec);
  const int place = static_cast<int>(place_of(*row));
  *id = next_id(row->id.load(kRelaxed), place);
  row->id.store(*id, kRelaxed);
  // release: pairs with is_live(), after which the row is read.
  row->state.store(ShrinkerState::kLive, std::memory_order_release);
  raise_high(place + 1);
  count_live(+1);
  return 0;
}

int unregister_shrinker(int id) {
  ShrinkerRow* const own =
      t_shrinker_call != nullptr ? t_shrinker_call->row : nullptr;
  if (own != nullptr && own == row_of(id)) return EDEADLK;
  ShrinkerRow* row = nullptr;
  const int error = begin_leaving(id, &row);
  if (error != 0) return error;
  if (!wait_for_call(*row, own)) {
    stay(*row);
    return EDEADLK;
  }
  end_leaving(*row, id);
  row->running.unlock();
  return 0;
}

int read_shrinker(int id, ShrinkerStats* stats) {
  const ShrinkerRow* row = row_of(id);
  if (row == nullptr) return EBADF;
  const ShrinkerCounts& counts = row->counts;
  const uint64_t now = sys::coarse_ms();
  const uint64_t until = row->not_before_ms.load(kRelaxed);
  *stats = {counts.counts.load(kRelaxed),     counts.scans.load(kRelaxed),
            counts.asked.load(kRelaxed),      counts.freed.load(kRelaxed),
            counts.busy.load(kRelaxed),       counts.overruns.load(kRelaxed),
            counts.longest_ns.load(kRelaxed), until > now ? until - now : 0};
  // It may have been another's meanwhile.
  return row->id.load(kRelaxed) == id ? 0 : EBADF;
}

void reset_shrinkers() {
  table_lock.reset();
  int live = 0;
  for (ShrinkerRow& row : g_shrinkers) {
    reset_row(row);
    if (row.state.load(kRelaxed) == ShrinkerState::kLive) ++live;
  }
  g_shrinkers_live.store(live, kRelaxed);
  if (live != 0) tell_domain(true);
}

}  // namespace umemcg

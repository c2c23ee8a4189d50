#include "accounting/gate.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/units.h"
#include "reclaim/asked_shrinkers.h"
#include "reclaim/serve.h"
#include "reclaim/shrinker.h"
#include "reclaim/shrinker_table.h"
#include "stock/fail.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// More than that nobody frees: what a shrinker says is not believed beyond.
constexpr size_t kMostBytes = size_t{1} << 46;

// Of the table, for `asked`.
constinit std::atomic<uint32_t> ask_clock{0};

size_t call_nobody(const ShrinkerCallbacks&, ShrinkerStep, Account&, size_t) {
  return 0;
}

bool is_useless(const ShrinkerRow& row, const Account& account) {
  const AskedShrinkers* asked = AskedShrinkers::here();
  return asked != nullptr && asked->is_useless(row, account);
}

bool is_wanted(const ShrinkerRow& row, const Account& account) {
  return row.is_live() && row.is_for(account) && !row.is_pausing() &&
         !is_useless(row, account);
}

// A thread that is in a shrinker, or in the middle of a charge (a handler has
// interrupted it there), calls none.
bool may_call() {
  return any_shrinkers() && t_shrinker_call == nullptr && t_charge_depth == 0;
}

// Those to ask, in order.
class Candidates {
 public:
  explicit Candidates(const Account& account) {
    const int high = g_shrinkers_high.load(kRelaxed);
    for (int i = 0; i < high; ++i) {
      if (is_wanted(g_shrinkers[i], account)) insert(g_shrinkers[i]);
    }
  }
  ShrinkerRow** begin() { return rows_; }
  ShrinkerRow** end() { return rows_ + count_; }

 private:
  struct Order {
    explicit Order(const ShrinkerRow& row)
        : cost(row.cost.load(kRelaxed)),
          // Signed: the clock may turn over.
          age(static_cast<int32_t>(row.asked.load(kRelaxed) -
                                   ask_clock.load(kRelaxed))) {}
    bool operator<(const Order& other) const {
      return cost != other.cost ? cost < other.cost : age < other.age;
    }
    int cost;
    int32_t age;
  };

  void insert(ShrinkerRow& row) {
    const Order order(row);
    int at = count_++;
    for (; at > 0 && order < Order(*rows_[at - 1]); --at) {
      rows_[at] = rows_[at - 1];
    }
    rows_[at] = &row;
  }

  ShrinkerRow* rows_[kMostShrinkers];
  int count_ = 0;
};

void report_overrun(const ShrinkerRow& row, uint64_t took_ms,
                    uint64_t pause_ms) {
  Line line;
  line.text("shrinker ").text(row.name).text(" took ").number(took_ms);
  line.text(" ms, more than its deadline of ").number(row.deadline_ms);
  line.text(" ms: it is not asked for ").number(pause_ms / 1000);
  print_line(line.text(" s (later ones are counted, not printed)"));
}

void pause_row(ShrinkerRow& row, uint64_t took_ms) {
  const uint64_t last = row.pause_ms.load(kRelaxed);
  const uint64_t doubled = last != 0 ? 2 * last : kFirstPauseMs;
  const uint64_t pause = doubled < kLongestPauseMs ? doubled : kLongestPauseMs;
  row.pause_ms.store(pause, kRelaxed);
  row.not_before_ms.store(sys::coarse_ms() + pause, kRelaxed);
  if (row.counts.overruns.fetch_add(1, kRelaxed) == 0) {
    report_overrun(row, took_ms, pause);
  }
}

// What counts is what all its calls for this charge took: that is how long it
// holds up whoever charges.
// REQUIRES: the row's `running` is held.
void judge(const ShrinkerCall& call) {
  ShrinkerRow& row = *call.row;
  AskedShrinkers& asked = *AskedShrinkers::here();
  const uint64_t took_ns = sys::monotonic_ns() - call.began_ns;
  if (took_ns > row.counts.longest_ns.load(kRelaxed)) {
    row.counts.longest_ns.store(took_ns, kRelaxed);
  }
  const uint64_t all_ns = asked.add_time(row, took_ns);
  if (all_ns > row.deadline_ms * uint64_t{1'000'000}) {
    pause_row(row, all_ns / 1'000'000);
    asked.note_overrun(row);
  } else if (call.scanned) {
    asked.note_in_time(row);
  }
}

void finish(ShrinkerCall& call, void (*end)(const CallbackContext&)) {
  end(call.context);
  judge(call);
  t_shrinker_call = nullptr;
  call.row->running.unlock();
}

// One call of a shrinker, count and scan: nobody else is in it meanwhile.
// REQUIRES: the thread is in an AskedShrinkers.
class Running {
 public:
  Running(ShrinkerRow& row, Account& account) : account_(account) {
    if (!row.running.try_lock()) {
      row.counts.busy.fetch_add(1, kRelaxed);
      return;
    }
    // It may have left, and its row be another's, since it was looked at.
    if (!is_wanted(row, account)) {
      row.running.unlock();
      return;
    }
    call_.row = &row;
    row.asked.store(ask_clock.fetch_add(1, kRelaxed) + 1, kRelaxed);
    call_.began_ns = sys::monotonic_ns();
    t_shrinker_call = &call_;
    begin_callback(account, &call_.context);
  }
  ~Running() {
    if (call_.row != nullptr) finish(call_, end_callback);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // Both are 0 if the row is not ours to call.
  size_t count() {
    if (call_.row == nullptr) return 0;
    call_.row->counts.counts.fetch_add(1, kRelaxed);
    const size_t there = believed(g_call_shrinker_hook(
        call_.row->callbacks, ShrinkerStep::kCount, account_, 0));
    AskedShrinkers::here()->keep_count(*call_.row, account_, there);
    return there;
  }
  size_t scan(size_t bytes) {
    if (call_.row == nullptr) return 0;
    ShrinkerCounts& counts = call_.row->counts;
    counts.scans.fetch_add(1, kRelaxed);
    counts.asked.fetch_add(bytes, kRelaxed);
    call_.scanned = true;
    const uint64_t delay = injected_shrinker_delay_ns();
    if (UMEMCG_UNLIKELY(delay != 0)) sys::sleep_ns(delay);
    const size_t freed = believed(g_call_shrinker_hook(
        call_.row->callbacks, ShrinkerStep::kScan, account_, bytes));
    AskedShrinkers::here()->keep_scan(*call_.row, account_, freed);
    counts.freed.fetch_add(freed, kRelaxed);
    return freed;
  }

 private:
  static size_t believed(size_t said) {
    if (said == kShrinkStop) return 0;
    return said < kMostBytes ? said : kMostBytes;
  }

  Account& account_;
  ShrinkerCall call_ = {};
};

// What it has counted since it last scanned, or counts now.
size_t count_of(ShrinkerRow& row, Account& account) {
  const size_t known = AskedShrinkers::here()->counted(row, account);
  return known != 0 ? known : Running(row, account).count();
}

size_t free_some(ShrinkerRow& row, Account& account, size_t wanted) {
  const size_t known = AskedShrinkers::here()->counted(row, account);
  Running running(row, account);
  const size_t there = known != 0 ? known : running.count();
  if (there == 0) return 0;
  return running.scan(there < wanted ? there : wanted);
}

int64_t to_pages(size_t bytes) {
  return static_cast<int64_t>(bytes >> kPageShift);
}

int64_t count_all(Account& account) {
  size_t bytes = 0;
  for (ShrinkerRow* row : Candidates(account)) {
    bytes += count_of(*row, account);
  }
  return to_pages(bytes);
}

int64_t run_all(Account& account, size_t wanted) {
  size_t freed = 0;
  for (ShrinkerRow* row : Candidates(account)) {
    if (freed >= wanted) break;
    freed += free_some(*row, account, wanted - freed);
  }
  return to_pages(freed);
}

}  // namespace

constinit Hook<size_t(const ShrinkerCallbacks&, ShrinkerStep, Account&, size_t)>
    g_call_shrinker_hook{call_nobody};

bool any_shrinkers() { return g_shrinkers_live.load(kRelaxed) != 0; }

bool has_shrinkers(const Account& account) {
  if (!any_shrinkers()) return false;
  const int high = g_shrinkers_high.load(kRelaxed);
  for (int i = 0; i < high; ++i) {
    if (is_wanted(g_shrinkers[i], account)) return true;
  }
  return false;
}

int64_t count_shrinkable(Account& account) {
  if (!may_call()) return 0;
  ErrnoSaver saver;
  return AskedShrinkers::within([&] { return count_all(account); });
}

int64_t run_shrinkers(Account& account, int64_t pages) {
  if (!may_call() || pages <= 0) return 0;
  ErrnoSaver saver;
  const size_t most = kMostBytes >> kPageShift;
  const size_t wanted = static_cast<size_t>(pages) < most
                            ? static_cast<size_t>(pages) << kPageShift
                            : kMostBytes;
  return AskedShrinkers::within([&] { return run_all(account, wanted); });
}

void abandon_shrinker_call() {
  if (t_shrinker_call == nullptr) return;
  finish(*t_shrinker_call, abandon_callback);
  AskedShrinkers::abandon();
  abandon_serving();
}

}  // namespace umemcg

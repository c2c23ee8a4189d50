#include "accounting/gate.h"
#include "base/errno_saver.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/units.h"
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

bool is_pausing(const ShrinkerRow& row) {
  const uint64_t until = row.not_before_ms.load(kRelaxed);
  return until != 0 && sys::coarse_ms() < until;
}

bool is_wanted(const ShrinkerRow& row, const Account& account) {
  return row.is_live() && row.is_for(account) && !is_pausing(row);
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

// REQUIRES: the row's `running` is held.
void judge(ShrinkerRow& row, uint64_t took_ns) {
  if (took_ns > row.counts.longest_ns.load(kRelaxed)) {
    row.counts.longest_ns.store(took_ns, kRelaxed);
  }
  if (took_ns > row.deadline_ms * uint64_t{1'000'000}) {
    pause_row(row, took_ns / 1'000'000);
  } else {
    row.pause_ms.store(0, kRelaxed);
  }
}

void finish(ShrinkerCall& call) {
  end_callback(call.context);
  judge(*call.row, sys::monotonic_ns() - call.began_ns);
  t_shrinker_call = nullptr;
  call.row->running.unlock();
}

// One call of a shrinker, count and scan: nobody else is in it meanwhile.
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
    if (call_.row != nullptr) finish(call_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  // 0 if the row is not ours to call.
  size_t count() {
    if (call_.row == nullptr) return 0;
    call_.row->counts.counts.fetch_add(1, kRelaxed);
    return believed(g_call_shrinker_hook(call_.row->callbacks,
                                         ShrinkerStep::kCount, account_, 0));
  }
  size_t scan(size_t bytes) {
    ShrinkerCounts& counts = call_.row->counts;
    counts.scans.fetch_add(1, kRelaxed);
    counts.asked.fetch_add(bytes, kRelaxed);
    const uint64_t delay = injected_shrinker_delay_ns();
    if (UMEMCG_UNLIKELY(delay != 0)) sys::sleep_ns(delay);
    const size_t freed = believed(g_call_shrinker_hook(
        call_.row->callbacks, ShrinkerStep::kScan, account_, bytes));
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

size_t free_some(ShrinkerRow& row, Account& account, size_t wanted) {
  Running running(row, account);
  const size_t there = running.count();
  if (there == 0) return 0;
  return running.scan(there < wanted ? there : wanted);
}

int64_t to_pages(size_t bytes) {
  return static_cast<int64_t>(bytes >> kPageShift);
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
  size_t bytes = 0;
  for (ShrinkerRow* row : Candidates(account)) {
    bytes += Running(*row, account).count();
  }
  return to_pages(bytes);
}

int64_t run_shrinkers(Account& account, int64_t pages) {
  if (!may_call() || pages <= 0) return 0;
  ErrnoSaver saver;
  const size_t most = kMostBytes >> kPageShift;
  const size_t wanted = static_cast<size_t>(pages) < most
                            ? static_cast<size_t>(pages) << kPageShift
                            : kMostBytes;
  size_t freed = 0;
  for (ShrinkerRow* row : Candidates(account)) {
    if (freed >= wanted) break;
    freed += free_some(*row, account, wanted - freed);
  }
  return to_pages(freed);
}

void abandon_shrinker_call() {
  if (t_shrinker_call == nullptr) return;
  finish(*t_shrinker_call);
  // Nor does the thread come back to the reclaim that it was in.
  t_context.reclaiming = false;
}

}  // namespace umemcg

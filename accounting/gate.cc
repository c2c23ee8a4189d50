#include "accounting/gate.h"

#include "accounting/process.h"
#include "base/fault_point.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kSeqCst = std::memory_order_seq_cst;

// Of a program that only looks at a segment (its changes are made under the
// lock, whose mark says the same).
constinit std::atomic<uint32_t> visitor_mark{0};

constexpr uint64_t kSectionWaitNs = 2'000'000;

// The words at the gate: odd is closed. Each closing has a number of its own.
bool closed(uint64_t word) { return (word & 1) != 0; }

bool marked(const std::atomic<uint32_t>& mark) {
  return mark.load(kSeqCst) != 0;
}

}  // namespace

constinit UMEMCG_TLS uint32_t t_charge_depth = 0;

std::atomic<uint32_t>& ChargeSection::busy_mark() {
  StockLine* line = thread_line();
  if (UMEMCG_LIKELY(line != nullptr)) return line->busy;
  ProcessSlot* slot = g_segment.process(this_process());
  return slot != nullptr ? slot->busy : visitor_mark;
}

// The mark is taken off meanwhile, or the recounter would wait for us (and the
// depth, so that a signal handler waits too). After the bound the gate is
// opened: that voids the recount.
void ChargeSection::wait_at_gate(std::atomic<uint32_t>& mark) {
  std::atomic<uint64_t>& gate = g_segment.header().gate;
  --t_charge_depth;
  mark.fetch_sub(1, std::memory_order_release);
  const uint64_t deadline = sys::monotonic_ns() + kGateWaitNs;
  uint64_t word = gate.load(kSeqCst);
  const uint64_t met = word;
  fault_point("at the gate");
  for (int round = 0; closed(word) && word == met; ++round) {
    if (sys::monotonic_ns() >= deadline) {
      gate.compare_exchange_strong(word, word + 1, kSeqCst);
      break;
    }
    sys::pause(round);
    word = gate.load(kSeqCst);
  }
  // One that was closed meanwhile is not waited for again: it sees the mark.
  mark.fetch_add(1, kSeqCst);
  ++t_charge_depth;
  word = gate.load(kSeqCst);
  if (closed(word)) gate.compare_exchange_strong(word, word + 1, kSeqCst);
}

GateClosed::GateClosed(Segment& segment)
    : segment_(segment), since_(sys::monotonic_ns()) {
  std::atomic<uint64_t>& gate = segment.header().gate;
  // One that was left closed (its holder died) gets a new number too.
  word_ = gate.load(kRelaxed) + 1;
  word_ += closed(word_) ? 0 : 1;
  gate.store(word_, kSeqCst);
}

GateClosed::~GateClosed() {
  SegmentHeader& header = segment_.header();
  uint64_t word = word_;
  header.gate.compare_exchange_strong(word, word_ + 1, kSeqCst);
  const uint64_t time = sys::monotonic_ns() - since_;
  header.gate_closed_ns.fetch_add(time, kRelaxed);
  if (time > header.gate_longest_ns.load(kRelaxed)) {
    header.gate_longest_ns.store(time, kRelaxed);
  }
}

bool GateClosed::still_closed() const {
  return segment_.header().gate.load(kSeqCst) == word_;
}

namespace {

// Calls found(process) for each mark that is set, until it says true.
template <typename Found>
bool find_mark(Segment& segment, Found found) {
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine* line = segment.line(i);
    const uint32_t owner = line != nullptr ? line->owner.load(kRelaxed) : 0;
    if (owner != 0 && marked(line->busy) && found(owner - 1)) return true;
  }
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot* slot = segment.process(i);
    if (slot != nullptr && marked(slot->busy) && found(i)) return true;
  }
  return false;
}

bool living_charger(Segment& segment) {
  return find_mark(segment, [&segment](uint32_t process) {
    return process_alive(segment, process);
  });
}

}  // namespace

bool GateClosed::wait_for_chargers() {
  const uint64_t deadline = since_ + kGateWaitNs;
  for (int round = 0; living_charger(segment_); ++round) {
    if (!still_closed() || sys::monotonic_ns() >= deadline) return false;
    sys::pause(round);
  }
  return true;
}

// A section that begins meanwhile is not waited for, but looks like it: each
// mark need only be seen off once.
bool wait_for_sections(Segment& segment) {
  const uint64_t deadline = sys::monotonic_ns() + kSectionWaitNs;
  auto ended = [deadline](const std::atomic<uint32_t>& mark) {
    for (int round = 0; marked(mark); ++round) {
      if (sys::monotonic_ns() >= deadline) return false;
      sys::pause(round);
    }
    return true;
  };
  for (uint32_t i = 0; i < segment.lines_used(); ++i) {
    const StockLine* line = segment.line(i);
    if (line != nullptr && line->owner.load(kRelaxed) != 0 &&
        !ended(line->busy)) {
      return false;
    }
  }
  for (uint32_t i = 0; i < segment.processes_used(); ++i) {
    const ProcessSlot* slot = segment.process(i);
    if (slot != nullptr && !ended(slot->busy)) return false;
  }
  return true;
}

bool anybody_charging(Segment& segment) {
  return find_mark(segment, [](uint32_t) { return true; });
}

}  // namespace umemcg

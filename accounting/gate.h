// The recount gate. Whoever changes counters together with a ledger or a stock
// does so in a ChargeSection: the thread marks itself busy in its own line, and
// if the gate is closed it waits, at most 10 ms, then goes on and voids the
// recount. So a process that was killed in the middle of a change is known by
// its mark, and a recount finds counters and ledgers that belong together.
//
//   charger:   busy = 1 (seq_cst); look at the gate (seq_cst); change; busy = 0
//   recounter: close the gate (seq_cst); look at all marks (seq_cst); read
//
// One of the two sees the other. A section may lie in another; it does not
// allocate, block (but at the gate) or change errno. Signal handlers may enter.
#pragma once

#include <cstdint>

#include "accounting/segment.h"
#include "accounting/stat_line.h"
#include "base/attributes.h"

namespace umemcg {

// How long a charger waits at the gate.
inline constexpr uint64_t kGateWaitNs = 10'000'000;

// How many sections the thread is in.
extern constinit UMEMCG_TLS uint32_t t_charge_depth;

class ChargeSection {
 public:
  ChargeSection() : mark_(busy_mark()) {
    // seq_cst: see above. (A handler that comes in between leaves mark and
    // depth as it found them.)
    mark_.fetch_add(1, std::memory_order_seq_cst);
    if (t_charge_depth++ == 0 && UMEMCG_UNLIKELY(gate_closed())) {
      wait_at_gate(mark_);
    }
  }
  // release: what was changed is seen by who finds the mark gone.
  ~ChargeSection() {
    --t_charge_depth;
    mark_.fetch_sub(1, std::memory_order_release);
  }
  ChargeSection(const ChargeSection&) = delete;
  ChargeSection& operator=(const ChargeSection&) = delete;

 private:
  // The thread's own, or the process's for threads without a line.
  static std::atomic<uint32_t>& busy_mark();
  static bool gate_closed() {
    return g_segment.mapped() &&
           (g_segment.header().gate.load(std::memory_order_seq_cst) & 1) != 0;
  }
  UMEMCG_COLD static void wait_at_gate(std::atomic<uint32_t>& mark);

  std::atomic<uint32_t>& mark_;
};

// Closing it, for a recount. REQUIRES: the segment's lock.
class GateClosed {
 public:
  explicit GateClosed(Segment& segment);
  // Opens it, and adds the time to the header's.
  ~GateClosed();
  GateClosed(const GateClosed&) = delete;
  GateClosed& operator=(const GateClosed&) = delete;

  // Waits until no live process is in a section; false if one stays in it.
  bool wait_for_chargers();
  // Whether no charger has gone on yet.
  bool still_closed() const;

 private:
  Segment& segment_;
  uint64_t word_;
  uint64_t since_;
};

// Whether any mark in the segment is set.
bool anybody_charging(Segment& segment);

// Waits until every section that is under way has ended: then nobody holds on
// to what was unlinked before the call. 2 ms at most; false if one stays.
bool wait_for_sections(Segment& segment);

}  // namespace umemcg

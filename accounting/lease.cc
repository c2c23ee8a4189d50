#include "accounting/lease.h"

#include "accounting/process.h"
#include "accounting/segment.h"
#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Whether the holder lives is asked of the kernel: not at once, nor often.
constexpr uint64_t kFirstLookMs = 4;
constexpr uint64_t kNextLookMs = 20;

// The word: who (process slot + 1; all ones: somebody without a slot) above,
// a number that tells the process's holders apart, and since when below.
constexpr int kTimeBits = 32;
constexpr int kNumberBits = 12;
constexpr uint32_t kNobodyKnown = (1u << (64 - kTimeBits - kNumberBits)) - 1;

constinit std::atomic<uint32_t> last_number{0};

uint32_t now_ms() { return static_cast<uint32_t>(sys::coarse_ms()); }

uint32_t holder_of(uint64_t word) {
  return static_cast<uint32_t>(word >> (kTimeBits + kNumberBits));
}

// Of the calling thread; never 0.
uint64_t new_word(const Segment& segment) {
  const uint32_t process = &segment == &g_segment ? this_process() : kNone;
  const uint64_t holder =
      process < kNobodyKnown - 1 ? process + 1 : kNobodyKnown;
  const uint64_t number =
      last_number.fetch_add(1, kRelaxed) & ((1u << kNumberBits) - 1);
  return (holder << kNumberBits | number) << kTimeBits | now_ms();
}

// For how long it has been held. REQUIRES: the word was loaded before. (Clocks
// of two processors, or of two time namespaces: later than now is just now.)
uint32_t held_ms(uint64_t word) {
  const uint32_t age = now_ms() - static_cast<uint32_t>(word);
  return age < uint32_t{1} << 31 ? age : 0;
}

bool holder_died(Segment& segment, uint64_t word) {
  const uint32_t holder = holder_of(word);
  if (holder == kNobodyKnown) return false;
  const bool own = &segment == &g_segment && holder - 1 == this_process();
  return !own && !process_alive(segment, holder - 1);
}

// Waits for the word to be free, and takes it.
class Attempt {
 public:
  Attempt(Segment& segment, std::atomic<uint64_t>& word, uint32_t most_ms)
      : segment_(segment), word_(word), most_ms_(most_ms) {}

  // What was stored, or 0 when the time is up.
  uint64_t take(uint32_t wait_ms) {
    const uint64_t start = sys::monotonic_ns();
    for (int round = 0;; ++round) {
      // acquire: what the holder before did is seen (see ~Lease).
      uint64_t seen = word_.load(std::memory_order_acquire);
      const uint64_t waited_ms = (sys::monotonic_ns() - start) / 1'000'000;
      if (seen == 0 || may_take_over(seen, waited_ms)) {
        const uint64_t mine = new_word(segment_);
        if (word_.compare_exchange_strong(seen, mine, std::memory_order_acq_rel,
                                          kRelaxed)) {
          return mine;
        }
      }
      if (waited_ms >= wait_ms) return 0;
      wait(round);
    }
  }

 private:
  bool may_take_over(uint64_t seen, uint64_t waited_ms) {
    const uint32_t age = held_ms(seen);
    if (age >= most_ms_ || waited_longer(seen, waited_ms)) return true;
    if (waited_ms < next_look_ms_) return false;
    next_look_ms_ = waited_ms + kNextLookMs;
    return holder_died(segment_, seen);
  }
  // By this thread's own clock.
  bool waited_longer(uint64_t seen, uint64_t waited_ms) {
    if (seen != seen_) {
      seen_ = seen;
      seen_since_ms_ = waited_ms;
    }
    return waited_ms - seen_since_ms_ >= most_ms_;
  }
  static void wait(int round) {
    constexpr uint64_t kPauseNs = 50'000;
    if (round < 16) {
      sys::yield();
    } else {
      sys::sleep_ns(round < 64 ? kPauseNs : 10 * kPauseNs);
    }
  }

  Segment& segment_;
  std::atomic<uint64_t>& word_;
  const uint32_t most_ms_;
  uint64_t next_look_ms_ = kFirstLookMs;
  uint64_t seen_ = 0;
  uint64_t seen_since_ms_ = 0;
};

}  // namespace

Lease::Lease(Segment& segment, std::atomic<uint64_t>& word, uint32_t wait_ms,
             uint32_t most_ms)
    : word_(word), mine_(Attempt(segment, word, most_ms).take(wait_ms)) {}

Lease::~Lease() {
  // release: pairs with the next holder's acquire. Taken over: not ours now.
  uint64_t mine = mine_;
  if (mine != 0) {
    word_.compare_exchange_strong(mine, 0, std::memory_order_release, kRelaxed);
  }
}

void reset_leases(Segment& segment) {
  if (!segment.mapped() || !segment.is_private()) return;
  segment.header().oom_lease.store(0, kRelaxed);
  segment.header().drain_lease.store(0, kRelaxed);
  for (uint32_t i = 0; i < segment.groups_used(); ++i) {
    segment.group(i)->psi.lease.store(0, kRelaxed);
  }
}

void drop_leases(Segment& segment, uint32_t process) {
  SegmentHeader& header = segment.header();
  for (auto* word : {&header.oom_lease, &header.drain_lease}) {
    uint64_t seen = word->load(kRelaxed);
    if (seen == 0 || holder_of(seen) != process + 1) continue;
    // release: as in ~Lease. Somebody may just have taken it over.
    word->compare_exchange_strong(seen, 0, std::memory_order_release, kRelaxed);
  }
}

}  // namespace umemcg

// Two threads: each on its own live set, and one that frees what the other
// allocates.
//
// Synchronisation: the barrier orders both threads' set-up before either's
// work; Ring (below) orders a block's writes before its free; join orders the
// stamps before they are read.

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>

#include "bench/workload/cases.h"
#include "bench/workload/live_set.h"
#include "bench/workload/support.h"

namespace umemcg {
namespace {

constexpr size_t kCacheLine = 64;
constexpr uint32_t kBatch = 128;
constexpr uint32_t kBatches = 64;
constexpr UniformSizes kSmall{16, 512};

struct Span {
  Stamp begin;
  Stamp end;
};

// Puts the calling thread on the nth CPU of those it may use, so that two
// threads never share one while another is idle. With too few, it stays.
void PinToCpu(int nth) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return;
  }
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && nth-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof(one), &one);
      return;
    }
  }
}

Result Combine(const Span& a, const Span& b, uint64_t ops) {
  const uint64_t begin = std::min(a.begin.wall_ns, b.begin.wall_ns);
  const uint64_t end = std::max(a.end.wall_ns, b.end.wall_ns);
  const uint64_t cpu_ns =
      (a.end.cpu_ns - a.begin.cpu_ns) + (b.end.cpu_ns - b.begin.cpu_ns);
  return {ops, end - begin, cpu_ns};
}

// Runs first() and second() on a thread each; both are given a barrier that
// they pass between set-up and work, and return the span of their work.
template <typename First, typename Second>
Result RunBoth(First first, Second second, uint64_t ops) {
  std::barrier<> start(2);
  Span spans[2];
  std::thread other([&] {
    PinToCpu(1);
    spans[1] = second(start);
  });
  std::thread one([&] {
    PinToCpu(0);
    spans[0] = first(start);
  });
  one.join();
  other.join();
  return Combine(spans[0], spans[1], ops);
}

// Batches of blocks on their way from one producer to one consumer.
class Ring {
 public:
  using Batch = char* [kBatch];

  // The batch to fill next; waits while the ring is full.
  Batch& Reserve() {
    const uint64_t at = filled_.load(std::memory_order_relaxed);
    // Acquire pairs with Discard: the consumer has read the batch.
    while (at - taken_.load(std::memory_order_acquire) == kBatches) {
      sched_yield();
    }
    return batches_[at % kBatches];
  }

  // Hands the reserved batch over. Release pairs with Peek.
  void Publish() { filled_.fetch_add(1, std::memory_order_release); }

  // The oldest batch; waits while there is none.
  Batch& Peek() {
    const uint64_t at = taken_.load(std::memory_order_relaxed);
    // Acquire pairs with Publish: the pointers and the blocks are written.
    while (filled_.load(std::memory_order_acquire) == at) {
      sched_yield();
    }
    return batches_[at % kBatches];
  }

  // Gives the oldest batch's place back. Release pairs with Reserve.
  void Discard() { taken_.fetch_add(1, std::memory_order_release); }

 private:
  // Each end's counter has a line of its own: only its owner writes it.
  alignas(kCacheLine) std::atomic<uint64_t> filled_{0};
  alignas(kCacheLine) std::atomic<uint64_t> taken_{0};
  alignas(kCacheLine) Batch batches_[kBatches];
};

void Produce(Ring& ring, uint64_t batches) {
  Random random(7);
  for (uint64_t i = 0; i < batches; ++i) {
    for (char*& block : ring.Reserve()) {
      const size_t size = kSmall.Draw(random);
      block = Allocate(size);
      Touch(block, size);
    }
    ring.Publish();
  }
}

void Consume(Ring& ring, uint64_t batches) {
  for (uint64_t i = 0; i < batches; ++i) {
    for (char* block : ring.Peek()) {
      std::free(block);
    }
    ring.Discard();
  }
}

}  // namespace

Result RunTwoThreads(uint64_t ops) {
  const uint64_t each = (ops + 1) / 2;
  const auto replace = [each](uint64_t seed) {
    return [each, seed](std::barrier<>& start) -> Span {
      LiveSet set(100'000, kSmall, seed);
      start.arrive_and_wait();
      const Stamp begin = Stamp::Now();
      set.Replace(each);
      return {begin, Stamp::Now()};
    };
  };
  return RunBoth(replace(5), replace(6), 2 * each);
}

Result RunProducerConsumer(uint64_t ops) {
  const uint64_t batches = (ops + kBatch - 1) / kBatch;
  Ring ring;
  const auto timed = [&ring, batches](void (*work)(Ring&, uint64_t)) {
    return [&ring, batches, work](std::barrier<>& start) -> Span {
      start.arrive_and_wait();
      const Stamp begin = Stamp::Now();
      work(ring, batches);
      return {begin, Stamp::Now()};
    };
  };
  return RunBoth(timed(Produce), timed(Consume), batches * kBatch);
}

}  // namespace umemcg

// A lock in the segment that survives its holder: a word that says who has it
// since when. It is waited for with a deadline, and taken over from a process
// that has died (seen after 4 ms of waiting, then every 20 ms), or that has had
// it for longer than it may.
//
// For what happens rarely (out of memory, draining all stocks, pressure): what
// it guards must bear that two are inside after a take-over. It does not
// recurse: a handler that interrupts its thread's own waits in vain. Nothing is
// allocated, no lock taken, errno kept.
#pragma once

#include <atomic>
#include <cstdint>

namespace umemcg {

class Segment;

class Lease {
 public:
  // Waits up to `wait_ms` (0: only tries). After `most_ms` of holding, others
  // may take it over. `segment` tells who is alive.
  Lease(Segment& segment, std::atomic<uint64_t>& word, uint32_t wait_ms,
        uint32_t most_ms);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  bool held() const { return mine_ != 0; }

 private:
  std::atomic<uint64_t>& word_;
  uint64_t mine_ = 0;
};

// In the child of a fork: what threads of the parent held in a copy that is the
// child's own now is free. Nothing in a domain, where they hold it still.
void reset_leases(Segment& segment);

// The process is dead, and its slot about to be another's, which would seem to
// hold what it held.
void drop_leases(Segment& segment, uint32_t process);

}  // namespace umemcg

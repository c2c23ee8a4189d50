// Giving claimed slices back to the system.
#pragma once

#include <cstdint>

#include "alloc/cached.h"
#include "alloc/cached_stack.h"

namespace umemcg {

// A run of neighbouring pages claimed from slices, given back by one madvise.
// Slices that the system would not take back are chained to `refused`.
class PurgeRun {
 public:
  PurgeRun(SliceChain& refused, PurgeReason reason)
      : refused_(refused), reason_(reason) {}
  ~PurgeRun() { flush(); }
  PurgeRun(const PurgeRun&) = delete;
  PurgeRun& operator=(const PurgeRun&) = delete;

  // Adds a slice that says `purging`.
  void add(SliceNumber number);
  void flush();

  int64_t purged() const { return purged_; }

 private:
  static constexpr uint32_t kMost = 1024;  // 64 MiB

  SliceNumber purge_from(SliceNumber at, SliceNumber end);
  void purge_parts(SliceNumber number);
  void finish(SliceNumber number, uint32_t mask, int error);

  SliceChain& refused_;
  PurgeReason reason_;
  SliceNumber low_ = 0;
  SliceNumber high_ = 0;
  uint32_t count_ = 0;
  int64_t purged_ = 0;
};

}  // namespace umemcg

// What a charge is for. Every kind goes to the same counter; the kind says
// which line of memory.stat it is shown in, and UMEMCG_ACCOUNT chooses by it.
#pragma once

#include <cstdint>

namespace umemcg {

enum class Kind : uint8_t { kHeap, kMmap, kShmem, kKmem, kSock };
inline constexpr int kKinds = 5;
inline constexpr const char* kKindNames[kKinds] = {"heap", "mmap", "shmem",
                                                   "kmem", "sock"};

class KindSet {
 public:
  static constexpr KindSet all() { return KindSet((1u << kKinds) - 1); }
  static constexpr KindSet none() { return KindSet(0); }
  constexpr bool has(Kind kind) const {
    return (bits_ >> static_cast<unsigned>(kind) & 1u) != 0;
  }
  constexpr void add(Kind kind) { bits_ |= 1u << static_cast<unsigned>(kind); }

 private:
  constexpr explicit KindSet(uint32_t bits) : bits_(bits) {}
  uint32_t bits_;
};

}  // namespace umemcg

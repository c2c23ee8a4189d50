// Bytes, pages and their limits. Counters count pages of 4 KiB; what people
// write and read is bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace umemcg {

inline constexpr size_t kPageShift = 12;
inline constexpr size_t kPageSize = size_t{1} << kPageShift;

// "unlimited", as PAGE_COUNTER_MAX in the kernel: LONG_MAX / PAGE_SIZE, so
// that any counter value in bytes still fits a signed 64-bit number.
inline constexpr int64_t kPageCounterMax = INT64_MAX >> kPageShift;

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;
inline constexpr size_t kTiB = 1024 * kGiB;

constexpr size_t round_up(size_t value, size_t power_of_two) {
  return (value + power_of_two - 1) & ~(power_of_two - 1);
}
constexpr size_t round_down(size_t value, size_t power_of_two) {
  return value & ~(power_of_two - 1);
}
constexpr size_t bytes_to_pages_up(size_t bytes) {
  return (bytes >> kPageShift) + ((bytes & (kPageSize - 1)) != 0);
}

}  // namespace umemcg

// How long, and how it begins: from the environment.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace umemcg::shared {

// UMEMCG_STRESS_SECONDS, or what ctest has time for.
inline std::chrono::seconds stress_duration(int usual) {
  const char* text = std::getenv("UMEMCG_STRESS_SECONDS");
  return std::chrono::seconds(text != nullptr ? std::atoi(text) : usual);
}

// UMEMCG_SEED, or another one each time; printed.
inline uint32_t first_seed() {
  const char* text = std::getenv("UMEMCG_SEED");
  const uint32_t seed =
      text != nullptr ? static_cast<uint32_t>(std::strtoul(text, nullptr, 0))
                      : static_cast<uint32_t>(getpid()) * 2654435761u;
  std::printf("UMEMCG_SEED=%u\n", seed);
  return seed;
}

}  // namespace umemcg::shared

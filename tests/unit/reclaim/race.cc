#include "tests/unit/reclaim/race.h"

#include <atomic>
#include <cstring>
#include <random>

#include "base/fault_point.h"
#include "base/sys.h"
#include "reclaim/charge_object.h"
#include "stock/current.h"

namespace umemcg {
namespace {

// Above all where pages are on their way between counters and stocks.
void sleep_now_and_then(const char* label) {
  static std::atomic<uint32_t> seeds{0};
  static thread_local std::minstd_rand random(seeds.fetch_add(1) + 1);
  const bool on_their_way =
      std::strcmp(label, "between charge and refill") == 0 ||
      std::strcmp(label, "between a drained word and the counter") == 0;
  if (random() % (on_their_way ? 4 : 256) == 0) {
    sys::sleep_ns(1 + random() % 2'000'000);
  }
}

}  // namespace

Disturbance::Disturbance() { g_fault_point_hook.install(sleep_now_and_then); }

Disturbance::~Disturbance() {
  g_fault_point_hook.install([](const char*) {});
}

Race Race::random(uint32_t seed, int64_t racers) {
  std::mt19937 random(seed);
  const int64_t most[] = {2, 10, 100, 1000};
  Race race;
  const auto bound = static_cast<uint64_t>(most[random() % 4]);
  race.pages = 1 + static_cast<int64_t>(random() % bound);
  // Until it is refused, or hardly enough for all pages: then one that is
  // refused for no reason leaves a page that nobody asks for again.
  race.attempts = random() % 2 == 0 ? race.pages + 1 : race.pages / racers + 1;
  race.kind = random() % 4 == 0 ? Kind::kKmem : Kind::kMmap;
  const uint32_t flags[] = {0, 0, kChargeRetryMayFail, kChargeNoRetry};
  race.flags = flags[random() % 4];
  return race;
}

int64_t Race::run(Account& account) const {
  int64_t had = 0;
  for (int64_t i = 0; i < attempts; ++i) {
    if (charge_object(account, kind, kPageSize, flags) != 0) break;
    ++had;
  }
  return had;
}

// In pieces, so that some of it stays in the stock.
void Race::give_back(Account& account, int64_t had) const {
  for (; had > 3; had -= 3) uncharge_object(account, kind, 3 * kPageSize);
  for (; had > 0; --had) uncharge_object(account, kind, kPageSize);
}

}  // namespace umemcg

#include "stock/fail.h"

#include <cstring>

#include "accounting/vmpressure.h"
#include "base/check.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kPressurePauseMs = 100;
constexpr int kNoPressure = -1;
constexpr uint64_t kCertain = uint64_t{1} << 32;
constexpr uint64_t kMost = 1'000'000'000'000;

struct Settings {
  uint64_t every = 0;
  uint64_t after = UINT64_MAX;
  uint64_t probability = 0;  // of kCertain
  int pressure = kNoPressure;
  uint64_t shrinker_delay_ms = 0;
};

constinit Settings settings;
constinit std::atomic<uint64_t> charges{0};
// The thread's charge has failed by it, and its allocation not yet.
constinit UMEMCG_TLS bool t_injected = false;
constinit std::atomic<uint64_t> last_pressure_ms{0};
constinit std::atomic<bool> said{false};

// Reads a decimal number, and a fraction if `scale` has room for one: in
// units of 1 / scale. Null if there is none, or it is too large.
const char* read_number(const char* at, uint64_t scale, uint64_t* value) {
  if (*at < '0' || *at > '9') return nullptr;
  uint64_t whole = 0;
  for (; *at >= '0' && *at <= '9'; ++at) {
    whole = whole * 10 + static_cast<uint64_t>(*at - '0');
    if (whole > kMost) return nullptr;
  }
  *value = whole * scale;
  if (*at != '.' || scale == 1) return at;
  uint64_t part = scale;
  for (++at; *at >= '0' && *at <= '9'; ++at) {
    part /= 10;
    *value += part * static_cast<uint64_t>(*at - '0');
  }
  return at;
}

const char* after_word(const char* at, const char* word) {
  const size_t length = std::strlen(word);
  return std::strncmp(at, word, length) == 0 ? at + length : nullptr;
}

const char* read_level(const char* at, int* level) {
  for (int i = 0; i < kPressureLevels; ++i) {
    if (const char* rest = after_word(at, kPressureNames[i])) {
      *level = i;
      return rest;
    }
  }
  return nullptr;
}

// One clause; null if it is none.
const char* read_clause(const char* at, Settings& out) {
  if (const char* rest = after_word(at, "charge:every=")) {
    rest = read_number(rest, 1, &out.every);
    return out.every != 0 ? rest : nullptr;
  }
  if (const char* rest = after_word(at, "charge:after=")) {
    return read_number(rest, 1, &out.after);
  }
  if (const char* rest = after_word(at, "charge:prob=")) {
    rest = read_number(rest, kCertain, &out.probability);
    return out.probability <= kCertain ? rest : nullptr;
  }
  if (const char* rest = after_word(at, "pressure:")) {
    return read_level(rest, &out.pressure);
  }
  if (const char* rest = after_word(at, "shrinker:delay=")) {
    rest = read_number(rest, 1, &out.shrinker_delay_ms);
    return out.shrinker_delay_ms <= 3'600'000 ? rest : nullptr;
  }
  return nullptr;
}

// splitmix64 of the charge's number: the same charges fail in every run.
bool by_chance(uint64_t number) {
  uint64_t z = number * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return (z ^ z >> 31) >> 32 < settings.probability;
}

void force_pressure(const Account& account) {
  const uint64_t now = sys::coarse_ms();
  uint64_t last = last_pressure_ms.load(kRelaxed);
  if (now - last < kPressurePauseMs ||
      !last_pressure_ms.compare_exchange_strong(last, now, kRelaxed)) {
    return;
  }
  // What makes a window of 512 pages each level.
  constexpr int64_t kReclaimed[kPressureLevels] = {512, 150, 0};
  vmpressure(g_segment, account.charged.load(kRelaxed),
             int64_t{kPressureWindow}, kReclaimed[settings.pressure]);
}

}  // namespace

constinit std::atomic<bool> g_fail_charges{false};

bool set_fail(const char* text) {
  Settings read;
  const char* at = text;
  for (;;) {
    at = read_clause(at, read);
    if (at == nullptr) return false;
    if (*at == '\0') break;
    if (*at++ != ',') return false;
  }
  settings = read;
  const bool charged = read.every != 0 || read.after != UINT64_MAX ||
                       read.probability != 0 || read.pressure != kNoPressure;
  g_fail_charges.store(charged, kRelaxed);
  return true;
}

bool inject_failure(const Account& account) {
  if (t_injected) return true;
  if (settings.pressure != kNoPressure) force_pressure(account);
  const uint64_t number = charges.fetch_add(1, kRelaxed) + 1;
  const bool fails = (settings.every != 0 && number % settings.every == 0) ||
                     number > settings.after ||
                     (settings.probability != 0 && by_chance(number));
  t_injected = fails;
  if (fails && first_time(said)) {
    Line line;
    line.text("UMEMCG_FAIL: charge ").number(number);
    print_line(line.text(" fails (later ones are not printed)"));
  }
  return fails;
}

bool take_injected(bool again) {
  const bool injected = t_injected;
  if (!again) t_injected = false;
  return injected;
}

void end_injected() { t_injected = false; }

uint64_t injected_shrinker_delay_ns() {
  return settings.shrinker_delay_ms * 1'000'000;
}

}  // namespace umemcg

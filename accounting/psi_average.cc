#include "accounting/psi_average.h"

#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// exp(-2/10), exp(-2/60), exp(-2/300), with 32 bits behind the point.
constexpr int kFactorShift = 32;
constexpr uint64_t kOne = uint64_t{1} << kFactorShift;
constexpr uint64_t kFactors[kPsiAverages] = {3516421809, 4154161520,
                                             4266429413};
constexpr const char* kNames[kPsiAverages] = {"avg10", "avg60", "avg300"};

constexpr uint64_t kHundred = uint64_t{100} << kPsiShift;
// Clocks of two processors, or of two time namespaces, differ by less; a time
// that lies further ahead is one of another boot.
constexpr uint64_t kClockSlackUs = 60'000'000;

// factor^n.
uint64_t power(uint64_t factor, uint64_t n) {
  uint64_t result = kOne - 1;
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) result = result * factor >> kFactorShift;
    factor = factor * factor >> kFactorShift;
  }
  return result;
}

// Towards the sample; rounded up when it rises, or it would never get there.
uint64_t approach(uint64_t average, uint64_t factor, uint64_t sample) {
  uint64_t sum = average * factor + sample * (kOne - factor);
  if (sample >= average) sum += kOne - 1;
  return sum >> kFactorShift;
}

// `stalled_us` of that many periods: each average takes as many steps.
void take_samples(PsiGroup& psi, PsiState state, uint64_t stalled_us,
                  uint64_t periods) {
  const uint64_t percent = stalled_us >= periods * kPsiPeriodUs
                               ? kHundred
                               : stalled_us * 100 / periods *
                                     (uint64_t{1} << kPsiShift) / kPsiPeriodUs;
  for (int i = 0; i < kPsiAverages; ++i) {
    std::atomic<uint64_t>& average = psi.average[state][i];
    uint64_t before = average.load(kRelaxed);
    if (before > kHundred) before = kHundred;  // damage
    const uint64_t factor =
        periods == 1 ? kFactors[i] : power(kFactors[i], periods);
    average.store(approach(before, factor, percent), kRelaxed);
  }
}

// What has come to the totals since the last sample counts as one of `periods`;
// what is more than fits (it was booked by somebody who was ahead) is left for
// the next.
void sample_until(PsiGroup& psi, uint64_t end_us, uint64_t periods) {
  psi_advance(psi, end_us);
  for (PsiState state : {kPsiSome, kPsiFull}) {
    std::atomic<uint64_t>& seen = psi.averaged_total_us[state];
    const uint64_t before = seen.load(kRelaxed);
    uint64_t stalled = psi.total_us[state].load(kRelaxed) - before;
    if (stalled > periods * kPsiPeriodUs) stalled = periods * kPsiPeriodUs;
    seen.store(before + stalled, kRelaxed);
    take_samples(psi, state, stalled, periods);
  }
  psi.averaged_us.store(end_us, kRelaxed);
}

void book(PsiGroup& psi, PsiWord word, uint64_t until_us) {
  if (word.stalled() == 0 || psi.disabled.load(kRelaxed) != 0) return;
  const uint64_t passed = until_us - word.since_us();
  for (PsiState state : {kPsiSome, kPsiFull}) {
    if (word.in(state)) psi.total_us[state].fetch_add(passed, kRelaxed);
  }
}

// Swaps the word for what `change` makes of it at the time; the word before.
template <typename Change>
PsiWord swap_word(PsiGroup& psi, uint64_t now_us, Change change) {
  uint64_t bits = psi.state.load(kRelaxed);
  for (;;) {
    const PsiWord word(bits);
    // Time does not go back, unless it began anew.
    const uint64_t since = word.since_us();
    const bool ahead = now_us < since;
    const bool lost = ahead && since - now_us > kClockSlackUs;
    const uint64_t at = ahead && !lost ? since : now_us;
    const PsiWord next = change(word, at);
    if (next.bits() == bits) return word;
    // relaxed: the word says it all, and guards nothing.
    if (psi.state.compare_exchange_weak(bits, next.bits(), kRelaxed)) {
      if (!lost) book(psi, word, at);
      return word;
    }
  }
}

void show_percent(uint64_t value, TextBuffer& out) {
  const uint64_t hundredths =
      ((value & ((uint64_t{1} << kPsiShift) - 1)) * 100) >> kPsiShift;
  out.number(value >> kPsiShift).character('.');
  out.number(hundredths / 10).number(hundredths % 10);
}

}  // namespace

void psi_advance(PsiGroup& psi, uint64_t now_us) {
  swap_word(psi, now_us, [](PsiWord word, uint64_t at) {
    // (Idle: the word keeps when the last stall ended.)
    if (word.stalled() == 0) return word;
    return PsiWord(at, word.productive(), word.stalled());
  });
}

PsiWord psi_add_stalled(PsiGroup& psi, uint64_t now_us, int by) {
  return swap_word(psi, now_us, [by](PsiWord word, uint64_t at) {
    const int sum = static_cast<int>(word.stalled()) + by;
    return PsiWord(at, word.productive(),
                   sum > 0 ? static_cast<uint32_t>(sum) : 0);
  });
}

void psi_set_productive(PsiGroup& psi, uint64_t now_us, bool productive) {
  swap_word(psi, now_us, [productive](PsiWord word, uint64_t at) {
    if (word.productive() == productive) return word;
    return PsiWord(word.stalled() != 0 ? at : word.since_us(), productive,
                   word.stalled());
  });
}

bool psi_average_due(const PsiGroup& psi, uint64_t now_us) {
  const uint64_t last = psi.averaged_us.load(kRelaxed);
  if (last == 0) return true;
  return now_us >= last ? now_us - last >= kPsiPeriodUs
                        : last - now_us > kClockSlackUs;
}

void psi_average(PsiGroup& psi, uint64_t now_us) {
  const uint64_t last = psi.averaged_us.load(kRelaxed);
  if (last == 0 || last > now_us) {
    if (psi_average_due(psi, now_us)) psi.averaged_us.store(now_us, kRelaxed);
    return;
  }
  const uint64_t periods = (now_us - last) / kPsiPeriodUs;
  if (periods == 0) return;
  // The first has what was booked before; the state was the same in all others.
  sample_until(psi, last + kPsiPeriodUs, 1);
  if (periods > 1) {
    sample_until(psi, last + periods * kPsiPeriodUs, periods - 1);
  }
}

uint32_t psi_stalled(const PsiGroup& psi) {
  return PsiWord(psi.state.load(kRelaxed)).stalled();
}

void psi_show(const PsiGroup& psi, TextBuffer& out) {
  constexpr const char* kStates[kPsiStates] = {"some", "full"};
  for (PsiState state : {kPsiSome, kPsiFull}) {
    out.text(kStates[state]);
    for (int i = 0; i < kPsiAverages; ++i) {
      out.character(' ').text(kNames[i]).character('=');
      show_percent(psi.average[state][i].load(kRelaxed), out);
    }
    out.text(" total=").number(psi.total_us[state].load(kRelaxed));
    out.character('\n');
  }
}

}  // namespace umemcg

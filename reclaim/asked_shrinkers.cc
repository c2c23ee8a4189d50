#include "reclaim/asked_shrinkers.h"

#include <cstring>

#include "base/sys.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// One that gives nothing may take so long, in all passes, to say so.
constexpr uint32_t kPatienceUs = 10'000;

constinit UMEMCG_TLS AskedShrinkers* t_asked = nullptr;

ptrdiff_t place_of(const ShrinkerRow& row) { return &row - g_shrinkers; }

}  // namespace

AskedShrinkers::AskedShrinkers() : outermost_(t_asked == nullptr) {
  if (!outermost_) return;
  clear();
  t_asked = this;
}

AskedShrinkers::~AskedShrinkers() {
  if (!outermost_) return;
  t_asked = nullptr;
  forgive();
}

AskedShrinkers* AskedShrinkers::here() { return t_asked; }

void AskedShrinkers::renew() {
  if (t_asked == nullptr) return;
  t_asked->forgive();
  t_asked->clear();
}

void AskedShrinkers::begin_pass() { ++t_asked->pass_; }

void AskedShrinkers::abandon() { t_asked = nullptr; }

bool AskedShrinkers::is_useless(const ShrinkerRow& row,
                                const Account& account) const {
  const Answer* answer = find(row, account);
  if (answer == nullptr || answer->useless_in == 0) return false;
  return answer->useless_in == pass_ || spent_us_[place_of(row)] > kPatienceUs;
}

size_t AskedShrinkers::counted(const ShrinkerRow& row,
                               const Account& account) const {
  const Answer* answer = find(row, account);
  return answer != nullptr ? answer->counted : 0;
}

// (One that has nothing now is asked again: that ends a walk anyway.)
void AskedShrinkers::keep_count(const ShrinkerRow& row, const Account& account,
                                size_t bytes) {
  if (bytes != 0) answer_of(row, account).counted = bytes;
}

void AskedShrinkers::keep_scan(const ShrinkerRow& row, const Account& account,
                               size_t freed) {
  Answer& answer = answer_of(row, account);
  answer.counted = 0;
  answer.useless_in = freed == 0 ? pass_ : 0;
}

uint64_t AskedShrinkers::add_time(const ShrinkerRow& row, uint64_t ns) {
  uint32_t& spent = spent_us_[place_of(row)];
  const uint64_t us = spent + ns / 1000;
  spent = us < UINT32_MAX ? static_cast<uint32_t>(us) : UINT32_MAX;
  return us * 1000;
}

void AskedShrinkers::note_in_time(const ShrinkerRow& row) {
  in_time_[place_of(row)] = true;
}

void AskedShrinkers::note_overrun(const ShrinkerRow& row) {
  in_time_[place_of(row)] = false;
  spent_us_[place_of(row)] = 0;
}

void AskedShrinkers::clear() {
  pass_ = 1;
  answers_made_ = 0;
  std::memset(spent_us_, 0, sizeof(spent_us_));
  std::memset(in_time_, 0, sizeof(in_time_));
}

// Those that were in time all along begin with the shortest pause again.
// (Unless one pauses: it was too slow for another thread.)
void AskedShrinkers::forgive() {
  const int high = g_shrinkers_high.load(kRelaxed);
  for (int i = 0; i < high; ++i) {
    ShrinkerRow& row = g_shrinkers[i];
    if (in_time_[i] && !row.is_pausing()) row.pause_ms.store(0, kRelaxed);
  }
}

const AskedShrinkers::Answer* AskedShrinkers::find(
    const ShrinkerRow& row, const Account& account) const {
  const int id = row.id.load(kRelaxed);
  const uint32_t count =
      answers_made_ < kMostAnswers ? answers_made_ : kMostAnswers;
  for (uint32_t i = 0; i < count; ++i) {
    const Answer& answer = answers_[i];
    if (answer.id == id && answer.account == &account) return &answer;
  }
  return nullptr;
}

AskedShrinkers::Answer& AskedShrinkers::answer_of(const ShrinkerRow& row,
                                                  const Account& account) {
  if (const Answer* known = find(row, account)) {
    return answers_[known - answers_];
  }
  Answer& answer = answers_[answers_made_++ % kMostAnswers];
  answer = {row.id.load(kRelaxed), 0, &account, 0};
  return answer;
}

}  // namespace umemcg

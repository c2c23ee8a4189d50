#include "accounting/psi_trigger.h"

#include <cerrno>
#include <cstring>

#include "accounting/segment.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Begins a window; what the last one grew by stays in sight.
void begin_window(PsiTrigger& trigger, uint64_t now_us, uint64_t total_us,
                  uint64_t grown_us) {
  trigger.start_us = now_us;
  trigger.start_total_us = total_us;
  trigger.previous_us = grown_us;
}

// By how much the total grew in the last window, as far as known.
uint64_t growth(PsiTrigger& trigger, uint64_t now_us, uint64_t total_us) {
  const uint64_t elapsed = now_us - trigger.start_us;
  const uint64_t grown = total_us - trigger.start_total_us;
  trigger.idle = grown == 0 && trigger.previous_us == 0;
  if (elapsed > trigger.window_us || trigger.idle) {
    begin_window(trigger, now_us, total_us, grown);
    return grown;
  }
  const uint64_t rest = trigger.window_us - elapsed;
  return grown + trigger.previous_us * rest / trigger.window_us;
}

uint64_t total(Segment& segment, uint32_t group, PsiState state) {
  const Group* row = segment.group(group);
  return row != nullptr ? row->psi.total_us[state].load(kRelaxed) : 0;
}

// sscanf's " %u", but for numbers that do not fit.
bool take_number(const char** text, uint32_t* number) {
  while (**text == ' ' || **text == '\t' || **text == '\n') ++*text;
  if (**text < '0' || **text > '9') return false;
  uint64_t sum = 0;
  for (; **text >= '0' && **text <= '9'; ++*text) {
    if (sum <= UINT32_MAX) sum = sum * 10 + static_cast<uint64_t>(**text - '0');
  }
  *number = static_cast<uint32_t>(sum);
  return sum <= UINT32_MAX;
}

bool is_possible(uint32_t threshold_us, uint32_t window_us) {
  return window_us >= kPsiLeastWindowUs && window_us <= kPsiMostWindowUs &&
         threshold_us != 0 && threshold_us <= window_us;
}

}  // namespace

int parse_psi_trigger(const char* text, PsiState* state, uint32_t* threshold_us,
                      uint32_t* window_us) {
  const bool full = std::strncmp(text, "full", 4) == 0;
  if (!full && std::strncmp(text, "some", 4) != 0) return EINVAL;
  *state = full ? kPsiFull : kPsiSome;
  text += 4;
  const bool good = take_number(&text, threshold_us) &&
                    take_number(&text, window_us) &&
                    is_possible(*threshold_us, *window_us);
  return good ? 0 : EINVAL;
}

int psi_trigger_init(PsiTrigger& trigger, PsiState state, uint32_t threshold_us,
                     uint32_t window_us, uint64_t now_us, uint64_t total_us) {
  if (!is_possible(threshold_us, window_us)) return EINVAL;
  trigger = {};
  trigger.state = state;
  trigger.threshold_us = threshold_us;
  trigger.window_us = window_us;
  trigger.asked_us = now_us;
  begin_window(trigger, now_us, total_us, 0);
  return 0;
}

bool psi_trigger_update(PsiTrigger& trigger, uint64_t now_us,
                        uint64_t total_us) {
  // The row is another group's now, or the clock began anew.
  if (now_us < trigger.start_us || total_us < trigger.start_total_us) {
    begin_window(trigger, now_us, total_us, 0);
    trigger.fired_us = 0;
  }
  trigger.asked_us = now_us;
  if (growth(trigger, now_us, total_us) >= trigger.threshold_us) {
    trigger.pending = true;
  }
  const bool recently =
      trigger.fired_us != 0 && now_us < trigger.fired_us + trigger.window_us;
  if (!trigger.pending || recently) return false;
  trigger.pending = false;
  trigger.fired_us = now_us;
  return true;
}

int psi_trigger_start(PsiTrigger& trigger, Segment& segment, uint32_t group,
                      PsiState state, uint32_t threshold_us, uint32_t window_us,
                      uint64_t now_ns) {
  Group* row = segment.group(group);
  if (row == nullptr) return EINVAL;
  psi_update(segment, group, now_ns);
  const int error =
      psi_trigger_init(trigger, state, threshold_us, window_us, now_ns / 1000,
                       total(segment, group, state));
  if (error == 0) row->psi.triggers.store(1, kRelaxed);
  return error;
}

bool psi_trigger_due(PsiTrigger& trigger, Segment& segment, uint32_t group,
                     uint64_t now_ns) {
  psi_update(segment, group, now_ns);
  const bool tell = psi_trigger_update(trigger, now_ns / 1000,
                                       total(segment, group, trigger.state));
  // It may become full without a stall that begins.
  const Group* row = segment.group(group);
  if (row != nullptr && psi_stalled(row->psi) != 0) trigger.idle = false;
  return tell;
}

uint64_t psi_trigger_next(const PsiTrigger& trigger) {
  const bool wait = trigger.idle && !trigger.pending;
  const uint32_t pause = trigger.window_us / (wait ? 1 : kPsiUpdatesPerWindow);
  return (trigger.asked_us + pause) * 1000;
}

}  // namespace umemcg

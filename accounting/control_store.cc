#include <cerrno>
#include <climits>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/controller.h"
#include "accounting/mem_cgroup.h"
#include "accounting/process.h"
#include "accounting/size.h"
#include "accounting/tree_change.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

unsigned digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return UINT_MAX;
}

}  // namespace

int parse_int(const char* text, uint32_t* value) {
  const bool negative = *text == '-';
  if (negative || *text == '+') ++text;
  unsigned radix = 10;
  if (text[0] == '0' && text[1] != '\0') {
    const bool hex = text[1] == 'x' || text[1] == 'X';
    radix = hex ? 16 : 8;
    if (hex) text += 2;
  }
  if (*text == '\0') return EINVAL;
  uint64_t sum = 0;
  for (; *text != '\0'; ++text) {
    const unsigned digit = digit_of(*text);
    if (digit >= radix) return EINVAL;
    if (sum <= INT_MAX) sum = sum * radix + digit;
  }
  if (sum > INT_MAX || (negative && sum != 0)) return ERANGE;
  *value = static_cast<uint32_t>(sum);
  return 0;
}

namespace {

int store_count(std::atomic<uint32_t>& count, const char* value) {
  uint32_t number = kNone;
  int error = std::strcmp(value, "max") == 0 ? 0 : parse_int(value, &number);
  if (error == 0) count.store(number, kRelaxed);
  return error;
}

}  // namespace

int store_min(Segment& segment, uint32_t group, const char* value) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  segment.group(group)->memory.set_min(pages);
  return 0;
}

int store_low(Segment& segment, uint32_t group, const char* value) {
  int64_t pages;
  if (parse_size(value, &pages) != 0) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EBUSY;
  segment.group(group)->memory.set_low(pages);
  return 0;
}

int parse_limit_v1(const char* value, int64_t* pages) {
  *pages = kPageCounterMax;
  if (std::strcmp(value, "-1") == 0) return 0;
  if (std::strcmp(value, "max") == 0 || parse_size(value, pages) != 0) {
    return EINVAL;
  }
  return 0;
}

int store_limit_v1(Segment& segment, PageCounter& counter, const char* value) {
  int64_t pages;
  if (parse_limit_v1(value, &pages) != 0) return EINVAL;
  // One change of a counter's limit at a time.
  TreeChange change(segment);
  return change.held() ? -counter.set_max(pages) : EBUSY;
}

// "+memory -memory": the last word on a controller counts.
int store_subtree_control(Segment& segment, uint32_t group, const char* value) {
  uint32_t on = 0, off = 0;
  for (;;) {
    value += std::strspn(value, " \t\n");
    const size_t length = std::strcspn(value, " \t\n");
    if (length == 0) break;
    const Controller* controller = find_controller(value + 1, length - 1);
    if (controller == nullptr) return EINVAL;
    if (*value == '+') {
      on |= controller->bit;
      off &= ~controller->bit;
    } else if (*value == '-') {
      off |= controller->bit;
      on &= ~controller->bit;
    } else {
      return EINVAL;
    }
    value += length;
  }
  return on == 0 && off == 0 ? 0 : set_subtree_control(segment, group, on, off);
}

int store_max_depth(Segment& segment, uint32_t group, const char* value) {
  return store_count(segment.group(group)->max_depth, value);
}

int store_max_descendants(Segment& segment, uint32_t group, const char* value) {
  return store_count(segment.group(group)->max_descendants, value);
}

// "0" is the writer.
int store_procs(Segment& segment, uint32_t group, const char* value) {
  uint32_t pid;
  if (parse_int(value, &pid) != 0) return EINVAL;
  const uint32_t self = &segment == &g_segment ? this_process() : kNone;
  const uint32_t process =
      pid == 0 ? self : find_process(segment, static_cast<int32_t>(pid));
  if (process == kNone) return ESRCH;
  return move_process(segment, process, group);
}

}  // namespace umemcg::control

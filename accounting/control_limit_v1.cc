// Limits by the names of cgroup v1, where a limit that usage cannot be brought
// under is refused, and the old one kept.
//
// Nothing is swapped, so what memory.memsw counts is what memory counts: the
// limit on it is kept at or above the other, which refuses first, and never
// refuses itself.

#include <cerrno>
#include <cstring>

#include "accounting/control_rows.h"
#include "accounting/mem_cgroup.h"
#include "accounting/reclaim_down.h"
#include "accounting/size.h"
#include "accounting/tree_change.h"

namespace umemcg::control {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// What -1 or a size says.
int parse_limit(const char* value, int64_t* pages) {
  *pages = kPageCounterMax;
  if (std::strcmp(value, "-1") == 0) return 0;
  if (std::strcmp(value, "max") == 0) return EINVAL;
  return -parse_size(value, pages);
}

// mem_cgroup_resize_max, one try.
int try_resize(Segment& segment, uint32_t group, int64_t pages,
               const Writer& writer) {
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  if (!is_meant(segment, group, writer)) return ENODEV;
  Group& row = *segment.group(group);
  if (pages > memsw_max(row)) return EINVAL;
  const int error = row.memory.set_max(pages);
  if (error == 0) row.memory.set_reserve(default_reserve(pages));
  return -error;
}

}  // namespace

int64_t memsw_max(const Group& row) {
  const int64_t own = row.memsw_max.load(kRelaxed);
  return own > row.memory.max() ? own : row.memory.max();
}

int store_limit_v1(Segment& segment, uint32_t group, const char* value,
                   const Writer& writer) {
  int64_t pages;
  if (parse_limit(value, &pages) != 0) return EINVAL;
  int error = try_resize(segment, group, pages, writer);
  // Others may charge what was reclaimed.
  for (int i = 0; error == EBUSY && i < kMaxReclaimRetries; ++i) {
    const bool fits = reclaim_down(segment, group, pages, writer);
    const int why = why_to_stop(segment, group, writer);
    if (why != 0) return why;
    if (!fits) return EBUSY;
    error = try_resize(segment, group, pages, writer);
  }
  return error;
}

void show_memsw_limit(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(memsw_max(*segment.group(group)), nullptr, out);
}

int store_memsw_limit(Segment& segment, uint32_t group, const char* value,
                      const Writer& writer) {
  int64_t pages;
  if (parse_limit(value, &pages) != 0) return EINVAL;
  TreeChange change(segment);
  if (!change.held()) return EAGAIN;
  if (!is_meant(segment, group, writer)) return ENODEV;
  Group& row = *segment.group(group);
  if (pages < row.memory.max()) return EINVAL;
  row.memsw_max.store(pages, kRelaxed);
  return 0;
}

void show_memsw_failcnt(Segment&, uint32_t, TextBuffer& out) {
  out.text("0\n");
}

int reset_memsw_failcnt(Segment&, uint32_t, const char*, const Writer&) {
  return 0;
}

int store_kind_limit(Segment& segment, PageCounter& counter,
                     const char* value) {
  int64_t pages;
  if (parse_limit(value, &pages) != 0) return EINVAL;
  // One change of a counter's limit at a time.
  TreeChange change(segment);
  return change.held() ? -counter.set_max(pages) : EBUSY;
}

void show_soft_limit(Segment& segment, uint32_t group, TextBuffer& out) {
  show_pages(segment.group(group)->soft_limit.load(kRelaxed), nullptr, out);
}

int store_soft_limit(Segment& segment, uint32_t group, const char* value,
                     const Writer&) {
  int64_t pages;
  if (parse_limit(value, &pages) != 0) return EINVAL;
  segment.group(group)->soft_limit.store(pages, kRelaxed);
  return 0;
}

// As much as can be had; that it is not all is no error.
int force_empty(Segment& segment, uint32_t group, const char*,
                const Writer& writer) {
  reclaim_down(segment, group, 0, writer);
  return why_to_stop(segment, group, writer);
}

}  // namespace umemcg::control

#include "accounting/consumer.h"

#include "accounting/mem_cgroup.h"
#include "base/units.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr uint32_t kNamed = 3;

// Puts it where it belongs among the `count` so far; the new count.
uint32_t insert(Consumer* top, uint32_t count, uint32_t most,
                const Consumer& one) {
  if (one.pages <= 0) return count;
  uint32_t place = count;
  while (place > 0 && top[place - 1].pages < one.pages) --place;
  if (place >= most) return count;
  if (count < most) ++count;
  for (uint32_t i = count - 1; i > place; --i) top[i] = top[i - 1];
  top[place] = one;
  return count;
}

void print_consumer(Segment& segment, const Consumer& one, TextBuffer& out) {
  if (one.is_group) {
    group_path(segment, one.index, out);
  } else {
    describe_process(segment, one.index, out);
  }
  out.character(' ').bytes(static_cast<uint64_t>(one.pages) << kPageShift);
}

}  // namespace

uint32_t top_consumers(Segment& segment, uint32_t group, Consumer* top,
                       uint32_t most) {
  uint32_t count = 0;
  if (most == 0) return 0;
  for (uint32_t i = next_group(segment, kNone); i != kNone;
       i = next_group(segment, i)) {
    if (i == group || parent_group(segment, i) != group) continue;
    count =
        insert(top, count, most, {true, i, segment.group(i)->memory.usage()});
  }
  // (A process has one ledger a group.)
  for (uint32_t i = 0; i < segment.ledgers_used(); ++i) {
    const Ledger& ledger = *segment.ledger(i);
    const uint64_t owner = ledger.owner.load(kRelaxed);
    if (owner == 0 || owner_group(owner) != group ||
        segment.process(owner_process(owner)) == nullptr) {
      continue;
    }
    count = insert(top, count, most,
                   {false, owner_process(owner), ledger.pages.load(kRelaxed)});
  }
  return count;
}

void describe_process(Segment& segment, uint32_t process, TextBuffer& out) {
  const ProcessSlot& slot = *segment.process(process);
  for (size_t i = 0; i < sizeof(slot.name) && slot.name[i] != '\0'; ++i) {
    const char c = slot.name[i];
    out.character(c >= ' ' && c <= '~' ? c : '?');
  }
  out.text(" (").signed_number(slot.pid.load(kRelaxed)).character(')');
}

void describe_top(Segment& segment, uint32_t group, TextBuffer& out) {
  Consumer top[kNamed];
  const uint32_t count = top_consumers(segment, group, top, kNamed);
  if (count == 0) out.text("nobody");
  for (uint32_t i = 0; i < count; ++i) {
    if (i > 0) out.text(", ");
    print_consumer(segment, top[i], out);
  }
}

}  // namespace umemcg

#include "reclaim/refuse.h"

#include "accounting/consumer.h"
#include "accounting/mem_cgroup.h"
#include "accounting/stat_line.h"
#include "accounting/victim.h"
#include "base/check.h"
#include "base/probe.h"
#include "base/sys.h"
#include "base/text.h"

namespace umemcg {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

constinit std::atomic<bool> say_refusals{true};
constinit std::atomic<bool> said{false};

int64_t cached_in(uint32_t group) {
  int64_t stats[kStats];
  read_stats(g_segment, group, true, stats);
  return stats[static_cast<int>(Stat::kCached)];
}

uint64_t bytes(int64_t pages) {
  return static_cast<uint64_t>(pages > 0 ? pages : 0) << kPageShift;
}

}  // namespace

void set_report_refusals(bool on) { say_refusals.store(on, kRelaxed); }

void note_outcome(const ChargeRequest& request, uint32_t group,
                  Outcome outcome) {
  const uint32_t charged = request.account->charged.load(kRelaxed);
  UMEMCG_PROBE3(charge_refused, group, charged, request.pages);
  record_refusal(g_segment, group,
                 {charged, outcome, request.flags, request.pages,
                  cached_in(group), request.got.pages});
}

void report_kill(const ChargeRequest& request, uint32_t group,
                 uint32_t process) {
  if (!say_refusals.load(kRelaxed)) return;
  const int64_t pages = charged_in(g_segment, process, group);
  Line line;
  line.text("out of memory in ");
  group_path(g_segment, group, line);
  line.text(": limit ").bytes(bytes(g_segment.group(group)->memory.max()));
  line.text("; for a request of ").bytes(bytes(request.pages)).text(" by ");
  line.signed_number(sys::process_id()).text(", killing ");
  describe_process(g_segment, process, line);
  line.text(", which has ").bytes(bytes(pages));
  const uint32_t its =
      g_segment.process(process)->group.load(std::memory_order_relaxed);
  const uint32_t together = oom_group_of(g_segment, its, group);
  if (together != kNone) {
    line.text(", and all others in ");
    group_path(g_segment, together, line);
    line.text(" (memory.oom.group)");
  }
  print_line(line);
}

void report_refusal(const ChargeRequest& request, uint32_t group) {
  if (!say_refusals.load(kRelaxed) || !first_time(said)) return;
  const PageCounter& counter = g_segment.group(group)->memory;
  Line line;
  line.text("out of memory in ");
  group_path(g_segment, group, line);
  line.text(": limit ").bytes(bytes(counter.max()));
  line.text(", usage ").bytes(bytes(counter.usage()));
  line.text(", cached ").bytes(bytes(cached_in(group)));
  line.text("; a request of ").bytes(bytes(request.pages));
  line.text(" failed after reclaiming ").bytes(bytes(request.got.total()));
  line.text(" (later refusals are counted, not printed)");
  print_line(line);
}

}  // namespace umemcg

#include "cli/export/metrics.h"

#include "cli/printable.h"

namespace umemcg {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<ClientMetric::Label>;

struct GroupView {
  const GroupSample& sample;
  const GroupAudit* audit;  // null: nobody asked for it
  Labels labels;
};

// The series of one metric of one group.
class Series {
 public:
  Series(MetricFamily& family, const Labels& labels)
      : family_(family), labels_(labels) {}

  template <typename Number>
  void add(Number value) {
    put(labels_, static_cast<double>(value));
  }

  template <typename Number>
  void add(const char* label, const char* is, Number value) {
    Labels labels = labels_;
    labels.push_back({label, is});
    put(std::move(labels), static_cast<double>(value));
  }

 private:
  void put(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    // The library writes the one that the family's type says.
    metric.counter.value = metric.gauge.value = value;
    family_.metric.push_back(std::move(metric));
  }

  MetricFamily& family_;
  const Labels& labels_;
};

void add_limits(const GroupView& group, Series& series) {
  const std::pair<const char*, int64_t> limits[] = {{"min", group.sample.min},
                                                    {"low", group.sample.low},
                                                    {"high", group.sample.high},
                                                    {"max", group.sample.max}};
  for (const auto& [kind, bytes] : limits) {
    if (bytes != kUnlimited) series.add("kind", kind, bytes);
  }
}

void add_available(const GroupView& group, Series& series) {
  if (group.sample.available != kUnlimited) series.add(group.sample.available);
}

void add_events(const GroupView& group, Series& series) {
  for (size_t i = 0; i < group.sample.events.size(); ++i) {
    series.add("event", kEventNames[i], group.sample.events[i]);
  }
}

void add_stalls(const GroupView& group, Series& series) {
  constexpr double kPerSecond = 1e6;
  const auto& us = group.sample.stall_us;
  series.add("kind", "some", static_cast<double>(us[kPsiSome]) / kPerSecond);
  series.add("kind", "full", static_cast<double>(us[kPsiFull]) / kPerSecond);
}

void add_reclaimed(const GroupView& group, Series& series) {
  for (size_t i = 0; i < group.sample.reclaimed.size(); ++i) {
    series.add("source", kSourceNames[i], group.sample.reclaimed[i]);
  }
}

void add_unaccounted(const GroupView& group, Series& series) {
  if (group.audit != nullptr) series.add(group.audit->unaccounted);
}

void add_unreadable(const GroupView& group, Series& series) {
  if (group.audit != nullptr) series.add(group.audit->unreadable);
}

// The series of a member of GroupSample.
template <auto kMember>
void add_member(const GroupView& group, Series& series) {
  series.add(group.sample.*kMember);
}

struct Row {
  const char* name;
  MetricType type;
  void (*add)(const GroupView& group, Series& series);
  const char* help;
};

constexpr MetricType kGauge = MetricType::Gauge;
constexpr MetricType kCounter = MetricType::Counter;

// Of a group and those below it, where the help does not say otherwise.
constexpr Row kRows[] = {
    {"umemcg_memory_usage_bytes", kGauge, add_member<&GroupSample::usage>,
     "Memory charged to the group and those below it (memory.current)."},
    {"umemcg_memory_peak_bytes", kGauge, add_member<&GroupSample::peak>,
     "The most that was charged since the group was made, or since the peak "
     "was reset (memory.peak)."},
    {"umemcg_memory_limit_bytes", kGauge, add_limits,
     "memory.min, low, high and max, by kind; none where there is no limit."},
    {"umemcg_memory_available_bytes", kGauge, add_available,
     "What can still be charged before a charge is refused, here or at a "
     "limit above, what is cached or charged ahead included: the gauge that "
     "predicts a refusal. None where nothing limits."},
    {"umemcg_charged_bytes_total", kCounter, add_member<&GroupSample::charged>,
     "Memory charged, ever."},
    {"umemcg_uncharged_bytes_total", kCounter,
     add_member<&GroupSample::uncharged>, "Memory uncharged, ever."},
    {"umemcg_stock_bytes", kGauge, add_member<&GroupSample::stock>,
     "Charged ahead by threads and not used yet; a part of the usage."},
    {"umemcg_events_total", kCounter, add_events, "memory.events, by event."},
    {"umemcg_stall_seconds_total", kCounter, add_stalls,
     "Time in which some threads, or all productive ones (full), stood still "
     "for want of memory (memory.pressure)."},
    {"umemcg_reclaimed_bytes_total", kCounter, add_reclaimed,
     "Memory that was taken back for charges at a limit, by where it came "
     "from."},
    {"umemcg_processes", kGauge, add_member<&GroupSample::processes>,
     "Live processes in the group itself, not below it."},
    {"umemcg_unaccounted_bytes", kGauge, add_unaccounted,
     "Resident memory of the processes in the group itself that is charged "
     "to no group: stacks and mappings that umemcg did not make."},
    {"umemcg_unreadable_processes", kGauge, add_unreadable,
     "Processes in the group itself that could not be looked at, and are not "
     "in umemcg_unaccounted_bytes."},
};

MetricFamily family_of(const char* name, MetricType type, const char* help) {
  MetricFamily family;
  family.name = name;
  family.type = type;
  family.help = help;
  return family;
}

void add_groups(const DomainView& view, unsigned depth,
                std::vector<GroupView>& groups) {
  static const GroupAudit kNothing;
  for (const GroupSample& group : view.sample.groups) {
    if (group.depth > depth) continue;
    const auto found = view.audits.find(group.id);
    const GroupAudit* audit =
        found != view.audits.end() ? &found->second : &kNothing;
    groups.push_back(
        {group,
         view.audited ? audit : nullptr,
         {{"domain", view.label}, {"group", printable(group.path)}}});
  }
}

void add_domains(const std::vector<DomainView>& views,
                 std::vector<MetricFamily>& families) {
  MetricFamily up = family_of(
      "umemcg_domain_up", kGauge,
      "Whether the domain is there and can be read; else it has no other "
      "metric but umemcg_scrape_seconds.");
  MetricFamily seconds =
      family_of("umemcg_scrape_seconds", kGauge,
                "How long the look at the domain took for this scrape.");
  for (const DomainView& view : views) {
    const Labels labels = {{"domain", view.label}};
    Series(up, labels).add(view.up);
    Series(seconds, labels).add(view.seconds);
  }
  families.push_back(std::move(up));
  families.push_back(std::move(seconds));
}

}  // namespace

std::vector<MetricFamily> metrics_of(const std::vector<DomainView>& views,
                                     unsigned depth) {
  std::vector<GroupView> groups;
  for (const DomainView& view : views) add_groups(view, depth, groups);
  std::vector<MetricFamily> families;
  for (const Row& row : kRows) {
    MetricFamily family = family_of(row.name, row.type, row.help);
    for (const GroupView& group : groups) {
      Series series(family, group.labels);
      row.add(group, series);
    }
    families.push_back(std::move(family));
  }
  add_domains(views, families);
  families.push_back(family_of("umemcg_build_info", kGauge,
                               "1, with the exporter's version."));
  Series(families.back(), {}).add("version", UMEMCG_VERSION, 1);
  return families;
}

}  // namespace umemcg

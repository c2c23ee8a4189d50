// What the exporter says of groups and domains, one table: names, help, and
// where the figures come from. The library writes them down.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/export/look.h"

namespace umemcg {

// One domain, as a scrape found it.
struct DomainView {
  std::string label;  // the value of the label `domain`: UTF-8
  bool up = false;    // else there is no sample
  double seconds = 0;
  Sample sample;
  bool audited = false;
  std::map<uint64_t, GroupAudit> audits;  // by the group's id
};

// Of the groups down to that depth; what lies deeper is in their figures.
std::vector<prometheus::MetricFamily> metrics_of(
    const std::vector<DomainView>& views, unsigned depth);

}  // namespace umemcg

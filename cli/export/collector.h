// Looks at domains whenever somebody scrapes. None is made, and none is held
// open between scrapes: one that is removed and made anew is found again.
#pragma once

#include <prometheus/collectable.h>

#include <chrono>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cli/export/metrics.h"

namespace umemcg {

struct CollectorOptions {
  std::vector<std::string> domains;  // names or paths
  bool all = false;                  // all that are found, instead
  bool named = false;     // of those, not the private ones of `umemcg run`
  bool no_audit = false;  // no look at the processes
  unsigned depth = std::numeric_limits<unsigned>::max();
};

// Thread-safe: scrapes take turns, since there is one g_segment.
class DomainCollector : public prometheus::Collectable {
 public:
  explicit DomainCollector(CollectorOptions options)
      : options_(std::move(options)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  using Clock = std::chrono::steady_clock;

  // What was charged and uncharged, by the group's id.
  using Counters = std::map<uint64_t, std::pair<int64_t, int64_t>>;

  // What is kept of a domain from one scrape to the next.
  struct Known {
    std::string complaint;        // why it could not be read: it is said once
    Clock::time_point audit_due;  // a new look at the processes
    std::map<uint64_t, GroupAudit> audits;
    Counters counters;
  };

  static void keep_up(Sample& sample, Counters& last);
  DomainView look(const std::string& domain, Known& known) const;

  const CollectorOptions options_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Known> known_;
};

}  // namespace umemcg

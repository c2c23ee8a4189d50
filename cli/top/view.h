// What `umemcg top` shows of a sample: rows in order, with what has changed
// since the sample before. Knows nothing of the terminal.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/sample.h"
#include "cli/table.h"

namespace umemcg {

enum class SortKey { kByUsage, kByGrowth, kByEvents, kByStall, kByName };
inline constexpr int kSortKeys = 5;
inline constexpr const char* kSortNames[kSortKeys] = {
    "usage", "growth", "events", "stall", "name"};

struct ViewOptions {
  std::string root = "/";  // of the subtree that is shown
  SortKey sort = SortKey::kByUsage;
  bool flat = false;             // all groups in one order, not below parents
  bool processes = false;        // each below the groups that it has charged
  std::set<std::string> folded;  // paths whose groups below are not shown
};

// What has changed, a second; nothing is known of a first sample.
struct Rates {
  double growth = 0;   // bytes
  double events = 0;   // of all kinds
  double stalled = 0;  // % of the time
};

struct ViewRow {
  const GroupSample* group = nullptr;
  const ProcessSample* process = nullptr;  // in that group; else null
  unsigned indent = 0;
  bool folded = false, foldable = false;
  int64_t usage = 0;
  std::optional<Rates> rates;

  // The same row of another sample.
  bool same(const ViewRow& other) const;
};

// Points into `now`. `before` may be null.
std::vector<ViewRow> view_rows(const Sample& now, const Sample* before,
                               const ViewOptions& options);

// The columns: their headings, how wide they are but for the first, and the
// sort key that they stand for.
struct Column {
  const char* heading;
  unsigned width;
  std::optional<SortKey> key;
};
inline constexpr size_t kColumns = 9;
extern const Column kViewColumns[kColumns];

std::vector<Cell> cells_of(const ViewRow& row, const ViewOptions& options);

// "3 groups, 2 processes, 42.3 MiB charged".
std::string summary_of(const Sample& sample);
// "2024-05-06 17:50:11".
std::string time_of(const Sample& sample, bool fraction = false);

// The sample, with the rates in each group: null if they are not known.
nlohmann::ordered_json json_of_view(const Sample& now, const Sample* before,
                                    const ViewOptions& options);

}  // namespace umemcg

// The domain that the processes of these tests share: 20 groups, nested, some
// with limits and protection; and what must be true of it when nobody is at
// work, and when everybody is gone.
#pragma once

#include <cstdint>
#include <string>

#include "accounting/segment.h"

namespace umemcg::shared {

struct TreeRow {
  const char* path;
  int64_t max, min, low;  // pages
};

inline constexpr int kTreeGroups = 20;
extern const TreeRow kTree[kTreeGroups];

// A domain's file that is g_segment until the end of the scope. The maker is
// no process of it: it looks on.
class Domain {
 public:
  Domain();
  ~Domain();
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;
};

// The index of kTree[i]'s group.
uint32_t tree_group(int i);

// Workers switch its children's memory controller.
inline constexpr char kSwitched[] = "/d/2";

// Limits as kTree has them, and with set_tree() the controllers too.
void set_tree_limits();
void set_tree();
// No group of the tree may grow.
void forbid_growth();

// Removes what workers made below /e, and frees the rows of what is gone.
void remove_passing_groups();

// Reaps, and audits when a recount that is due has been made: how many groups
// are wrong; -1 if that does not come to an end.
int64_t audit_at_rest();

// What does not fit together in the counters of groups, all at rest; "" if
// everything does: each group's protected usage, and the sums over children.
std::string inconsistency();

// What is left in the domain, all processes gone and reaped; "" if nothing is.
std::string remains();

}  // namespace umemcg::shared

#include "tests/model/page_counter_model.h"

#include <algorithm>

namespace umemcg::model {

void Tree::update_protected_usage(int id) {
  Node& node = (*this)[id];
  if (node.parent < 0) return;
  Node& above = (*this)[node.parent];
  above.children_min_usage -= node.min_usage;
  above.children_low_usage -= node.low_usage;
  node.min_usage = std::min(node.usage, node.min);
  node.low_usage = std::min(node.usage, node.low);
  above.children_min_usage += node.min_usage;
  above.children_low_usage += node.low_usage;
}

void Tree::take(int id, int64_t pages, bool protection) {
  Node& node = (*this)[id];
  node.usage += pages;
  node.watermark = std::max(node.watermark, node.usage);
  if (protection) update_protected_usage(id);
}

void Tree::give(int id, int64_t pages) {
  Node& node = (*this)[id];
  node.usage = std::max<int64_t>(node.usage - pages, 0);
  if (node.protection) update_protected_usage(id);
}

void Tree::charge(int id, int64_t pages) {
  const bool protection = (*this)[id].protection;
  for (; id >= 0; id = (*this)[id].parent) take(id, pages, protection);
}

int Tree::try_charge(int id, int64_t pages, bool with_reserve,
                     bool count_failure) {
  const bool protection = (*this)[id].protection;
  for (int at = id; at >= 0; at = (*this)[at].parent) {
    Node& node = (*this)[at];
    int64_t limit = node.max;
    if (with_reserve && limit != kPageCounterMax) limit += node.reserve;
    if (node.usage + pages > limit) {
      node.failcnt += count_failure;
      for (int done = id; done != at; done = (*this)[done].parent) {
        give(done, pages);
      }
      return at;
    }
    take(at, pages, protection);
  }
  return -1;
}

void Tree::uncharge(int id, int64_t pages) {
  for (; id >= 0; id = (*this)[id].parent) give(id, pages);
}

bool Tree::set_max(int id, int64_t pages) {
  if ((*this)[id].usage > pages) return false;
  (*this)[id].max = pages;
  return true;
}

void Tree::set_min(int id, int64_t pages) {
  (*this)[id].min = pages;
  for (; id >= 0; id = (*this)[id].parent) update_protected_usage(id);
}

void Tree::set_low(int id, int64_t pages) {
  (*this)[id].low = pages;
  for (; id >= 0; id = (*this)[id].parent) update_protected_usage(id);
}

namespace {

// Unsigned and modulo 2^64, as in the kernel.
uint64_t share_of(uint64_t usage, uint64_t parent_usage, uint64_t setting,
                  uint64_t parent_share, uint64_t siblings, bool recursive) {
  uint64_t claimed = std::min(usage, setting);
  if (siblings > parent_share) return claimed * parent_share / siblings;
  if (!recursive || parent_share <= siblings || parent_usage <= siblings ||
      usage <= claimed) {
    return claimed;
  }
  return claimed + (parent_share - siblings) * (usage - claimed) /
                       (parent_usage - siblings);
}

}  // namespace

void Tree::protect(int root, int id, bool recursive) {
  Node& node = (*this)[id];
  if (id == root || node.usage == 0) return;
  if (node.parent == root) {
    node.emin = node.min;
    node.elow = node.low;
    return;
  }
  const Node& above = (*this)[node.parent];
  auto u = [](int64_t pages) { return static_cast<uint64_t>(pages); };
  node.emin = static_cast<int64_t>(
      share_of(u(node.usage), u(above.usage), u(node.min), u(above.emin),
               u(above.children_min_usage), recursive));
  node.elow = static_cast<int64_t>(
      share_of(u(node.usage), u(above.usage), u(node.low), u(above.elow),
               u(above.children_low_usage), recursive));
}

}  // namespace umemcg::model

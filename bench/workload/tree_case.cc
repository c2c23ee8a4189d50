// Build a tree of small nodes, read it, tear it down: what a compiler or a
// parser does. Depth is log2 of the nodes, so recursion is shallow.

#include <algorithm>

#include "bench/workload/cases.h"
#include "bench/workload/support.h"

namespace umemcg {
namespace {

struct Node {
  Node* left;
  Node* right;
  uint64_t key;
  uint64_t weight;
};

constexpr uint64_t kNodes = 1'000'000;

Node* Build(uint64_t nodes) {
  if (nodes == 0) {
    return nullptr;
  }
  void* block = Allocate(sizeof(Node));
  Node* node = static_cast<Node*>(block);
  const uint64_t below = nodes - 1;
  node->key = nodes;
  node->weight = 1;
  node->left = Build(below / 2);
  node->right = Build(below - below / 2);
  return node;
}

// Frees children before their parent; returns the sum of the weights.
uint64_t TearDown(Node* node) {
  if (node == nullptr) {
    return 0;
  }
  const uint64_t below = TearDown(node->left) + TearDown(node->right);
  const uint64_t weight = below + node->weight;
  std::free(node);
  return weight;
}

}  // namespace

Result RunBuildTeardown(uint64_t ops) {
  uint64_t done = 0;
  const Stamp begin = Stamp::Now();
  while (done < ops) {
    done += TearDown(Build(std::min(kNodes, ops - done)));
  }
  return Since(begin, done);
}

}  // namespace umemcg

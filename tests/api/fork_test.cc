// Handles in the child of a fork, in a domain (umemcg run) and without.

#include "tests/api/child.h"

namespace api_test {
namespace {

class Fork : public InGroups {};

TEST_F(Fork, AHandleFromBeforeWorksInTheChild) {
  Opened group("/fork/handle");
  ASSERT_EQ(umemcg_set(group, "memory.max", "100M"), 0);
  const uint64_t ino = umemcg_group_ino(group);
  EXPECT_EQ(in_child([&] {
              if (path(group) != "/fork/handle") return 1;
              if (umemcg_group_ino(group) != ino) return 2;
              if (get(group, "memory.max") != "104857600\n") return 3;
              if (umemcg_set(group, "memory.low", "4096") != 0) return 4;
              void* block = touched(umemcg_malloc(group, kMiB), kMiB);
              if (!charged_to(block, "/fork/handle")) return 5;
              if (umemcg_thread_set(group, nullptr) != 0) return 6;
              block = touched(std::malloc(kMiB), kMiB);
              if (!charged_to(block, "/fork/handle")) return 7;
              if (umemcg_charge(group, UMEMCG_KMEM, kMiB, 0) != 0) return 8;
              umemcg_uncharge(group, UMEMCG_KMEM, kMiB);
              if (umemcg_thread_set(nullptr, nullptr) != 0) return 9;
              umemcg_group_close(group);
              return 0;
            }),
            0);
  EXPECT_EQ(path(group), "/fork/handle");
}

// The first thing the child does.
TEST_F(Fork, EachCallMayBeTheFirst) {
  Opened group("/fork/first");
  EXPECT_EQ(in_child([&] {
              if (umemcg_thread_set(group, nullptr) != 0) return 1;
              return charged_to(touched(std::malloc(kMiB), kMiB), "/fork/first")
                         ? 0
                         : 2;
            }),
            0);
  EXPECT_EQ(in_child([&] {
              umemcg_group* before;
              if (umemcg_active_begin(group, &before) != 0) return 1;
              void* block = touched(std::malloc(kMiB), kMiB);
              umemcg_active_end(before);
              return charged_to(block, "/fork/first") ? 0 : 2;
            }),
            0);
  EXPECT_EQ(in_child([&] {
              return umemcg_charge(group, UMEMCG_SOCK, kMiB, 0) == 0 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(
      in_child([&] { return get(group, "memory.max") == "max\n" ? 0 : 1; }), 0);
  EXPECT_EQ(in_child([&] {
              umemcg_group_close(group);
              return path(group) == "/fork/first" ? 0 : 1;
            }),
            0);
}

// The child has no account of the group yet, and a scope may not make one.
TEST_F(Fork, AScopeInAGroupThatWasNotUsed) {
  Opened group("/fork/unused");
  EXPECT_EQ(in_child([&] {
              if (path(nullptr).empty()) return 1;  // it knows of the fork
              umemcg_group* before;
              if (umemcg_active_begin(group, &before) != 0) return 2;
              void* block = touched(std::malloc(kMiB), kMiB);
              umemcg_active_end(before);
              return charged_to(block, "/fork/unused") ? 0 : 3;
            }),
            0);
}

TEST_F(Fork, TheChildStaysInItsThreadsGroup) {
  Opened group("/fork/tagged");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  EXPECT_EQ(
      in_child([&] {
        void* block = touched(std::malloc(kMiB), kMiB);
        if (!charged_to(block, "/fork/tagged")) return 1;
        if (umemcg_group_ino(umemcg_thread_get()) != umemcg_group_ino(group)) {
          return 2;
        }
        umemcg_group* previous = nullptr;
        if (umemcg_thread_set(nullptr, &previous) != 0) return 3;
        block = touched(std::malloc(kMiB), kMiB);
        if (!charged_to(block, path(nullptr).c_str())) return 4;
        if (umemcg_thread_set(previous, nullptr) != 0) return 5;
        block = touched(std::malloc(kMiB), kMiB);
        return charged_to(block, "/fork/tagged") ? 0 : 6;
      }),
      0);
}

TEST_F(Fork, AnInheritedBlockKeepsItsOwner) {
  Opened group("/fork/block");
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  EXPECT_EQ(in_child([&] {
              if (umemcg_owner_ino(block) != umemcg_group_ino(group)) return 1;
              if (path(umemcg_owner(block)) != "/fork/block") return 2;
              umemcg_free(block);
              return 0;
            }),
            0);
  EXPECT_EQ(path(umemcg_owner(block)), "/fork/block");
  umemcg_free(block);
}

TEST_F(Fork, AGroupRemovedBefore) {
  Opened group("/fork/gone");
  ASSERT_EQ(umemcg_group_remove("/fork/gone"), 0);
  EXPECT_EQ(in_child([&] {
              char text[32];
              errno = 0;
              umemcg_get(group, "memory.max", text, sizeof(text));
              if (errno != ENODEV) return 1;
              errno = 0;
              umemcg_thread_set(group, nullptr);
              if (errno != ESTALE) return 2;
              void* block = touched(std::malloc(kMiB), kMiB);
              return charged_to(block, "/fork") ? 0 : 3;
            }),
            0);
}

TEST_F(Fork, OfAChild) {
  Opened group("/fork/grandchild");
  EXPECT_EQ(in_child([&] {
              void* block = touched(umemcg_malloc(group, kMiB), kMiB);
              if (!charged_to(block, "/fork/grandchild")) return 1;
              return in_child([&] {
                void* inner = touched(umemcg_malloc(group, kMiB), kMiB);
                return charged_to(inner, "/fork/grandchild") ? 0 : 2;
              });
            }),
            0);
}

}  // namespace
}  // namespace api_test

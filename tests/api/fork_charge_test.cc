// What the child of a fork charges, and to whom: never an account of its
// parent's. In a domain (umemcg run) and without.

#include <array>
#include <vector>

#include "tests/api/child.h"

namespace api_test {
namespace {

class ForkCharge : public InGroups {};

constexpr auto kRound = static_cast<int64_t>(16 * kMiB);

// 16 MiB by malloc, and free again.
void allocate_a_round() {
  std::array<void*, 16> blocks;
  for (void*& block : blocks) block = touched(std::malloc(kMiB), kMiB);
  for (void* block : blocks) std::free(block);
}

// What is charged to the group after many rounds: each might leave its part.
int64_t charged_after_rounds(umemcg_group* group) {
  for (int round = 0; round < 8; ++round) allocate_a_round();
  return number(group, "memory.current");
}

// Half of what the rounds would leave if none of it were uncharged.
constexpr int64_t kFarTooMuch = 8 * kRound / 2;

TEST_F(ForkCharge, InAScopeFromBeforeWhatIsFreedIsUncharged) {
  Opened group("/fork/scope");
  umemcg_group* before;
  ASSERT_EQ(umemcg_active_begin(group, &before), 0);
  std::free(touched(std::malloc(kMiB), kMiB));
  const int64_t own = number(group, "memory.current");
  EXPECT_EQ(in_child([&] {
              if (path(nullptr).empty()) return 4;
              if (charged_after_rounds(group) > kFarTooMuch) return 1;
              void* block = touched(std::malloc(kMiB), kMiB);
              if (!charged_to(block, "/fork/scope")) return 2;
              umemcg_active_end(before);
              block = touched(std::malloc(kMiB), kMiB);
              return charged_to(block, path(nullptr).c_str()) ? 0 : 3;
            }),
            0);
  umemcg_active_end(before);
  EXPECT_TRUE(wait_at_most(group, own)) << number(group, "memory.current");
}

TEST_F(ForkCharge, InAScopeBegunByAHandleFromBefore) {
  Opened group("/fork/begun");
  const int64_t own = number(group, "memory.current");
  EXPECT_EQ(in_child([&] {
              if (path(nullptr).empty()) return 4;  // it knows of the fork
              umemcg_group* before;
              if (umemcg_active_begin(group, &before) != 0) return 1;
              if (charged_after_rounds(group) > kFarTooMuch) return 2;
              umemcg_active_end(before);
              return charged_to(touched(std::malloc(kMiB), kMiB),
                                path(nullptr).c_str())
                         ? 0
                         : 3;
            }),
            0);
  EXPECT_TRUE(wait_at_most(group, own)) << number(group, "memory.current");
}

TEST_F(ForkCharge, AScopeFromBeforeThatIsReturnedTo) {
  Opened outer("/fork/outer"), inner("/fork/inner");
  umemcg_group *none, *was_outer;
  ASSERT_EQ(umemcg_active_begin(outer, &none), 0);
  std::free(touched(std::malloc(kMiB), kMiB));
  ASSERT_EQ(umemcg_active_begin(inner, &was_outer), 0);
  std::free(touched(std::malloc(kMiB), kMiB));
  const int64_t own = number(outer, "memory.current");
  EXPECT_EQ(in_child([&] {
              if (path(nullptr).empty()) return 4;
              umemcg_active_end(was_outer);
              if (charged_after_rounds(outer) > kFarTooMuch) return 1;
              return charged_to(touched(std::malloc(kMiB), kMiB), "/fork/outer")
                         ? 0
                         : 2;
            }),
            0);
  umemcg_active_end(was_outer);
  umemcg_active_end(none);
  EXPECT_TRUE(wait_at_most(outer, own)) << number(outer, "memory.current");
}

// As many groups as there is room for.
class Refilled {
 public:
  // Until the table is full: then the row is one of theirs.
  Refilled() {
    for (;;) {
      std::string name = "/refilled/";
      name += std::to_string(count_);
      umemcg_group* group = umemcg_group_open(name.c_str(), UMEMCG_CREATE);
      if (group == nullptr) break;
      umemcg_group_close(group);
      ++count_;
    }
    error_ = errno;
  }
  ~Refilled() {
    while (count_ > 0) {
      std::string name = "/refilled/";
      name += std::to_string(--count_);
      EXPECT_EQ(umemcg_group_remove(name.c_str()), 0);
    }
  }
  int error() const { return error_; }

 private:
  int count_ = 0;
  int error_ = 0;
};

// One side waits for the other.
class Turn {
 public:
  Turn() { EXPECT_EQ(pipe(ends_.data()), 0); }
  ~Turn() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void give() { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  void wait() {
    char turn;
    EXPECT_EQ(read(ends_[0], &turn, 1), 1);
  }

 private:
  std::array<int, 2> ends_;
};

// The parent removes a group of which the child has a handle and memory; then
// other groups take all rows of the tree.
TEST_F(ForkCharge, NeverAGroupThatHasTheRowOfARemovedOne) {
  if (!in_domain()) GTEST_SKIP() << "the child has a tree of its own";
  Opened top("/top");
  umemcg_group* group = umemcg_group_open("/top/gone", UMEMCG_CREATE);
  // (By another thread: what the child's own has used, the child holds on to.)
  void* inherited = nullptr;
  std::thread([&] {
    inherited = touched(umemcg_malloc(group, kMiB), kMiB);
  }).join();
  Turn childs, parents;
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    if (path(nullptr).empty()) _exit(5);  // it knows of the fork
    parents.give();
    childs.wait();
    auto stranger = [](umemcg_group* owner) {
      return path(owner).rfind("/refilled", 0) == 0;
    };
    void* block = touched(umemcg_malloc(group, kMiB), kMiB);
    if (block == nullptr || stranger(umemcg_owner(block))) _exit(1);
    if (stranger(umemcg_owner(inherited))) _exit(2);
    umemcg_thread_set(group, nullptr);
    block = touched(std::malloc(kMiB), kMiB);
    if (block == nullptr || stranger(umemcg_owner(block))) _exit(3);
    if (stranger(umemcg_thread_get())) _exit(4);
    _exit(0);
  }
  parents.wait();
  umemcg_free(inherited);
  ASSERT_EQ(umemcg_group_remove("/top/gone"), 0);
  umemcg_group_close(group);
  for (int i = 0; i < 500 && umemcg_group_ino(group) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    umemcg_group_close(umemcg_group_open("/top", 0));
  }
  ASSERT_EQ(umemcg_group_ino(group), 0u) << "its account holds the row";
  {
    Refilled refilled;
    EXPECT_EQ(refilled.error(), ENOSPC);
    childs.give();
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

// Moved by another process, and forked before it knew.
TEST_F(ForkCharge, TheChildOfAProcessThatWasJustMoved) {
  if (!in_domain()) GTEST_SKIP() << "there is no other process in its tree";
  Opened group("/fork/moved");
  Opened before(path(nullptr).c_str(), 0);
  const std::string self = std::to_string(getpid());
  EXPECT_EQ(in_child([&] {
              return umemcg_set(group, "cgroup.procs", self.c_str()) == 0 ? 0
                                                                          : 1;
            }),
            0);
  EXPECT_EQ(in_child([] {
              if (path(nullptr) != "/fork/moved") return 1;
              void* block = touched(std::malloc(64 * kMiB), 64 * kMiB);
              return charged_to(block, "/fork/moved") ? 0 : 2;
            }),
            0);
  EXPECT_EQ(path(nullptr), "/fork/moved");
  EXPECT_EQ(umemcg_set(before, "cgroup.procs", "0"), 0);
}

// The parent's account is not the child's to give up.
TEST_F(ForkCharge, ClosedInTheChildItIsStillTheParents) {
  Opened top("/fork/closing");
  Opened group("/fork/closing/gone");
  ASSERT_EQ(umemcg_group_remove("/fork/closing/gone"), 0);
  EXPECT_EQ(in_child([&] {
              umemcg_group_close(group);
              return 0;
            }),
            0);
  // If it had been given up, this one would have its place.
  umemcg_group* next = umemcg_group_open("/fork/next", UMEMCG_CREATE);
  ASSERT_NE(next, nullptr);
  constexpr size_t kBytes = 1000 * 4096;
  ASSERT_EQ(umemcg_charge(group, UMEMCG_MMAP, kBytes, 0), 0);
  EXPECT_GE(number(top, "memory.current"), int64_t{kBytes});
  EXPECT_EQ(number(next, "memory.current"), 0);
  ASSERT_EQ(umemcg_group_remove("/fork/next"), 0);
  umemcg_group_close(next);
  EXPECT_EQ(umemcg_group_ino(next), 0u) << "what is another's holds it";
  umemcg_uncharge(group, UMEMCG_MMAP, kBytes);
  EXPECT_TRUE(wait_at_most(top, 0)) << number(top, "memory.current");
}

TEST_F(ForkCharge, WhatTheParentChargedIsNotTheChildsToTakeBack) {
  if (!in_domain()) GTEST_SKIP() << "the child has a copy of what was charged";
  Opened group("/fork/charged");
  ASSERT_EQ(umemcg_charge(group, UMEMCG_MMAP, 4 * kMiB, 0), 0);
  ASSERT_EQ(umemcg_charge(group, UMEMCG_KMEM, 4 * kMiB, 0), 0);
  const int64_t own = number(group, "memory.current");
  EXPECT_EQ(in_child([&] {
              std::vector<void*> blocks;
              for (int i = 0; i < 16; ++i) {
                blocks.push_back(touched(umemcg_malloc(group, kMiB), kMiB));
              }
              const int64_t with = number(group, "memory.current");
              umemcg_uncharge(group, UMEMCG_MMAP, 4 * kMiB);
              umemcg_uncharge(group, UMEMCG_KMEM, 4 * kMiB);
              if (number(group, "memory.current") != with) return 1;
              for (void* block : blocks) umemcg_free(block);
              return 0;
            }),
            0);
  EXPECT_TRUE(wait_at_most(group, own)) << number(group, "memory.current");
  EXPECT_GE(number(group, "memory.current"), int64_t{8 * kMiB});
  umemcg_uncharge(group, UMEMCG_MMAP, 4 * kMiB);
  umemcg_uncharge(group, UMEMCG_KMEM, 4 * kMiB);
  EXPECT_TRUE(wait_at_most(group, 64 * 4096))
      << number(group, "memory.current");
}

}  // namespace
}  // namespace api_test

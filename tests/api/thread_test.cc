// umemcg_thread_set, _get, _flags, and scopes.

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/api/support.h"

namespace api_test {
namespace {

class Thread : public InGroups {};
class Scope : public InGroups {};
class Flags : public InGroups {};

// The path of the group that an allocation of the calling thread is charged to.
std::string charged_here() {
  void* block = touched(std::malloc(100'000), 100'000);
  std::string found = path(umemcg_owner(block));
  std::free(block);
  return found;
}

TEST_F(Thread, IsChargedToItsGroup) {
  Opened group("/thread/own");
  EXPECT_EQ(umemcg_thread_get(), nullptr);
  EXPECT_EQ(charged_here(), path(nullptr));
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  EXPECT_EQ(bits_of(umemcg_thread_get()), bits_of(group));
  EXPECT_EQ(charged_here(), "/thread/own");
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_EQ(umemcg_thread_get(), nullptr);
  EXPECT_EQ(charged_here(), path(nullptr));
}

TEST_F(Thread, PreviousRestoresWhatWas) {
  Opened a("/thread/a"), b("/thread/b");
  umemcg_group *none = a, *was_a = nullptr;
  ASSERT_EQ(umemcg_thread_set(a, &none), 0);
  EXPECT_EQ(none, nullptr);
  ASSERT_EQ(umemcg_thread_set(b, &was_a), 0);
  EXPECT_EQ(charged_here(), "/thread/b");
  ASSERT_EQ(umemcg_thread_set(was_a, nullptr), 0);
  EXPECT_EQ(charged_here(), "/thread/a");
}

TEST_F(Thread, KeepsErrno) {
  Opened group("/thread/errno");
  errno = 11;
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_EQ(errno, 11);
}

TEST_F(Thread, BeginsInItsCreatorsGroup) {
  Opened group("/thread/creator");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  std::string created;
  std::thread([&] { created = charged_here(); }).join();
  EXPECT_EQ(created, "/thread/creator");
}

TEST_F(Thread, OthersAreWhereTheyWere) {
  Opened group("/thread/one");
  std::string other;
  std::thread thread([&] {
    umemcg_thread_set(group, nullptr);
    other = charged_here();
  });
  thread.join();
  EXPECT_EQ(other, "/thread/one");
  EXPECT_EQ(charged_here(), path(nullptr));
}

TEST_F(Thread, RemovedGroupIsStale) {
  Opened parent("/thread/kept"), group("/thread/kept/gone"), was("/thread/was");
  ASSERT_EQ(umemcg_thread_set(was, nullptr), 0);
  ASSERT_EQ(umemcg_group_remove("/thread/kept/gone"), 0);
  umemcg_group* previous = nullptr;
  EXPECT_EQ(
      error_of([&] { EXPECT_EQ(umemcg_thread_set(group, &previous), -1); }),
      ESTALE);
  EXPECT_EQ(bits_of(previous), bits_of(was));
  EXPECT_EQ(charged_here(), "/thread/kept");
}

std::string numbered(int number) {
  std::string name = "/thread/many/";
  return name += std::to_string(number);
}

TEST_F(Thread, ManyGroupsInTurn) {
  std::vector<umemcg_group*> groups;
  for (int i = 0; i < 100; ++i) {
    groups.push_back(umemcg_group_open(numbered(i).c_str(), UMEMCG_CREATE));
    ASSERT_NE(groups.back(), nullptr);
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(umemcg_thread_set(groups[static_cast<size_t>(i)], nullptr), 0);
      ASSERT_EQ(charged_here(), numbered(i));
    }
  }
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  for (umemcg_group* group : groups) umemcg_group_close(group);
}

TEST_F(Flags, SetAndReturned) {
  EXPECT_EQ(umemcg_thread_flags(UMEMCG_NOWAIT | UMEMCG_NOFAIL), 0);
  EXPECT_EQ(umemcg_thread_flags(0), UMEMCG_NOWAIT | UMEMCG_NOFAIL);
  EXPECT_EQ(umemcg_thread_flags(0), 0);
  EXPECT_EQ(error_of([] { EXPECT_EQ(umemcg_thread_flags(1024), -1); }), EINVAL);
}

TEST_F(Flags, AreTheThreadsOwn) {
  umemcg_thread_flags(UMEMCG_NORETRY);
  int other = -1;
  std::thread([&] { other = umemcg_thread_flags(0); }).join();
  EXPECT_EQ(other, 0);
  EXPECT_EQ(umemcg_thread_flags(0), UMEMCG_NORETRY);
}

TEST_F(Flags, NofailGoesOverTheLimit) {
  Opened group("/thread/nofail");
  ASSERT_EQ(umemcg_set(group, "memory.max", "4M"), 0);
  EXPECT_EQ(umemcg_malloc(group, 20 * kMiB), nullptr);
  umemcg_thread_flags(UMEMCG_NOFAIL);
  void* block = touched(umemcg_malloc(group, 20 * kMiB), 20 * kMiB);
  umemcg_thread_flags(0);
  ASSERT_NE(block, nullptr);
  EXPECT_GE(number(group, "memory.current"), int64_t{20 * kMiB});
  EXPECT_GT(value_of(group, "memory.events", "max"), 0);
  umemcg_free(block);
}

TEST_F(Scope, ChargesWhatItAllocates) {
  Opened thread("/scope/thread"), scope("/scope/scope");
  ASSERT_EQ(umemcg_thread_set(thread, nullptr), 0);
  umemcg_group* before = thread;
  ASSERT_EQ(umemcg_active_begin(scope, &before), 0);
  EXPECT_EQ(before, nullptr);
  EXPECT_EQ(charged_here(), "/scope/scope");
  EXPECT_EQ(bits_of(umemcg_thread_get()), bits_of(thread));
  umemcg_active_end(before);
  EXPECT_EQ(charged_here(), "/scope/thread");
}

TEST_F(Scope, Nests) {
  Opened thread("/scope/t"), outer("/scope/outer"), inner("/scope/inner");
  ASSERT_EQ(umemcg_thread_set(thread, nullptr), 0);
  umemcg_group *none, *was_outer, *was_inner;
  ASSERT_EQ(umemcg_active_begin(outer, &none), 0);
  ASSERT_EQ(umemcg_active_begin(inner, &was_outer), 0);
  EXPECT_EQ(bits_of(was_outer), bits_of(outer));
  EXPECT_EQ(charged_here(), "/scope/inner");
  // NULL: as if there were no scope.
  ASSERT_EQ(umemcg_active_begin(nullptr, &was_inner), 0);
  EXPECT_EQ(charged_here(), "/scope/t");
  umemcg_active_end(was_inner);
  EXPECT_EQ(charged_here(), "/scope/inner");
  umemcg_active_end(was_outer);
  EXPECT_EQ(charged_here(), "/scope/outer");
  umemcg_active_end(none);
  EXPECT_EQ(charged_here(), "/scope/t");
}

TEST_F(Scope, AFailedBeginMayBeEnded) {
  Opened outer("/scope/failed");
  umemcg_group *before, *inside = nullptr;
  ASSERT_EQ(umemcg_active_begin(outer, &before), 0);
  EXPECT_EQ(umemcg_active_begin(as_handle(77), &inside), -1);
  EXPECT_EQ(charged_here(), "/scope/failed");
  umemcg_active_end(inside);
  EXPECT_EQ(charged_here(), "/scope/failed");
  umemcg_active_end(before);
}

TEST_F(Scope, WhatWasBeforeNeedNotBeAskedFor) {
  Opened group("/scope/unasked");
  ASSERT_EQ(umemcg_active_begin(group, nullptr), 0);
  EXPECT_EQ(charged_here(), "/scope/unasked");
  umemcg_active_end(nullptr);
  EXPECT_EQ(charged_here(), path(nullptr));
}

// Removes a group from another thread.
class Remover {
 public:
  // The thread is there before the scope is: it allocates.
  Remover()
      : thread_([this] {
          while (handle_ == nullptr) std::this_thread::yield();
          EXPECT_EQ(umemcg_group_remove(path_), 0);
          umemcg_group_close(handle_);
        }) {}
  void remove(const char* path, umemcg_group* handle) {
    path_ = path;
    handle_ = handle;
    thread_.join();
    EXPECT_EQ(umemcg_group_ino(handle), 0u) << "something holds on to it";
  }

 private:
  const char* path_ = nullptr;
  std::atomic<umemcg_group*> handle_{nullptr};
  std::thread thread_;
};

// A scope holds no reference: the group may be gone, and the process's account
// of it, before the first allocation in it.
TEST_F(Scope, InAGroupThatIsGoneIsItsParents) {
  Remover remover;
  Opened parent("/scope/parent");
  ASSERT_EQ(umemcg_set(parent, "memory.max", "20M"), 0);
  umemcg_group* group = umemcg_group_open("/scope/parent/gone", UMEMCG_CREATE);
  umemcg_group* before;
  ASSERT_EQ(umemcg_active_begin(group, &before), 0);
  remover.remove("/scope/parent/gone", group);
  std::vector<void*> blocks(64);
  for (void*& block : blocks) block = touched(std::malloc(kMiB), kMiB);
  EXPECT_EQ(path(umemcg_owner(blocks[0])), "/scope/parent");
  EXPECT_EQ(blocks.back(), nullptr) << "its limit holds";
  for (void* block : blocks) std::free(block);
  umemcg_active_end(before);
  EXPECT_EQ(charged_here(), path(nullptr));
}

// And if others have its places by then, it is never one of them.
TEST_F(Scope, InAGroupWhosePlaceIsAnothers) {
  Remover remover;
  umemcg_group* group = umemcg_group_open("/scope/place", UMEMCG_CREATE);
  umemcg_group* before;
  ASSERT_EQ(umemcg_active_begin(group, &before), 0);
  remover.remove("/scope/place", group);
  Opened other("/scope/stranger");
  const std::string charged = charged_here();
  EXPECT_TRUE(charged == "/scope" || charged == path(nullptr)) << charged;
  umemcg_active_end(before);
}

TEST_F(Scope, ThreadSetInsideHoldsAfterwards) {
  Opened thread("/scope/later"), scope("/scope/now");
  umemcg_group* before;
  ASSERT_EQ(umemcg_active_begin(scope, &before), 0);
  ASSERT_EQ(umemcg_thread_set(thread, nullptr), 0);
  EXPECT_EQ(charged_here(), "/scope/now");
  umemcg_active_end(before);
  EXPECT_EQ(charged_here(), "/scope/later");
}

umemcg_group* handlers_group;
sigjmp_buf way_out;

void leaves_its_scope(int) {
  umemcg_group* before;
  umemcg_active_begin(handlers_group, &before);
  umemcg_active_end(before);
}
void jumps_out_of_its_scope(int) {
  umemcg_group* before;
  umemcg_active_begin(handlers_group, &before);
  siglongjmp(way_out, 1);
}

TEST_F(Scope, InAHandler) {
  Opened thread("/scope/interrupted"), handler("/scope/handler");
  handlers_group = handler;
  signal(SIGUSR1, leaves_its_scope);
  ASSERT_EQ(umemcg_thread_set(thread, nullptr), 0);
  raise(SIGUSR1);
  EXPECT_EQ(charged_here(), "/scope/interrupted");
}

TEST_F(Scope, JumpedOutOf) {
  Opened thread("/scope/safe"), handler("/scope/jumped");
  handlers_group = handler;
  signal(SIGUSR1, jumps_out_of_its_scope);
  ASSERT_EQ(umemcg_thread_set(thread, nullptr), 0);
  umemcg_group* volatile before = nullptr;
  umemcg_group* outside;
  ASSERT_EQ(umemcg_active_begin(nullptr, &outside), 0);
  before = outside;
  if (sigsetjmp(way_out, 1) == 0) raise(SIGUSR1);
  umemcg_active_end(before);
  EXPECT_EQ(charged_here(), "/scope/safe");
}

}  // namespace
}  // namespace api_test

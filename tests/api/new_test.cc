// operator new and delete at link time: umemcg's, and malloc is not.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <thread>
#include <vector>

#include "tests/api/support.h"

namespace api_test {
namespace {

std::string library_of(void* function) {
  Dl_info found;
  return dladdr(function, &found) != 0 ? found.dli_fname : "";
}

TEST(New, MallocIsTheCLibrarys) {
  void* bound = dlsym(RTLD_DEFAULT, "malloc");
  EXPECT_NE(library_of(bound).find("libc.so"), std::string::npos)
      << library_of(bound);
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "mi_malloc"), nullptr);
  void* block = touched(std::malloc(kMiB), kMiB);
  EXPECT_EQ(umemcg_owner(block), nullptr);
  std::free(block);
}

// Calls that the compiler does not elide.
void* (*volatile plain)(size_t) = operator new;
void* (*volatile plain_array)(size_t) = operator new[];

TEST(New, EveryFormIsCharged) {
  constexpr auto kAlign = std::align_val_t{128};
  const std::nothrow_t& no = std::nothrow;
  const std::string own = path(nullptr);
  auto charged = [&](void* block) {
    return path(umemcg_owner(touched(block, 100'000))) == own;
  };
  void* p = plain(100'000);
  EXPECT_TRUE(charged(p));
  operator delete(p);
  p = plain_array(100'000);
  EXPECT_TRUE(charged(p));
  operator delete[](p);
  p = operator new(100'000, no);
  EXPECT_TRUE(charged(p));
  operator delete(p, no);
  p = operator new[](100'000, no);
  EXPECT_TRUE(charged(p));
  operator delete[](p, no);
  p = operator new(100'000, kAlign);
  EXPECT_TRUE(charged(p));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 128, 0u);
  operator delete(p, 100'000, kAlign);
  p = operator new[](100'000, kAlign);
  EXPECT_TRUE(charged(p));
  operator delete[](p, kAlign);
  p = operator new(100'000, kAlign, no);
  EXPECT_TRUE(charged(p));
  operator delete(p, kAlign, no);
  p = operator new[](100'000, kAlign, no);
  EXPECT_TRUE(charged(p));
  operator delete[](p, 100'000, kAlign);
  p = plain(100'000);
  operator delete (p, size_t{100'000});
  operator delete(nullptr);
}

// The C++ library's own calls, too.
TEST(New, InsideTheCxxLibrary) {
  std::string text(100'000, 'x');
  EXPECT_EQ(path(umemcg_owner(text.data())), path(nullptr));
}

TEST(New, FailsAtTheLimit) {
  Opened group("/new/limit");
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  bool caught = false;
  try {
    plain(64 * kMiB);
  } catch (const std::bad_alloc&) {
    caught = true;
  }
  void* refused = operator new(64 * kMiB, std::nothrow);
  void* aligned = operator new (64 * kMiB, std::align_val_t{64}, std::nothrow);
  void* not_ours = std::malloc(64 * kMiB);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_TRUE(caught);
  EXPECT_EQ(refused, nullptr);
  EXPECT_EQ(aligned, nullptr);
  EXPECT_NE(not_ours, nullptr);
  std::free(not_ours);
}

int handler_calls = 0;
umemcg_group* handlers_group = nullptr;

void make_room() {
  if (++handler_calls == 3) umemcg_set(handlers_group, "memory.max", "max");
}
struct Mine {};
void give_up() { throw Mine(); }

TEST(New, AsksTheHandlerUntilThereIsRoom) {
  Opened group("/new/handler");
  handlers_group = group;
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  std::set_new_handler(make_room);
  void* block = plain(64 * kMiB);
  std::set_new_handler(nullptr);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(handler_calls, 3);
  operator delete(block);
}

TEST(New, WhatTheHandlerThrows) {
  Opened group("/new/throws");
  ASSERT_EQ(umemcg_set(group, "memory.max", "8M"), 0);
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  std::set_new_handler(give_up);
  bool caught = false;
  try {
    plain(64 * kMiB);
  } catch (const Mine&) {
    caught = true;
  }
  void* refused = operator new(64 * kMiB, std::nothrow);
  std::set_new_handler(nullptr);
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_TRUE(caught);
  EXPECT_EQ(refused, nullptr);
}

// No pthread_create of umemcg's here: threads are met at their first charge.
TEST(New, Threads) {
  const int64_t before = number(nullptr, "memory.current");
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([] {
        std::vector<std::string> strings;
        for (size_t i = 0; i < 1000; ++i) strings.emplace_back(i, 'x');
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  // Nothing is left behind by threads that ended, but what is cached.
  EXPECT_LE(number(nullptr, "memory.current") - before -
                value_of(nullptr, "memory.stat", "cached"),
            int64_t{8 * kMiB});
}

TEST(New, ForkedChild) {
  std::string text(100'000, 'x');
  std::vector<std::thread> busy;
  std::atomic<bool> stop{false};
  for (int t = 0; t < 2; ++t) {
    busy.emplace_back([&] {
      while (!stop) std::string(50'000, 'y');
    });
  }
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const std::string more(100'000, 'z');
      _exit(path(umemcg_owner(more.data())).size() > 1 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
}

TEST(New, GroupsWorkAsEverywhere) {
  Opened group("/new/group");
  ASSERT_EQ(umemcg_thread_set(group, nullptr), 0);
  const std::string text(100'000, 'x');
  ASSERT_EQ(umemcg_thread_set(nullptr, nullptr), 0);
  EXPECT_EQ(path(umemcg_owner(text.data())), "/new/group");
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  EXPECT_EQ(path(umemcg_owner(block)), "/new/group");
  umemcg_free(block);
}

}  // namespace
}  // namespace api_test

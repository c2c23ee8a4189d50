// umemcg.hpp.

#include <fcntl.h>
#include <umemcg/umemcg.hpp>

#include <chrono>
#include <cstddef>
#include <list>
#include <memory_resource>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/api/support.h"

namespace api_test {
namespace {

static_assert(std::is_nothrow_move_constructible_v<umemcg::group>);
static_assert(std::is_nothrow_move_assignable_v<umemcg::group>);
static_assert(!std::is_copy_constructible_v<umemcg::group>);
static_assert(!std::is_copy_constructible_v<umemcg::thread_scope>);
static_assert(!std::is_copy_constructible_v<umemcg::active_scope>);

std::string charged_here() {
  void* block = touched(std::malloc(100'000), 100'000);
  std::string found = path(umemcg_owner(block));
  std::free(block);
  return found;
}

// The errno of the system_error that the call throws; 0 if it throws none.
template <typename Call>
int thrown(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().category(), std::generic_category());
    return error.code().value();
  }
  return 0;
}

TEST(Group, CreatedOpenedAndRemoved) {
  const auto made = umemcg::group::create("/cpp/group");
  EXPECT_EQ(made.path(), "/cpp/group");
  const auto opened = umemcg::group::open(std::string("/cpp/group"));
  EXPECT_EQ(opened.ino(), made.ino());
  EXPECT_NE(made.ino(), 0u);
  umemcg::group::remove("/cpp/group");
  EXPECT_EQ(thrown([] { umemcg::group::open("/cpp/group"); }), ENOENT);
}

TEST(Group, ErrorsAreThrownOrReturned) {
  std::error_code error;
  umemcg::group::open("/cpp/missing", 0, error);
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  umemcg::group::remove("/cpp/missing", error);
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  EXPECT_EQ(thrown([] { umemcg::group::remove("/cpp/missing"); }), ENOENT);
  const auto group = umemcg::group::create("/cpp/errors", error);
  EXPECT_FALSE(error);
  EXPECT_EQ(thrown([&] { group.set("memory.max", "lots"); }), EINVAL);
  EXPECT_EQ(thrown([&] { group.get("memory.mix"); }), ENOENT);
  group.set("memory.max", "lots", error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(group.get("memory.mix", error), "");
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  group.set("memory.max", "1M", error);
  EXPECT_FALSE(error);
  umemcg::group::remove("/cpp/errors");
  EXPECT_EQ(thrown([&] { group.path(); }), ENODEV);
}

TEST(Group, ReadsWholeFilesWithoutTheLastNewline) {
  const auto group = umemcg::group::create("/cpp/files");
  group.set("memory.max", "64M");
  EXPECT_EQ(group.get("memory.max"), "67108864");
  char all[16384];
  ASSERT_GT(umemcg_get(group.handle(), "memory.stat", all, sizeof(all)), 256);
  const std::string stat = group.get("memory.stat");
  EXPECT_EQ(stat.substr(0, 5), "anon ");
  EXPECT_GT(stat.size(), 256u);
  EXPECT_NE(stat.back(), '\n');
}

TEST(Group, LongPaths) {
  std::string deep;
  for (int i = 0; i < 8; ++i) deep += "/" + std::string(200, 'p');
  const auto group = umemcg::group::create(deep);
  EXPECT_EQ(group.path(), deep);
}

TEST(Group, MovesItsReference) {
  auto first = umemcg::group::create("/cpp/moved");
  umemcg_group* handle = first.handle();
  umemcg::group second(std::move(first));
  EXPECT_EQ(second.handle(), handle);
  EXPECT_EQ(first.handle(), nullptr);
  first = std::move(second);
  EXPECT_EQ(first.path(), "/cpp/moved");
}

TEST(Group, DefaultIsTheProcesss) {
  EXPECT_EQ(umemcg::group().path(), path(nullptr));
}

TEST(ThreadScope, PutsTheThreadBack) {
  const auto outer = umemcg::group::create("/cpp/outer");
  const auto inner = umemcg::group::create("/cpp/inner");
  {
    umemcg::thread_scope first(outer);
    EXPECT_EQ(charged_here(), "/cpp/outer");
    {
      umemcg::thread_scope second(inner);
      EXPECT_EQ(charged_here(), "/cpp/inner");
    }
    EXPECT_EQ(charged_here(), "/cpp/outer");
  }
  EXPECT_EQ(charged_here(), path(nullptr));
}

TEST(ThreadScope, ThatFailsLeavesTheThreadWhereItWas) {
  const auto kept = umemcg::group::create("/cpp/kept");
  const auto gone = umemcg::group::create("/cpp/gone");
  umemcg::thread_scope scope(kept);
  umemcg::group::remove("/cpp/gone");
  EXPECT_EQ(thrown([&] { umemcg::thread_scope failed(gone); }), ESTALE);
  EXPECT_EQ(charged_here(), "/cpp/kept");
  EXPECT_EQ(thrown([] { umemcg::thread_scope failed(as_handle(3)); }), EBADF);
  EXPECT_EQ(charged_here(), "/cpp/kept");
  std::error_code error;
  {
    umemcg::thread_scope stale(gone, error);
    EXPECT_EQ(error.value(), ESTALE);
    EXPECT_EQ(charged_here(), "/cpp");
  }
  EXPECT_EQ(charged_here(), "/cpp/kept");
}

// Nothing holds on to the group that the thread was in, when it is removed and
// the thread has been in many others since.
TEST(ThreadScope, FollowsTheProcessIfWhereItWasIsGone) {
  const auto to = umemcg::group::create("/cpp/to");
  std::vector<umemcg::group> others;
  for (int i = 0; i < 40; ++i) {
    std::string name = "/cpp/others/";
    others.push_back(umemcg::group::create(name += std::to_string(i)));
  }
  umemcg_group* was = nullptr;
  {
    const auto group = umemcg::group::create("/cpp/was/gone");
    was = group.handle();
    ASSERT_EQ(umemcg_thread_set(was, nullptr), 0);
  }
  {
    umemcg::thread_scope scope(to);
    for (const auto& other : others) {
      umemcg::thread_scope inner(other);
      EXPECT_NE(charged_here(), "");
    }
    umemcg::group::remove("/cpp/was/gone");
    for (int i = 0; i < 500 && umemcg_group_ino(was) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      umemcg::group::create("/slow");
      charged_here();
    }
    ASSERT_EQ(umemcg_group_ino(was), 0u) << "something holds on to it";
    EXPECT_EQ(charged_here(), "/cpp/to");
    errno = 17;
  }
  EXPECT_EQ(errno, 17);
  EXPECT_EQ(umemcg_thread_get(), nullptr);
  EXPECT_EQ(charged_here(), path(nullptr));
}

TEST(ActiveScope, ComesBeforeTheThread) {
  const auto thread = umemcg::group::create("/cpp/thread");
  const auto active = umemcg::group::create("/cpp/active");
  umemcg::thread_scope in(thread);
  {
    umemcg::active_scope scope(active);
    EXPECT_EQ(charged_here(), "/cpp/active");
  }
  EXPECT_EQ(charged_here(), "/cpp/thread");
  EXPECT_EQ(thrown([] { umemcg::active_scope failed(as_handle(5)); }), EBADF);
  EXPECT_EQ(charged_here(), "/cpp/thread");
}

TEST(Resource, ChargesTheGroup) {
  const auto group = umemcg::group::create("/cpp/pmr");
  umemcg::memory_resource memory(group);
  std::pmr::vector<char> bytes(100'000, 'x', &memory);
  EXPECT_EQ(path(umemcg_owner(bytes.data())), "/cpp/pmr");
  void* aligned = memory.allocate(1000, 4096);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 4096, 0u);
  EXPECT_EQ(path(umemcg_owner(aligned)), "/cpp/pmr");
  memory.deallocate(aligned, 1000, 4096);
}

TEST(Resource, SmallBlocksAreAlignedToo) {
  const auto group = umemcg::group::create("/cpp/small");
  umemcg::memory_resource memory(group);
  std::vector<std::pair<void*, size_t>> blocks;
  for (int i = 0; i < 8; ++i) {
    for (size_t size = 1; size <= 64; ++size) {
      blocks.emplace_back(memory.allocate(size), size);
    }
  }
  for (const auto& [block, size] : blocks) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t),
              0u)
        << size;
    EXPECT_EQ(path(umemcg_owner(block)), "/cpp/small");
    memory.deallocate(block, size);
  }
  for (size_t alignment = 1; alignment <= 16; alignment *= 2) {
    for (int i = 0; i < 8; ++i) {
      blocks[static_cast<size_t>(i)].first = memory.allocate(8, alignment);
    }
    for (int i = 0; i < 8; ++i) {
      void* block = blocks[static_cast<size_t>(i)].first;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
      memory.deallocate(block, 8, alignment);
    }
  }
}

TEST(Resource, ThrowsAtTheLimit) {
  const auto group = umemcg::group::create("/cpp/full");
  group.set("memory.max", "4M");
  umemcg::memory_resource memory(group);
  EXPECT_THROW(std::pmr::vector<char>(20 * kMiB, 'x', &memory), std::bad_alloc);
}

TEST(Resource, EqualIfOfTheSameGroup) {
  const auto a = umemcg::group::create("/cpp/a");
  const auto b = umemcg::group::create("/cpp/b");
  umemcg::memory_resource first(a), second(a), other(b);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  EXPECT_NE(first, *std::pmr::new_delete_resource());
  // So a move between equal ones takes the block, and else copies it.
  std::pmr::vector<char> from(100'000, 'x', &first), same(&second),
      copied(&other);
  const char* block = from.data();
  same = std::move(from);
  EXPECT_EQ(same.data(), block);
  copied = std::move(same);
  EXPECT_NE(copied.data(), block);
  EXPECT_EQ(path(umemcg_owner(copied.data())), "/cpp/b");
}

struct alignas(256) Wide {
  char bytes[256];
};

TEST(Allocator, ChargesTheGroup) {
  const auto group = umemcg::group::create("/cpp/allocator");
  std::vector<char, umemcg::allocator<char>> bytes(
      100'000, 'x', umemcg::allocator<char>(group));
  EXPECT_EQ(path(umemcg_owner(bytes.data())), "/cpp/allocator");
  // Rebound, and overaligned.
  std::list<Wide, umemcg::allocator<Wide>> wide(10, Wide(),
                                                umemcg::allocator<Wide>(group));
  for (const Wide& one : wide) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&one) % 256, 0u);
    EXPECT_EQ(path(umemcg_owner(&one)), "/cpp/allocator");
  }
}

TEST(Allocator, FailsAsAnyOther) {
  const auto group = umemcg::group::create("/cpp/allocator/full");
  group.set("memory.max", "4M");
  umemcg::allocator<int64_t> ints(group);
  EXPECT_THROW(ints.allocate(4 * kMiB), std::bad_alloc);
  EXPECT_THROW(ints.allocate(SIZE_MAX / 4), std::bad_alloc);
  EXPECT_EQ(ints, umemcg::allocator<char>(group));
  EXPECT_NE(ints, umemcg::allocator<int64_t>(nullptr));
}

static_assert(std::is_nothrow_move_assignable_v<umemcg::listener>);
static_assert(!std::is_copy_constructible_v<umemcg::listener>);
static_assert(std::is_nothrow_move_assignable_v<umemcg::peak>);
static_assert(!std::is_copy_constructible_v<umemcg::peak>);

TEST(Listener, OwnsItsDescriptor) {
  const auto group = umemcg::group::create("/cpp/listener");
  int fd = -1;
  {
    auto made = umemcg::listener::threshold(group, kMiB);
    fd = made.fd();
    EXPECT_GE(fd, 0);
    umemcg::listener moved = std::move(made);
    EXPECT_EQ(made.fd(), -1);
    EXPECT_EQ(moved.fd(), fd);
    EXPECT_EQ(moved.take(), 0u);
  }
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_EQ(error_of([&] { umemcg_unlisten(fd); }), EBADF);
}

TEST(Listener, ErrorsAreThrownOrReturned) {
  using std::chrono::microseconds;
  const umemcg::group own;
  EXPECT_EQ(thrown([&] { umemcg::listener::pressure(own, 7); }), EINVAL);
  EXPECT_EQ(thrown([&] {
              umemcg::listener::stall(own, true, microseconds(-1),
                                      std::chrono::seconds(1));
            }),
            EINVAL);
  std::error_code error;
  const auto none = umemcg::listener::stall(
      own, false, microseconds(1000), std::chrono::hours(2'000'000), error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_EQ(none.fd(), -1);
  const auto some = umemcg::listener::pressure(own, UMEMCG_PRESSURE_LOW,
                                               UMEMCG_PRESSURE_LOCAL, error);
  EXPECT_FALSE(error);
  EXPECT_GE(some.fd(), 0);
}

TEST(Peak, OfOnesOwn) {
  const auto group = umemcg::group::create("/cpp/peak");
  auto peak = umemcg::peak::open(group);
  ASSERT_EQ(umemcg_charge(group.handle(), UMEMCG_MMAP, kMiB, 0), 0);
  EXPECT_GE(peak.read(), static_cast<std::int64_t>(kMiB));
  umemcg_uncharge(group.handle(), UMEMCG_MMAP, kMiB);
  peak.reset();
  EXPECT_LT(peak.read(), static_cast<std::int64_t>(kMiB));
  umemcg::peak none = std::move(peak);
  EXPECT_EQ(thrown([&] { peak.read(); }), EBADF);
  EXPECT_EQ(thrown([&] { peak.reset(); }), EBADF);
}

}  // namespace
}  // namespace api_test

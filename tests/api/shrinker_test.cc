// umemcg_shrinker_register and what follows from it.

#include <umemcg/umemcg.hpp>

#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/api/shrinkable.h"

namespace api_test {
namespace {

class Shrinker : public WithACache {};

// The counts add up: what the cache let go of is what it said, and what is
// charged is what the cache and the program hold.
TEST_F(Shrinker, MakesRoom) {
  ASSERT_GT(cache_.join(group_), 0);
  const size_t before = cache_.held;
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(events("oom"), 0);
  EXPECT_GT(events("max"), 0);
  const umemcg_shrinker_stats stats = cache_.stats();
  EXPECT_EQ(stats.freed, before - cache_.held);
  EXPECT_GE(stats.freed, 26 * kMiB);
  EXPECT_EQ(stats.scans, static_cast<uint64_t>(cache_.calls));
  EXPECT_EQ(stats.overruns, 0u);
  const auto current = static_cast<size_t>(number(group_, "memory.current"));
  EXPECT_LE(current, 64 * kMiB);
  EXPECT_GE(current, cache_.held + blocks.held);
}

TEST_F(Shrinker, IsMissed) {
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_LT(blocks.held, 25 * kMiB);
  EXPECT_EQ(cache_.held, 40 * kMiB);
}

TEST_F(Shrinker, MakesRoomForOneLargeBlock) {
  ASSERT_GT(cache_.join(group_), 0);
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB, 50 * kMiB));
  EXPECT_EQ(events("oom"), 0);
}

TEST_F(Shrinker, IsNotAskedWhileThereIsRoom) {
  ASSERT_GT(cache_.join(group_), 0);
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(15 * kMiB));
  EXPECT_EQ(cache_.calls, 0);
}

TEST_F(Shrinker, OfAnotherGroupIsNotAsked) {
  Opened other("/other");
  ASSERT_GT(cache_.join(other), 0);
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  EXPECT_EQ(cache_.calls, 0);
}

TEST_F(Shrinker, OfEveryGroupIsAskedForTheGroup) {
  ASSERT_GT(cache_.join(nullptr), 0);
  std::string asked;
  cache_.in_scan = [&](umemcg_group* group) { asked = path(group); };
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(asked, path_);
}

TEST_F(Shrinker, MakesRoomBelowAnAncestorsLimit) {
  ASSERT_GT(cache_.join(group_), 0);
  Opened below((path_ + "/below").c_str());
  ASSERT_EQ(umemcg_thread_set(below, nullptr), 0);
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_GT(cache_.calls, 0);
}

TEST_F(Shrinker, MakesRoomForObjects) {
  std::atomic<size_t> charged{40 * kMiB};
  cache_.drop(SIZE_MAX);
  ASSERT_EQ(umemcg_charge(group_, UMEMCG_KMEM, charged, 0), 0);
  ASSERT_GT(cache_.join(group_), 0);
  cache_.held = charged.load();
  cache_.scan_instead = [&](size_t bytes) {
    umemcg_uncharge(group_, UMEMCG_KMEM, bytes);
    charged -= bytes;
    cache_.held = charged.load();
    return bytes;
  };
  EXPECT_EQ(umemcg_charge(group_, UMEMCG_SOCK, 50 * kMiB, 0), 0);
  EXPECT_LE(charged, 14 * kMiB);
  umemcg_uncharge(group_, UMEMCG_SOCK, 50 * kMiB);
  cache_.leave();
  umemcg_uncharge(group_, UMEMCG_KMEM, charged);
  cache_.held = 0;
}

TEST_F(Shrinker, FlagsThatForbidReclaimForbidIt) {
  ASSERT_GT(cache_.join(group_), 0);
  umemcg_thread_flags(UMEMCG_NOWAIT);
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  umemcg_thread_flags(0);
  EXPECT_EQ(cache_.calls, 0);
}

// One that frees nothing is asked no end of times, but not without end.
TEST_F(Shrinker, ThatFreesNothingIsNoHelp) {
  ASSERT_GT(cache_.join(group_), 0);
  cache_.scan_instead = [](size_t) { return UMEMCG_SHRINK_STOP; };
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  EXPECT_GT(cache_.calls, 0);
  EXPECT_EQ(cache_.stats().freed, 0u);
}

TEST_F(Shrinker, ThatLiesIsNoHelp) {
  ASSERT_GT(cache_.join(group_), 0);
  cache_.scan_instead = [](size_t bytes) { return bytes; };
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  EXPECT_LE(number(group_, "memory.current"), int64_t{64 * kMiB});
}

TEST_F(Shrinker, ThatIsTooSlowIsLeftAlone) {
  ASSERT_GT(cache_.join(group_, 20), 0);
  cache_.in_scan = [](umemcg_group*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  };
  Blocks blocks;
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  EXPECT_EQ(cache_.calls, 1);
  const umemcg_shrinker_stats stats = cache_.stats();
  EXPECT_EQ(stats.overruns, 1u);
  EXPECT_GE(stats.longest_ns, 40'000'000u);
  EXPECT_GT(stats.pause_ms, 1'000u);
  EXPECT_LE(stats.pause_ms, 10'000u);
}

// Errors.

umemcg_shrinker described() {
  umemcg_shrinker result{};
  result.size = sizeof(result);
  result.count = [](umemcg_group*, void*) { return size_t{0}; };
  result.scan = [](umemcg_group*, size_t, void*) { return size_t{0}; };
  return result;
}

TEST(ShrinkerErrors, WhatIsNoShrinker) {
  const auto error = [](const umemcg_shrinker* shrinker) {
    return error_of(
        [&] { EXPECT_EQ(umemcg_shrinker_register(nullptr, shrinker), -1); });
  };
  EXPECT_EQ(error(nullptr), EINVAL);
  umemcg_shrinker one = described();
  one.size = 0;
  EXPECT_EQ(error(&one), EINVAL);
  one.size = sizeof(one) - 1;
  EXPECT_EQ(error(&one), EINVAL);
  one.size = SIZE_MAX;
  EXPECT_EQ(error(&one), EINVAL);
  one = described();
  one.count = nullptr;
  EXPECT_EQ(error(&one), EINVAL);
  one = described();
  one.scan = nullptr;
  EXPECT_EQ(error(&one), EINVAL);
}

// A program of a later version, whose struct is larger: what this one does not
// know must be nothing.
TEST(ShrinkerErrors, ALargerStruct) {
  struct Later {
    umemcg_shrinker known;
    uint64_t more;
  } later = {described(), 0};
  later.known.size = sizeof(later);
  const int id = umemcg_shrinker_register(nullptr, &later.known);
  EXPECT_GT(id, 0);
  EXPECT_EQ(umemcg_shrinker_unregister(id), 0);
  later.more = 1;
  EXPECT_EQ(umemcg_shrinker_register(nullptr, &later.known), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST(ShrinkerErrors, Groups) {
  const umemcg_shrinker one = described();
  EXPECT_EQ(error_of([&] { umemcg_shrinker_register(as_handle(7), &one); }),
            EBADF);
  Opened group("/gone");
  ASSERT_EQ(umemcg_group_remove("/gone"), 0);
  EXPECT_EQ(error_of([&] { umemcg_shrinker_register(group, &one); }), ENODEV);
}

TEST(ShrinkerErrors, Ids) {
  umemcg_shrinker_stats stats{};
  stats.size = sizeof(stats);
  const int id = [&] {
    const umemcg_shrinker one = described();
    return umemcg_shrinker_register(nullptr, &one);
  }();
  ASSERT_GT(id, 0);
  EXPECT_EQ(umemcg_shrinker_read(id, &stats), 0);
  EXPECT_EQ(error_of([&] { umemcg_shrinker_read(id, nullptr); }), EINVAL);
  stats.size = 8;
  EXPECT_EQ(error_of([&] { umemcg_shrinker_read(id, &stats); }), EINVAL);
  stats.size = sizeof(stats);
  EXPECT_EQ(umemcg_shrinker_unregister(id), 0);
  for (int none : {id, 0, -1, INT32_MAX}) {
    EXPECT_EQ(error_of([&] { umemcg_shrinker_unregister(none); }), EBADF);
    EXPECT_EQ(error_of([&] { umemcg_shrinker_read(none, &stats); }), EBADF);
  }
}

TEST(ShrinkerErrors, TooMany) {
  const umemcg_shrinker one = described();
  std::vector<int> ids;
  for (int i = 0; i < 256; ++i) {
    ids.push_back(umemcg_shrinker_register(nullptr, &one));
    ASSERT_GT(ids.back(), 0);
  }
  EXPECT_EQ(error_of([&] { umemcg_shrinker_register(nullptr, &one); }), ENOSPC);
  for (int id : ids) EXPECT_EQ(umemcg_shrinker_unregister(id), 0);
}

// In C++.

struct Caching {
  explicit Caching(BlobCache& of) : blobs(of) {}
  size_t count(umemcg_group*) { return blobs.held; }
  size_t scan(umemcg_group*, size_t bytes) {
    if (fails) throw std::runtime_error("a cache that fails");
    return blobs.drop(bytes);
  }
  BlobCache& blobs;
  bool fails = false;
};

TEST_F(Shrinker, InCxx) {
  Caching caching(cache_);
  umemcg::group group = umemcg::group::open(path_);
  umemcg::shrinker moved;
  EXPECT_EQ(moved.stats().counts, 0u);
  {
    umemcg::shrinker made =
        umemcg::shrinker::of(group, caching, {"caching", 1, 60'000});
    EXPECT_GT(made.id(), 0);
    moved = std::move(made);
  }
  Blocks blocks;
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  EXPECT_EQ(moved.stats().freed, 40 * kMiB - cache_.held);
  moved = umemcg::shrinker();
  EXPECT_EQ(moved.id(), 0);
  blocks.free_all();
  cache_.fill(40 * kMiB);
  EXPECT_FALSE(blocks.grow(50 * kMiB));
  blocks.free_all();
  umemcg::shrinker all =
      umemcg::shrinker::of_all(caching, {nullptr, 0, 60'000});
  EXPECT_TRUE(blocks.grow(50 * kMiB));
  std::error_code error;
  umemcg::shrinker none =
      umemcg::shrinker::of(umemcg::group(), caching, {}, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_THROW(umemcg::shrinker::of(umemcg::group(), caching),
               std::system_error);
}

using ShrinkerDeathTest = Shrinker;

TEST_F(ShrinkerDeathTest, AnExceptionEndsTheProcess) {
  Caching caching(cache_);
  caching.fails = true;
  EXPECT_DEATH(
      {
        umemcg::shrinker all =
            umemcg::shrinker::of_all(caching, {nullptr, 0, 60'000});
        Blocks blocks;
        blocks.grow(50 * kMiB);
      },
      "a cache that fails");
}

}  // namespace
}  // namespace api_test

// min and low, on the tree of the kernel's own test of them:
//
//   A  max 200M
//   |- B  protected 50M
//   |  |- C  protected 75M, 50 MiB of cache
//   |  |- D  protected 25M, 50 MiB of cache
//   |  |- E  25 MiB of cache
//   |  `- F  25 MiB of cache
//   `- G  allocates
//
// The caches shrink when they are asked to. B has 50M to give, C and D claim
// 50 and 25 of it; as both shrink towards their shares, C's claim falls with
// what it uses. The kernel's test expects that to end at 29 and 21 MiB.

#include <umemcg/umemcg.h>

#include <deque>
#include <vector>

#include "tests/api/support.h"

namespace {

using api_test::kMiB;
using api_test::number;
using api_test::Opened;
using api_test::touched;
using api_test::value_of;

constexpr size_t kBlob = 8 * 1024;

class Cache {
 public:
  Cache(umemcg_group* group, size_t bytes) : group_(group) {
    while (blobs_.size() * kBlob < bytes) {
      void* blob = touched(umemcg_malloc(group, kBlob), kBlob);
      if (blob == nullptr) break;
      blobs_.push_back(blob);
    }
    umemcg_shrinker shrinker = {};
    shrinker.size = sizeof(shrinker);
    shrinker.arg = this;
    shrinker.deadline_ms = 10'000;
    shrinker.count = [](umemcg_group*, void* arg) {
      return static_cast<Cache*>(arg)->blobs_.size() * kBlob;
    };
    shrinker.scan = [](umemcg_group*, size_t wanted, void* arg) {
      return static_cast<Cache*>(arg)->shrink(wanted);
    };
    id_ = umemcg_shrinker_register(group, &shrinker);
    EXPECT_GT(id_, 0);
  }
  ~Cache() {
    umemcg_shrinker_unregister(id_);
    shrink(SIZE_MAX);
  }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  double mib() const {
    return static_cast<double>(number(group_, "memory.current")) / kMiB;
  }

 private:
  size_t shrink(size_t wanted) {
    size_t freed = 0;
    while (freed + kBlob <= wanted && !blobs_.empty()) {
      umemcg_free(blobs_.front());
      blobs_.pop_front();
      freed += kBlob;
    }
    return freed;
  }

  umemcg_group* group_;
  std::deque<void*> blobs_;
  int id_ = 0;
};

struct Protect {
  const char* b_min;
  const char* b_low;
  const char* file;  // of C and D
  size_t taken;      // MiB
};

class Tree {
 public:
  explicit Tree(const Protect& protect) {
    EXPECT_EQ(umemcg_set(a, "memory.max", "200M"), 0);
    EXPECT_EQ(umemcg_set(b, "memory.min", protect.b_min), 0);
    EXPECT_EQ(umemcg_set(b, "memory.low", protect.b_low), 0);
    EXPECT_EQ(umemcg_set(c, protect.file, "75M"), 0);
    EXPECT_EQ(umemcg_set(d, protect.file, "25M"), 0);
  }
  ~Tree() { free_all(); }

  // G takes what is charged as 1 MiB at a time; what it got, in MiB. B may not
  // fall below its guarantee meanwhile.
  size_t take(size_t mib, double b_min) {
    constexpr size_t kBlock = 15 * kMiB / 16;  // the allocator adds 64 KiB
    size_t got = 0;
    for (; got < mib; ++got) {
      void* block = touched(umemcg_malloc(g, kBlock), kBlock);
      if (block == nullptr) break;
      blocks_.push_back(block);
      EXPECT_GE(static_cast<double>(number(b, "memory.current")) / kMiB, b_min);
    }
    return got;
  }
  void free_all() {
    for (void* block : blocks_) umemcg_free(block);
    blocks_.clear();
  }
  int64_t low_events(umemcg_group* group) {
    return value_of(group, "memory.events", "low");
  }

  // Another tree for each test.
  static std::string path(const char* below) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->test_suite_name()) + test->name();
    for (char& c : name) c = c == '/' ? '.' : c;
    return "/" + name + below;
  }
  Opened a{path("").c_str()}, b{path("/B").c_str()}, c{path("/B/C").c_str()},
      d{path("/B/D").c_str()}, e{path("/B/E").c_str()}, f{path("/B/F").c_str()},
      g{path("/G").c_str()};

 private:
  std::vector<void*> blocks_;
};

constexpr double kShareC = 29;
constexpr double kShareD = 21;

class Protection : public testing::TestWithParam<Protect> {};

TEST_P(Protection, TheUnprotectedGoFirstAndTheSplitHolds) {
  Tree tree(GetParam());
  Cache c(tree.c, 50 * kMiB);
  Cache d(tree.d, 50 * kMiB);
  Cache e(tree.e, 25 * kMiB);
  Cache f(tree.f, 25 * kMiB);
  EXPECT_EQ(tree.take(GetParam().taken, 50 - 1), GetParam().taken);
  EXPECT_NEAR(c.mib(), kShareC, 0.1 * kShareC);
  EXPECT_NEAR(d.mib(), kShareD, 0.1 * kShareD);
  // All but what A has room for beside B's 50 MiB and G.
  EXPECT_LT(e.mib() + f.mib(),
            200 - 50 - static_cast<double>(GetParam().taken) + 1);
  EXPECT_EQ(tree.low_events(tree.a), 0);
}

std::string name_of(const testing::TestParamInfo<Protect>& protect) {
  constexpr const char* kNames[] = {"Min", "Low", "MinAboveLow"};
  return kNames[protect.index];
}

// (In the last, what no child claims of B's min is shared by all of them, so E
// and F keep a little longer.)
INSTANTIATE_TEST_SUITE_P(Tree, Protection,
                         testing::Values(Protect{"50M", "0", "memory.min", 148},
                                         Protect{"0", "50M", "memory.low", 148},
                                         Protect{"50M", "50M", "memory.low",
                                                 146}),
                         name_of);

TEST(Min, IsNeverBroken) {
  Tree tree({"50M", "0", "memory.min", 0});
  Cache c(tree.c, 50 * kMiB);
  Cache d(tree.d, 50 * kMiB);
  EXPECT_LT(tree.take(170, 50 - 1), 152u);
  EXPECT_NEAR(c.mib() + d.mib(), 50, 3);
  EXPECT_EQ(tree.low_events(tree.a), 0);
}

TEST(Low, GivesWayWhenNothingElseIsLeftAndSaysSo) {
  Tree tree({"30M", "50M", "memory.low", 0});
  Cache c(tree.c, 50 * kMiB);
  Cache d(tree.d, 50 * kMiB);
  Cache e(tree.e, 25 * kMiB);
  EXPECT_EQ(tree.take(145, 30 - 1), 145u);
  EXPECT_EQ(tree.low_events(tree.a), 0);
  EXPECT_EQ(tree.take(20, 30 - 1), 20u);
  EXPECT_GT(tree.low_events(tree.c), 0);
  EXPECT_GT(tree.low_events(tree.d), 0);
  EXPECT_EQ(tree.low_events(tree.e), 0);
  EXPECT_LT(e.mib(), 2);
  // The guarantee of 30 MiB stands.
  EXPECT_LT(tree.take(20, 30 - 1), 7u);
}

// Those that are over their soft limit give first, the largest excess first.
TEST(SoftLimit, TheLargestExcessGoesFirst) {
  Opened a("/S"), over("/S/over"), far("/S/far"), within("/S/within"),
      g("/S/G");
  ASSERT_EQ(umemcg_set(a, "memory.max", "110M"), 0);
  ASSERT_EQ(umemcg_set(over, "memory.soft_limit_in_bytes", "20M"), 0);
  ASSERT_EQ(umemcg_set(far, "memory.soft_limit_in_bytes", "5M"), 0);
  ASSERT_EQ(umemcg_set(within, "memory.soft_limit_in_bytes", "40M"), 0);
  Cache first(over, 30 * kMiB);
  Cache second(far, 30 * kMiB);
  Cache third(within, 30 * kMiB);
  std::vector<void*> blocks;
  auto take = [&](size_t mib) {
    for (size_t i = 0; i < mib; ++i) {
      void* block = touched(umemcg_malloc(g, 15 * kMiB / 16), kMiB / 2);
      ASSERT_NE(block, nullptr);
      blocks.push_back(block);
    }
  };
  // 34 MiB each, with what the allocator rounds up; 7 are free.
  ASSERT_NEAR(first.mib(), 34, 1);
  ASSERT_NEAR(second.mib(), 34, 1);
  take(20);
  EXPECT_NEAR(first.mib(), 34, 1);
  EXPECT_NEAR(second.mib(), 34 - 13, 2);
  EXPECT_NEAR(third.mib(), 34, 1);
  take(20);
  EXPECT_LT(first.mib(), 28);
  EXPECT_LT(second.mib(), 20);
  EXPECT_NEAR(third.mib(), 34, 1);
  for (void* block : blocks) umemcg_free(block);
}

}  // namespace

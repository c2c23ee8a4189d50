// Where only the heap is to be accounted (UMEMCG_ACCOUNT=heap).

#include "tests/api/support.h"

namespace api_test {
namespace {

TEST(Kinds, WhatIsNotAccountedIsNotCharged) {
  Opened group("/kinds/others");
  ASSERT_EQ(umemcg_set(group, "memory.max", "1M"), 0);
  for (int kind : {UMEMCG_MMAP, UMEMCG_SHMEM, UMEMCG_KMEM, UMEMCG_SOCK}) {
    EXPECT_EQ(umemcg_charge(group, kind, 2 * kMiB, 0), 0) << kind;
    EXPECT_EQ(umemcg_charge(group, kind, 100, UMEMCG_NOWAIT), 0) << kind;
    EXPECT_EQ(number(group, "memory.current"), 0) << kind;
    umemcg_uncharge(group, kind, 2 * kMiB);
    umemcg_uncharge(group, kind, 100);
    EXPECT_EQ(number(group, "memory.current"), 0) << kind;
  }
  EXPECT_EQ(number(group, "memory.kmem.usage_in_bytes"), 0);
}

TEST(Kinds, WhatIsWrongIsSaidAllTheSame) {
  Opened group("/kinds/errors");
  EXPECT_EQ(error_of([&] { umemcg_charge(group, UMEMCG_KMEM, 1, 256); }),
            EINVAL);
  EXPECT_EQ(error_of([&] { umemcg_charge(group, UMEMCG_KMEM, SIZE_MAX, 0); }),
            EINVAL);
}

TEST(Kinds, TheHeapIs) {
  Opened group("/kinds/heap");
  ASSERT_EQ(umemcg_charge(group, UMEMCG_HEAP, kMiB, 0), 0);
  EXPECT_GE(number(group, "memory.current"), int64_t{kMiB});
  umemcg_uncharge(group, UMEMCG_HEAP, kMiB);
  void* block = touched(umemcg_malloc(group, kMiB), kMiB);
  EXPECT_GE(number(group, "memory.current"), int64_t{kMiB});
  umemcg_free(block);
}

}  // namespace
}  // namespace api_test

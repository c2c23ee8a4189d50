#include "accounting/kind.h"

#include <gtest/gtest.h>

namespace umemcg {
namespace {

TEST(KindSet, HoldsWhatWasAdded) {
  KindSet kinds = KindSet::none();
  for (int i = 0; i < kKinds; ++i) {
    EXPECT_FALSE(kinds.has(static_cast<Kind>(i)));
    EXPECT_TRUE(KindSet::all().has(static_cast<Kind>(i)));
  }
  kinds.add(Kind::kShmem);
  kinds.add(Kind::kShmem);
  EXPECT_TRUE(kinds.has(Kind::kShmem));
  EXPECT_FALSE(kinds.has(Kind::kMmap));
  EXPECT_FALSE(kinds.has(Kind::kKmem));
}

TEST(KindSet, EveryKindHasItsName) {
  EXPECT_STREQ(kKindNames[static_cast<int>(Kind::kHeap)], "heap");
  EXPECT_STREQ(kKindNames[static_cast<int>(Kind::kMmap)], "mmap");
  EXPECT_STREQ(kKindNames[static_cast<int>(Kind::kShmem)], "shmem");
  EXPECT_STREQ(kKindNames[static_cast<int>(Kind::kKmem)], "kmem");
  EXPECT_STREQ(kKindNames[static_cast<int>(Kind::kSock)], "sock");
}

}  // namespace
}  // namespace umemcg

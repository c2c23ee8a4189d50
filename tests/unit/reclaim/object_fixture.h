// Tests of charges by the byte, in a world without a heap.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "reclaim/charge.h"
#include "reclaim/charge_object.h"
#include "stock/obj_stock.h"
#include "stock/stock.h"
#include "tests/unit/stock/world.h"

namespace umemcg {

inline constexpr int64_t kPage = kPageSize;
inline constexpr Kind kEveryKind[] = {Kind::kHeap, Kind::kMmap, Kind::kShmem,
                                      Kind::kKmem, Kind::kSock};

inline Group& group_of(const Account& account) {
  return *g_segment.group(account.group);
}

// What the thread keeps of a page goes to its account.
inline void flush_thread_objects() {
  if (StockLine* line = thread_line()) drain_object_word(*line);
}

// Everything that threads and the account have ahead goes back.
inline void settle() {
  drain_objects(kRootGroup);
  drain_all_stock(g_segment, kRootGroup);
  drain_own_stock();
}

class ChargeObjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start_world();
    reset_thread();
    install_reclaim({false});
  }
  void TearDown() override {
    settle();
    reset_thread();
  }
};

}  // namespace umemcg

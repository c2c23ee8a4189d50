// The table of shrinkers: rows that never move, so that it is read without a
// lock.
//
//   free --register--> live --unregister--> leaving --its last call ended-->
//   free
//
// Who may touch a row:
//   state, id, the counts       atomic; read by anybody
//   callbacks, name, deadline   written while the row is free, by who holds the
//                               table's lock; read by who holds `running` and
//                               has seen the row live
//   running                     tried, never waited for, by who wants to call;
//                               waited for by who takes the shrinker out
//
// A row becomes free only under `running`, so a caller that holds it and has
// seen the row live calls what is there.
#pragma once

#include <atomic>
#include <cstdint>

#include "alloc/callback.h"
#include "base/lock.h"
#include "reclaim/shrinker.h"

namespace umemcg {

enum class ShrinkerState : uint32_t { kFree, kLive, kLeaving };

struct ShrinkerCounts {
  std::atomic<uint64_t> counts;
  std::atomic<uint64_t> scans;
  std::atomic<uint64_t> asked;
  std::atomic<uint64_t> freed;
  std::atomic<uint64_t> busy;
  std::atomic<uint64_t> overruns;
  std::atomic<uint64_t> longest_ns;
};

struct ShrinkerRow {
  // acquire: pairs with register_shrinker().
  bool is_live() const {
    return state.load(std::memory_order_acquire) == ShrinkerState::kLive;
  }
  bool is_for(const Account& account) const;
  bool is_pausing() const;

  Lock running;
  std::atomic<ShrinkerState> state;
  std::atomic<int> id;  // of the one that is there, or was last
  // As in ShrinkerSpec.
  std::atomic<uint32_t> group;
  std::atomic<uint64_t> group_id;
  std::atomic<int> cost;
  std::atomic<uint32_t> asked;  // when it was, by the table's own clock
  // It overran its deadline: the coarse time until which it is left alone, and
  // for how long that is.
  std::atomic<uint64_t> not_before_ms;
  std::atomic<uint64_t> pause_ms;
  // + 1: the row whose call its own call waits for, in unregister_shrinker().
  std::atomic<uint32_t> waits_for;
  ShrinkerCounts counts;
  ShrinkerCallbacks callbacks;
  uint32_t deadline_ms;
  char name[32];
};

extern constinit ShrinkerRow g_shrinkers[kMostShrinkers];
// One past the highest row that was ever used.
extern constinit std::atomic<int> g_shrinkers_high;
// Rows that are live.
extern constinit std::atomic<int> g_shrinkers_live;

// A call in which the calling thread is.
struct ShrinkerCall {
  ShrinkerRow* row;
  uint64_t began_ns;
  bool scanned;
  CallbackContext context;
};
extern constinit UMEMCG_TLS ShrinkerCall* t_shrinker_call;

}  // namespace umemcg

// Shrinkers: functions of the program that free its caches, struct shrinker in
// Linux. Registered for one group or for all; called where allocation is
// allowed, one call of each at a time, never with a lock of ours held.
//
// What a shrinker frees counts when its pages are given back, not when it says
// so: reclaim collects and purges after the calls.
//
//   run_shrinkers(account, pages)      shrinker_call.cc
//     those of the group and of all, the cheapest first, of the same cost the
//     one that was asked least recently:
//       busy in another thread, pausing, or of no use to this charge: skipped
//       count: what there is; scan: frees as much as is still wanted
//       took longer than its deadline, in all its calls for this charge
//       (asked_shrinkers.h): it pauses, from the next call on
//
// The table of them, and who may touch what in it: shrinker_table.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "accounting/account.h"
#include "base/hook.h"

struct umemcg_group;  // a handle: shim/ knows what it is

namespace umemcg {

inline constexpr int kMostShrinkers = 256;
inline constexpr uint32_t kShrinkerDeadlineMs = 100;
// How long one that overran its deadline is left alone: at first, and, if it
// happens again and again, at most (twice as long each time).
inline constexpr uint64_t kFirstPauseMs = 10'000;
inline constexpr uint64_t kLongestPauseMs = 640'000;
// What scan returns when it cannot free anything now.
inline constexpr size_t kShrinkStop = SIZE_MAX;

// The program's functions.
struct ShrinkerCallbacks {
  size_t (*count)(umemcg_group*, void*);
  size_t (*scan)(umemcg_group*, size_t, void*);
  void* argument;
};

struct ShrinkerSpec {
  ShrinkerCallbacks callbacks;
  const char* name;      // copied; null: it has none
  int cost;              // lower ones go first
  uint32_t deadline_ms;  // of all calls for a charge; 0: the usual one
  uint32_t group;        // for which it is
  uint64_t group_id;     // of that; 0: for all groups
};

// 0 and its id (above 0), or an error number: ENOSPC.
int register_shrinker(const ShrinkerSpec& spec, int* id);

// No call begins any more; waits for the end of the one that is running. 0, or
// EBADF (no such id), EDEADLK (the calling thread is in its call, or in one
// whose end that call waits for in here).
int unregister_shrinker(int id);

// What became of its calls so far.
struct ShrinkerStats {
  uint64_t counts;
  uint64_t scans;
  uint64_t asked;  // bytes
  uint64_t freed;  // bytes, as it said
  uint64_t busy;   // skipped, since another thread was in it
  uint64_t overruns;
  uint64_t longest_ns;
  uint64_t pause_ms;  // of which it is left alone from now on
};
// 0 or EBADF.
int read_shrinker(int id, ShrinkerStats* stats);

// Whether any is registered: one load.
bool any_shrinkers();

// Whether one is registered for this account's group, or for all, and is not
// pausing.
bool has_shrinkers(const Account& account);

// Pages that they say they could free for the account's group (not those
// below it). Calls back.
int64_t count_shrinkable(Account& account);

// Asks for about `pages`, cheapest class first. The pages that they say they
// freed. Calls back.
int64_t run_shrinkers(Account& account, int64_t pages);

// How the program is called: shim/ installs it, which makes handles. `bytes` is
// of scan.
enum class ShrinkerStep { kCount, kScan };
extern constinit Hook<size_t(const ShrinkerCallbacks&, ShrinkerStep, Account&,
                             size_t bytes)>
    g_call_shrinker_hook;

// The thread ends within its call and never comes back from it: the call is
// over, all the same.
void abandon_shrinker_call();

// In the child of a fork: calls that other threads were in are not.
void reset_shrinkers();

}  // namespace umemcg

// The worker: one thread of the process that does what would wait for a slow
// path otherwise, or for nobody. It is made by UMEMCG_WORKER=1, or when the
// program first listens to something (accounting/listeners.h), and ends when
// neither is so any more.
//
//   when there is news (notify.h)   serves requests to reclaim, tells listeners
//   every 250 ms                    decay, groups that were removed
//   every 2 s                       averages of stalled time
//   as triggers want                tells listeners
//
// After news it rests: 1 ms at least, and nine times as long as the round took,
// up to 10 ms. So however much is told it is woken at most once a millisecond,
// and takes little of a processor.
//
// A shrinker that ends it (pthread_exit) has it replaced by another.
//
// It runs with all signals blocked, holds no lock while it waits, and is not in
// the child of a fork: there UMEMCG_WORKER=1 makes another one.
#pragma once

namespace umemcg {

// Makes it if it is not there. False if no thread could be made.
bool start_worker();

// The process is about to end: no round begins from here on, and one under way
// is waited for, 100 ms at most.
void stop_worker();

// In the child of a fork: it is not here.
void reset_worker();

}  // namespace umemcg

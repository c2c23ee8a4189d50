// What a thread does for others, and for what it owes, when it has left the
// allocator: alloc/attention.h calls it.
#pragma once

namespace umemcg {

// Serves what other processes of the domain have asked for since this process
// last answered (accounting/reclaim_request.h): gives back its share for each
// group that it has charges in. One thread of the process does it, others pass
// by. Nothing while the thread may not wait or is in a callback. For threads'
// attention and for the worker. errno is kept.
void serve_reclaim_requests();

// That, and what the thread owes (reclaim/throttle.h): the end of a call that
// may wait. Two loads if there is nothing.
void serve_and_pay();

// Lets threads serve and pay (alloc/attention.h), and who writes a control file
// reclaim by all means that the process has.
void install_serving();

// The thread ends within a shrinker, and never comes back from serving.
void abandon_serving();

// In the child of a fork: whoever else was serving is not here.
void reset_serving();

}  // namespace umemcg

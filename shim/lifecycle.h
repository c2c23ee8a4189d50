// Threads, forks and the end of the process.
#pragma once

namespace umemcg {

// Installs what lower layers call: a thread's end, a forked child's beginning.
void install_lifecycle();

// A new thread begins: its records are root's, and it is put into the group of
// `tag` (null: none), of which it gets a reference that it gives back.
struct Account;
void begin_thread(Account* tag);

// The process is about to end (exit.cc). Async-signal-safe.
void process_exits();
// At the start: looks up what is called then.
void watch_for_exit();

// Its function has ended; what follows are destructors, up to umemcg's own.
void leave_thread();

}  // namespace umemcg

// An eventfd that umemcg writes to and the program reads.
//
// The program may close its descriptor whenever it likes, so umemcg writes to
// one of its own, of the same open file. That may be closed as well, by a
// program that closes all it finds, and its number be given to another file: so
// it has a number out of the way of those that programs get, and it is looked
// at before each write whether it is still the same file.
#pragma once

#include <cstdint>

namespace umemcg {

struct EventFd {
  int fd = 0;
  // Device and inode, which all eventfds of a system share; 0: there is none.
  uint64_t file = 0;
  uint64_t id = 0;  // of the eventfd; 0 where /proc does not tell
};

// A new one: the program's descriptor, or a negative error number. errno is
// kept, here and below.
int open_event_fd(EventFd* own);

// The same for one that is umemcg's alone already.
EventFd event_fd_of(int fd);

// Adds `count` to it. False if it is not there any more.
bool signal_event_fd(const EventFd& own, uint64_t count);

// Closes umemcg's descriptor.
void close_event_fd(const EventFd& own);

}  // namespace umemcg

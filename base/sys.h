// Every system call that the layers below shim make.
//
// Contract: results are returned, never left in errno, and errno is kept: 0 or
// a positive error number, unless a function says otherwise. None of them is a
// cancellation point. The memory calls go through a table that tests replace
// to inject failures; production never writes it.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace umemcg::sys {

// Memory calls, replaceable by tests (fault injection).
struct MemoryCalls {
  // Returns the address, or nullptr with *error set.
  void* (*map)(void* hint, size_t size, int protection, int flags, int fd,
               off_t offset, int* error);
  int (*unmap)(void* address, size_t size);
  int (*protect)(void* address, size_t size, int protection);
  int (*advise)(void* address, size_t size, int advice);
};
extern MemoryCalls memory;
extern const MemoryCalls kRealMemory;

// Private anonymous memory, MAP_NORESERVE.
inline void* map_anonymous(size_t size, int protection, int* error) {
  return memory.map(nullptr, size, protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, error);
}
inline int unmap(void* address, size_t size) {
  return memory.unmap(address, size);
}
inline int protect(void* address, size_t size, int protection) {
  return memory.protect(address, size, protection);
}
// MADV_DONTNEED gives back locked pages too.
inline int advise(void* address, size_t size, int advice) {
  return memory.advise(address, size, advice);
}

// Bytes written, or a negative error number; retries EINTR.
ssize_t write(int fd, const void* data, size_t size);
// Bytes read, or a negative error number; retries EINTR.
ssize_t read(int fd, void* data, size_t size);
// A descriptor (close-on-exec), or a negative error number.
int open(const char* path, int flags, unsigned mode = 0);
void close(int fd);

// An eventfd (close-on-exec, non-blocking), or a negative error number.
int event_fd();
// The same open file under a number that is not below `lowest` (close-on-exec),
// or a negative error number.
int duplicate(int fd, int lowest);
// How many descriptors the process may have.
uint64_t most_descriptors();

int futex_wait(uint32_t* word, uint32_t expected, uint64_t timeout_ns);
void futex_wake(uint32_t* word, int waiters);
void yield();
// Waits in a loop: yields at first, then sleeps, so that a real-time thread
// lets the one that it waits for run. `round` counts from 0.
void pause(int round);
void sleep_ns(uint64_t ns);

pid_t process_id();
pid_t parent_id();
pid_t thread_id();
// Of the calling thread; at most 15 bytes.
void name_thread(const char* name);
// The calling thread's name, 15 bytes and the NUL.
void thread_name(char (&name)[16]);
int send_signal(pid_t process, int signal);
// A process held by a descriptor (close-on-exec), so that its number cannot
// become another's; or a negative error number.
int pidfd_open(pid_t process);
// A descriptor (close-on-exec) of the open file that it has under the number
// `theirs`, or a negative error number (EPERM: not for the caller).
int pidfd_getfd(int fd, int theirs);
// 0: only asks whether one could be sent.
int pidfd_signal(int fd, int signal);
// Milliseconds that never go back (CLOCK_MONOTONIC_COARSE: cheap).
uint64_t coarse_ms();
uint64_t monotonic_ns();
// Milliseconds since 1970.
uint64_t wall_clock_ms();

// Reads a small file whole into a NUL-terminated buffer; the length, or a
// negative error number.
ssize_t read_file(const char* path, char* buffer, size_t size);

}  // namespace umemcg::sys

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

int futex_wait(uint32_t* word, uint32_t expected, uint64_t timeout_ns);
void futex_wake(uint32_t* word, int waiters);
void yield();
// Waits in a loop: yields at first, then sleeps, so that a real-time thread
// lets the one that it waits for run. `round` counts from 0.
void pause(int round);
void sleep_ns(uint64_t ns);

pid_t process_id();
pid_t thread_id();
// Milliseconds that never go back (CLOCK_MONOTONIC_COARSE: cheap).
uint64_t coarse_ms();
uint64_t monotonic_ns();

// Reads a small file whole into a NUL-terminated buffer; the length, or a
// negative error number.
ssize_t read_file(const char* path, char* buffer, size_t size);

}  // namespace umemcg::sys

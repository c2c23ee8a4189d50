// Open-file-description locks on single bytes of a domain's file. Such a lock
// lives as long as the open file it was taken through (descriptors and
// mappings of it), so it ends when its holder dies, however it dies.
#pragma once

#include <cstdint>

namespace umemcg {

// Takes the byte through `fd` if nobody else holds it.
bool file_lock_try(int fd, int64_t byte);
// The same, trying for at most `wait_ms`.
bool file_lock_within(int fd, int64_t byte, uint32_t wait_ms);
// Gives the byte back, for all copies of `fd` that forks have made as well.
void file_unlock(int fd, int64_t byte);
// Whether somebody else than `fd` holds the byte; true also if that cannot be
// told, since the dead are reaped by it.
bool file_lock_held(int fd, int64_t byte);

}  // namespace umemcg

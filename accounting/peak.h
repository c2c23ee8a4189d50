// Open files of memory.peak, each of which may begin anew for itself.
//
// A counter has two watermarks, the peak ever and the *local* one, the peak
// since some reader last began anew. A reader's peak is the higher of the local
// one and of its own `pages`, which keeps what it has seen of earlier ones:
//
//   begin anew:  all readers of the group are raised to the local watermark;
//                that is set to the usage; all are raised to what it was
//                until then; the caller's own is the usage
//
// (The kernel raises the others to the usage only, so they lose a peak that
// stood in its local watermark alone.) One that has never begun anew shows the
// peak ever.
//
// Readers are rows of the segment's header; changes are made under its lock,
// reads take none. They belong to a process, and end with it; or to a visitor,
// a program that has mapped the domain but has no slot in it (a mount): then
// they end with its open file, and who finds no free row looks for that.
#pragma once

#include <cstdint>

#include "accounting/segment.h"

namespace umemcg {

// A new reader, of this process, of the peak of the group with that id: its
// number, or a negative error number: -ENOSPC (kPeakReaders are open in the
// domain), -ENODEV (the group was removed), -EAGAIN (the lock could not be
// had).
int peak_open(Segment& segment, uint32_t group, uint64_t id);

// Pages, or a negative error number: -EBADF (not an open reader of this
// process), -ENODEV (its group was removed).
int64_t peak_read(Segment& segment, int reader);

// Begins anew. 0 or an error number: those two, or EAGAIN.
int peak_reset(Segment& segment, int reader);

// 0 or an error number: EBADF, EAGAIN.
int peak_close(Segment& segment, int reader);

// Everybody begins anew: a write to memory.peak. 0 or EAGAIN.
int peak_reset_all(Segment& segment, uint32_t group);

// Ends the readers of a process that is dead. REQUIRES: the segment's lock.
void peak_forget_process(Segment& segment, uint32_t process);

}  // namespace umemcg

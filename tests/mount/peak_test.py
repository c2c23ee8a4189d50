"""memory.peak, which each open file begins anew for itself."""

import errno
import os
import signal
import sys

from domain import wait_until
from harness import check, main

from mounted import errno_of, mount_of

MIB = 1 << 20


def open_peak(mount):
    return os.open(mount.root / "a/memory.peak", os.O_RDWR)


def peak(fd):
    return int(os.pread(fd, 4096, 0))


def four_that_close_in_odd_order(umemcg):
    """What one begins anew changes no other's, and a closed one nobody's."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        least = 16 * MIB  # more than an interpreter takes

        def rise(bytes_):
            outcome = umemcg.preload(
                [sys.executable, "-c", f"bytearray({bytes_})"],
                settings={"UMEMCG_DOMAIN": mount.domain.name,
                          "UMEMCG_GROUP": "/a"})
            check(outcome.status == 0, "the child failed", outcome)
            # What it had is given back when somebody looks.
            check(mount.number("a/memory.current") == 0, "it is charged still")

        rise(80 * MIB)
        fds = [open_peak(mount) for _ in range(4)]
        ever = peak(fds[0])
        check(80 * MIB <= ever < 80 * MIB + least, f"{ever}")
        check([peak(fd) for fd in fds] == [ever] * 4, "they differ")
        for fd, more in zip(fds[:3], (60, 45, 30)):
            check(os.write(fd, b"reset\n") == 6, "not taken")
            check(peak(fd) == 0, f"{peak(fd)}")
            rise(more * MIB)
        first, second, third, never = map(peak, fds)
        check(never == ever, "one that has not begun anew has changed")
        for found, more in ((first, 60), (second, 45), (third, 30)):
            check(0 <= found - more * MIB < least - MIB, f"{found} for {more}")
        # The middle one, the last, the first: the others keep theirs.
        os.close(fds[1])
        check([peak(fds[i]) for i in (0, 2, 3)] == [first, third, ever], "2nd")
        os.close(fds[3])
        check([peak(fds[i]) for i in (0, 2)] == [first, third], "4th")
        os.close(fds[0])
        check(peak(fds[2]) == third, "1st")
        fresh = open_peak(mount)
        check(peak(fresh) == ever, "a new one does not show the peak ever")
        os.write(fresh, b"1")
        check(peak(fresh) < third and peak(fds[2]) == third, "not its own")
        os.close(fds[2])
        os.close(fresh)
        check(mount.number("a/memory.peak") == ever, "the group's has changed")


def a_killed_daemon_leaves_none(umemcg):
    """Of 256 rows, killed daemons hold none for good."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        for number in range(3):
            fds = [open_peak(mount) for _ in range(150)]
            for fd in fds:
                os.write(fd, b"1")
            daemon = mount.daemon()
            os.kill(daemon, signal.SIGKILL)
            wait_until(lambda: mount.daemon() is None, "it lives")
            for fd in fds:
                errno_of(os.close, fd)
            outcome = mount.mount()
            check(outcome.status == 0, f"mount {number}", outcome)


def one_too_many(umemcg):
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        fds = [open_peak(mount) for _ in range(257)]
        errors = []
        for fd in fds:
            try:
                os.write(fd, b"1")
            except OSError as error:
                errors.append(error.errno)
        check(errors == [errno.ENOSPC], f"{errors}")
        os.close(fds[0])
        # Closing is told to the daemon when it has been done.
        wait_until(lambda: errno_of(os.write, fds[-1], b"1") == 0,
                   "not taken when one is free")
        for fd in fds[1:]:
            os.close(fd)


if __name__ == "__main__":
    main([four_that_close_in_odd_order, a_killed_daemon_leaves_none,
          one_too_many])

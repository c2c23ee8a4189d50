"""The tree of `umemcg mount --v1`, and eventfds through its event_control."""

import errno
import os
import select
import struct
import subprocess
import sys
import time

from harness import check, clean_environment, main

from mounted import errno_of, mount_of

MIB = 1 << 20
LATE = 0.25  # ten times what was seen, and more

# Takes memory and waits, piece by piece, as it is told.
TAKER = """
import sys
held = []
for line in sys.stdin:
    try:
        if line == "drop\\n":
            held.clear()
        else:
            # Mapped one by one, and given back when it is dropped.
            held.append(bytearray(int(line)))
    except MemoryError:
        pass
    print("ok", flush=True)
"""


class Taker:
    def __init__(self, mount, group):
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKER], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=clean_environment(LD_PRELOAD=mount.domain.umemcg.library,
                                  UMEMCG_DOMAIN=mount.domain.name,
                                  UMEMCG_GROUP=group))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def order(self, word):
        print(word, file=self.process.stdin, flush=True)
        check(self.process.stdout.readline() == "ok\n", "the child has ended")


class Event:
    """An eventfd that a group was asked to tell."""

    def __init__(self, mount, group, file, arguments=""):
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.file = os.open(mount.root / group / file, os.O_RDONLY)
        mount.write(f"{group}/cgroup.event_control",
                    f"{self.fd} {self.file} {arguments}".rstrip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.close(self.file)

    def told(self, seconds=LATE):
        """How often, after at most that time."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return 0
        return struct.unpack("Q", os.read(self.fd, 8))[0]


def the_names_of_v1(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        (mount.root / "a").mkdir()
        names = set(os.listdir(mount.root / "a"))
        check({"memory.limit_in_bytes", "memory.usage_in_bytes", "tasks",
               "memory.memsw.limit_in_bytes", "memory.failcnt",
               "memory.soft_limit_in_bytes", "memory.oom_control",
               "memory.pressure_level", "memory.force_empty", "cgroup.procs",
               "cgroup.event_control"} <= names, f"{names}")
        check(not {"memory.max", "memory.high", "memory.peak"} & names,
              f"{names}")
        mount.write("a/memory.limit_in_bytes", "5000")
        check(mount.read("a/memory.limit_in_bytes") == "4096\n", "limit")
        mount.write("a/memory.limit_in_bytes", "-1")
        check(mount.read("a/memory.limit_in_bytes") == f"{2**63 - 4096}\n",
              "unlimited")
        worker = mount.domain.worker("/")
        mount.write("a/cgroup.procs", worker.pid)
        check(mount.procs("a") == {worker.pid}, "not moved")


def thresholds(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        (mount.root / "a").mkdir()
        with Event(mount, "a", "memory.usage_in_bytes", "64M") as low, \
                Event(mount, "a", "memory.memsw.usage_in_bytes",
                      str(256 * MIB)) as high:
            with Taker(mount, "/a") as taker:
                begin = time.monotonic()
                taker.order(100 * MIB)
                check(low.told(10) == 1, "the lower is not told of")
                print(f"  told {(time.monotonic() - begin) * 1000:.1f} ms "
                      "after it was asked for")
                taker.order(300 * MIB)
                check(high.told(10) == 1, "the upper is not told of")
                check(low.told() == 0, "the lower is told of again")
            # The child has ended, so both are crossed again; nobody reads.
            check(low.told(10) == 1 and high.told(10) == 1, "not downwards")
            check(mount.number("a/memory.usage_in_bytes") == 0, "charged")


def out_of_memory(umemcg):
    """Told to the subtree of the group that is full; the last one is that the
    group is gone."""
    with mount_of(umemcg, "--v1") as mount:
        for group in ("a", "a/b", "c"):
            (mount.root / group).mkdir()
        mount.write("a/memory.limit_in_bytes", "64M")
        with Event(mount, "a", "memory.oom_control") as upper, \
                Event(mount, "a/b", "memory.oom_control") as lower, \
                Event(mount, "c", "memory.oom_control") as other:
            with Taker(mount, "/a") as taker:
                taker.order(1 << 30)
            check(upper.told(10) >= 1, "the group is not told")
            check(lower.told(10) >= 1, "the group below is not told")
            check(other.told(0) == 0, "another group is told")
            for group in ("a/b", "a"):
                (mount.root / group).rmdir()
            check(upper.told(10) == 1 and lower.told(10) == 1,
                  "the end is not told")


def pressure_levels(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        for group in ("a", "a/b"):
            (mount.root / group).mkdir()
        mount.write("a/b/memory.limit_in_bytes", "64M")
        level = "memory.pressure_level"
        with Event(mount, "a/b", level, "low") as own, \
                Event(mount, "a", level, "low") as above, \
                Event(mount, "a", level, "critical,hierarchy") as hears, \
                Event(mount, "a", level, "low,local") as local, \
                Taker(mount, "/a/b") as taker:
            taker.order(40 * MIB)
            for _ in range(4):
                taker.order(40 * MIB)
            check(own.told(10) > 0, "the group is not told")
            check(hears.told(10) > 0, "hierarchy is not told")
            check(above.told() == 0 and local.told(0) == 0,
                  "told although a lower group was, or not its own")


def refusals(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        for group in ("a", "c"):
            (mount.root / group).mkdir()
        control = "a/cgroup.event_control"
        event = os.eventfd(0)
        usage = os.open(mount.root / "a/memory.usage_in_bytes", os.O_RDONLY)
        level = os.open(mount.root / "a/memory.pressure_level", os.O_RDONLY)
        other = os.open(mount.root / "c/memory.usage_in_bytes", os.O_RDONLY)
        plain_file = os.open("/dev/null", os.O_RDONLY)
        cases = [("junk", errno.EINVAL), (f"{event}", errno.EINVAL),
                 (f"{event} x 1M", errno.EINVAL),
                 (f"{event} {usage} junk", errno.EINVAL),
                 (f"{event} 999 1M", errno.EBADF),
                 (f"999 {usage} 1M", errno.EBADF),
                 (f"{usage} {usage} 1M", errno.EINVAL),
                 (f"{event} {plain_file} 1M", errno.EINVAL),
                 (f"{event} {other} 1M", errno.EINVAL),
                 (f"{event} {level} severe", errno.EINVAL),
                 (f"{event} {level} low,junk", errno.EINVAL),
                 (f"{event} {usage} 1M", 0), (f"{event} {usage} -1", 0)]
        for text, expected in cases:
            found = errno_of(mount.write, control, text)
            check(found == expected, f"{text!r}: {found}, not {expected}")
        for fd in (event, usage, level, other, plain_file):
            os.close(fd)


def descriptors_of(mount):
    return len(os.listdir(f"/proc/{mount.daemon()}/fd"))


def closed_eventfds_are_let_go(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        (mount.root / "a").mkdir()
        before = descriptors_of(mount)
        for _ in range(20):
            with Event(mount, "a", "memory.usage_in_bytes", "64M"):
                pass
        check(descriptors_of(mount) > before + 10, "none was kept")
        end = time.monotonic() + 30
        while descriptors_of(mount) > before + 2:
            check(time.monotonic() < end, f"{descriptors_of(mount)} open")
            time.sleep(0.1)


if __name__ == "__main__":
    if not hasattr(os, "eventfd"):
        print("SKIP: this Python has no os.eventfd")
        sys.exit(77)
    main([the_names_of_v1, thresholds, out_of_memory, pressure_levels,
          refusals, closed_eventfds_are_let_go])

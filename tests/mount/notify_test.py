"""inotify and poll on the mounted tree, with what they take printed.

Bounds are ten times what was seen and more, for the shortest of several times:
the machine may be loaded, and stand still now and then.
"""

import contextlib
import errno
import os
import select
import subprocess
import sys
import threading
import time

from domain import wait_until
from harness import Failure, check, clean_environment, main

from mounted import (IN_DELETE_SELF, IN_IGNORED, IN_MODIFY, Inotify, errno_of,
                     mount_of)

# A change is seen in 5 ms, and told at most 10 ms after the one before; a
# group's end costs two looks more.
LATE = 0.25
ONCE = 5  # of a single one
RATE = 0.010

# Meets its limit as often as it is told: a line each.
REFUSED = """
import sys
held = bytearray(int(sys.argv[1]))
for line in sys.stdin:
    for _ in range(int(line)):
        try:
            bytearray(int(sys.argv[2]))
        except MemoryError:
            pass
    print("ok", flush=True)
"""


class Refused:
    """A process in a group that has some memory and asks for more."""

    def __init__(self, mount, group, held=0, more=1 << 30):
        self.process = subprocess.Popen(
            [sys.executable, "-c", REFUSED, str(held), str(more)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(LD_PRELOAD=mount.domain.umemcg.library,
                                  UMEMCG_DOMAIN=mount.domain.name,
                                  UMEMCG_GROUP=group))
        self.meet_limit(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def meet_limit(self, times):
        print(times, file=self.process.stdin, flush=True)
        check(self.process.stdout.readline() == "ok\n", "the child has ended")


def limited(mount):
    (mount.root / "a").mkdir()
    mount.write("a/memory.max", "64M")


def modify(events, name):
    return [event for event in events if event[1:] == (name, IN_MODIFY)]


def in_modify_comes_soon(umemcg):
    with mount_of(umemcg) as mount, Inotify() as inotify:
        limited(mount)
        inotify.watch(mount.root / "a/memory.events", IN_MODIFY)
        inotify.watch(mount.root / "a/cgroup.events", IN_MODIFY)
        late = []
        with Refused(mount, "/a") as child:
            seen = inotify.collect(10, lambda all: modify(
                all, "cgroup.events"))
            check(modify(seen, "cgroup.events"), "populated is not told")
            for _ in range(5):
                time.sleep(0.05)
                inotify.collect(0)
                begin = time.monotonic()
                child.meet_limit(1)
                done = time.monotonic()
                seen = modify(inotify.collect(
                    10, lambda all: modify(all, "memory.events")),
                    "memory.events")
                check(seen, "an event is not told")
                late.append(max(0, seen[0][0] - done))
            late.sort()
            print(f"  IN_MODIFY {late[2] * 1000:.1f} ms after the refusal, at "
                  f"most {late[4] * 1000:.1f} ms; that takes "
                  f"{(done - begin) * 1000:.1f} ms")
            check(late[0] < LATE and late[2] < ONCE, f"{late}")
        begin = time.monotonic()
        seen = modify(inotify.collect(
            10, lambda all: modify(all, "cgroup.events")),
            "cgroup.events")
        check(seen, "the group's emptying is not told")
        print(f"  populated 0 after {(seen[0][0] - begin) * 1000:.1f} ms")


def at_most_one_in_ten_milliseconds(umemcg):
    """And the last of many is told: who reads when told knows all."""
    with mount_of(umemcg) as mount, Inotify() as inotify:
        limited(mount)
        inotify.watch(mount.root / "a/memory.events", IN_MODIFY)
        told = []
        read = []
        done = threading.Event()

        def listen():
            while not done.is_set():
                for event in inotify.collect(LATE / 5, lambda all: all):
                    told.append(event[0])
                    read.append(mount.read("a/memory.events"))

        listener = threading.Thread(target=listen)
        with Refused(mount, "/a") as child:
            listener.start()
            begin = time.monotonic()
            count = 0
            while time.monotonic() - begin < 1:
                child.meet_limit(20)
                count += 20
        with contextlib.suppress(Failure):
            wait_until(lambda: read[-1:] == [mount.read("a/memory.events")], "")
        done.set()
        listener.join()
        elapsed = told[-1] - begin
        print(f"  {count} refusals: {len(told)} told in {elapsed:.3f} s")
        # inotify itself makes one of two that nobody has read in between.
        check(2 < len(told) <= 2 + elapsed / RATE, f"{len(told)} told")
        check(read[-1] == mount.read("a/memory.events"),
              "the last is not told")
        check(mount.events("a")["max"] == count, f"{mount.events('a')}")


def poll_for(poller, seconds):
    begin = time.monotonic()
    ready = poller.poll(seconds * 1000)
    return (ready[0][1] if ready else 0), time.monotonic() - begin


def poll_says_what_is_new(umemcg):
    """POLLPRI until it is read again; at once if it was never read."""
    with mount_of(umemcg) as mount:
        limited(mount)
        for name in ("memory.events", "memory.events.local", "cgroup.events"):
            fd = os.open(mount.root / "a" / name, os.O_RDONLY)
            poller = select.poll()
            poller.register(fd, select.POLLPRI)
            news, _ = poll_for(poller, 5)
            check(news == select.POLLPRI | select.POLLERR, f"{name}: {news}")
            os.pread(fd, 4096, 0)
            news, _ = poll_for(poller, 0)
            check(news == 0, f"{name}: news that was read: {news}")
            waited = []

            def wait():
                waited.append((*poll_for(poller, 10), time.monotonic()))

            waiter = threading.Thread(target=wait)
            waiter.start()
            with Refused(mount, "/a") as child:
                child.meet_limit(1)
                done = time.monotonic()
                waiter.join()
            news, _, at = waited[0]
            print(f"  POLLPRI on {name} {max(0, at - done) * 1000:.1f} ms "
                  "after the refusal")
            check(news == select.POLLPRI | select.POLLERR, f"{name}: {news}")
            check(at - done < ONCE, f"{name}: {at - done} s")
            os.pread(fd, 4096, 0)
            (mount.root / "b").mkdir(exist_ok=True)
            os.close(fd)
        # In the kernel's mask a file can always be read.
        with open(mount.root / "a/memory.current", "rb") as file:
            file.read()
            poller = select.poll()
            poller.register(file, select.POLLIN)
            check(poll_for(poller, 1)[0] == select.POLLIN, "not readable")


def epoll_sees_each_change(umemcg):
    with mount_of(umemcg) as mount:
        limited(mount)
        with open(mount.root / "a/memory.events", "rb",
                  buffering=0) as file, select.epoll() as epoll, \
                Refused(mount, "/a") as child:
            epoll.register(file, select.EPOLLPRI)
            file.read()
            for number in range(3):
                child.meet_limit(1)
                ready = epoll.poll(10)
                check(ready and ready[0][1] & select.EPOLLPRI,
                      f"change {number}: {ready}")
                file.seek(0)
                file.read()
                # What was told late is read by then.
                time.sleep(0.03)
                file.seek(0)
                file.read()


def removed_groups(umemcg):
    """IN_DELETE_SELF on the directory and its files, whoever removes it."""
    with mount_of(umemcg) as mount:
        ways = {"rmdir": lambda: (mount.root / "a").rmdir(),
                "the command line": lambda: mount.domain.done("rm", "/a")}
        for way, remove in ways.items():
            (mount.root / "a").mkdir()
            with Inotify() as inotify:
                names = {"a", "memory.events", "memory.max", "cgroup.procs"}
                inotify.watch(mount.root / "a", IN_DELETE_SELF)
                for name in names - {"a"}:
                    inotify.watch(mount.root / "a" / name, IN_DELETE_SELF)
                # One that the kernel may have let go of by itself.
                time.sleep(0.01)
                fd = os.open(mount.root / "a/cgroup.events", os.O_RDONLY)
                os.read(fd, 4096)
                poller = select.poll()
                poller.register(fd, select.POLLPRI)
                remove()
                begin = time.monotonic()

                news, _ = poll_for(poller, 10)
                check(news == select.POLLPRI | select.POLLERR,
                      f"{way}: {news}")

                def gone(events):
                    return {name for _, name, mask in events
                            if mask == IN_DELETE_SELF}

                events = inotify.collect(
                    10, lambda events: gone(events) >= names - {"a"})
                check(gone(events) >= names - {"a"}, f"{way}: {events}")
                late = max(at for at, _, _ in events) - begin
                print(f"  by {way}: files are told after {late * 1000:.1f} ms")
                check(late < ONCE, f"{late} s")
                # An open file holds its directory, there as here.
                os.close(fd)
                begin = time.monotonic()
                events += inotify.collect(
                    10, lambda more: "a" in gone(events + more))
                check(gone(events) == names, f"{way}: {events}")
                late = max(0, events[-1][0] - begin)
                print(f"  the directory after {late * 1000:.1f} ms")
                check(late < ONCE, f"{late} s")
                events += inotify.collect(LATE / 5)
                masks = {mask for _, _, mask in events}
                check(masks == {IN_DELETE_SELF, IN_IGNORED},
                      f"{way}: {events}")


def pressure_triggers(umemcg):
    with mount_of(umemcg) as mount:
        limited(mount)
        path = mount.root / "a/memory.pressure"
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        check(os.read(fd, 4096).startswith(b"some avg10="), "not readable")
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        for bad in ("junk", "some 1 2", "some 0 1000000",
                    "some 2000000 1000000", "full 100000 20000000"):
            check(errno_of(os.write, fd, bad.encode()) == errno.EINVAL,
                  f"{bad} is taken")
        window = 0.5
        check(errno_of(os.write, fd, b"some 20000 500000\0") == 0, "refused")
        check(errno_of(os.write, fd, b"some 20000 500000") == errno.EBUSY,
              "two of one file")
        check(poll_for(poller, 0)[0] == 0, "it fires at once")
        # A writer that waits for memory stands still.
        mount.write("a/memory.oom.policy", "wait 3000")
        with Refused(mount, "/a", 40 << 20, 40 << 20) as child:
            fired = []
            print("1", file=child.process.stdin, flush=True)
            end = time.monotonic() + 4
            while time.monotonic() < end:
                news, _ = poll_for(poller, 0.2)
                if news:
                    check(news == select.POLLPRI, f"{news}")
                    fired.append(time.monotonic())
            check(child.process.stdout.readline() == "ok\n", "ended")
        gaps = [b - a for a, b in zip(fired, fired[1:])]
        print(f"  fired {len(fired)} times, {[round(g, 2) for g in gaps]} s "
              "apart")
        check(fired, "it does not fire")
        check(len(fired) <= 2 + 4 / window, f"{len(fired)} times")
        wait_until(lambda: errno_of((mount.root / "a").rmdir) == 0, "busy")
        news, _ = poll_for(poller, 10)
        check(news == select.POLLPRI | select.POLLERR, f"removed: {news}")
        os.close(fd)


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def a_daemon_that_nobody_watches_rests(umemcg):
    """What was looked at once is let go of."""
    with mount_of(umemcg) as mount:
        for i in range(100):
            (mount.root / f"g{i}").mkdir()
            mount.read(f"g{i}/memory.events")
        daemon = mount.daemon()
        time.sleep(3)
        before = cpu_of(daemon)
        switches = switches_of(daemon)
        time.sleep(2)
        used = cpu_of(daemon) - before
        woken = switches_of(daemon) - switches
        print(f"  {used:.3f} s of a processor and {woken} switches in 2 s")
        check(woken <= 10 * 45, f"{woken} switches")
        check(used <= 0.2, f"{used} s")


def switches_of(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


if __name__ == "__main__":
    main([in_modify_comes_soon, at_most_one_in_ten_milliseconds,
          poll_says_what_is_new, epoll_sees_each_change, removed_groups,
          pressure_triggers, a_daemon_that_nobody_watches_rests])

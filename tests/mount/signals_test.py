"""Writers that get signals: SIGCHLD of a shell, SIGURG of a Go program."""

import errno
import os
import shutil
import signal
import sys
import time

from domain import wait_until
from harness import check, main, plain

from mounted import end_workers, errno_of, mount_of

MIB = 1 << 20

# Writes each value to its file under a signal every millisecond, without
# Python's own second try: a line for each, the error number and what it took.
WRITER = """
import ctypes, os, signal, sys, time
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, True)
libc = ctypes.CDLL(None, use_errno=True)
fds = {}
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for word in sys.argv[1:]:
    path, _, value = word.partition("=")
    if path not in fds:
        fds[path] = os.open(path, os.O_RDWR)
    begin = time.monotonic()
    result = libc.write(fds[path], value.encode(), len(value))
    error = ctypes.get_errno() if result < 0 else 0
    seconds = time.monotonic() - begin
    print(error, seconds, os.pread(fds[path], 100, 0).decode().strip()
          if not path.endswith(("reclaim", "kill")) else "-")
# At its end Python lets go of its handlers.
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def write_under_signals(mount, *words):
    """(error number, seconds, what is read then) of each FILE=VALUE."""
    outcome = plain([sys.executable, "-c", WRITER,
                     *(f"{mount.root}/{word}" for word in words)])
    check(outcome.status == 0, "the writer fails", outcome)
    return [(int(error), float(seconds), value) for error, seconds, value in
            map(str.split, outcome.stdout.decode().splitlines())]


def what_only_stores_is_not_interrupted(umemcg):
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        values = [str(1 + i % 2) + "M" for i in range(100)]
        found = write_under_signals(
            mount, *(f"a/memory.low={value}" for value in values))
        for value, (error, _, content) in zip(values, found):
            check(error == 0, f"memory.low: error {error}")
            check(content == str(int(value[0]) * MIB), f"{value}: {content}")
        found = write_under_signals(
            mount, *["a/memory.max=junk", "a/memory.high=1x"] * 20)
        check({error for error, *_ in found} == {errno.EINVAL},
              f"what is wrong: {found}")
        found = write_under_signals(
            mount, *["a/memory.max=64M", "a/memory.high=32M"] * 20)
        check({(error, content) for error, _, content in found}
              == {(0, str(64 * MIB)), (0, str(32 * MIB))}, f"limits: {found}")


def killing_is_not_interrupted(umemcg):
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        for _ in range(3):
            worker = mount.domain.worker("/a")
            (error, _, _), = write_under_signals(mount, "a/cgroup.kill=1")
            check(error == 0, f"error {error}")
            check(worker.process.wait(30) == -signal.SIGKILL, "not killed")
            end_workers(mount.domain)
        if shutil.which("bash") is None:
            print("  there is no bash")
            return
        script = ("for i in 1 2 3 4 5 6 7 8; do sleep 0.0$i & done\n"
                  "for i in 1 2 3 4 5; do echo 1 > \"$0\" || exit 1; done\n"
                  "wait")
        for _ in range(3):
            outcome = plain(["bash", "-c", script,
                             str(mount.root / "a/cgroup.kill")])
            check(outcome.status == 0 and not outcome.stderr, "in a shell",
                  outcome)


def a_member_that_kills_its_group(umemcg):
    """It is not waited for while it waits for the answer."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        begin = time.monotonic()
        outcome = plain([umemcg.program, "run", "--domain", mount.domain.name,
                         "--group", "/a", "--", "sh", "-c",
                         "echo 1 > \"$0\"; sleep 60",
                         str(mount.root / "a/cgroup.kill")], timeout=50)
        print(f"  {time.monotonic() - begin:.3f} s")
        check(outcome.status == 137, "not killed", outcome)
        wait_until(lambda: mount.procs("a") == set(), "somebody is left")


def a_limit_that_is_answered_is_the_last(umemcg):
    """Reclaim from a stopped process takes long: a signal ends the write, and
    what it would have done; the limit is set."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        worker = mount.domain.worker("/a")
        worker.order("take", 8 * MIB)
        os.kill(worker.pid, signal.SIGSTOP)
        mount.write("a/memory.oom.policy", "fail")
        for name in ("memory.high", "memory.max"):
            begin = time.monotonic()
            mount.write(f"a/{name}", "1M")
            whole = time.monotonic() - begin
            mount.write(f"a/{name}", "max")
            found = write_under_signals(
                mount, *[f"a/{name}=1M", f"a/{name}=max"] * 3)
            ended = min(seconds for _, seconds, _ in found[::2])
            print(f"  {name}: {whole:.3f} s, interrupted after "
                  f"{ended:.3f} s")
            check([(error, content) for error, _, content in found]
                  == [(0, str(MIB)), (0, "max")] * 3, f"{name}: {found}")
            check(ended < whole, f"{name}: it is not interrupted")
            time.sleep(0.2)
            check(mount.read(f"a/{name}") == "max\n", f"{name}: set later")
        (error, _, _), = write_under_signals(mount, "a/memory.reclaim=1G")
        check(error == errno.EINTR, f"memory.reclaim: error {error}")
        os.kill(worker.pid, signal.SIGCONT)


def a_limit_of_v1_is_set_or_not(umemcg):
    with mount_of(umemcg, "--v1") as mount:
        (mount.root / "a").mkdir()
        worker = mount.domain.worker("/a")
        worker.order("take", 8 * MIB)
        name = "a/memory.limit_in_bytes"
        mount.write(name, "64M")
        os.kill(worker.pid, signal.SIGSTOP)
        check(errno_of(mount.write, name, "1M") == errno.EBUSY, "not busy")
        found = write_under_signals(mount, f"{name}=1M", f"{name}=32M",
                                    f"{name}=1x")
        check([(error, content) for error, _, content in found]
              == [(errno.EINTR, str(64 * MIB)), (0, str(32 * MIB)),
                  (errno.EINVAL, str(32 * MIB))], f"{found}")
        os.kill(worker.pid, signal.SIGCONT)
        worker.order("drop")
        time.sleep(0.2)
        check(mount.number(name) == 32 * MIB, "set later")


if __name__ == "__main__":
    main([what_only_stores_is_not_interrupted, killing_is_not_interrupted,
          a_member_that_kills_its_group, a_limit_that_is_answered_is_the_last,
          a_limit_of_v1_is_set_or_not])

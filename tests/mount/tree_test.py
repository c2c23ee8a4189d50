"""The mounted tree, used as any cgroup2 is: by shell commands and by files."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

from domain import wait_until
from harness import (HOG_LEAST, HOG_LIMIT, HOG_MOST, Skip, check,
                     clean_environment, main, plain)

from mounted import errno_of, mount_of

FOLDER = os.path.dirname(os.path.abspath(__file__))


def a_script_of_five_commands(umemcg):
    with mount_of(umemcg) as mount:
        outcome = plain(
            ["sh", os.path.join(FOLDER, "limit.sh"), str(mount.root),
             *umemcg.hog()],
            env=clean_environment(LIBRARY=umemcg.library,
                                  UMEMCG_DOMAIN=mount.domain.name))
        check(outcome.status == 0, "the script failed", outcome)
        words = dict(line.split(maxsplit=1) for line in
                     outcome.stdout.decode().splitlines() if " " in line)
        check(words["limit"] == str(HOG_LIMIT), f"{words}", outcome)
        check(words["populated"] == "0", f"{words}", outcome)
        got = int(words["MemoryError"].split()[1])
        check(HOG_LEAST <= got <= HOG_MOST, f"{got} bytes", outcome)
        check(int(words["max"]) > 0 and words["oom_kill"] == "0", f"{words}",
              outcome)
        check(got <= int(words["peak"]) <= HOG_LIMIT + (1 << 20), f"{words}",
              outcome)
        check(int(words["left"]) < HOG_LIMIT // 8, f"{words}", outcome)
        check(outcome.stdout.endswith(b"gone\n"), "it is still there", outcome)


def commands_that_walk(umemcg):
    """find, ls -lR and grep -r see every group and every file."""
    with mount_of(umemcg) as mount:
        for group in ("a", "a/b", "a/b/c", "d"):
            (mount.root / group).mkdir()
        found = plain(["find", str(mount.root), "-type", "d"])
        check(len(found.stdout.splitlines()) == 5, "not 5 groups", found)
        files = plain(["find", str(mount.root / "a/b/c"), "-type", "f",
                       "-name", "memory.*"])
        names = {os.path.basename(name)
                 for name in files.stdout.decode().split()}
        check({"memory.max", "memory.current", "memory.events", "memory.stat",
               "memory.pressure"} <= names, f"{names}")
        listed = plain(["ls", "-lR", str(mount.root)])
        check(listed.status == 0 and not listed.stderr, "ls -lR", listed)
        # Files that are for writing alone say so to who may open them.
        grep = plain(["grep", "-r", "^anon ", str(mount.root)])
        check(grep.stdout.count(b"memory.stat:anon ") == 5, "grep -r", grep)
        check(all(b"memory.reclaim" in line or b"cgroup.kill" in line
                  for line in grep.stderr.splitlines()), "grep -r", grep)


def files_are_as_the_kernels(umemcg):
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        limit = mount.root / "a/memory.max"
        info = os.stat(limit)
        check(info.st_size == 0 and info.st_nlink == 1, f"{info}")
        check(stat.S_IMODE(info.st_mode) == 0o600, f"{info.st_mode:o}")
        check(os.stat(limit).st_ino == info.st_ino, "another inode")
        check(os.stat(mount.root).st_nlink == 3, "links of the root")
        # One read gives it all, and a read from the beginning anew.
        fd = os.open(limit, os.O_RDWR)
        check(os.read(fd, 4096) == b"max\n" and os.read(fd, 4096) == b"",
              "not whole")
        # Where it is written does not matter.
        check(os.pwrite(fd, b"8M\n", 1000) == 3, "not written")
        check(os.pread(fd, 4096, 0) == b"8388608\n", "not read anew")
        check(os.pread(fd, 4, 3) == b"8608", "not by parts")
        os.close(fd)
        for flags in (os.O_APPEND, os.O_TRUNC, os.O_CREAT,
                      os.O_APPEND | os.O_TRUNC | os.O_CREAT):
            fd = os.open(limit, os.O_WRONLY | flags, 0o644)
            check(os.write(fd, b"  4096k \n") == 9, f"flags {flags:o}")
            os.close(fd)
        os.truncate(limit, 100)
        check(mount.number("a/memory.max") == 4 << 20, "truncate changes it")
        # The group that comes after it is another.
        before = os.stat(mount.root / "a").st_ino
        (mount.root / "a").rmdir()
        (mount.root / "a").mkdir()
        check(os.stat(mount.root / "a").st_ino != before, "the same inode")
        check(mount.read("a/memory.max") == "max\n", "the same limit")


def open_with(flags, path):
    os.close(os.open(path, flags))


def refusals_are_the_kernels(umemcg):
    with mount_of(umemcg) as mount:
        root = mount.root
        for group in ("a", "a/b", "full", "full/x"):
            (root / group).mkdir()
        mount.write("full/cgroup.max.descendants", 1)
        worker = mount.domain.worker("/a/b")
        cases = [
            (errno.EEXIST, os.mkdir, root / "a"),
            (errno.EEXIST, os.mkdir, root / "a/memory.max"),
            (errno.EINVAL, os.mkdir, root / "a\nb"),
            (errno.ENAMETOOLONG, os.mkdir, root / ("n" * 256)),
            (errno.EAGAIN, os.mkdir, root / "full/y"),
            (errno.ENOENT, os.mkdir, root / "none/y"),
            (errno.EBUSY, os.rmdir, root / "a"),
            (errno.EBUSY, os.rmdir, root / "a/b"),
            (errno.ENOENT, os.rmdir, root / "none"),
            (errno.ENOTDIR, os.rmdir, root / "a/memory.max"),
            (errno.EPERM, os.unlink, root / "a/memory.max"),
            (errno.EPERM, os.rename, root / "a", root / "z"),
            (errno.EPERM, os.symlink, "a", root / "link"),
            (errno.EPERM, os.link, root / "a/memory.max", root / "link"),
            (errno.EPERM, os.chmod, root / "a/memory.max", 0o666),
            (0, os.chmod, root / "a/memory.max", 0o600),
            (errno.EACCES, open_with, os.O_CREAT | os.O_WRONLY, root / "x"),
            (errno.EINVAL, mount.write, "a/memory.max", "junk"),
            (errno.EINVAL, mount.write, "a/memory.max", "-1"),
            (errno.E2BIG, mount.write, "a/memory.max", "1" * 5000),
            (errno.ESRCH, mount.write, "a/cgroup.procs", 1 << 22),
            # This process is not under umemcg.
            (errno.ESRCH, mount.write, "a/cgroup.procs", os.getpid()),
            (errno.ESRCH, mount.write, "a/cgroup.procs", 0),
        ]
        if os.getuid() == 0:
            cases += [(errno.EINVAL, mount.write, "a/memory.current", "1"),
                      (errno.EINVAL, mount.read, "a/memory.reclaim")]
        else:
            cases += [(errno.EACCES, mount.write, "a/memory.current", "1"),
                      (errno.EACCES, mount.read, "a/memory.reclaim")]
        for expected, function, *arguments in cases:
            found = errno_of(function, *arguments)
            check(found == expected,
                  f"{function.__name__} {arguments}: "
                  f"{errno.errorcode.get(found)}, not "
                  f"{errno.errorcode.get(expected)}")
        mount.domain.end_worker(worker, kill=True)
        os.rmdir(root / "a/b")
        os.rmdir(root / "a")


def files_of_a_removed_group(umemcg):
    """They say ENODEV; a directory that a process is in has nothing in it."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        fd = os.open(mount.root / "a/memory.max", os.O_RDWR)
        here = os.open(mount.root / "a", os.O_RDONLY)
        (mount.root / "a").rmdir()
        check(errno_of(os.pread, fd, 100, 0) == errno.ENODEV, "read")
        check(errno_of(os.write, fd, b"1M") == errno.ENODEV, "write")
        check(os.fstat(fd).st_nlink == 0, "it has links")
        check(errno_of(os.stat, "memory.max") == errno.ENOENT, "stat")
        check(errno_of(lambda: os.mkdir("b", dir_fd=here)) == errno.ENOENT,
              "mkdir within it")
        os.close(fd)
        os.close(here)


def processes_move(umemcg):
    with mount_of(umemcg) as mount:
        for group in ("a", "b"):
            (mount.root / group).mkdir()
        worker = mount.domain.worker("/a")
        check(mount.procs("a") == {worker.pid}, "not in a")
        mount.write("b/cgroup.procs", worker.pid)
        check(mount.procs("a") == set() and mount.procs("b") == {worker.pid},
              "not moved")
        before = mount.number("b/memory.current")
        # The first may still be charged where it was.
        worker.order("take", 1 << 20)
        worker.order("take", 8 << 20)
        check(mount.number("b/memory.current") >= before + (8 << 20),
              "charged elsewhere")
        # What has ended is not there, though nobody has waited for it.
        os.kill(worker.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        check(mount.procs("b") == set(), "a zombie is listed")
        check(mount.read("b/cgroup.events").startswith("populated 0\n"),
              "populated by a zombie")
        (mount.root / "b").rmdir()


WRITES_ZERO = """
import sys, threading
path = sys.argv[1]
def write():
    with open(path, "wb", buffering=0) as file:
        file.write(b"0")
thread = threading.Thread(target=write)
thread.start()
thread.join()
print("written", flush=True)
sys.stdin.read()
"""


def zero_is_the_process_of_the_writer(umemcg):
    """Not the thread, whose number FUSE tells; and not the daemon."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        child = subprocess.Popen(
            [sys.executable, "-c", WRITES_ZERO, mount.root / "a/cgroup.procs"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment(LD_PRELOAD=umemcg.library,
                                  UMEMCG_DOMAIN=mount.domain.name))
        check(child.stdout.readline() == b"written\n", "not written")
        check(mount.procs("a") == {child.pid}, f"{mount.procs('a')}")
        child.communicate()


def kill_and_populated(umemcg):
    with mount_of(umemcg) as mount:
        for group in ("a", "a/b"):
            (mount.root / group).mkdir()
        workers = [mount.domain.worker(group) for group in ("/a", "/a/b")]
        check(mount.read("a/cgroup.events").startswith("populated 1\n"), "a")
        mount.write("a/cgroup.kill", 1)
        for worker in workers:
            check(worker.process.wait(30) == -signal.SIGKILL, "not killed")
        check(mount.read("a/cgroup.events").startswith("populated 0\n"), "a")
        for group in ("a/b", "a"):
            (mount.root / group).rmdir()


AS_NOBODY = """
import os, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
def word(function):
    try:
        function()
        return "ok"
    except OSError as error:
        return str(error.errno)
root = sys.argv[1]
print(word(lambda: os.listdir(root)),
      word(lambda: open(root + "/a/memory.max").read()),
      word(lambda: open(root + "/a/memory.max", "w")),
      word(lambda: os.mkdir(root + "/b")),
      word(lambda: os.rmdir(root + "/a")))
"""


def others(umemcg):
    """They read if the domain was made so, and never write."""
    if os.getuid() != 0:
        raise Skip("only root can be another user")
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        no = str(errno.EACCES)

        def tries():
            return plain([sys.executable, "-c", AS_NOBODY,
                          str(mount.root)]).stdout.decode().split()

        check(tries() == [no] * 5, f"private: {tries()}")
        mount.domain.done("create", "--others-read", "/a")
        check(tries() == ["ok", "ok", no, no, no], f"shared: {tries()}")
        mode = os.stat(mount.root / "a/memory.current").st_mode
        check(stat.S_IMODE(mode) == 0o444, f"{mode:o}")


SLOW = """
import ctypes, os, signal, sys, time
def handler(*_):
    pass
signal.signal(signal.SIGALRM, handler)
signal.siginterrupt(signal.SIGALRM, True)
fd = os.open(sys.argv[1], os.O_WRONLY)
# Without Python's own second try.
libc = ctypes.CDLL(None, use_errno=True)
begin = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
result = libc.write(fd, b"1G", 2)
print(result, ctypes.get_errno() if result < 0 else 0,
      time.monotonic() - begin)
"""


def a_slow_write_holds_up_nobody(umemcg):
    """Reclaim from a stopped process takes its time: others are answered
    meanwhile, and a signal lets the writer go."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        worker = mount.domain.worker("/a")
        worker.order("take", 8 << 20)
        os.kill(worker.pid, signal.SIGSTOP)
        path = mount.root / "a/memory.reclaim"

        def whole():
            begin = time.monotonic()
            error = errno_of(mount.write, "a/memory.reclaim", "1G")
            return error, time.monotonic() - begin

        results = []
        writer = threading.Thread(target=lambda: results.append(whole()))
        writer.start()
        longest = reads = 0
        while writer.is_alive():
            begin = time.monotonic()
            mount.read("a/memory.current")
            longest = max(longest, time.monotonic() - begin)
            reads += 1
        writer.join()
        error, seconds = results[0]
        outcome = plain([sys.executable, "-c", SLOW, str(path)])
        result, signalled, until = outcome.stdout.decode().split()
        print(f"  a write takes {seconds:.3f} s, {reads} reads meanwhile at "
              f"most {longest:.4f} s; interrupted after {float(until):.3f} s")
        check(error == errno.EAGAIN, f"error {error}")
        check(reads > 3, "reads wait for the write")
        check((result, int(signalled)) == ("-1", errno.EINTR),
              "not interrupted", outcome)
        os.kill(worker.pid, signal.SIGCONT)


def as_many_names_as_rows(umemcg):
    """A file of the tree for each control file that `get` lists."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        for name in sorted(os.listdir(mount.root / "a")):
            mode = os.stat(mount.root / "a" / name).st_mode
            if not mode & 0o400 or name in ("memory.stat", "memory.numa_stat",
                                            "memory.pressure"):
                continue
            check(mount.read(f"a/{name}") == mount.domain.get("/a", name),
                  f"{name} differs")


def threads_in_one_group(umemcg):
    """Made and removed by several at once: no answer but the right ones."""
    with mount_of(umemcg) as mount:
        unexpected = []

        def work():
            for _ in range(100):
                for function in (os.mkdir, os.rmdir):
                    error = errno_of(function, mount.root / "same")
                    if error not in (0, errno.EEXIST, errno.ENOENT):
                        unexpected.append((function.__name__, error))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not unexpected, f"{unexpected[:5]}")
        wait_until(lambda: errno_of(os.rmdir, mount.root / "same")
                   in (0, errno.ENOENT), "it stays")


if __name__ == "__main__":
    main([a_script_of_five_commands, commands_that_walk,
          files_are_as_the_kernels, refusals_are_the_kernels,
          files_of_a_removed_group, processes_move,
          zero_is_the_process_of_the_writer, kill_and_populated, others,
          a_slow_write_holds_up_nobody, as_many_names_as_rows,
          threads_in_one_group])

"""A domain for one test, the commands in it, and programs that live in it.

Beside ../preload/harness.py, which says how a test ends.
"""

import contextlib
import itertools
import json
import os
import struct
import subprocess
import sys
import time

from harness import check, clean_environment, plain

DOMAIN_DIR = f"/dev/shm/umemcg-{os.getuid()}"

# Takes and gives back memory as it is told, a line each, and answers "ok".
# A thread follows a change of its process's group when it has charged something
# new: the first block after a move may still be the former group's.
# "block" takes one of that size, which it does not touch, "fail" one that it
# must not get; "map" and "share" map memory without malloc, "deep" leaves
# threads that have used their stacks; "enter" puts its thread into a group,
# "fork" leaves a child that sleeps.
WORKER = """
import ctypes, mmap, os, sys, threading, time
umemcg = ctypes.CDLL(None)
umemcg.umemcg_group_open.restype = ctypes.c_void_p
umemcg.malloc.restype = ctypes.c_void_p
blocks = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "take":
        blocks += [bytearray(65536) for _ in range(int(rest[0]) // 65536)]
    elif word == "drop":
        blocks.clear()
    elif word == "block":
        if not umemcg.malloc(ctypes.c_size_t(int(rest[0]))):
            print("refused")
    elif word in ("map", "share"):
        kind = mmap.MAP_PRIVATE if word == "map" else mmap.MAP_SHARED
        blocks.append(mmap.mmap(-1, int(rest[0]),
                                flags=kind | mmap.MAP_ANONYMOUS))
        for page in range(0, int(rest[0]), 4096):
            blocks[-1][page] = 1
    elif word == "deep":
        deep = lambda n: n and list(map(deep, [n - 1]))
        ready = threading.Barrier(5)
        work = lambda: (deep(700), ready.wait(), time.sleep(60))
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        ready.wait()
    elif word == "fail":
        try:
            blocks.append(bytearray(int(rest[0])))
            print("had")
        except MemoryError:
            pass
    elif word == "enter":
        group = umemcg.umemcg_group_open(rest[0].encode(), 0)
        if umemcg.umemcg_thread_set(ctypes.c_void_p(group), None) != 0:
            print("refused")
    elif word == "fork":
        if os.fork() == 0:
            os.close(0)
            os.close(1)
            time.sleep(float(rest[0]))
            os._exit(0)
    print("ok", flush=True)
"""


class Worker:
    """A process of a domain that waits for orders."""

    def __init__(self, umemcg, domain, group):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment(LD_PRELOAD=umemcg.library,
                                  UMEMCG_DOMAIN=domain, UMEMCG_GROUP=group))
        self.pid = self.process.pid
        self.order("start")

    def order(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        check(answer == "ok\n", f"{words}: the worker says {answer!r}")

    def end(self, kill=False):
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Domain:
    """The commands, with --domain of the test's own."""

    numbers = itertools.count()

    def __init__(self, umemcg):
        self.umemcg = umemcg
        self.name = f"test-cli-{os.getpid()}-{next(self.numbers)}"
        self.path = f"{DOMAIN_DIR}/{self.name}"
        self.workers = []

    def command(self, verb, *arguments):
        """What came of it, whatever it was."""
        return plain([self.umemcg.program, verb, "--domain", self.name,
                      *map(str, arguments)], timeout=30)

    def done(self, verb, *arguments):
        """The output of a command that must succeed, without a complaint."""
        outcome = self.command(verb, *arguments)
        check(outcome.status == 0 and not outcome.stderr,
              f"{verb} {arguments} failed", outcome)
        return outcome.stdout.decode()

    def refused(self, *command, status=1, words=()):
        """A command that must fail, with one line that has these words."""
        outcome = self.command(*command)
        check(outcome.status == status, f"the status is not {status}", outcome)
        check(outcome.stdout == b"", "output of a command that failed", outcome)
        check(len(outcome.complaints()) == 1
              and outcome.stderr.count(b"\n") == 1, "not one line", outcome)
        for word in words:
            check(word in outcome.stderr.decode(), f"no {word!r} in it",
                  outcome)

    def json(self, verb, *arguments):
        return json.loads(self.done(verb, "--json", *arguments))

    def get(self, path, file):
        return self.done("get", path, file)

    def number(self, path, file):
        return int(self.get(path, file))

    def stat(self, path):
        return {key: int(value) for key, value in
                map(str.split, self.get(path, "memory.stat").splitlines())}

    def worker(self, group):
        worker = Worker(self.umemcg, self.name, group)
        self.workers.append(worker)
        return worker

    def end_worker(self, worker, kill=False):
        self.workers.remove(worker)
        worker.end(kill)


@contextlib.contextmanager
def domain_of(umemcg, *groups):
    """A domain with these groups, which is gone at the end."""
    domain = Domain(umemcg)
    try:
        if groups:
            domain.done("create", *groups)
        yield domain
    finally:
        for worker in list(domain.workers):
            domain.end_worker(worker, kill=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(domain.path)


# Where a domain's header says that the slots of processes begin, and what a
# slot has where (accounting/layout.h).
PROCESS_OFFSET = 48
PID_NAMESPACE = 24
PAGE_TABLE = 32


def poke(domain, offset, data):
    """Writes over what the slot of the first process has; what was there."""
    with open(domain.path, "r+b") as file:
        file.seek(PROCESS_OFFSET)
        start = struct.unpack("<Q", file.read(8))[0] + offset
        file.seek(start)
        kept = file.read(len(data))
        file.seek(start)
        file.write(data)
    return kept


def wait_until(condition, text):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.05)
    check(False, text)


def check_aligned(table):
    """Lines of one length, and no column that runs into the next."""
    lines = table.splitlines()
    check(len({len(line) for line in lines}) == 1,
          f"lines of different lengths:\n{table}")
    check(all(line == line.rstrip() for line in lines),
          f"blanks at the end:\n{table}")
    return lines

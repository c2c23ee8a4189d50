"""What control files do to processes: freezing, killing, waiting for memory."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from domain import domain_of
from harness import check, clean_environment, main
from mounted import mount_of

MIB = 1 << 20


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.01)


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as text:
        return text.read().rpartition(")")[2].split()[0]


def procs(domain, group):
    return domain.get(group, "cgroup.procs").split()


@contextlib.contextmanager
def launched(umemcg, domain, group, *command):
    """`umemcg run` in the group of the domain."""
    process = subprocess.Popen(
        [umemcg.program, "run", "--domain", domain.name, "--group", group,
         "--", *command], env=clean_environment())
    try:
        wait_until(lambda: procs(domain, group), "nobody has joined")
        yield process
    finally:
        process.kill()
        process.wait()


def run_outlives_what_is_frozen(umemcg):
    """It must not stop with the program, or nobody would wake it."""
    with domain_of(umemcg, "/a") as domain, launched(
            umemcg, domain, "/a", "sleep", "600") as run:
        pid = int(procs(domain, "/a")[0])
        for _ in range(2):
            domain.done("set", "/a", "cgroup.freeze", "1")
            check(domain.get("/a", "cgroup.events")
                  == "populated 1\nfrozen 1\n", "not frozen")
            check(state(pid) == "T", "not stopped")
            domain.done("set", "/a", "cgroup.freeze", "0")
            wait_until(lambda: state(pid) == "S", "not thawed")
        check(state(run.pid) != "T", "umemcg run stands still")
        domain.done("set", "/a", "cgroup.kill", "1")
        check(run.wait(timeout=60) == 128 + signal.SIGKILL, "another status")
        check(domain.get("/a", "cgroup.events") == "populated 0\nfrozen 0\n",
              "somebody is left")


def what_is_started_in_a_frozen_group_waits(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "cgroup.freeze", "1")
        with launched(umemcg, domain, "/a", "true") as run:
            pid = int(procs(domain, "/a")[0])
            wait_until(lambda: state(pid) == "T", "it runs")
            domain.done("set", "/a", "cgroup.freeze", "0")
            check(run.wait(timeout=60) == 0, "another status")


# Writes to the file that it is told, and says what came of it.
WRITER = """
import os
file = os.open(os.environ["FILE"], os.O_WRONLY)
os.write(1, b"ready\\n")
os.write(file, b"1\\n")
os.write(1, b"written\\n")
"""


@contextlib.contextmanager
def member_that_writes(umemcg, mount, file):
    """A process in /a that writes 1 to the file of /a."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True,
        env=clean_environment(
            LD_PRELOAD=umemcg.library, UMEMCG_DOMAIN=mount.domain.name,
            UMEMCG_GROUP="/a", FILE=f"{mount.root}/a/{file}"))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def who_freezes_itself_in_a_mounted_tree_goes_on(umemcg):
    with mount_of(umemcg) as mount:
        os.mkdir(mount.root / "a")
        with member_that_writes(umemcg, mount, "cgroup.freeze") as writer:
            check(writer.stdout.readline() == "ready\n", "it has not begun")
            wait_until(lambda: state(writer.pid) == "T", "it runs on")
            mount.write("a/cgroup.freeze", 0)
            wait_until(lambda: state(writer.pid) != "T", "it is not thawed")
            check(writer.stdout.readline() == "written\n", "it was not written")
            check(writer.wait(timeout=60) == 0, "another status")


def who_kills_its_group_in_a_mounted_tree_dies(umemcg):
    with mount_of(umemcg) as mount:
        os.mkdir(mount.root / "a")
        other = mount.domain.worker("/a")
        with member_that_writes(umemcg, mount, "cgroup.kill") as writer:
            check(writer.stdout.readline() == "ready\n", "it has not begun")
            check(writer.wait(timeout=60) == -signal.SIGKILL, "it lives")
            check(writer.stdout.readline() == "", "it went on")
        check(other.process.wait(timeout=60) == -signal.SIGKILL,
              "the other lives")
        wait_until(lambda: not mount.procs("a"), "somebody is left")


def who_waits_for_memory_is_under_oom(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        worker = domain.worker("/a/b")
        domain.done("set", "/a", "memory.limit_in_bytes", "64M")
        domain.done("set", "/a", "memory.oom_control", "1")
        print("take", 128 * MIB, file=worker.process.stdin, flush=True)
        for group in ("/a", "/a/b"):
            wait_until(lambda: "under_oom 1" in domain.get(
                group, "memory.oom_control"), f"{group} is not under oom")
        check("under_oom 0" in domain.get("/", "memory.oom_control"),
              "the root is")
        domain.done("set", "/a", "memory.limit_in_bytes", "-1")
        check(worker.process.stdout.readline() == "ok\n", "it did not get it")
        check("under_oom 0" in domain.get("/a", "memory.oom_control"),
              "it still waits")
        check(domain.number("/a", "memory.usage_in_bytes") > 128 * MIB,
              "it has not taken it")


if __name__ == "__main__":
    main([run_outlives_what_is_frozen, what_is_started_in_a_frozen_group_waits,
          who_freezes_itself_in_a_mounted_tree_goes_on,
          who_kills_its_group_in_a_mounted_tree_dies,
          who_waits_for_memory_is_under_oom])

"""What a process charged is given back when its address space ends, no sooner
and no later, however it was made and whatever it does to itself."""

import os
import signal
import subprocess

from domain import domain_of, wait_until
from harness import MIB, Skip, check, main
from world import ended, program, start

# What a small C program and the allocator's own come to beside its blocks.
SLACK = 8 * MIB


class Life:
    """A lives.c, its stages, and what is charged meanwhile."""

    def __init__(self, domain, process):
        self.domain = domain
        self.process = process

    def stage(self, name, low, high=None):
        """It comes to that stage, and so much is charged then, in MiB."""
        line = self.process.stdout.readline()
        check(line.startswith(name + " "), f"{line!r} instead of {name}")
        self.charged(low, high)
        return int(line.split()[1])

    def charged(self, low, high=None):
        high = (low * MIB if high is None else high * MIB) + SLACK
        low *= MIB

        def holds():
            return low <= self.domain.number("/", "memory.current") <= high

        wait_until(holds, f"{self.domain.number('/', 'memory.current')} bytes "
                   f"are charged, not {low} to {high}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def over(self):
        """All copies of its output are closed, and nothing is left."""
        self.go_on()
        check(self.process.stdout.read() == "", "more stages")
        self.gone()

    def gone(self):
        wait_until(lambda: self.domain.number("/a", "memory.current") == 0,
                   "something of it is still charged")
        check(self.domain.json("ps")["processes"] == [], "still a process")


def life(mode, prefix=()):
    """A decorator: runs lives.c in that mode, and the function beside it."""
    def decorate(function):
        def test(umemcg):
            with domain_of(umemcg, "/a") as domain, ended(
                    start(umemcg, domain.name, "/a", *prefix,
                          program("lives"), mode)) as process:
                function(Life(domain, process))
        test.__name__ = function.__name__
        test.__doc__ = function.__doc__
        return test
    return decorate


def child_and_parent(one):
    one.stage("before", 20)
    one.go_on()
    one.stage("child", 30)
    check(len(one.domain.json("ps")["processes"]) == 2, "not two processes")
    one.go_on()
    one.stage("alone", 20)
    one.over()


@life("fork")
def a_fork(one):
    child_and_parent(one)


@life("clone")
def a_raw_clone(one):
    child_and_parent(one)


@life("vfork")
def a_vfork_and_exec(one):
    child_and_parent(one)


@life("spawn")
def a_posix_spawn(one):
    child_and_parent(one)


@life("exec")
def an_exec(one):
    """The same pid, another address space: the first one's is given back."""
    before = one.stage("before", 20)
    one.go_on()
    check(one.stage("child", 10) == before, "another process")
    check(len(one.domain.json("ps")["processes"]) == 1, "not one process")
    one.over()


@life("daemon")
def a_daemon(one):
    """What it inherited stays charged until it ends, its parents gone."""
    one.stage("before", 20)
    one.go_on()
    one.stage("daemon", 20)
    one.process.wait()
    one.charged(20)
    one.go_on()
    one.stage("more", 30)
    one.over()


def closes_descriptors(one):
    one.stage("before", 20)
    check(len(one.domain.json("ps")["processes"]) == 1, "it counts as dead")
    one.go_on()
    one.stage("more", 30)
    one.over()


@life("close_range")
def close_range(one):
    closes_descriptors(one)


@life("close")
def close_each(one):
    closes_descriptors(one)


@life("plain")
def a_kill(one):
    pid = one.stage("before", 20)
    os.kill(pid, signal.SIGKILL)
    one.gone()


@life("plain")
def a_stopped_process_lives(one):
    pid = one.stage("before", 20)
    os.kill(pid, signal.SIGSTOP)
    try:
        one.charged(20)
        check(len(one.domain.json("ps")["processes"]) == 1, "taken for dead")
    finally:
        os.kill(pid, signal.SIGCONT)
    one.over()


UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork",
           "--kill-child"]


def a_pid_namespace(umemcg):
    """Its own pids say nothing outside; its locks do."""
    trial = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    if trial.returncode != 0:
        raise Skip(f"no namespaces here: {trial.stderr.strip()}")

    @life("fork", prefix=UNSHARE)
    def in_namespace(one):
        # (unshare itself is a process of the domain, too.)
        one.stage("before", 20)
        one.go_on()
        one.stage("child", 30)
        processes = one.domain.json("ps")["processes"]
        check(len(processes) >= 2, f"{processes}")
        one.go_on()
        one.stage("alone", 20)
        one.process.kill()
        one.process.wait()
        one.gone()

    in_namespace(umemcg)


def generations_have_one_limit(umemcg):
    """malloc to the limit, fork, exit, again: no more for it."""
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        with ended(start(umemcg, domain.name, "/a", program("lives"),
                         "generations")) as process:
            got = [int(process.stdout.readline()) for _ in range(8)]
            line = process.stdout.readline()
            check(line.startswith("last "), f"{line!r}")
            check(40 * MIB <= got[0] <= 64 * MIB, f"{got}")
            check(sum(got) <= 66 * MIB, f"more each time: {got}")
            check(domain.number("/a", "memory.current") <= 65 * MIB,
                  "above the limit")
            process.stdin.write("\n")
            process.stdin.flush()
            check(process.stdout.read() == "", "more")
            wait_until(lambda: domain.number("/a", "memory.current") == 0,
                       "something is left")


if __name__ == "__main__":
    main([a_fork, a_raw_clone, a_vfork_and_exec, a_posix_spawn, an_exec,
          a_daemon, close_range, close_each, a_kill, a_stopped_process_lives,
          a_pid_namespace, generations_have_one_limit])

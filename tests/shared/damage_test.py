"""Four programs run in a domain while its file is damaged.

The accounting may be wrong then, and an allocation refused; but no program of
the domain crashes, hangs or finds its own memory changed, and neither does any
umemcg command. UMEMCG_DAMAGE_SEED: as printed by an earlier run.
"""

import contextlib
import mmap
import os
import random
import subprocess
import tempfile
import time

from damage import DomainFile
from domain import domain_of
from harness import Failure, check, clean_environment, main
from world import ended, program, say, start, stress_seconds

PROGRAMS = 4
ROUNDS, STRESS_ROUNDS = 600, 10_000
ROUNDS_A_DOMAIN = 40
ROUNDS_A_COMMAND = 8
HANGS = 30  # seconds without a sign of life

GROUPS = ("/a", "/a/b", "/a/b/c", "/d")

# One of them at a time; what they say is their business, but they end.
COMMANDS = (
    ("ls",), ("tree",), ("ps",), ("gc",), ("tree", "--json"), ("ps", "--json"),
    ("get", "/a/b", "memory.stat"), ("get", "/a", "memory.events"),
    ("get", "/", "cgroup.procs"), ("get", "/a/b/c", "cgroup.threads"),
    ("set", "/a", "memory.max", "64M"), ("set", "/a/b", "memory.min", "1M"),
    ("set", "/a/b", "cgroup.subtree_control", "-memory"),
    ("create", "/a/new/one"), ("rm", "/a/new/one"), ("create", "/x"),
    ("rm", "/x"), ("smaps", "{pid}"), ("move", "{pid}", "/d"),
)


class Churner:
    """A churn.c, its heart and how long it has not been heard."""

    def __init__(self, umemcg, domain, group, seed, folder):
        self.path = os.path.join(folder, f"heart{seed}")
        with open(self.path, "wb") as file:
            file.truncate(4096)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)
        self.process = start(umemcg, domain, group, program("churn"), 24, 0,
                             seed, self.path)
        self.beat, self.heard = 0, time.monotonic()

    def look(self, what):
        if self.process.poll() is not None:
            output, complaints = self.process.communicate()
            raise Failure(f"{what}: status {self.process.returncode}\n"
                          f"{output}{complaints}")
        beat = int.from_bytes(self.map[:8], "little")
        if beat != self.beat:
            self.beat, self.heard = beat, time.monotonic()
        elif time.monotonic() - self.heard > HANGS:
            self.process.send_signal(6)
            raise Failure(f"{what}: no sign of life for {HANGS} s")

    def wait_for_beat(self, what):
        last = self.beat
        while self.beat == last:
            self.look(what)
            time.sleep(0.002)


def run_command(umemcg, domain, command, pid, what):
    verb, *words = [word.format(pid=pid) for word in command]
    line = [umemcg.program, verb, "--domain", domain.name, *words]
    try:
        outcome = subprocess.run(line, capture_output=True, timeout=HANGS,
                                 stdin=subprocess.DEVNULL,
                                 env=clean_environment())
    except subprocess.TimeoutExpired:
        raise Failure(f"{what}: {line} still runs after {HANGS} s") from None
    check(outcome.returncode >= 0,
          f"{what}: {line} was ended by signal {-outcome.returncode}\n"
          f"{outcome.stderr[-500:]}")


def one_domain(umemcg, seed, rounds):
    """A fresh domain, damaged so many times."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, \
            domain_of(umemcg, *GROUPS) as domain, \
            contextlib.ExitStack() as stack:
        domain.done("set", "/a", "memory.max", "80M")
        domain.done("set", "/a/b", "memory.low", "10M")
        file = DomainFile(domain.path)
        stack.callback(file.close)
        churners = []
        for i in range(PROGRAMS):
            churner = Churner(umemcg, domain.name, GROUPS[i], 10 * seed + i,
                              folder)
            stack.enter_context(ended(churner.process))
            churners.append(churner)
        for churner in churners:
            churner.wait_for_beat(f"seed {seed}, before any damage")
        for number in range(rounds):
            what = f"UMEMCG_DAMAGE_SEED={seed}, round {number}"
            file.damage(dice)
            if number % ROUNDS_A_COMMAND == 0:
                run_command(umemcg, domain, dice.choice(COMMANDS),
                            dice.choice(churners).process.pid, what)
            else:
                time.sleep(0.001)
            for churner in churners:
                churner.look(what)
        for churner in churners:
            churner.wait_for_beat(f"UMEMCG_DAMAGE_SEED={seed}, at the end")


def nobody_is_hurt(umemcg):
    given = os.environ.get("UMEMCG_DAMAGE_SEED")
    rounds = STRESS_ROUNDS if stress_seconds() else ROUNDS
    seeds = [int(given)] if given else [
        os.getpid() * 1000 + i for i in range(rounds // ROUNDS_A_DOMAIN)]
    say(f"UMEMCG_DAMAGE_SEED={seeds[0]} and the {len(seeds) - 1} after it, "
        f"{ROUNDS_A_DOMAIN} rounds each")
    for seed in seeds:
        one_domain(umemcg, seed, ROUNDS_A_DOMAIN)


if __name__ == "__main__":
    main([nobody_is_hurt])

"""Preloaded programs in nested groups of a domain, killed and started again."""

import contextlib
import random
import time

from domain import domain_of, wait_until
from harness import check, main
from world import ended, program, say, start, stress_seconds

PROGRAMS = 8
BETWEEN_KILLS = 0.02
GROUPS = ("/a", "/a/b", "/a/b/c", "/d", "/d/e")


class Place:
    """Where one program after the other lives."""

    def __init__(self, umemcg, domain, dice, stack):
        self.umemcg, self.domain, self.dice = umemcg, domain, dice
        self.process = None
        stack.callback(self.kill)

    def start(self):
        self.process = start(self.umemcg, self.domain.name,
                             self.dice.choice(GROUPS), program("churn"), 16, 0,
                             self.dice.getrandbits(32))

    def kill(self):
        if self.process is None:
            return
        with ended(self.process):
            self.process.kill()
            _, complaints = self.process.communicate()
        # Each may be refused once, and says so.
        lines = [line for line in complaints.splitlines()
                 if "refused" not in line and "limit" not in line]
        check(not lines, f"a program says: {lines}")


def nothing_is_left(umemcg):
    seconds = stress_seconds() or 6
    dice = random.Random()
    kills = 0
    with domain_of(umemcg, *GROUPS) as domain, contextlib.ExitStack() as stack:
        domain.done("set", "/a", "memory.max", "60M")
        domain.done("set", "/a/b", "memory.min", "8M")
        domain.done("set", "/d/e", "memory.low", "20M")
        places = [Place(umemcg, domain, dice, stack) for _ in range(PROGRAMS)]
        for place in places:
            place.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(BETWEEN_KILLS)
            place = dice.choice(places)
            place.kill()
            kills += 1
            place.start()
        for place in places:
            place.kill()
            place.process = None
        wait_until(lambda: domain.json("ps")["processes"] == [],
                   "somebody lives on")
        gc = domain.json("gc")
        left = {group: domain.number(group, "memory.current")
                for group in (*GROUPS, "/")}
        stats = {group: domain.stat(group) for group in (*GROUPS, "/")}
        peak = domain.number("/a", "memory.peak")
    say(f"{kills} kills; gc says {gc}; the peak under 60 MiB is {peak}")
    check(not any(left.values()), f"left: {left}")
    for group, stat in stats.items():
        amounts = {name: stat[name] for name in ("anon", "stock_bytes")
                   if name in stat}
        check(amounts and not any(amounts.values()), f"{group}: {amounts}")
        check(stat["charged_bytes"] == stat["uncharged_bytes"] > 0,
              f"{group}: {stat}")
    check(peak <= (60 << 20) + (256 << 10), f"peak {peak}")
    check(kills >= seconds * 5, f"only {kills} kills")


if __name__ == "__main__":
    main([nothing_is_left])

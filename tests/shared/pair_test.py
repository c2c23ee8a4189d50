"""Processes under one limit: their sum never exceeds it, and all run on."""

import re
import time

from domain import domain_of
from harness import MIB, RESERVE, check, main, plain
from world import ended, program, say, start, stress_seconds

LIMIT = 100 * MIB


def finish(process, seconds):
    """(most held, refusals, rounds) that a churn.c says at its end."""
    output, complaints = process.communicate(timeout=seconds + 60)
    check(process.returncode == 0,
          f"status {process.returncode}: {output}{complaints}")
    return [int(number) for number in re.findall(r"\d+", output)]


def two_that_want_80_of_100(umemcg, reserve):
    seconds = stress_seconds() or 4
    with domain_of(umemcg) as domain:
        made = plain(umemcg.run_command(
            ["true"], ["--domain", domain.name, "--group", "/both", "--max",
                       str(LIMIT), "--reserve", str(reserve)]))
        check(made.status == 0, "no group", made)
        command = [program("churn"), 80, seconds]
        with ended(start(umemcg, domain.name, "/both", *command, 1)) as one, \
                ended(start(umemcg, domain.name, "/both", *command, 2)) as two:
            end = time.monotonic() + seconds
            seen = []
            while time.monotonic() < end:
                seen.append(domain.number("/both", "memory.current"))
            results = [finish(process, seconds) for process in (one, two)]
        peak = domain.number("/both", "memory.peak")
        events = domain.get("/both", "memory.events")
        check(domain.number("/both", "memory.current") == 0, "something left")
    say(f"most {max(seen)} of {len(seen)} looks, peak {peak}, (held, refused, "
        f"rounds): {results}")
    check(max(seen) <= LIMIT + reserve, f"{max(seen)} bytes at once")
    check(LIMIT - 8 * MIB <= peak <= LIMIT + reserve, f"peak {peak}")
    for most, refusals, rounds in results:
        check(refusals > 0, "one was never refused")
        check(most >= 20 * MIB, f"one had no more than {most} bytes")
        check(rounds > seconds, f"one came to a halt: {rounds} rounds")
    check("oom_kill 0" in events and "max 0\n" not in events, events)


def with_a_reserve_for_small_requests(umemcg):
    two_that_want_80_of_100(umemcg, RESERVE)


def without_a_reserve_never_above_100(umemcg):
    two_that_want_80_of_100(umemcg, 0)


if __name__ == "__main__":
    main([with_a_reserve_for_small_requests,
          without_a_reserve_never_above_100])

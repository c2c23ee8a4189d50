"""Processes that run out of memory all the time, under each policy.

Four of them with four threads each share a limit; one has a shrinker that
sleeps past its deadline, one a shrinker that lets another thread free. Nobody
stands still for longer than that sleep and 500 ms (and what the policy `wait`
is told), and in the end every charge has been given back. That bound is for
the long run, on a machine that does nothing else; the short one allows ten
times as much.
"""

import os
import struct
import tempfile
import time

from domain import domain_of
from harness import MIB, check, main
from world import ended, program, say, start, stress_seconds

SHRINKERS = ("slow", "elsewhere", "plain", "plain")
SLEEP_MS = 200
MOST_MS = SLEEP_MS + 500
KILLED = -9


class Storm:
    """Four processes; those that are killed begin again."""

    def __init__(self, umemcg, domain, seconds, folder):
        self.umemcg = umemcg
        self.folder = folder
        self.domain = domain
        self.end = time.monotonic() + seconds
        self.seed = 0
        self.kills = 0
        self.running = {i: self.begin(i) for i in range(len(SHRINKERS))}

    def begin(self, place):
        self.seed += 1
        left = max(1, round(self.end - time.monotonic()))
        return start(self.umemcg, self.domain.name, "/storm",
                     program("oom_storm"), left, self.seed, SHRINKERS[place],
                     os.path.join(self.folder, str(self.seed)))

    def counts(self):
        """(operations, refusals, scans, callbacks, longest) of each process
        that came to count."""
        found = []
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), "rb") as file:
                data = file.read()
            if len(data) == 40:
                found.append(struct.unpack("<5Q", data))
        return found

    def look(self):
        """Begins those anew that were killed."""
        for place, process in self.running.items():
            status = process.poll()
            if status is None:
                continue
            check(status == KILLED, f"status {status}: "
                  f"{process.stdout.read()}{process.stderr.read()}")
            self.kills += 1
            with ended(process):
                self.running[place] = self.begin(place)

    def run(self, may_kill):
        while may_kill and time.monotonic() < self.end:
            self.look()
            time.sleep(0.02)
        for process in self.running.values():
            line = process.stdout.readline()
            if line != "done\n":
                check(may_kill and process.wait() == KILLED,
                      f"status {process.wait()}: {line}{process.stderr.read()}")
                self.kills += 1

    def stop(self):
        for process in self.running.values():
            with ended(process):
                if process.poll() is None:
                    process.communicate(timeout=30)


def look_at_counters(domain):
    """Nothing is charged for what was given back."""
    corrected = domain.json("gc")
    for file in ("memory.current", "memory.kmem.usage_in_bytes"):
        left = domain.number("/storm", file)
        check(left <= MIB, f"{left} bytes left in {file}")
    return corrected


def events_of(domain):
    return {key: int(value) for key, value in
            map(str.split, domain.get("/storm", "memory.events").splitlines())}


def check_stalls(storm, most_ms):
    """And says what became of the storm, but for the longest operation."""
    *sums, longest = zip(*storm.counts())
    operations, refusals, scans, callbacks = map(sum, sums)
    say(f"{operations} operations, {refusals} refused, {scans} scans, "
        f"{callbacks} callbacks, {storm.kills} killed, longest "
        f"{max(longest)} us")
    if not stress_seconds():
        most_ms *= 10
    check(max(longest) <= most_ms * 1000, f"{longest} us for one operation")
    return operations, refusals, scans, callbacks


def storm_under(umemcg, policy, most_ms=MOST_MS):
    """(the storm, its counts, the events)"""
    seconds = stress_seconds() or 1
    with domain_of(umemcg, "/storm") as domain, \
            tempfile.TemporaryDirectory() as folder:
        domain.done("set", "/storm", "memory.max", str(32 * MIB))
        domain.done("set", "/storm", "memory.oom.policy", policy)
        storm = Storm(umemcg, domain, seconds, folder)
        try:
            storm.run(may_kill=policy == "kill")
            gc = look_at_counters(domain)
        finally:
            storm.stop()
        events = events_of(domain)
        # One that was killed in the middle of a change left a trace of it.
        domain.done("gc")
        for file in ("memory.current", "memory.kmem.usage_in_bytes"):
            check(domain.number("/storm", file) == 0, f"something in {file}")
        say(f"{policy}: {events}")
        if policy != "kill":
            check(gc["groups_corrected"] == 0, f"counters were wrong: {gc}")
            check(storm.kills == 0, "one was killed")
        return storm, check_stalls(storm, most_ms), events


def under_fail(umemcg):
    _, (_, refusals, scans, _), events = storm_under(umemcg, "fail")
    check(refusals > 0 and scans > 0, "no storm")
    check(events["oom"] > 0 and events["oom_kill"] == 0, f"{events}")


def under_kill(umemcg):
    storm, _, events = storm_under(umemcg, "kill")
    check(storm.kills > 0, "nobody was killed")
    check(events["oom_kill"] == storm.kills,
          f"{storm.kills} were killed: {events}")


def under_callback(umemcg):
    _, (_, _, _, callbacks), events = storm_under(umemcg, "callback")
    check(callbacks > 0 and events["oom"] > 0, f"no storm: {events}")


# Who waits may wait again for what others took when there was room.
def under_wait(umemcg):
    wait_ms = 300
    _, _, events = storm_under(umemcg, f"wait {wait_ms}",
                               MOST_MS + 4 * wait_ms)
    check(events["oom"] > 0, f"no storm: {events}")


if __name__ == "__main__":
    main([under_fail, under_kill, under_callback, under_wait])

"""`umemcg stat`, `events`, `pressure`, `record` and `replay`."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from harness import MIB, check, clean_environment, main, plain

from domain import check_aligned, domain_of, wait_until
from terminal import PROMPT, terminal

# Meets its limit time and again, in groups that it makes on the way.
STORM = """
import sys
for _ in range(int(sys.argv[1])):
    blocks = []
    try:
        for _ in range(1024):
            blocks.append(bytearray(1 << 20))
    except MemoryError:
        pass
"""


def storm(umemcg, domain, group, times):
    outcome = plain(umemcg.run_command(
        [sys.executable, "-c", STORM, times],
        ["--domain", domain.name, "--group", group, "--max", "32M"]))
    check(outcome.status == 0, "the storm failed", outcome)


class Follower:
    """`umemcg events -f`, and what it has said."""

    def __init__(self, umemcg, domain, *options):
        self.process = subprocess.Popen(
            [umemcg.program, "events", "-f", "--domain", domain.name,
             *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=clean_environment())

    def end(self, with_signal=signal.SIGINT):
        if with_signal is not None:
            self.process.send_signal(with_signal)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in
                                         out.splitlines()], err


def check_chained(lines):
    """Each total goes on from the one before; what they are in the end."""
    totals = {}
    for line in lines:
        key = line["group"], line["event"]
        before = totals.get(key)
        if line.get("start"):
            check("count" not in line, f"{line}")
            check(before is None, f"{line} comes late")
        else:
            check(line["total"] == (before or 0) + line["count"],
                  f"{line} after {before}")
        totals[key] = line["total"]
    times = [line["time"] for line in lines]
    check(times == sorted(times), f"{times}")
    return totals


def local_events(domain, path):
    return {key: int(value) for key, value in map(
        str.split, domain.get(path, "memory.events.local").splitlines())}


def events_are_followed(umemcg):
    """Those before it began, while it looks, and of groups that are new."""
    with domain_of(umemcg, "/a", "/b") as domain:
        keeper = domain.worker("/a")
        storm(umemcg, domain, "/a/old", 3)
        follower = Follower(umemcg, domain)
        storm(umemcg, domain, "/a/old", 5)
        storm(umemcg, domain, "/b/new", 7)
        status, lines, err = follower.end()
        check(status == 0 and not err, f"{status}: {err}")
        totals = check_chained(lines)
        for path in ("/a/old", "/b/new"):
            for event, count in local_events(domain, path).items():
                check(totals.get((path, event), 0) == count,
                      f"{path} {event}: {totals} is not {count}")
        check(totals["/b/new", "max"] >= 7, f"{totals}")
        domain.end_worker(keeper)


def events_come_at_once(umemcg):
    """They wake the follower: it does not come by now and then."""
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "32M")
        worker = domain.worker("/a")
        worker.order("fail", 64 * MIB)
        follower = Follower(umemcg, domain, "/a")
        first = json.loads(follower.process.stdout.readline())
        check(first["start"] is True and first["total"] > 0, f"{first}")
        least = 60.0
        for _ in range(5):
            begun = time.monotonic()
            worker.order("fail", 64 * MIB)
            while json.loads(follower.process.stdout.readline()).get("start"):
                pass
            least = min(least, time.monotonic() - begun)
            time.sleep(0.1)
        # (It looks by itself every 500 ms.)
        check(least < 0.4, f"told {least} s after it began")
        follower.end()


def following_ends_with_the_group_and_the_domain(umemcg):
    with domain_of(umemcg, "/a") as domain:
        follower = Follower(umemcg, domain, "/a")
        time.sleep(0.3)
        domain.done("rm", "/a")
        status, _, err = follower.end(None)
        check(status == 0 and "removed" in err, f"{status}: {err}")
        follower = Follower(umemcg, domain)
        time.sleep(0.3)
        os.unlink(domain.path)
        status, _, err = follower.end(None)
        check(status == 0, f"{status}: {err}")


def counts_are_those_of_the_files(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        storm(umemcg, domain, "/a/b", 2)
        lines = check_aligned(domain.done("events", "/a"))
        names = domain.get("/a", "memory.events").split()[::2]
        check(lines[0].split() == ["group", *names], lines[0])
        found = domain.json("events", "/a")["groups"]
        check(found["/a"] == domain.json("get", "/a", "memory.events")
              and found["/a/b"]["max"] > 0 and list(found) == ["/a", "/a/b"],
              f"{found}")


def pressure_is_that_of_the_files(umemcg):
    with domain_of(umemcg, "/a/b", "/c") as domain:
        domain.done("set", "/c", "cgroup.pressure", "0")
        storm(umemcg, domain, "/a/b", 20)
        found = domain.json("pressure")["groups"]
        check(list(found) == ["/", "/a", "/a/b", "/c"] and found["/c"] is None,
              f"{found}")
        check(found["/a/b"]["some"]["total"] > 0, f"{found}")
        lines = check_aligned(domain.done("pressure"))
        check(lines[-1].split() == ["/c"] + 8 * ["off"], lines[-1])
        total = found["/a"]["some"]["total"]
        check(f"{total / 1e6:.3f} s" in lines[2], f"{total}: {lines[2]}")


def a_group_is_on_one_screen(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.done("set", "/a", "memory.max", "100M")
        domain.done("set", "/a/b", "memory.low", "10M")
        worker = domain.worker("/a/b")
        worker.order("take", 24 * MIB)
        found = domain.json("stat", "/a/b")
        check(found["usage"] == domain.number("/a/b", "memory.current")
              and found["peak"] == domain.number("/a/b", "memory.peak")
              and found["low"] == 10 * MIB and found["max"] == "max"
              and found["limited_by"] == "/a", f"{found}")
        # Nothing else is in /a, so what is left is a matter of arithmetic.
        check(found["available"] == 100 * MIB - found["usage"]
              + found["stock"] + found["cached"], f"{found}")
        check([(p["pid"], p["inside"]) for p in found["inside"]]
              == [(worker.pid, True)], f"{found['inside']}")
        text = domain.done("stat", "/a/b")
        for words in ("until the limit of /a refuses", f"({worker.pid})",
                      "10.0 MiB", "available", "events", "stalls"):
            check(words in text, f"no {words!r}:\n{text}")
        check(len(text.splitlines()) < 50, text)
        above = domain.json("stat", "/")
        check(above["limited_by"] is None and above["available"] == "max"
              and above["inside"][0]["inside"] is False, f"{above}")
        domain.refused("stat", "/none", words=["/none", "umemcg ls"])


def a_recording_is_replayed(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        recorder = subprocess.Popen(
            [umemcg.program, "record", "--domain", domain.name, "-d", "0.05",
             path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True, env=clean_environment())
        worker = domain.worker("/a")
        worker.order("take", 32 * MIB)
        wait_until(lambda: os.path.exists(path) and
                   open(path, encoding="utf-8").read().count("\n") >= 6,
                   "nothing is recorded")
        usage = domain.number("/a", "memory.current")
        time.sleep(0.2)
        recorder.send_signal(signal.SIGTERM)
        out, _ = recorder.communicate(timeout=30)
        check(recorder.returncode == 0 and path in out, out)
        domain.end_worker(worker)
        os.unlink(domain.path)  # it is not asked any more
        outcome = plain([umemcg.program, "replay", "--json", path])
        check(outcome.status == 0 and not outcome.stderr, "", outcome)
        samples = [json.loads(line) for line in
                   outcome.stdout.decode().splitlines()]
        check(len(samples) == int(out.split()[0]), f"{len(samples)}: {out}")
        check(samples[-1]["groups"][1]["usage"] == usage
              and samples[-1]["domain"] == domain.path, f"{samples[-1]}")
        check(max(s["groups"][1]["growth_per_second"] or 0 for s in samples)
              > MIB, "nothing has grown")
        outcome = plain([umemcg.program, "replay", path, "/a", "-n", "2"])
        check(outcome.stdout.count(b"USAGE") == 2
              and b"\n/a " in outcome.stdout, "", outcome)
        on_a_screen(umemcg, path, len(samples))


def on_a_screen(umemcg, path, count):
    with terminal() as screen:
        screen.run(umemcg.program, "replay", "-d", "60", path)
        screen.wait_for(f"sample 1 of {count}")
        for keys, place in ((".", 2), (".", 3), (",", 2), ("<", 1),
                            (">", min(count, 11)), (",", min(count, 11) - 1)):
            screen.keys(keys)
            screen.wait_for(f"sample {place} of {count}  paused")
        screen.keys("j", "5", "Enter")
        screen.wait_for(f"sample 5 of {count}")
        screen.keys("j", "2", "3", ":", "9", "9", ":", "x", "Enter")
        screen.wait_for("is no number of a sample")
        screen.keys("j", "9", "BSpace", "3", "Enter")
        screen.wait_for(f"sample 3 of {count}")
        screen.keys("j", "Escape", "q")
        screen.wait_for(PROMPT)


def recordings_that_are_broken(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        check(domain.json("record", "-n", "4", "-d", "0.05", path)["recorded"]
              == {"file": path, "samples": 4}, "not what was recorded")
        with open(path, "rb") as file:
            lines = file.readlines()

        def replay(content):
            with open(path, "wb") as file:
                file.write(content)
            return plain([umemcg.program, "replay", "--json", path])

        def wrong(content, *words):
            outcome = replay(content)
            check(outcome.status == 1 and len(outcome.complaints()) == 1
                  and outcome.stderr.count(b"\n") == 1, "not refused", outcome)
            for word in words:
                check(word.encode() in outcome.stderr, f"no {word}", outcome)

        # As a recorder leaves it that is killed: all but the last line is had.
        for cut in (1, 2, 100, len(lines[4]) - 2):
            outcome = replay(b"".join(lines)[:-cut])
            whole = 4 if cut == 1 else 3
            check(outcome.status == 0
                  and outcome.stdout.count(b"\n") == whole
                  and (b":5: the last line is cut off" in outcome.stderr)
                  == (whole == 3), f"cut by {cut}", outcome)
        outcome = replay(b"".join(lines) + b"{")
        check(outcome.status == 0 and b":6:" in outcome.stderr, "", outcome)
        outcome = plain([umemcg.program, "replay", "--json", path, "/none"])
        check(outcome.status == 1 and b"no group /none" in outcome.stderr
              and not outcome.stdout, "", outcome)
        outcome = plain([umemcg.program, "replay", "--once", path, "/a"])
        check(re.match(rb"[\d-]+ \d\d:\d\d:\d\d\.\d{3} ", outcome.stdout),
              "no fraction", outcome)
        wrong(b"", "is empty", "umemcg record")
        wrong(b"\0\xff\n", ":1:", "first line")
        wrong(b'{"umemcg_recording": 99}\n' + lines[1], ":1:", "version 99")
        wrong(lines[1] + lines[2], ":1:")
        wrong(lines[0], "no sample")
        wrong(b"".join([*lines[:2], b"{}\n", *lines[3:]]), ":3:", "wall_ms")
        wrong(b"".join([*lines[:3], b"[1, 2\n", *lines[3:]]), ":4:")
        wrong(b"".join([*lines[:4],
                        lines[4].replace(b'"depth":0', b'"depth":[]')]),
              ":5:", "must be number")
        os.unlink(path)
        outcome = plain([umemcg.program, "replay", path])
        check(outcome.status == 1 and b"No such file" in outcome.stderr, "",
              outcome)
        domain.refused("record", folder, words=["Is a directory"])
        domain.refused("record", "/dev/full", "-n", "1", words=["No space"])


if __name__ == "__main__":
    main([events_are_followed, events_come_at_once,
          following_ends_with_the_group_and_the_domain,
          counts_are_those_of_the_files, pressure_is_that_of_the_files,
          a_group_is_on_one_screen, a_recording_is_replayed,
          recordings_that_are_broken])

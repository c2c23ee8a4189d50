"""`umemcg top`: on a screen that tmux plays, as text and as JSON."""

import json
import os
import signal
import subprocess

from harness import MIB, check, clean_environment, main

from domain import domain_of, wait_until
from terminal import PROMPT, terminal


def open_top(screen, umemcg, domain, *options):
    screen.run(umemcg.program, "top", "--domain", domain.name, "-d", "0.2",
               *options)
    return screen.wait_for("q quit")


def rows_of(screen):
    """The first column below the headings."""
    lines = screen.splitlines()
    start = next(i for i, line in enumerate(lines) if "USAGE" in line)
    return [line.split()[0] for line in lines[start + 1:-2] if line.strip()]


def is_back(screen):
    """The shell has the terminal, and echoes what is typed."""
    screen.wait_for(PROMPT)
    screen.keys("-l", "echo $((40 + 2))=$?")
    screen.keys("Enter")
    shown = screen.wait_for("42=")
    check("echo $((40 + 2))" in shown, f"what is typed is not shown:\n{shown}")
    modes = screen.tmux("display-message", "-p",
                        "#{alternate_on} #{cursor_flag}").split()
    check(modes == ["0", "1"], f"alternate screen, cursor: {modes}")
    return shown


def groups_are_shown_and_sorted(umemcg):
    with domain_of(umemcg, "/a/big", "/a/small", "/b") as domain, \
            terminal() as screen:
        domain.done("set", "/a", "memory.max", "512M")
        domain.worker("/a/big").order("take", 32 * MIB)
        domain.worker("/b").order("take", 8 * MIB)
        shown = open_top(screen, umemcg, domain)
        check(rows_of(shown) == ["/", "a", "big", "small", "b"], shown)
        check("*USAGE" in shown and "512.0 MiB" in shown
              and "5 groups, 2 processes" in shown, shown)
        # By name, which puts `a` first as well; then what grows.
        screen.keys("n")
        screen.wait_for("*GROUP")
        domain.workers[1].order("take", 64 * MIB)
        screen.keys("u")
        shown = screen.wait_for(
            lambda text: rows_of(text)[:2] == ["/", "b"], "b is the largest")
        for key, heading in (("g", "*GROWTH/s"), ("e", "*EVENTS/s"),
                             ("s", "*STALL %"), ("n", "*GROUP")):
            screen.keys(key)
            shown = screen.wait_for(heading)
        check(rows_of(shown) == ["/", "a", "big", "small", "b"], shown)
        screen.keys("q")
        check("42=0" in is_back(screen), "the status is not 0")


def groups_are_folded(umemcg):
    with domain_of(umemcg, "/a/x", "/a/y", "/b") as domain, \
            terminal() as screen:
        worker = domain.worker("/a/x")
        worker.order("take", 16 * MIB)
        open_top(screen, umemcg, domain, "--sort", "name")
        screen.keys("Down", "Left")
        shown = screen.wait_for("+a")
        check(rows_of(shown) == ["/", "+a", "b"], shown)
        screen.keys("Right")
        screen.wait_for(lambda text: rows_of(text) ==
                        ["/", "a", "x", "y", "b"], "unfolded")
        screen.keys("F")
        screen.wait_for(lambda text: rows_of(text) == ["/", "+a", "b"],
                        "all folded")
        screen.keys("F", "p")
        shown = screen.wait_for(f"({worker.pid})")
        # (Below the root is what its allocator keeps.)
        check(rows_of(shown) == ["/", "python3", "a", "x", "python3", "y", "b"],
              shown)
        screen.keys("p", "t")
        shown = screen.wait_for(
            lambda text: rows_of(text) == ["/", "/a", "/a/x", "/a/y", "/b"],
            "flat")
        screen.keys("q")
        is_back(screen)


def groups_and_processes_come_and_go(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain, terminal() as screen:
        open_top(screen, umemcg, domain)
        screen.keys("End")  # the one that is selected goes
        domain.done("rm", "/b")
        screen.wait_for(lambda text: rows_of(text) == ["/", "a"], "b is gone")
        domain.done("create", "/c/d")
        screen.wait_for(lambda text: "d" in rows_of(text), "d has come")
        screen.keys("Space")
        screen.wait_for("paused")
        domain.done("create", "/e")
        screen.keys("Space")
        screen.wait_for(lambda text: "e" in rows_of(text), "e has come")
        os.unlink(domain.path)
        shown = is_back(screen)
        check("has been removed" in shown and "42=0" in shown, shown)


def the_terminal_may_have_any_size(umemcg):
    with domain_of(umemcg, *[f"/g{i:02}" for i in range(40)]) as domain, \
            terminal() as screen:
        open_top(screen, umemcg, domain, "--sort", "name")
        screen.resize(60, 10)
        shown = screen.wait_for(
            lambda text: len(rows_of(text)) == 5 and "q quit" in text,
            "five rows")
        check("MAX" in shown and "PROCS" not in shown, shown)
        screen.keys("End")
        screen.wait_for("g39")
        screen.resize(10, 3)
        screen.resize(1, 1)
        screen.resize(120, 50)
        shown = screen.wait_for(
            lambda text: "PROCS" in text and len(rows_of(text)) == 41, "all")
        screen.keys("q")
        is_back(screen)


def signals_give_the_terminal_back(umemcg):
    with domain_of(umemcg, "/a") as domain, terminal() as screen:
        for end in (signal.SIGINT, signal.SIGTERM):
            open_top(screen, umemcg, domain)
            found = subprocess.run(
                ["pgrep", "-f", f"top --domain {domain.name}"],
                capture_output=True, text=True, check=False).stdout.split()
            check(len(found) == 1, f"{found} are no single process")
            os.kill(int(found[0]), end)
            check("42=0" in is_back(screen), f"{end}: the status is not 0")


def text_and_json_are_the_same(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        text = domain.done("top", "--once", "--processes", "/a")
        check("/b" not in text and f"({worker.pid})" in text
              and "USAGE" in text and "\x1b" not in text, text)
        check(domain.done("top", "-n", "3", "-d", "0.05").count("USAGE") == 3,
              "not three tables")
        lines = domain.done("top", "-n", "2", "-d", "0.05",
                            "--json").splitlines()
        first, second = map(json.loads, lines)
        groups = {group["path"]: group for group in second["groups"]}
        check(list(groups) == ["/", "/a", "/b"], f"{list(groups)}")
        check(groups["/a"]["usage"] == domain.number("/a", "memory.current")
              and groups["/a"]["max"] == "max"
              and groups["/a"]["processes"] == 1, f"{groups['/a']}")
        check(first["groups"][0]["growth_per_second"] is None
              and groups["/a"]["growth_per_second"] == 0
              and groups["/a"]["events_per_second"] == 0, f"{groups['/a']}")
        check([process["pid"] for process in second["processes"]]
              == [worker.pid], f"{second['processes']}")


def what_is_available_predicts_a_refusal(umemcg):
    """A block that is smaller is had, one that is larger is refused."""
    with domain_of(umemcg, "/a/b", "/a/c") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        other = domain.worker("/a/c")
        other.order("take", 16 * MIB)
        worker = domain.worker("/a/b")
        worker.order("take", 8 * MIB)
        sample = json.loads(domain.done("top", "--once", "--json"))
        groups = {group["path"]: group for group in sample["groups"]}
        left = groups["/a/b"]["available"]
        check(groups["/a"]["available"] == left == groups["/a/c"]["available"]
              and groups["/"]["available"] == "max", f"{groups}")
        check(0 < left < 40 * MIB, f"{left}")
        worker.order("block", left - 2 * MIB)
        check("max 0" in domain.get("/a", "memory.events"),
              "refused although it was there")
        worker.order("fail", 4 * MIB)
        check("max 0" not in domain.get("/a", "memory.events"),
              "not refused although it was not there")


def what_is_protected_is_not_available(umemcg):
    """To the others below a limit; to the group itself, within its own."""
    with domain_of(umemcg, "/a/b", "/a/c") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        domain.done("set", "/a/b", "memory.max", "64M")
        worker = domain.worker("/a/b")
        worker.order("take", 32 * MIB)
        worker.order("drop")

        def left_in(path):
            found = domain.json("stat", path)
            return found["available"], found["limited_by"], found["cached"]

        free, limit, cached = left_in("/a/c")
        check(limit == "/a" and cached == 0, f"{limit}, {cached} cached")
        cached = left_in("/a/b")[2]
        check(cached >= 2 * MIB, f"{cached} cached")
        domain.done("set", "/a/b", "memory.min", "64M")
        left = left_in("/a/c")[0]
        check(abs(free - left - cached) <= MIB,
              f"{free} before, {left} now, {cached} protected")


def ten_thousand_groups_are_looked_at_at_once(umemcg):
    with domain_of(umemcg) as domain:
        domain.done("create", "--groups", 10100,
                    *[f"/g{i % 100}/h{i}" for i in range(10_000)])
        domain.worker("/g1/h1")
        lines = domain.done("top", "-n", "3", "-d", "0.05",
                            "--json").splitlines()
        times = [json.loads(line)["clock_ns"] for line in lines]
        check(len(json.loads(lines[0])["groups"]) == 10_101, "not all")
        least = min(b - a for a, b in zip(times, times[1:])) / 1e9
        check(least < 5, f"{least} s from one sample to the next")


def colours_are_for_terminals(umemcg):
    with domain_of(umemcg, "/a") as domain, terminal() as screen:
        for setting, coloured in (("NO_COLOR=", True), ("NO_COLOR=1", False)):
            screen.run("env", setting, umemcg.program, "top", "--domain",
                       domain.name, "-n", "1")
            screen.wait_for("USAGE")
            screen.wait_for(lambda text: text.rstrip().endswith(PROMPT))
            shown = screen.screen("-e")
            check(("\x1b[1m" in shown) == coloured, f"{setting}: {shown!r}")


def without_a_terminal_s_type(umemcg):
    with domain_of(umemcg, "/a") as domain, terminal() as screen:
        screen.run("env", "TERM=nothing-known", umemcg.program, "top",
                   "--domain", domain.name)
        shown = screen.wait_for("nothing-known")
        check("42=1" in is_back(screen), shown)
        screen.run("env", "TERM=dumb", umemcg.program, "top", "--domain",
                   domain.name)
        screen.wait_for("'dumb' is not known, or its cursor cannot be moved")


def the_keys_are_told(umemcg):
    with domain_of(umemcg, "/" + "long" * 30) as domain, \
            terminal() as screen:
        open_top(screen, umemcg, domain)
        screen.wait_for(lambda text: "\u2026" in text)
        for key in ("?", "h"):
            screen.keys(key)
            screen.wait_for("any key goes back")
            screen.keys("x")
            screen.wait_for(lambda text: "any key goes back" not in text
                            and "longlong" in text)


def it_ends_with_its_reader(umemcg):
    with domain_of(umemcg, "/a") as domain:
        with subprocess.Popen(
                [umemcg.program, "top", "--domain", domain.name, "-d", "0.05"],
                stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                env=clean_environment()) as process:
            check("/a" not in process.stdout.readline(), "no heading")
            process.stdout.close()
            wait_until(lambda: process.poll() is not None, "it goes on")
            check(process.returncode in (1, -signal.SIGPIPE),
                  f"{process.returncode}")


if __name__ == "__main__":
    main([groups_are_shown_and_sorted, groups_are_folded,
          groups_and_processes_come_and_go, the_terminal_may_have_any_size,
          signals_give_the_terminal_back, text_and_json_are_the_same,
          what_is_available_predicts_a_refusal,
          what_is_protected_is_not_available,
          ten_thousand_groups_are_looked_at_at_once,
          colours_are_for_terminals, without_a_terminal_s_type,
          the_keys_are_told, it_ends_with_its_reader])

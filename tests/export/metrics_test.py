#!/usr/bin/env python3
"""What `umemcg export` says of domains, groups and processes."""

import os
import re
import subprocess
import sys

from domain import PID_NAMESPACE, domain_of, poke
from exporter import Exporter, exporter_of, need, once, until
from harness import MIB, check, clean_environment, main, plain

GAUGES = {
    "umemcg_memory_usage_bytes": "memory.current",
    "umemcg_memory_peak_bytes": "memory.peak",
}
COUNTERS = (
    "umemcg_charged_bytes_total", "umemcg_uncharged_bytes_total",
    "umemcg_events_total", "umemcg_stall_seconds_total",
    "umemcg_reclaimed_bytes_total",
)
OTHERS = (
    "umemcg_memory_limit_bytes", "umemcg_memory_available_bytes",
    "umemcg_stock_bytes", "umemcg_processes", "umemcg_unaccounted_bytes",
    "umemcg_unreadable_processes", "umemcg_domain_up", "umemcg_scrape_seconds",
    "umemcg_build_info",
)
# Maps 32 MiB past the allocator, and as much again for every line.
HOARD = """
import mmap, sys
hoard = []
while True:
    hoard.append(mmap.mmap(-1, 32 << 20,
                           flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    for _ in range(32):
        hoard[-1].write(b"x" * (1 << 20))
    print("ok", flush=True)
    if not sys.stdin.readline():
        break
"""


def figures_are_those_of_the_files(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.done("set", "/a", "memory.max", "256M")
        domain.done("set", "/a", "memory.low", "1M")
        domain.worker("/a/b").order("take", 16 * MIB)
        gone = domain.worker("/a/b")
        gone.order("take", 16 * MIB)
        domain.end_worker(gone)
        metrics = once(umemcg, "--domain", domain.name)
        check(domain.number("/a", "memory.peak") >= 16 * MIB
              + domain.number("/a", "memory.current"), "no different figures")
        for path in ("/", "/a", "/a/b"):
            at = {"domain": domain.name, "group": path}
            for name, file in GAUGES.items():
                check(metrics.get(name, **at) == domain.number(path, file),
                      f"{name} of {path} is not its {file}")
            stat = domain.stat(path)
            for name, key in (
                    ("umemcg_charged_bytes_total", "charged_bytes"),
                    ("umemcg_uncharged_bytes_total", "uncharged_bytes"),
                    ("umemcg_stock_bytes", "stock_bytes")):
                check(metrics.get(name, **at) == stat[key],
                      f"{name} of {path} is not {stat[key]}")
        at = {"domain": domain.name, "group": "/a"}
        limit = metrics.get("umemcg_memory_limit_bytes", kind="max", **at)
        check(limit == 256 * MIB, f"max is {limit}")
        check(metrics.get("umemcg_memory_limit_bytes", kind="low", **at)
              == MIB, "low")
        check(metrics.find("umemcg_memory_limit_bytes", kind="high", **at)
              is None, "a limit that is none")
        usage = metrics.get("umemcg_memory_usage_bytes", **at)
        left = metrics.get("umemcg_memory_available_bytes", **at)
        check(limit - usage <= left <= limit, f"{left} of {limit - usage}")
        check(metrics.find("umemcg_memory_available_bytes",
                           domain=domain.name, group="/") is None,
              "the root has no limit")
        check([metrics.get("umemcg_processes", domain=domain.name, group=path)
               for path in ("/", "/a", "/a/b")] == [0, 0, 1], "processes")


def history_is_that_of_the_files(umemcg):
    """Of one that was killed, and one that was slowed, and then refused."""
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.high", "24M")
        domain.done("set", "/a", "memory.max", "40M")
        worker, killed = domain.worker("/a"), domain.worker("/a")
        killed.order("take", 8 * MIB)
        # What it had is there for the other's charges.
        domain.end_worker(killed, kill=True)
        worker.process.stdin.write(f"take {64 * MIB}\n")
        worker.process.stdin.flush()
        check(worker.process.stdout.readline() == "", "it was not refused")
        domain.end_worker(worker)
        metrics = once(umemcg, "--domain", domain.name)
        at = {"domain": domain.name, "group": "/a"}

        def series(name, label):
            return {dict(labels)[label]: value
                    for (found, labels), value in metrics.values.items()
                    if found == name and ("group", "/a") in labels}

        events = domain.json("get", "/a", "memory.events")
        check(series("umemcg_events_total", "event") == events
              and events["high"] and events["max"], f"{events}")
        reclaimed = {source: counts["reclaimed"] for source, counts in
                     domain.json("get", "/a", "memory.reclaim.stat").items()}
        check(series("umemcg_reclaimed_bytes_total", "source") == reclaimed
              and reclaimed["dead"] >= 8 * MIB, f"{reclaimed}")
        stalled = {kind: float(total) for kind, total in re.findall(
            r"(\w+) avg.* total=(\d+)", domain.get("/a", "memory.pressure"))}
        found = series("umemcg_stall_seconds_total", "kind")
        check(stalled["some"] > 0 and all(
            abs(found[kind] * 1e6 - stalled[kind]) < 1 for kind in stalled),
            f"{found} is not {stalled}")
        check(metrics.get("umemcg_processes", **at) == 0, "it has ended")


def names_have_help_and_type(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "256M")
        metrics = once(umemcg, "--domain", domain.name)
        named = {name for name, _ in metrics.values}
        check(named == {*GAUGES, *COUNTERS, *OTHERS},
              f"{named ^ {*GAUGES, *COUNTERS, *OTHERS}}")
        for name in named:
            check(metrics.types[name] ==
                  ("counter" if name in COUNTERS else "gauge"), name)
            check(len(metrics.help[name]) > 10, name)
        check("refus" in metrics.help["umemcg_memory_available_bytes"],
              "what it predicts is not said")


def promtool_has_no_objection(umemcg):
    promtool = need("promtool")
    with domain_of(umemcg, "/a/b", '/wei"rd\\', "/häs") as domain:
        domain.done("set", "/a", "memory.max", "256M")
        domain.worker("/a/b").order("take", MIB)
        with exporter_of(umemcg, "--domain", domain.name) as exporter:
            exporter.scrape()
            # With what the library says of itself, of the first scrape.
            text = exporter.scrape().text
        done = subprocess.run([promtool, "check", "metrics"], input=text,
                              text=True, capture_output=True, timeout=60)
        check(done.returncode == 0 and done.stdout + done.stderr == "",
              f"{done.returncode}: {done.stdout}{done.stderr}")


def a_refusal_is_predicted_and_counted(umemcg):
    """Available goes to 0 before the program is refused, not after."""
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "80M")
        worker = domain.worker("/a")
        at = {"domain": domain.name, "group": "/a"}

        def look():
            return once(umemcg, "--domain", domain.name)

        left = [look().get("umemcg_memory_available_bytes", **at)]
        for _ in range(3):
            worker.order("take", 16 * MIB)
            left.append(look().get("umemcg_memory_available_bytes", **at))
        check(left == sorted(left, reverse=True) and left[-1] < 32 * MIB
              and all(a - b >= 15 * MIB for a, b in zip(left, left[1:])),
              f"{left}")
        check(look().get("umemcg_events_total", event="max", **at) == 0,
              "refused already")
        worker.process.stdin.write(f"take {int(left[-1]) + MIB}\n")
        worker.process.stdin.flush()
        check(worker.process.stdout.readline() == "", "it was not refused")
        check(look().get("umemcg_events_total", event="max", **at) >= 1,
              "no event")


def unaccounted_is_what_it_maps_itself(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        process = subprocess.Popen(
            [sys.executable, "-c", HOARD], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment(LD_PRELOAD=umemcg.library,
                                  UMEMCG_DOMAIN=domain.name,
                                  UMEMCG_GROUP="/a"))
        try:
            check(process.stdout.readline() == "ok\n", "it did not start")
            metrics = once(umemcg, "--domain", domain.name)
            at = {"domain": domain.name, "group": "/a"}
            found = metrics.get("umemcg_unaccounted_bytes", **at)
            # (With what is resident of the allocator's records.)
            check(28 * MIB <= found <= 40 * MIB, f"{found} bytes")
            check(metrics.get("umemcg_unaccounted_bytes", domain=domain.name,
                              group="/b") == 0, "nobody is there")
            check(metrics.get("umemcg_unreadable_processes", **at) == 0,
                  "not read")
            check(metrics.get("umemcg_memory_usage_bytes", **at) < 32 * MIB,
                  "it is charged, too")
            bare = once(umemcg, "--domain", domain.name, "--no-audit")
            check(bare.find("umemcg_unaccounted_bytes", **at) is None
                  and bare.find("umemcg_unreadable_processes", **at) is None
                  and bare.get("umemcg_processes", **at) == 1, "no difference")
            with exporter_of(umemcg, "--domain", domain.name) as exporter:
                def follows(least):
                    return until(lambda: exporter.scrape().get(
                        "umemcg_unaccounted_bytes", **at) >= least, "it rests")

                follows(28 * MIB)
                print(file=process.stdin, flush=True)
                check(process.stdout.readline() == "ok\n", "it ended")
                follows(found + 31 * MIB)
        finally:
            process.communicate(timeout=30)


def who_may_not_be_read_is_counted(umemcg):
    """Of another pid namespace, here."""
    with domain_of(umemcg, "/a") as domain:
        domain.worker("/a")
        poke(domain, PID_NAMESPACE, b"\x39\x30\0\0\0\0\0\0")
        metrics = once(umemcg, "--domain", domain.name)
        at = {"domain": domain.name, "group": "/a"}
        check(metrics.get("umemcg_unreadable_processes", **at) == 1
              and metrics.get("umemcg_unaccounted_bytes", **at) == 0
              and metrics.get("umemcg_processes", **at) == 1,
              "not counted as such")


def processes_are_no_labels(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.worker("/a")
        one = once(umemcg, "--domain", domain.name)
        for _ in range(3):
            domain.worker("/a")
        four = once(umemcg, "--domain", domain.name)
        check(set(one.values) == set(four.values), "more series")


def odd_names_are_labels_all_the_same(umemcg):
    """Bytes that are no UTF-8 would cost the whole scrape."""
    with domain_of(umemcg) as domain:
        names = ['/quo"te\\', "/häs", "/ta\tb", b"/b\xffd\xc3"]
        for name in names:
            outcome = plain([umemcg.program, "create", "--domain",
                             domain.name, name])
            check(outcome.status == 0, f"{name!r}", outcome)
        metrics = once(umemcg, "--domain", domain.name)
        check(metrics.labels("group") == {
            "/", '/quo"te\\', "/häs", "/ta\\x09b", "/b\\xffd\\xc3"},
            f"{metrics.labels('group')}")


def removed_groups_end(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        with exporter_of(umemcg, "--domain", domain.name) as exporter:
            check(exporter.scrape().labels("group") == {"/", "/a", "/b"},
                  "not all")
            domain.done("rm", "/a")
            check(exporter.scrape().labels("group") == {"/", "/b"},
                  "still there")


def depth_leaves_out_what_is_deeper(umemcg):
    with domain_of(umemcg, "/a/b/c") as domain:
        for depth, groups in (("0", {"/"}), ("1", {"/", "/a"}),
                              ("2", {"/", "/a", "/a/b"})):
            metrics = once(umemcg, "--domain", domain.name, "--depth", depth)
            check(metrics.labels("group") == groups, f"at {depth}")


def domains_come_and_go(umemcg):
    """None is made; one that is made anew is another."""
    with domain_of(umemcg, "/x") as there, domain_of(umemcg) as missing:
        with exporter_of(umemcg, "--domain", there.name,
                         "--domain", missing.name,
                         "--domain", there.name) as exporter:
            def up():
                metrics = exporter.scrape()
                return [metrics.get("umemcg_domain_up", domain=domain.name)
                        for domain in (there, missing)], metrics

            states, metrics = up()
            check(states == [1, 0], f"{states}")
            check(metrics.labels("domain") == {there.name, missing.name}
                  and metrics.labels("group") == {"/", "/x"}, "groups")
            check(not os.path.exists(missing.path), "it has made the domain")
            missing.done("create", "/late")
            states, metrics = up()
            check(states == [1, 1] and metrics.find(
                "umemcg_memory_usage_bytes", domain=missing.name,
                group="/late") == 0, "not found")
            there.done("rm", "--all")
            check(up()[0] == [0, 1], "it was removed")
            there.done("create", "/other")
            states, metrics = up()
            check(states == [1, 1] and metrics.find(
                "umemcg_memory_usage_bytes", domain=there.name,
                group="/other") == 0 and metrics.find(
                    "umemcg_memory_usage_bytes", domain=there.name,
                    group="/x") is None, "it is not the new one")


def all_are_found(umemcg):
    """Also by a name that a run makes up, unless only those with one."""
    with domain_of(umemcg) as first, domain_of(umemcg) as second:
        second.name = f"run-{second.name}"
        second.path = f"{os.path.dirname(first.path)}/{second.name}"
        first.done("create", "/a")
        second.done("create", "/b")
        decoy = f"{first.path}-no-domain"
        with open(decoy, "w", encoding="utf-8") as file:
            file.write("text")
        try:
            labels = once(umemcg, "--all").labels("domain")
            check({first.name, second.name} <= labels
                  and os.path.basename(decoy) not in labels, f"{labels}")
            labels = once(umemcg, "--all", "--named").labels("domain")
            check(first.name in labels and second.name not in labels,
                  f"{labels}")
        finally:
            os.unlink(decoy)


def one_that_cannot_be_read_is_said_once(umemcg):
    with domain_of(umemcg, "/a") as domain:
        os.chmod(domain.path, 0o644)
        exporter = Exporter(umemcg, "--listen", "127.0.0.1:0",
                            "--domain", domain.name)
        for _ in range(3):
            check(exporter.scrape().get("umemcg_domain_up",
                                        domain=domain.name) == 0, "up")
        os.chmod(domain.path, 0o600)
        check(exporter.scrape().get("umemcg_domain_up",
                                    domain=domain.name) == 1, "not up")
        check(exporter.end() == 0, "it did not end well")
        check(exporter.errors.count("\n") == 1 and all(
            word in exporter.errors for word in
            (domain.name, "mode must be 0600", "not exported")),
            f"{exporter.errors!r}")


if __name__ == "__main__":
    main([figures_are_those_of_the_files, history_is_that_of_the_files,
          names_have_help_and_type,
          promtool_has_no_objection, a_refusal_is_predicted_and_counted,
          unaccounted_is_what_it_maps_itself, who_may_not_be_read_is_counted,
          processes_are_no_labels, odd_names_are_labels_all_the_same,
          removed_groups_end, depth_leaves_out_what_is_deeper,
          domains_come_and_go, all_are_found,
          one_that_cannot_be_read_is_said_once])

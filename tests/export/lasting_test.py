#!/usr/bin/env python3
"""What an exporter must bear, and what its counters must not do."""

import os
import threading
import time

from domain import domain_of
from exporter import Exporter, exporter_of
from harness import MIB, check, main

SECONDS = 4


def a_file_that_is_cut_short_ends_one_look(umemcg):
    with domain_of(umemcg) as victim, domain_of(umemcg, "/a") as other:
        victim.done("create", "--groups", "64", "/a")
        with open(victim.path, "rb") as file:
            content = file.read()
        stop = threading.Event()

        def cut():
            while not stop.is_set():
                os.truncate(victim.path, 0)
                time.sleep(0.002)
                with open(victim.path, "r+b", buffering=0) as file:
                    file.write(content)
                time.sleep(0.005)

        exporter = Exporter(umemcg, "--listen", "127.0.0.1:0", "--domain",
                            victim.name, "--domain", other.name)
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            states = set()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                metrics = exporter.scrape()
                states.add(metrics.get("umemcg_domain_up",
                                       domain=victim.name))
                check(metrics.get("umemcg_domain_up", domain=other.name) == 1
                      and metrics.find("umemcg_memory_usage_bytes", group="/a",
                                       domain=other.name) == 0,
                      "another domain is missing")
        finally:
            stop.set()
            cutter.join()
            status = exporter.end()
        check(status == 0, f"it ended with {status}: {exporter.errors}")
        check(0 in states and victim.name in exporter.errors,
              f"never cut short: {states} {exporter.errors}")


def counters_never_go_down(umemcg):
    """While processes end and groups are removed."""
    with domain_of(umemcg, "/a") as domain:
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                domain.done("create", "/a/b")
                for group in ("/a/b", "/a"):
                    worker = domain.worker(group)
                    worker.order("take", 4 * MIB)
                    domain.end_worker(worker, kill=group == "/a")
                domain.done("rm", "/a/b")

        with exporter_of(umemcg, "--domain", domain.name) as exporter:
            threads = [threading.Thread(target=churn)]
            for thread in threads:
                thread.start()
            last, down = {}, []
            try:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    metrics = exporter.scrape()
                    for key, value in metrics.values.items():
                        labels = dict(key[1])
                        if (key[0].startswith("umemcg_")
                                and key[0].endswith("_total")
                                and labels["group"] in ("/", "/a")):
                            if value < last.get(key, 0):
                                down.append((key, last[key], value))
                            last[key] = value
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            check(not down, f"{down[:5]}")
            at = {"domain": domain.name, "group": "/a"}
            for name, key in (("umemcg_charged_bytes_total", "charged_bytes"),
                              ("umemcg_uncharged_bytes_total",
                               "uncharged_bytes")):
                figure = exporter.scrape().get(name, **at)
                check(figure == domain.stat("/a")[key] and figure > 0,
                      f"{name} stands still: {figure} {domain.stat('/a')}")


if __name__ == "__main__":
    main([a_file_that_is_cut_short_ends_one_look, counters_never_go_down])

#!/usr/bin/env python3
"""A Prometheus of Debian's scrapes the exporter, and is asked.

The queries are those of people: the usage of a group that a program has
charged, rates of counters, and what the dashboard asks.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import urllib.error
import urllib.parse
import urllib.request

import dashboard
from domain import domain_of
from exporter import exporter_of, need, until
from harness import MIB, check, clean_environment, main

# Before what docs/operations.md says of it.
CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
"""
# Takes 64 MiB, and keeps it until it is told to end.
TAKER = """
import sys
blocks = [bytearray(65536) for _ in range(1024)]
print("ok", flush=True)
sys.stdin.readline()
"""


def indented_block(source_dir, begins):
    """The indented lines of docs/operations.md from that one on."""
    path = os.path.join(source_dir, "docs/operations.md")
    with open(path, encoding="utf-8") as file:
        blocks = [block for block in file.read().split("\n\n")
                  if block.startswith(f"    {begins}")]
    check(len(blocks) == 1, f"{begins} is there {len(blocks)} times")
    return textwrap.dedent(blocks[0] + "\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Prometheus:
    def __init__(self, folder, source_dir, scraped):
        """Starts one; again, if its port is somebody else's by then."""
        config = os.path.join(folder, "prometheus.yml")
        jobs = indented_block(source_dir, "scrape_configs:")
        check("127.0.0.1:9753" in jobs, f"no target in {jobs}")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG + jobs.replace("127.0.0.1:9753", scraped))
        self.log = os.path.join(folder, "log")
        for attempt in range(5):
            self.url = f"http://127.0.0.1:{free_port()}"
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    [need("prometheus"), f"--config.file={config}",
                     f"--storage.tsdb.path={folder}/data{attempt}",
                     f"--web.listen-address={self.url[len('http://'):]}"],
                    stdout=log, stderr=log, env=clean_environment())
            if until(lambda: self.ready() or self.process.poll() is not None,
                     self.said) and self.process.poll() is None:
                return
        check(False, self.said())

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return f"prometheus is not ready:\n{log.read()[-3000:]}"

    def ready(self):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10):
                return True
        return False

    def ask(self, path, **parameters):
        """What its API answers; None while it does not."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}",
                                        timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            check(False, f"{path} {parameters}: {error.read().decode()}")

    def query(self, text):
        """The values that it finds, by their labels."""
        return {tuple(sorted(row["metric"].items())): float(row["value"][1])
                for row in self.ask("query", query=text)["result"]}

    def number(self, text):
        """The only value that it finds, or None."""
        values = list(self.query(text).values())
        check(len(values) <= 1, f"{text}: {values}")
        return values[0] if values else None

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def prometheus_of(umemcg, scraped):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        prometheus = Prometheus(folder, umemcg.source_dir, scraped)
        try:
            yield prometheus
        finally:
            prometheus.end()


def check_target(prometheus):
    """It is up, and nothing of what it said was dropped."""
    until(lambda: prometheus.number('up{job="umemcg"}') == 1 and
          prometheus.ask("targets")["activeTargets"][0]["lastError"] == "",
          lambda: f"{prometheus.ask('targets')}")
    with open(prometheus.log, encoding="utf-8") as log:
        warned = [line for line in log if re.search(
            "level=(warn|error)", line) and "scrape" in line]
    check(warned == [], "".join(warned))


def the_usage_of_a_group_is_found(umemcg):
    """64 MiB that a preloaded child takes under `umemcg run`."""
    need("prometheus")
    with domain_of(umemcg, "/web/a") as domain, \
            exporter_of(umemcg, "--domain", domain.name) as exporter, \
            prometheus_of(umemcg, exporter.address) as prometheus:
        domain.done("set", "/web", "memory.max", "128M")
        at = f'{{domain="{domain.name}",group="/web/a"}}'
        usage = f"umemcg_memory_usage_bytes{at}"
        until(lambda: prometheus.number(usage) == 0, "it does not begin at 0")
        child = subprocess.Popen(
            umemcg.run_command([sys.executable, "-c", TAKER],
                               ["--domain", domain.name, "--group", "/web/a"]),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment())
        try:
            check(child.stdout.readline() == "ok\n", "it did not start")
            # It rests now: the two have to agree in the end.
            until(lambda: prometheus.number(usage)
                  == domain.number("/web/a", "memory.current"),
                  lambda: f"{prometheus.number(usage)} is not "
                          f"{domain.number('/web/a', 'memory.current')}")
            found = prometheus.number(usage)
            check(64 * MIB <= found <= 96 * MIB, f"{found} bytes")
            left = prometheus.number(f"umemcg_memory_available_bytes{at}")
            check(128 * MIB - found <= left <= 64 * MIB, f"{left} are left")
            check(prometheus.number(f"umemcg_processes{at}") == 1,
                  "who has it is not counted")
            alert = indented_block(umemcg.source_dir,
                                   "umemcg_memory_available_bytes <").strip()
            check(not prometheus.query(alert), "an alert without a reason")
            domain.done("set", "/web", "memory.max", int(found) + 4 * MIB)
            until(lambda: prometheus.query(alert), "no alert")
        finally:
            child.communicate("\n", timeout=60)
        until(lambda: prometheus.number(usage) == 0, "it is not given back")
        check(prometheus.number(f"umemcg_uncharged_bytes_total{at}")
              >= 64 * MIB, "not counted as uncharged")
        check_target(prometheus)


def queries_of_the_dashboard_are_understood(umemcg):
    """Each finds something where there is something to be found."""
    need("prometheus")
    with domain_of(umemcg, "/a") as domain, \
            exporter_of(umemcg, "--domain", domain.name) as exporter, \
            prometheus_of(umemcg, exporter.address) as prometheus:
        domain.done("set", "/a", "memory.max", "64M")
        domain.worker("/a").order("take", 16 * MIB)
        # A rate needs two scrapes.
        until(lambda: (prometheus.number(
            f'count_over_time(umemcg_domain_up{{domain="{domain.name}"}}[1m])')
            or 0) >= 2, "not scraped twice")
        board = dashboard.Dashboard(umemcg.source_dir)
        for query in board.queries({"domain": domain.name, "group": "/a",
                                    "__rate_interval": "1m"}):
            check(prometheus.query(query), f"{query} finds nothing")
        for query in board.variable_queries():
            found = re.fullmatch(r"label_values\((.+), *(\w+)\)", query)
            check(found, f"not understood: {query}")
            match = found[1].replace("$domain", domain.name)
            check(prometheus.ask(f"label/{found[2]}/values",
                                 **{"match[]": match}),
                  f"{query} finds nothing")


if __name__ == "__main__":
    main([the_usage_of_a_group_is_found,
          queries_of_the_dashboard_are_understood])

#!/usr/bin/env python3
"""How `umemcg export` listens, writes its file, ends, and fails."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from domain import domain_of
from exporter import Exporter, Metrics, exporter_of, until
from harness import check, clean_environment, main, plain


def refused(umemcg, *options, status=1, words=()):
    """The command must fail, with one line that has these words."""
    outcome = plain([umemcg.program, "export", *options], timeout=60)
    check(outcome.status == status and outcome.stdout == b""
          and outcome.stderr.count(b"\n") == 1
          and outcome.stderr.startswith(b"umemcg: "), "not refused", outcome)
    for word in words:
        check(word in outcome.stderr.decode(), f"no {word!r} in it", outcome)


def addresses_that_cannot_be_had(umemcg):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = "127.0.0.1:%d" % other.getsockname()[1]
        refused(umemcg, "--listen", address,
                words=[address, "Address already in use", "--listen"])
    for address in ("nonsense", "127.0.0.1", "127.0.0.1:", ":9753",
                    "127.0.0.1:65536", "127.0.0.1:x", "[::1]:9753",
                    "127.0.0.1:9753s", "+9753", "127.0.0.1:0,127.0.0.2:0"):
        refused(umemcg, "--listen", address, words=[address, "--listen"])
    # A number that is kept for documents: nobody has it.
    refused(umemcg, "--listen", "192.0.2.1:9753",
            words=["192.0.2.1:9753", "Cannot assign requested address"])


def command_lines_that_are_wrong(umemcg):
    for options in (["--interval", "5"], ["--named"], ["--all", "--domain",
                    "x"], ["--once", "--listen", "127.0.0.1:0"],
                    ["--textfile", "x", "--interval", "0"],
                    ["--depth", "-1"], ["extra"]):
        refused(umemcg, *options, status=2, words=["umemcg export --help"])


def only_metrics_are_served(umemcg):
    with domain_of(umemcg, "/a") as domain:
        with exporter_of(umemcg, "--domain", domain.name) as exporter:
            check(exporter.scrape().get("umemcg_domain_up",
                                        domain=domain.name) == 1, "not up")
            check(exporter.content_type.startswith("text/plain"),
                  exporter.content_type)
            for path in ("/", "/etc/passwd", "/../../../etc/passwd"):
                try:
                    urllib.request.urlopen(
                        f"http://{exporter.address}{path}", timeout=60)
                    check(False, f"{path} is served")
                except urllib.error.HTTPError as error:
                    check(400 <= error.code < 500, f"{path}: {error.code}")


def signals_end_it(umemcg):
    for number in (signal.SIGTERM, signal.SIGINT):
        exporter = Exporter(umemcg, "--listen", "127.0.0.1:0",
                            "--domain", "test-export-none")
        check(exporter.end(number) == 0 and exporter.errors == "",
              f"{number}: {exporter.errors}")
        host, port = exporter.address.split(":")
        with socket.socket() as probe:
            check(probe.connect_ex((host, int(port))) != 0, "still there")


def scrapes_take_turns(umemcg):
    """Of several domains, while groups come and go."""
    with domain_of(umemcg, "/a") as one, domain_of(umemcg, "/b") as two:
        with exporter_of(umemcg, "--domain", one.name,
                         "--domain", two.name) as exporter:
            def look(_):
                metrics = exporter.scrape()
                return [metrics.get("umemcg_memory_usage_bytes",
                                    domain=domain.name, group=group)
                        for domain, group in ((one, "/a"), (two, "/b"))]

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                found = pool.map(look, range(40))
                for _ in range(5):
                    one.done("create", "/x/y")
                    one.done("rm", "/x/y")
                    one.done("rm", "/x")
                check(all(usage == [0, 0] for usage in found), "mixed up")


def a_silent_client_holds_nobody_up(umemcg):
    with domain_of(umemcg, "/a") as domain:
        with exporter_of(umemcg, "--domain", domain.name) as exporter:
            host, port = exporter.address.split(":")
            silent = [socket.create_connection((host, int(port)))
                      for _ in range(8)]
            try:
                exporter.scrape()
            finally:
                for connection in silent:
                    connection.close()


def a_file_is_whole_whenever_it_is_read(umemcg):
    with domain_of(umemcg, *(f"/g{i}" for i in range(40))) as domain, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "umemcg.prom")
        stop = threading.Event()

        def write():
            while not stop.is_set():
                outcome = plain([umemcg.program, "export", "--domain",
                                 domain.name, "--once", "--textfile", path])
                check(outcome.status == 0 and not outcome.stdout
                      and not outcome.stderr, "not written", outcome)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            writers = [pool.submit(write) for _ in range(2)]
            try:
                until(lambda: os.path.exists(path), "no file")
                seen, inodes = 0, set()
                while len(inodes) < 12:
                    with open(path, encoding="utf-8") as file:
                        inodes.add(os.fstat(file.fileno()).st_ino)
                        text = file.read()
                    check(text.endswith("\n") and
                          text.count("umemcg_memory_usage_bytes{") == 41 and
                          "\numemcg_build_info{" in text,
                          f"not whole:\n{text[-300:]}")
                    seen += 1
                    check(seen < 10**6, f"{len(inodes)} files")
            finally:
                stop.set()
            for writer in writers:
                writer.result()
        check(os.listdir(folder) == ["umemcg.prom"], "something is left")
        check(os.stat(path).st_mode & 0o777 == 0o644,
              "others have to read it")


def a_file_is_written_anew(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "umemcg.prom")

        def groups():
            with open(path, encoding="utf-8") as file:
                return Metrics(file.read()).labels("group")

        process = subprocess.Popen(
            [umemcg.program, "export", "--domain", domain.name,
             "--textfile", path, "--interval", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment())
        try:
            until(lambda: os.path.exists(path), "no file")
            check(groups() == {"/", "/a"}, f"{groups()}")
            domain.done("create", "/b")
            until(lambda: groups() == {"/", "/a", "/b"}, "not written anew")
        finally:
            process.terminate()
            output = process.communicate(timeout=60)
        check((process.returncode, *output) == (0, b"", b""),
              f"it ended with {process.returncode}: {output}")


def file_and_port_at_once(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "umemcg.prom")
        with exporter_of(umemcg, "--domain", domain.name,
                         "--textfile", path) as exporter:
            until(lambda: os.path.exists(path), "no file")
            exporter.scrape()


def files_that_cannot_be_written(umemcg):
    with tempfile.TemporaryDirectory() as folder:
        missing = os.path.join(folder, "none/umemcg.prom")
        for options in (["--once"], []):
            refused(umemcg, *options, "--domain", "test-export-none",
                    "--textfile", missing,
                    words=[missing, "No such file or directory"])
        refused(umemcg, "--once", "--domain", "test-export-none",
                "--textfile", folder, words=[folder, "Is a directory"])
        check(os.listdir(folder) == [], "something is left")
        check([name for name in os.listdir(os.path.dirname(folder))
               if name.startswith(f".{os.path.basename(folder)}.")] == [],
              "something is left beside it")


if __name__ == "__main__":
    main([addresses_that_cannot_be_had, command_lines_that_are_wrong,
          only_metrics_are_served, signals_end_it,
          scrapes_take_turns, a_silent_client_holds_nobody_up,
          a_file_is_whole_whenever_it_is_read, a_file_is_written_anew,
          file_and_port_at_once, files_that_cannot_be_written])

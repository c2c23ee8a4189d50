#!/usr/bin/env python3
"""The units of examples/systemd: each of their commands is run.

Words that are the machine's (paths, ports, the domain's name) are replaced by
the test's own; no systemd has to run. docs/operations.md shows the files.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from domain import domain_of
from exporter import Metrics, need, until
from harness import MIB, Skip, check, clean_environment, main, plain
from unit_file import Unit

INSTALLED = "/usr/local/bin/umemcg"
UNITS = ("shop.service", "umemcg-export.service", "shop-groups.service")
NOBODY = 10001  # a user that is nobody's


def rights_of(unit):
    """The command before a command, as far as the unit takes rights away."""
    words = [need("setpriv")]
    if unit.value("NoNewPrivileges") == "yes":
        words += ["--no-new-privs"]
    bounds = unit.value("CapabilityBoundingSet").lower().split()
    if bounds and os.geteuid() == 0:
        words += ["--bounding-set", ",".join(
            ["-all", *(bound.replace("cap_", "+") for bound in bounds)])]
    return words if len(words) > 1 else []


@contextlib.contextmanager
def service(unit, replaced, **settings):
    """The unit's ExecStart, after its ExecStartPre; ended as systemd would."""
    environment = clean_environment(**unit.environment(), **settings)
    before = rights_of(unit)
    for command in unit.commands("ExecStartPre", replaced):
        outcome = plain([*before, *command], env=environment)
        check(outcome.status == 0 and not outcome.stderr, "not prepared",
              outcome)
    command, = unit.commands("ExecStart", replaced)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([*before, *command], env=environment,
                                   stdout=output, stderr=output)
        process.printed = lambda: os.pread(output.fileno(), 1 << 20,
                                           0).decode()
        try:
            yield process
            stop = unit.commands("ExecStop", replaced)
            for command in stop:
                outcome = plain(command, env=environment)
                check(outcome.status == 0, "it cannot be stopped", outcome)
            if not stop:
                process.terminate()
            status = process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
        clean = {0, *map(int, unit.value("SuccessExitStatus").split())}
        check(status in clean, f"it ended with {status}, not one of {clean}: "
              f"{process.printed()}")


def the_server_is_limited(umemcg):
    """Twice, since services are started again."""
    unit = Unit(umemcg.source_dir, "shop.service")
    with domain_of(umemcg) as domain:
        replaced = {INSTALLED: umemcg.program, "shop": domain.name,
                    "/usr/bin/python3": sys.executable, "8080": "0"}
        for _ in range(2):
            with service(unit, replaced, PYTHONUNBUFFERED="1") as process:
                port = until(lambda: re.search(r" port (\d+)",
                                               process.printed()),
                             process.printed)[1]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/",
                                            timeout=60) as answer:
                    check(answer.status == 200, "it does not answer")
                check(domain.number("/web", "memory.max") == 512 * MIB
                      and domain.number("/web", "memory.high") == 448 * MIB,
                      "the limits are not set")
                check(domain.number("/web", "memory.current") >= 2 * MIB
                      and len(domain.json("get", "/web", "cgroup.procs")) == 1,
                      "the server is not in the group")
            check(domain.number("/web", "memory.current") == 0, "charged yet")


@contextlib.contextmanager
def another_users_worker(umemcg):
    """(The path of its domain, its group.)"""
    folder = f"/dev/shm/umemcg-{NOBODY}"
    if os.path.exists(folder):
        raise Skip(f"{folder} is there: somebody is user {NOBODY}")
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY),
              "--clear-groups"]
    outcome = plain([*become, umemcg.program, "create", "--domain", "other",
                     "/theirs"], cwd="/")
    try:
        if outcome.status == 126 or b"ermission" in outcome.stderr:
            raise Skip("another user may not run the programs of this build")
        check(outcome.status == 0, "no domain", outcome)
        process = subprocess.Popen(
            [*become, "/usr/bin/env", f"LD_PRELOAD={umemcg.library}",
             "UMEMCG_DOMAIN=other", "UMEMCG_GROUP=/theirs", "/bin/sleep",
             "1000"], env=clean_environment(), cwd="/")
        try:
            yield f"{folder}/other", "/theirs"
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def the_exporter_sees_every_user(umemcg):
    """As root with the capabilities of the unit alone."""
    if os.geteuid() != 0:
        raise Skip("only root may look at what is another user's")
    need("setpriv")
    unit = Unit(umemcg.source_dir, "umemcg-export.service")
    replaced = {INSTALLED: umemcg.program, "127.0.0.1:9753": "127.0.0.1:0"}
    with domain_of(umemcg, "/ours") as domain, \
            another_users_worker(umemcg) as (path, group), \
            service(unit, replaced) as process:
        domain.worker("/ours").order("take", 8 * MIB)
        url = until(lambda: re.search(r"http://\S+", process.printed()),
                    lambda: f"not listening: {process.printed()}")[0]

        def scrape():
            with urllib.request.urlopen(url, timeout=60) as answer:
                return Metrics(answer.read().decode())

        theirs = {"domain": path, "group": group}
        until(lambda: scrape().find("umemcg_processes", **theirs) == 1,
              "another user's process is not seen")
        metrics = scrape()
        for at in (theirs, {"domain": domain.name, "group": "/ours"}):
            check(metrics.get("umemcg_processes", **at) == 1
                  and metrics.get("umemcg_unreadable_processes", **at) == 0,
                  f"{at} cannot be looked at")
        outcome = plain([need("setpriv"), "--bounding-set",
                         "-all,+dac_override", umemcg.program, "export",
                         "--once", "--domain", path])
        check(Metrics(outcome.stdout.decode()).get(
            "umemcg_unreadable_processes", **theirs) == 1,
            "it needs less than the unit leaves it", outcome)


def the_groups_are_mounted(umemcg):
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("/dev/fuse may not be used here")
    need("fusermount3")
    unit = Unit(umemcg.source_dir, "shop-groups.service")
    with domain_of(umemcg, "/web") as domain, \
            tempfile.TemporaryDirectory() as folder:
        domain.done("set", "/web", "memory.max", "512M")
        replaced = {INSTALLED: umemcg.program, "shop": domain.name,
                    "/run/shop-groups": folder}
        file = f"{folder}/web/memory.max"
        with service(unit, replaced) as process:
            until(lambda: os.path.exists(file) or process.poll() is not None,
                  process.printed)
            check(process.poll() is None, process.printed())
            with open(file, encoding="utf-8") as content:
                check(content.read() == f"{512 * MIB}\n", "not its limit")
        check(os.listdir(folder) == [], "still mounted")


def systemd_has_no_objection(umemcg):
    analyze = need("systemd-analyze")
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in UNITS:
            # Those that are installed on this machine.
            text = Unit(umemcg.source_dir, name).text.replace(
                INSTALLED, umemcg.program)
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        broken = os.path.join(folder, "broken.service")
        with open(broken, "w", encoding="utf-8") as file:
            file.write("[Service]\nExecStart=umemcg\nNoSuchKey=yes\n")
        outcome = plain([analyze, "verify", "--man=no", broken])
        if b"NoSuchKey" not in outcome.stderr:
            raise Skip("systemd-analyze does not find what is wrong: "
                       f"{outcome.stderr.decode().strip()}")
        outcome = plain([analyze, "verify", "--man=no", *paths])
        # It looks at the machine's own units, too.
        ours = [line for line in outcome.stderr.decode().splitlines()
                if any(name in line for name in UNITS)]
        check(ours == [], "\n".join(ours))


def the_document_shows_them(umemcg):
    path = os.path.join(umemcg.source_dir, "docs/operations.md")
    with open(path, encoding="utf-8") as file:
        document = file.read()
    for name in UNITS:
        text = Unit(umemcg.source_dir, name).text
        shown = "".join(f"    {line}".rstrip() + "\n"
                        for line in text.splitlines())
        check(shown in document, f"not as it is: {name}")
        check(f"examples/systemd/{name}" in document, f"{name} is not named")
    found = set(os.listdir(os.path.join(umemcg.source_dir,
                                        "examples/systemd")))
    check(found == set(UNITS), f"{found} are there")


if __name__ == "__main__":
    main([the_server_is_limited, the_exporter_sees_every_user,
          the_groups_are_mounted, systemd_has_no_objection,
          the_document_shows_them])

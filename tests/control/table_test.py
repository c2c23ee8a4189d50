"""Every control file, v1 and v2, by each way in: the same table (table.py)."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import tempfile

from domain import domain_of
from drivers import Api, Cli, Kernel, Mounted
from harness import check, main, plain
from mounted import require_fuse
from table import (KERNEL_TAKES, KERNEL_V2, NOT_OF_THE_KERNEL, TAKEN, V1, V2,
                   By)

USED = 8 << 20  # bytes that the member takes


def error_name(outcome):
    known = isinstance(outcome, int)
    return errno.errorcode.get(outcome, "taken") if known else repr(outcome)


class Run:
    """The rows of a table by one driver."""

    def __init__(self, driver, member):
        self.driver = driver
        self.member = member
        self.failures = []

    def filled(self, text):
        for name, pid in (("{member}", self.member),
                          ("{stranger}", os.getpid()),
                          ("{writer}", self.driver.writer)):
            text = text.replace(name, str(pid))
        return text

    def expect_shown(self, row, group, wanted, when):
        """Nothing changed if a pattern was there first: it still matches."""
        error, content = self.driver.get(group, row.name)
        if isinstance(wanted, int):
            good = error == wanted
        elif isinstance(wanted, re.Pattern):
            good = error == 0 and re.fullmatch(
                self.filled(wanted.pattern), content)
        else:
            lines = self.filled(wanted)
            # Lists that are empty have no line at all.
            empty = wanted == "" and row.name in ("cgroup.procs", "tasks",
                                                  "cgroup.threads")
            good = error == 0 and content == ("" if empty else lines + "\n")
        if not good:
            self.failures.append(
                f"{row.name} of {group} {when}: {error_name(error)} "
                f"{content!r}, not {error_name(wanted)}")

    def write(self, row, group, value, outcome):
        """What is shown from then on, or None: what was."""
        if isinstance(outcome, By):
            outcome = outcome.of(self.driver.name)
        error = self.driver.set(group, row.name, self.filled(value))
        wanted = outcome if isinstance(outcome, int) else 0
        if error != wanted:
            self.failures.append(
                f"{row.name} of {group}, {value!r} written: "
                f"{error_name(error)}, not {error_name(wanted)}")
        changes = outcome is not TAKEN and not isinstance(outcome, int)
        return outcome if changes else None

    def row(self, row, group):
        for where, file, value in row.setup:
            error = self.driver.set(where or group, file, value)
            check(error == 0, f"{file} of {where or group}: {error}")
        shown = row.first
        self.expect_shown(row, group, shown, "at first")
        for value, outcome in row.writes:
            after = self.write(row, group, value, outcome)
            shown = shown if after is None else after
            self.expect_shown(row, group, shown, f"after {value!r}")
        if row.name in ("cgroup.procs", "tasks"):
            self.driver.set("/home", "cgroup.procs", str(self.member))


def groups_of(rows):
    """A group for each row, with what is to be below it."""
    return [row.group or f"/rows/{i}" for i, row in enumerate(rows)]


def run_rows(umemcg, rows, make_driver):
    with domain_of(umemcg) as domain, contextlib.ExitStack() as stack:
        groups = groups_of(rows)
        domain.done("create", "--groups", 500, "/home", *groups,
                    *(group + path for row, group in zip(rows, groups)
                      for path in row.below))
        member = domain.worker("/home")
        member.order("take", USED)
        driver = make_driver(domain)
        stack.callback(driver.end)
        run = Run(driver, member.pid)
        for row, group in zip(rows, groups):
            if driver.name in row.drivers:
                run.row(row, group)
        check(not run.failures, "\n".join(
            [f"{len(run.failures)} are another:", *run.failures]))


def run_mounted(umemcg, rows, v1):
    require_fuse()
    with tempfile.TemporaryDirectory(prefix="umemcg-mount-") as folder:
        run_rows(umemcg, rows, lambda domain: Mounted(domain, v1, folder))


def v2_by_the_command_line(umemcg):
    run_rows(umemcg, V2, lambda domain: Cli(domain, False))


def v1_by_the_command_line(umemcg):
    run_rows(umemcg, V1, lambda domain: Cli(domain, True))


def v2_by_the_functions(umemcg):
    run_rows(umemcg, V2, lambda domain: Api(domain, False))


def v1_by_the_functions(umemcg):
    run_rows(umemcg, V1, lambda domain: Api(domain, True))


def v2_in_a_mounted_tree(umemcg):
    run_mounted(umemcg, V2, False)


def v1_in_a_mounted_tree(umemcg):
    run_mounted(umemcg, V1, True)


def run_kernel(rows, roots):
    kernel = Kernel(roots)
    with contextlib.ExitStack() as stack:
        stack.callback(kernel.end)
        run = Run(kernel, None)
        for row in rows:
            run.row(dataclasses.replace(row, writes=[
                write for write in row.writes
                if write[0] not in KERNEL_TAKES]), kernel.make())
        check(not run.failures, "\n".join(run.failures))


def v1_as_the_kernel(_):
    """Where its own memory cgroup is there to be written, they say the same."""
    run_kernel([row for row in V1 if row.group is None
                and row.name not in NOT_OF_THE_KERNEL],
               ["/sys/fs/cgroup/memory"])


def v2_as_the_kernel(_):
    run_kernel([row for row in V2 if row.group is None
                and row.name in KERNEL_V2],
               ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])


def names_of(umemcg, *options):
    """What `umemcg files` lists."""
    ended = plain([umemcg.program, "files", "--json", *options])
    check(ended.status == 0, "not listed", ended)
    return {file["name"] for file in json.loads(ended.stdout)["files"]}


def the_table_has_them_all(umemcg):
    for options, rows in (([], V2), (["--v1"], V1)):
        names = names_of(umemcg, *options)
        check(names == {row.name for row in rows},
              f"{names ^ {row.name for row in rows}}")


def a_mounted_tree_has_them_all(umemcg):
    require_fuse()
    for options in ([], ["--v1"]):
        with domain_of(umemcg, "/a") as domain, tempfile.TemporaryDirectory(
                prefix="umemcg-mount-") as folder:
            driver = Mounted(domain, bool(options), folder)
            try:
                names = names_of(umemcg, *options)
                check(driver.names("/") == names,
                      f"{driver.names('/') ^ names}")
                # What is to be run is said for the whole tree.
                check(driver.names("/a") == names - {"release_agent"},
                      f"{driver.names('/a') ^ names}")
            finally:
                driver.end()


if __name__ == "__main__":
    main([v2_by_the_command_line, v1_by_the_command_line, v2_by_the_functions,
          v1_by_the_functions, v2_in_a_mounted_tree, v1_in_a_mounted_tree,
          v1_as_the_kernel, v2_as_the_kernel, the_table_has_them_all,
          a_mounted_tree_has_them_all])

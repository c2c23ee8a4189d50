"""Every control file, and every value that it takes or refuses.

A row is a file in a group of its own: what it says at first, and then writes,
one after the other. Each write is (value, outcome): the text that is shown
after it (the value was taken), or an error number (it was not, and what is
shown has not changed). An outcome that differs by the way in is a `by`, with
the reason.

In values, {member} is a process of the domain, {stranger} one that is not
under umemcg.
"""

import dataclasses
import re
from errno import (EAGAIN, EBADF, EBUSY, EINVAL, ENOENT, EOPNOTSUPP, ERANGE,
                   ESRCH)

TAKEN = object()  # and what is shown is as it was
UNLIMITED = "9223372036854771712"


@dataclasses.dataclass
class By:
    """One outcome a driver."""

    reason: str
    outcomes: dict

    def of(self, driver):
        return self.outcomes[driver]


def by(reason, *, cli, api, mount):
    return By(reason, {"cli": cli, "api": api, "mount": mount,
                       "kernel": mount})


def open_file(mount):
    """What lasts as long as an open file, which only the mount has."""
    return by("it needs an open file", cli=EOPNOTSUPP, api=EOPNOTSUPP,
              mount=mount)


@dataclasses.dataclass
class Row:
    """`first`: what is read at first, exactly or (a re.Pattern) matching; an
    error number if it cannot be read."""

    name: str
    first: object
    writes: list
    group: str = None  # where, if not in a new group
    below: tuple = ()  # groups that there are below it
    setup: list = dataclasses.field(default_factory=list)
    drivers: tuple = ("cli", "api", "mount")
    why: str = ""  # why not all of them


EMPTY = by("write(2) of nothing reaches no file system", cli=EINVAL,
           api=EINVAL, mount=TAKEN)

# Values by which no size is meant. The kernel takes some of them: it reads an
# empty number as 0, and lets large ones wrap around.
KERNEL_TAKES = ("\n", "M", "99999999999999999999", "16E")
NO_SIZES = [(value, EINVAL) for value in (
    "x", "max1", "1.5M", "-2", "1M 2", "+1M", "0x", "08", "1MB", "1 M",
    *KERNEL_TAKES)]
BLANKS = [(value, "1048576") for value in
          ("1M", " 1M", "1M\n", "\t1M \n", "1m", "0x100000", "04000000",
           "1024K", "1048577", "1052671")]
SIZES = [("5000", "4096"), ("4095", "0"), ("64M", "67108864"),
         ("2g", "2147483648"), ("1T", "1099511627776"),
         ("1P", "1125899906842624"), ("1E", "1152921504606846976"),
         ("9223372036854767616", "9223372036854767616")]


def limit(name, first):
    return Row(name, first, [
        *SIZES, *BLANKS, *NO_SIZES, ("-1", EINVAL), ("", EMPTY),
        ("1" * 300, EINVAL), ("max", "max"), ("max\n", "max"),
        (UNLIMITED, "max"), ("8E", "max"), ("0", "0"), ("max", "max")])


def limit_v1(name, *, refused=()):
    return Row(name, UNLIMITED, [
        *SIZES, *BLANKS, *NO_SIZES, ("max", EINVAL), ("", EMPTY),
        ("-1", UNLIMITED), (" -1\n", UNLIMITED), ("8E", UNLIMITED),
        *refused, ("0", "0"), ("-1", UNLIMITED)])


def read_only(name, pattern, **where):
    return Row(name, re.compile(pattern), [
        ("0", EINVAL), ("x", EINVAL), ("", EMPTY)], **where)


def begins_anew(name):
    return Row(name, "0", [(value, "0") for value in
                           ("0", "x", "reset", "-1", "\n", "a b")]
               + [("", EMPTY)])


def switch(name, first="0", wrong=ERANGE, **where):
    """kstrtoint, then 0 or 1; `wrong`: any other number."""
    return Row(name, first, [
        ("1", "1"), ("0", "0"), ("0x1", "1"), ("+0", "0"), ("1\n", "1"),
        (" 0 ", "0"), ("2", wrong), ("-1", wrong),
        ("99999999999999999999", wrong), ("x", EINVAL), ("1 1", EINVAL),
        ("1K", EINVAL), ("", EMPTY), ("\n", EINVAL), (first, first)], **where)


# kstrtoull, then a check of the number.
NO_NUMBERS = [("x", EINVAL), ("-1", EINVAL), ("1K", EINVAL), ("", EMPTY),
              ("\n", EINVAL), ("99999999999999999999999", ERANGE)]

COUNT = [("3", "3"), ("0", "0"), ("0x10", "16"), ("010", "8"), ("+3", "3"),
         ("2147483647", "max"), ("2147483646", "2147483646"),
         ("2147483648", ERANGE),
         ("-1", ERANGE), ("99999999999999999999", ERANGE), ("x", EINVAL),
         ("1K", EINVAL), ("3 4", EINVAL), ("08", EINVAL), ("\n", EINVAL),
         ("", EMPTY), ("max\n", "max"), ("7", "7"), ("max", "max")]

TRIGGERS = [(value, open_file(TAKEN)) for value in (
    "some 150000 2000000", "full 1 500000\n", "some  150000   2000000 ",
    "some 150000 10000000")]
NO_TRIGGERS = [(value, EINVAL) for value in (
    "x", "some", "some x", "SOME 150000 2000000", "some 1 2",
    "some 0 2000000", "some 2500000 2000000", "some 1 499999",
    "some 150000 20000000", "some 0x100 2000000", "some -5 2000000")]

NOBODY = [("4194305", ESRCH), ("{stranger}", ESRCH), ("999999999", ESRCH),
          ("x", EINVAL), ("-1", EINVAL), ("0x", EINVAL), ("1 2", EINVAL),
          ("99999999999", EINVAL), ("", EMPTY), ("\n", EINVAL)]
WRITER = by("the API's writer is in the domain, the others' is not",
            cli=ESRCH, api="{writer}", mount=ESRCH)

EVENTS = (r"low \d+\nhigh \d+\nmax \d+\noom \d+\noom_kill \d+\n"
          r"oom_group_kill \d+\nsock_throttled \d+\n")
NODES = r"(anon|[a-z_]+) N0=\d+\n(\w+ N0=\d+\n)+"
PRESSURE = (r"some avg10=\d+\.\d\d avg60=\d+\.\d\d avg300=\d+\.\d\d total=\d+\n"
            r"full avg10=\d+\.\d\d avg60=\d+\.\d\d avg300=\d+\.\d\d "
            r"total=\d+\n")

V2 = [
    read_only("memory.current", r"0\n"),
    begins_anew("memory.peak"),
    limit("memory.min", "0"),
    limit("memory.low", "0"),
    limit("memory.high", "max"),
    limit("memory.max", "max"),
    # It is set though usage is above it, and stays above.
    Row("memory.max", "max", [("1M", "1048576"), ("max", "max")],
        group="/home"),
    Row("memory.max", "max", [("1M", EINVAL), ("max", EINVAL)], group="/"),
    Row("memory.reclaim", EINVAL, [
        ("0", TAKEN), ("0 swappiness=60", TAKEN), ("0 swappiness=max", TAKEN),
        ("0 swappiness=200\n", TAKEN), ("1M", EAGAIN), ("4095", TAKEN),
        ("0 swappiness=201", EINVAL), ("0 swappiness=-1", EINVAL),
        ("0 swappiness", EINVAL), ("0 0", EINVAL), ("x", EINVAL),
        ("max", EINVAL), ("-1", EINVAL), ("", EMPTY)]),
    read_only("memory.reclaim.stat",
              r"(\w+ scanned=\d+ reclaimed=\d+ usec=\d+\n){7}"),
    read_only("memory.swap.current", r"0\n"),
    limit("memory.swap.high", "max"),
    limit("memory.swap.max", "max"),
    begins_anew("memory.swap.peak"),
    read_only("memory.swap.events", r"high 0\nmax 0\nfail 0\n"),
    switch("memory.oom.group", wrong=EINVAL),
    Row("memory.oom.policy", "fail", [
        ("kill", "kill"), ("callback", "callback"), ("wait", "wait 10000"),
        ("wait 5\n", "wait 5"), ("wait 86400000", "wait 86400000"),
        ("wait 0", EINVAL), ("wait 86400001", EINVAL), ("kill 1", EINVAL),
        ("none", EINVAL), ("", EMPTY), ("fail", "fail")]),
    read_only("memory.events", EVENTS),
    read_only("memory.events.local", EVENTS),
    read_only("memory.stat", r"anon 0\nfile 0\nkernel 0\n(\w+ \d+\n)+"),
    read_only("memory.numa_stat", NODES),
    Row("memory.pressure", re.compile(PRESSURE), TRIGGERS + NO_TRIGGERS),
    Row("cgroup.procs", "", [
        ("{member}", "{member}"), ("{member}\n", "{member}"), *NOBODY]),
    Row("cgroup.procs", "", [("0", WRITER)]),
    # A thread is not moved from group to group, as it is not in the kernel.
    Row("cgroup.threads", "", [("{member}", EOPNOTSUPP), *NOBODY]),
    Row("cgroup.threads", re.compile(r"(\d+\n)+"), [("{member}", TAKEN)],
        group="/home"),
    read_only("cgroup.controllers", r"memory\n"),
    Row("cgroup.subtree_control", "memory", [
        ("-memory", ""), ("+memory", "memory"), ("-memory +memory", "memory"),
        (" +memory  -memory\n", ""), ("+memory\n", "memory"),
        ("memory", EINVAL), ("+cpu", EINVAL), ("+memory +cpu", EINVAL),
        ("+", EINVAL), ("+memory,-memory", EINVAL), ("\n", TAKEN),
        ("", EMPTY)]),
    Row("cgroup.subtree_control", "memory", [("-memory", EBUSY)],
        below=("/a/b",)),
    Row("cgroup.subtree_control", "", [("+memory", ENOENT), ("-memory", TAKEN)],
        group="/without/here", below=(),
        setup=[("/without/here", "cgroup.subtree_control", "-memory"),
               ("/without", "cgroup.subtree_control", "-memory")]),
    read_only("cgroup.events", r"populated 0\nfrozen 0\n"),
    Row("cgroup.type", "domain", [
        ("threaded", EOPNOTSUPP), ("domain", EINVAL), ("x", EINVAL),
        ("", EMPTY)]),
    read_only("cgroup.stat", r"nr_descendants 2\nnr_subsys_memory 3\n"
              r"nr_dying_descendants 0\nnr_dying_subsys_memory 0\n",
              below=("/a", "/b")),
    switch("cgroup.pressure", first="1"),
    Row("cgroup.max.depth", "max", COUNT),
    Row("cgroup.max.descendants", "max", COUNT),
    switch("cgroup.freeze"),
    Row("cgroup.freeze", "0", [("1", EINVAL)], group="/"),
    Row("cgroup.kill", EINVAL, [
        ("1", TAKEN), ("1\n", TAKEN), ("0x1", TAKEN), ("0", ERANGE),
        ("2", ERANGE), ("-1", ERANGE), ("99999999999", ERANGE),
        ("x", EINVAL), ("1 2", EINVAL), ("", EMPTY)]),
    Row("cgroup.kill", EINVAL, [("1", EINVAL)], group="/"),
]

NODES_V1 = "".join(rf"{prefix}{key}=\d+ N0=\d+\n"
                   for prefix in ("", "hierarchical_")
                   for key in ("total", "file", "anon", "unevictable"))
NOT_BY_NAME = {"drivers": ("cli", "mount"),
               "why": "umemcg_get reads v2's where both have the name"}

V1 = [
    read_only("memory.usage_in_bytes", r"0\n"),
    begins_anew("memory.max_usage_in_bytes"),
    limit_v1("memory.limit_in_bytes"),
    # Usage is above it: the old one is kept.
    Row("memory.limit_in_bytes", UNLIMITED,
        [("1M", EBUSY), ("64M", "67108864"), ("-1", UNLIMITED)],
        group="/home"),
    Row("memory.limit_in_bytes", UNLIMITED, [("1M", EINVAL), ("-1", EINVAL)],
        group="/"),
    Row("memory.limit_in_bytes", "1048576",
        [("2M", EINVAL), ("-1", EINVAL), ("1M", "1048576"), ("0", "0")],
        setup=[(None, "memory.limit_in_bytes", "1M"),
               (None, "memory.memsw.limit_in_bytes", "1M")]),
    begins_anew("memory.failcnt"),
    read_only("memory.memsw.usage_in_bytes", r"0\n"),
    begins_anew("memory.memsw.max_usage_in_bytes"),
    # Nothing below the other limit, which is none.
    Row("memory.memsw.limit_in_bytes", UNLIMITED, [
        ("5000", EINVAL), ("0", EINVAL), ("-1", UNLIMITED), *NO_SIZES,
        ("max", EINVAL), ("", EMPTY)]),
    Row("memory.memsw.limit_in_bytes", UNLIMITED, [
        ("32K", EINVAL), ("64K", "65536"), *BLANKS, ("65535", EINVAL),
        ("65536", "65536"), (" -1\n", UNLIMITED)],
        setup=[(None, "memory.limit_in_bytes", "64K")]),
    begins_anew("memory.memsw.failcnt"),
    limit_v1("memory.soft_limit_in_bytes"),
    Row("memory.soft_limit_in_bytes", UNLIMITED, [("-1", UNLIMITED)],
        group="/"),
    read_only("memory.kmem.usage_in_bytes", r"0\n"),
    begins_anew("memory.kmem.max_usage_in_bytes"),
    limit_v1("memory.kmem.limit_in_bytes"),
    begins_anew("memory.kmem.failcnt"),
    read_only("memory.kmem.tcp.usage_in_bytes", r"0\n"),
    begins_anew("memory.kmem.tcp.max_usage_in_bytes"),
    limit_v1("memory.kmem.tcp.limit_in_bytes"),
    begins_anew("memory.kmem.tcp.failcnt"),
    Row("memory.force_empty", EINVAL, [
        ("0", TAKEN), ("1", TAKEN), ("x", TAKEN), ("", EMPTY)]),
    Row("memory.force_empty", EINVAL, [("0", EINVAL)], group="/"),
    read_only("memory.stat",
              r"cache 0\nrss 0\n(\w+ \d+\n){18}"
              rf"hierarchical_memory_limit {UNLIMITED}\n"
              rf"hierarchical_memsw_limit {UNLIMITED}\n(total_\w+ \d+\n){{20}}",
              **NOT_BY_NAME),
    read_only("memory.numa_stat", NODES_V1, **NOT_BY_NAME),
    Row("memory.swappiness", "60", [
        ("0", "0"), ("200", "200"), ("201", EINVAL), ("0x10", "16"),
        ("+5", "5"), ("010", "8"), ("18446744073709551615", EINVAL),
        *NO_NUMBERS, ("60\n", "60")]),
    Row("memory.oom_control", re.compile(
        r"oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"), [
        ("1", "oom_kill_disable 1\nunder_oom 0\noom_kill 0"),
        ("0", "oom_kill_disable 0\nunder_oom 0\noom_kill 0"),
        ("0x1", "oom_kill_disable 1\nunder_oom 0\noom_kill 0"),
        ("2", EINVAL), *NO_NUMBERS,
        ("0\n", "oom_kill_disable 0\nunder_oom 0\noom_kill 0")]),
    Row("memory.oom_control", re.compile(r"oom_kill_disable 0\n(.|\n)*"),
        [("0", EINVAL), ("1", EINVAL)], group="/"),
    Row("memory.pressure_level", EINVAL, [("low", EINVAL), ("", EMPTY)]),
    Row("memory.move_charge_at_immigrate", "0", [
        ("0", "0"), ("1", EINVAL), ("3", EINVAL), *NO_NUMBERS]),
    Row("memory.use_hierarchy", "1", [
        ("1", "1"), ("0", EINVAL), ("2", EINVAL), *NO_NUMBERS]),
    Row("cgroup.event_control", EINVAL, [
        ("x y", open_file(EINVAL)), ("1", open_file(EINVAL)),
        ("999 998 5", open_file(EBADF)), ("", EMPTY)]),
    Row("tasks", "", [
        ("{member}", re.compile(r"(\d+\n)*{member}\n(\d+\n)*")), *NOBODY]),
    Row("cgroup.procs", "", [("{member}", "{member}"), *NOBODY]),
    Row("notify_on_release", "0", [
        ("1", "1"), ("2", "1"), ("0", "0"), ("0x5", "1"), *NO_NUMBERS,
        ("0", "0")]),
    Row("release_agent", "", [
        ("/bin/true", "/bin/true"), (" /bin/echo \n", "/bin/echo"),
        ("x" * 300, EINVAL), ("", EMPTY), ("\n", "")], group="/"),
]

# Which the kernel's own are not compared with: some move processes, or are of
# the whole machine; a limit of kernel memory is no longer kept there.
NOT_OF_THE_KERNEL = ("tasks", "cgroup.procs", "release_agent",
                     "memory.kmem.limit_in_bytes")
# And of v2 those that there are without a memory controller.
KERNEL_V2 = ("cgroup.events", "cgroup.freeze", "cgroup.kill",
             "cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure")

"""Each command as it is meant to be used, in a domain without processes."""

import json
import os
import stat
import subprocess

from harness import MIB, Skip, check, clean_environment, main, plain

from domain import DOMAIN_DIR, check_aligned, domain_of


def create_makes_groups_and_the_domain(umemcg):
    with domain_of(umemcg) as domain:
        check(domain.done("create", "/a/b/c", "d", "/a") == "", "it prints")
        check(domain.done("ls") == "/\n/a\n/a/b\n/a/b/c\n/d\n", "other groups")
        mode = os.stat(domain.path).st_mode
        check(stat.S_IMODE(mode) == 0o600, f"the file's mode is {mode:o}")
        mode = os.stat(DOMAIN_DIR).st_mode
        check(stat.S_IMODE(mode) == 0o700, f"the folder's mode is {mode:o}")


def create_without_a_group_makes_the_domain(umemcg):
    with domain_of(umemcg, "/") as domain:
        check(domain.done("ls") == "/\n", "other groups")


def create_takes_a_size(umemcg):
    with domain_of(umemcg) as domain:
        domain.done("create", "--groups", 3, "/a", "/b", "/c")
        domain.refused("create", "/d",
                       words=["/d", "No space left", "3 groups", "--groups"])
        domain.done("rm", "/b")
        domain.done("create", "/d")
        # Later it changes nothing, which is an error if it should; what else
        # was asked is done.
        domain.done("rm", "/d")
        domain.done("create", "--groups", 3, "/a")
        domain.refused("create", "--groups", 9, "/e",
                       words=[domain.name, "3 groups", "--groups"])
        check(domain.done("ls") == "/\n/a\n/c\n/e\n", "/e was not made")


def ten_thousand_groups(umemcg):
    with domain_of(umemcg) as domain:
        paths = [f"/t{i // 100}/g{i % 100}" for i in range(9900)]
        domain.done("create", "--groups", 10000, *paths)
        groups = domain.json("ls")["groups"]
        check(len(groups) == 1 + 9900 + 99, f"{len(groups)} groups")
        check(len({group["id"] for group in groups}) == len(groups),
              "an id twice")
        lines = check_aligned(domain.done("tree"))
        check(len(lines) == 1 + len(groups), f"{len(lines)} lines")


def ls_lists_a_subtree(umemcg):
    with domain_of(umemcg, "/b", "/a/z", "/a/c/d", "/ab") as domain:
        check(domain.done("ls") == "/\n/a\n/a/c\n/a/c/d\n/a/z\n/ab\n/b\n",
              "not in order")
        check(domain.done("ls", "/a/c") == "/a/c\n/a/c/d\n", "not a subtree")
        listed = domain.json("ls", "/a/c")
        check(listed["domain"] == domain.path, f"{listed}")
        check([g["path"] for g in listed["groups"]] == ["/a/c", "/a/c/d"],
              f"{listed}")


ROUND_TRIPS = {
    "memory.min": [("1M", "1048576"), ("0", "0"), ("max", "max")],
    "memory.low": [("4095", "0"), ("4096", "4096"), ("max", "max")],
    "memory.high": [("0x10000", "65536"), ("max", "max")],
    "memory.max": [("512M", "536870912"), ("1g", "1073741824"), (" 5000 ",
                   "4096"), ("max", "max")],
    "memory.kmem.limit_in_bytes": [("1M", "1048576"),
                                   ("-1", "9223372036854771712")],
    "memory.kmem.tcp.limit_in_bytes": [("8191", "4096"),
                                       ("-1", "9223372036854771712")],
    "memory.soft_limit_in_bytes": [("8191", "4096"),
                                   ("-1", "9223372036854771712")],
    "memory.swap.high": [("1M", "1048576"), ("max", "max")],
    "memory.swap.max": [("0", "0"), ("max", "max")],
    "cgroup.max.depth": [("3", "3"), ("max", "max")],
    "cgroup.max.descendants": [("7", "7"), ("max", "max")],
    "cgroup.subtree_control": [("-memory", ""), ("+memory", "memory")],
}


def what_is_set_is_got(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        for file, values in ROUND_TRIPS.items():
            for value, shown in values:
                check(domain.done("set", "/a/b", file, value) == "",
                      "set prints")
                check(domain.get("/a/b", file) == shown + "\n",
                      f"{file}: {value} is not read as {shown}")
        check(domain.get("/a", "memory.max") == "max\n", "set elsewhere")


def get_prints_the_bare_value(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for file, content in (
                ("memory.current", "0\n"), ("memory.peak", "0\n"),
                ("memory.max", "max\n"), ("cgroup.type", "domain\n"),
                ("memory.swap.current", "0\n"), ("memory.swap.peak", "0\n"),
                ("memory.swap.events", "high 0\nmax 0\nfail 0\n"),
                ("cgroup.controllers", "memory\n"), ("cgroup.procs", ""),
                ("cgroup.threads", ""), ("memory.kmem.failcnt", "0\n"),
                ("cgroup.events", "populated 0\nfrozen 0\n"),
                ("cgroup.stat",
                 "nr_descendants 0\nnr_subsys_memory 1\n"
                 "nr_dying_descendants 0\nnr_dying_subsys_memory 0\n")):
            check(domain.get("/a", file) == content, f"{file} is another")
        check(domain.get("/", "memory.current") == "0\n", "not of the root")


def reclaim_says_what_came_of_it(umemcg):
    with domain_of(umemcg, "/a") as domain:
        check(domain.done("reclaim", "/a", "0") ==
              "reclaimed 0 bytes, 0 bytes left\n", "another line")
        check(domain.json("reclaim", "/a", "0") ==
              {"domain": domain.path, "group": "/a", "reclaimed": 0,
               "current": 0}, "another document")
        # Nobody is there to give anything.
        domain.refused("reclaim", "/a", "1M",
                       words=["1M", "/a", "temporarily unavailable"])
        domain.refused("reclaim", "/a", "much", words=["much", "suffix"])
        domain.refused("reclaim", "/b", "1M", words=["/b"])
        domain.refused("set", "/a", "memory.reclaim", "1M swap=1",
                       words=["swappiness", "Invalid argument"])
        domain.refused("get", "/a", "memory.reclaim", words=["only written"])
        domain.done("set", "/a", "memory.reclaim", "0 swappiness=200")


def get_as_json(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        for file, wanted in (
                ("memory.max", 64 << 20), ("memory.high", "max"),
                ("cgroup.procs", []), ("cgroup.controllers", ["memory"]),
                ("cgroup.type", "domain"),
                ("cgroup.events", {"populated": 0, "frozen": 0})):
            got = domain.json("get", "/a", file)
            check(got == wanted, f"{file}: {got!r} is not {wanted!r}")
        # An empty list of words is one too.
        domain.done("set", "/a", "cgroup.subtree_control", "-memory")
        check(domain.json("get", "/a", "cgroup.subtree_control") == [],
              "not an empty list")


def pressure_is_told_and_switched(umemcg):
    nothing = {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}
    with domain_of(umemcg, "/a") as domain:
        line = "avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
        check(domain.get("/a", "memory.pressure") ==
              f"some {line}full {line}", "not two lines of nothing")
        got = domain.json("get", "/a", "memory.pressure")
        check(got == {"some": nothing, "full": nothing}, f"{got!r}")
        check(domain.get("/a", "cgroup.pressure") == "1\n", "not switched on")
        domain.done("set", "/a", "cgroup.pressure", "0")
        domain.refused("get", "/a", "memory.pressure",
                       words=["write 1 to its cgroup.pressure"])
        # Without the controller, too.
        domain.done("set", "/a", "cgroup.pressure", "1")
        domain.done("set", "/", "cgroup.subtree_control", "-memory")
        check(domain.get("/a", "memory.pressure").startswith("some "), "gone")


def writes_that_reset(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for file in ("memory.peak", "memory.kmem.max_usage_in_bytes",
                     "memory.kmem.failcnt", "memory.kmem.tcp.failcnt",
                     "memory.kmem.tcp.max_usage_in_bytes"):
            domain.done("set", "/a", file, "0")
            check(domain.get("/a", file) == "0\n", f"{file} is not 0")


def controllers_are_handed_on(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.refused("set", "/", "cgroup.subtree_control", "-memory",
                       words=["busy", "child"])
        domain.done("set", "/a", "cgroup.subtree_control", "-memory")
        domain.refused("get", "/a/b", "memory.max",
                       words=["No such file", "memory controller",
                              "cgroup.subtree_control"])
        check(domain.get("/a/b", "cgroup.controllers") == "\n",
              "it still has the controller")
        domain.done("set", "/a", "cgroup.subtree_control", "+memory -memory "
                    "+memory")
        check(domain.get("/a/b", "memory.max") == "max\n", "not handed on")


def depth_and_descendants_are_bounded(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.done("set", "/a", "cgroup.max.depth", "1")
        domain.refused("create", "/a/b/c",
                       words=["/a/b/c", "cgroup.max.depth"])
        domain.done("set", "/a", "cgroup.max.depth", "max")
        domain.done("set", "/", "cgroup.max.descendants", "2")
        domain.refused("create", "/c", words=["cgroup.max.descendants"])
        domain.done("set", "/", "cgroup.max.descendants", "3")
        domain.done("create", "/c")


def rm_removes_groups(umemcg):
    with domain_of(umemcg, "/a/b", "/c") as domain:
        check(domain.done("rm", "/a/b", "/a") == "", "it prints")
        check(domain.done("ls") == "/\n/c\n", "not removed")
        domain.done("create", "/a")
        check(domain.get("/a", "memory.max") == "max\n", "not a new group")


def rm_all_removes_the_domain(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.done("rm", "--all")
        check(not os.path.exists(domain.path), "the file is there")
        domain.refused("ls", words=[domain.name, "create"])


def rm_all_takes_domains_of_other_versions(umemcg):
    """Nobody can join one, so nothing else could remove it."""
    with domain_of(umemcg, "/a") as domain:
        with open(domain.path, "r+b") as file:
            file.seek(8)  # the version
            file.write(b"\xff\0\0\0")
        domain.refused("ls", words=[domain.name, "newer"])
        domain.done("rm", "--all")
        check(not os.path.exists(domain.path), "the file is there")


def what_was_done_as_json(umemcg):
    with domain_of(umemcg) as domain:
        def said(*command):
            document = domain.json(*command)
            check(document.pop("domain") == domain.path, "another domain")
            return document

        for command, wanted in (
                (["create", "/a/b/c", "a//d/", "/a"],
                 {"created": ["/a", "/a/b", "/a/b/c", "/a/d"]}),
                (["create", "/a/b"], {"created": []}),
                (["set", "/a//d", "memory.max", "512M"],
                 {"set": {"group": "/a/d", "file": "memory.max",
                          "value": 512 << 20}}),
                (["rm", "/a/b/c/", "/a/b"],
                 {"removed": ["/a/b/c", "/a/b"]})):
            got = said(*command)
            check(got == wanted, f"{command}: {got}")
        # Beside what could not be done.
        outcome = domain.command("rm", "--json", "/a", "/nobody", "/a/d")
        check(outcome.status == 1 and len(outcome.complaints()) == 2
              and json.loads(outcome.stdout)["removed"] == ["/a/d"],
              "not what was removed", outcome)
        outcome = domain.command("create", "--json", "/e", "/..")
        check(outcome.status == 1
              and json.loads(outcome.stdout)["created"] == ["/e"],
              "not what was made", outcome)
        check(said("rm", "--all") == {"removed": ["/"]}, "another")


def output_that_is_lost_is_an_error(umemcg):
    with domain_of(umemcg, "/a") as domain, open("/dev/full", "wb") as full:
        for command in (["ls"], ["get", "/a", "memory.max"], ["tree", "--json"],
                        ["create", "--json", "/b"]):
            ended = subprocess.run(
                [umemcg.program, command[0], "--domain", domain.name,
                 *command[1:]], stdout=full, stderr=subprocess.PIPE,
                timeout=30, check=False)
            check(ended.returncode == 1
                  and ended.stderr.startswith(b"umemcg: the output"),
                  f"{command}: {ended}")


def tree_is_aligned_and_indented(umemcg):
    with domain_of(umemcg, "/a/bcd", "/longer-name", "/é/ü") as domain:
        domain.done("set", "/a", "memory.max", "100M")
        lines = check_aligned(domain.done("tree"))
        check(lines[0].split() == ["group", "current", "peak", "max",
                                   "max-events", "oom", "processes",
                                   "threads"], lines[0])
        check([line.split("  ")[0] for line in lines[1:2]] == ["/"], lines[1])
        check([line[:7] for line in lines[2:4]] == ["  a    ", "    bcd"],
              f"not indented: {lines}")
        check("100.0 MiB" in lines[2], f"no limit: {lines[2]}")
        below = check_aligned(domain.done("tree", "/a"))
        check(len(below) == 3 and below[1].startswith("/a "), f"{below}")


def tree_as_json(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.done("set", "/a", "memory.max", "1M")
        groups = domain.json("tree")["groups"]
        check(list(groups) == ["/", "/a", "/a/b"], f"{groups}")
        group = groups["/a"]
        check(group["memory.max"] == 1 << 20 and group["memory.current"] == 0
              and group["memory.peak"] == 0 and group["processes"] == 0
              and group["threads"] == 0, f"{group}")
        check(group["memory.events"]["oom"] == 0, f"{group}")


def ps_and_gc_of_an_empty_domain(umemcg):
    with domain_of(umemcg, "/a") as domain:
        check(domain.done("ps").split() == ["slot", "pid", "name", "group",
                                            "charged", "threads"], "heading")
        check(domain.json("ps")["processes"] == [], "somebody is there")
        check("processes reaped" in domain.done("gc"), "nothing said")
        found = domain.json("gc")
        for key in ("processes_reaped", "groups_released", "groups_corrected",
                    "pages_corrected", "recounts_given_up"):
            check(found[key] == 0, f"{key}: {found}")
        check(found["recounts"] >= 2, f"not recounted: {found}")
        check(0 < found["gate_longest_ns"] <= found["gate_closed_ns"],
              f"no time at the gate: {found}")


def the_variable_names_the_domain(umemcg):
    with domain_of(umemcg, "/mine") as domain:
        environment = clean_environment(UMEMCG_DOMAIN=domain.name)
        outcome = plain([umemcg.program, "ls"], env=environment)
        check(outcome.stdout == b"/\n/mine\n", "another domain", outcome)
        # A path will do, and the option comes first.
        environment = clean_environment(UMEMCG_DOMAIN="nobody-made-it")
        outcome = plain([umemcg.program, "ls", "--domain", domain.path],
                        env=environment)
        check(outcome.stdout == b"/\n/mine\n", "another domain", outcome)


def the_default_domain_is_named_default(umemcg):
    """Only looked at: it may be somebody's."""
    with_name = plain([umemcg.program, "ls", "--domain", "default", "--json"])
    without = plain([umemcg.program, "ls", "--json"])
    check(with_name.status == without.status, "another domain", with_name,
          without)
    if without.status == 0:
        check(json.loads(without.stdout)["domain"] == f"{DOMAIN_DIR}/default",
              "another file", without)
    else:
        check(f"{DOMAIN_DIR}/default" in without.stderr.decode(),
              "another file", without)


def gc_needs_no_domain(umemcg):
    if os.path.exists(f"{DOMAIN_DIR}/default"):
        raise Skip("somebody has a default domain")
    outcome = plain([umemcg.program, "gc"])
    check(outcome.status == 0 and not outcome.stderr
          and b"stale runs removed" in outcome.stdout
          and b"no domain was looked at" in outcome.stdout, "", outcome)
    outcome = plain([umemcg.program, "gc", "--json"])
    check(json.loads(outcome.stdout)["domain"] is None, "", outcome)


def domains_are_listed(umemcg):
    left = f"run-1-{os.getpid()}"  # as a run that was killed leaves it
    with domain_of(umemcg, "/a/b") as domain:
        try:
            plain([umemcg.program, "create", "--domain", left, "/x"])
            worker = domain.worker("/a/b")
            worker.order("take", 4 * MIB)
            outcome = plain([umemcg.program, "domains", "--json"])
            check(outcome.status == 0, "", outcome)
            found = json.loads(outcome.stdout)
            check(found["folder"] == DOMAIN_DIR, "another folder", outcome)
            by_name = {one["name"]: one for one in found["domains"]}
            one = by_name[domain.name]
            check(one["groups"] == 3 and one["processes"] == 1
                  and one["charged"] >= 4 * MIB and not one["stale"]
                  and one["path"] == domain.path, f"{one}")
            check(by_name[left]["stale"], f"{by_name[left]}")
            text = plain([umemcg.program, "domains"]).stdout.decode()
            check(any(line.split()[:3] == [domain.name, "3", "1"]
                      for line in text.splitlines()), text)
            check(any(line.startswith(left) and "umemcg gc" in line
                      for line in text.splitlines()), text)
        finally:
            plain([umemcg.program, "rm", "--all", "--domain", left])


def what_stat_says_of_processes_below(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        check(domain.json("stat", "/a")["processes_below"] == 0, "somebody")
        domain.worker("/a/b")
        check("none here" in domain.done("stat", "/a"), "not said")
        check(domain.json("stat", "/a")["processes_below"] == 1, "nobody")
        check("none here" not in domain.done("stat", "/a/b"), "nobody")


def files_takes_a_domain(umemcg):
    with domain_of(umemcg) as domain:
        check("memory.max" in domain.done("files"), "no list")


if __name__ == "__main__":
    main([create_makes_groups_and_the_domain,
          create_without_a_group_makes_the_domain, create_takes_a_size,
          ten_thousand_groups, ls_lists_a_subtree, what_is_set_is_got,
          get_prints_the_bare_value, reclaim_says_what_came_of_it, get_as_json,
          pressure_is_told_and_switched, writes_that_reset,
          controllers_are_handed_on, depth_and_descendants_are_bounded,
          rm_removes_groups, rm_all_removes_the_domain,
          rm_all_takes_domains_of_other_versions, what_was_done_as_json,
          output_that_is_lost_is_an_error, tree_is_aligned_and_indented,
          tree_as_json, ps_and_gc_of_an_empty_domain,
          the_variable_names_the_domain, the_default_domain_is_named_default,
          gc_needs_no_domain, domains_are_listed,
          what_stat_says_of_processes_below, files_takes_a_domain])

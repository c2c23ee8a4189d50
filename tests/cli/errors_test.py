"""What cannot be done is said in one line: what, where, what to do."""

import os
import random
import struct
import tempfile

from harness import Skip, check, main, plain

from domain import domain_of

BAD_USAGE = 2

# In the header of a domain (accounting/layout.h): where it says where the
# tables begin, and the words that change.
TABLES = 40
HEADER_COUNTS = 128


def a_domain_that_is_not_there(umemcg):
    with domain_of(umemcg) as domain:
        for command in (["set", "/a", "memory.max", "1M"],
                        ["get", "/a", "memory.max"], ["rm", "/a"],
                        ["rm", "--all"], ["ls"], ["tree"], ["ps"],
                        ["move", "1", "/a"], ["gc"], ["smaps", "1"],
                        ["top"], ["stat", "/a"], ["events"], ["pressure"],
                        ["audit"], ["record", "/dev/null"]):
            domain.refused(*command, words=[
                domain.name, domain.path, "No such file",
                f"umemcg create --domain {domain.name}"])
        check(not os.path.exists(domain.path), "it was made")


def a_file_that_is_no_domain(umemcg):
    with domain_of(umemcg, "/a") as domain:
        with open(domain.path, "r+b") as file:
            file.write(b"no magic")
        for command in (["ls"], ["create", "/a"], ["gc"]):
            domain.refused(*command,
                           words=[domain.name, "is not a umemcg domain"])
        domain.refused("rm", "--all", words=["is not a umemcg domain"])
        check(os.path.exists(domain.path), "somebody's file was removed")


def a_truncated_domain(umemcg):
    with domain_of(umemcg, "/a") as domain:
        os.truncate(domain.path, 70000)
        domain.refused("ls", words=[domain.name, "truncated"])
        domain.done("rm", "--all")


def random_words(generator, count):
    """Any bits, or few enough to be an index or a state."""
    small = generator.randrange
    return b"".join(struct.pack("<Q", generator.choice((
        0, 1, small(20), small(20) << 32 | small(20),
        generator.getrandbits(64)))) for _ in range(count))


def damaged_tables(umemcg):
    """Wrong answers or complaints; no command crashes or hangs."""
    for seed in range(8):
        generator = random.Random(seed)
        with domain_of(umemcg) as domain:
            domain.done("create", "--groups", 40, "/a/b", "/c/d")
            with open(domain.path, "r+b") as file:
                file.seek(TABLES)
                tables = struct.unpack("<5Q", file.read(40))
                for start in tables:
                    file.seek(start)
                    file.write(random_words(generator, 1000))
                if seed % 2 == 0:  # the words after the sizes
                    file.seek(HEADER_COUNTS)
                    file.write(random_words(generator, 16))
            for command in (["ls"], ["tree"], ["tree", "--json"], ["ps"],
                            ["get", "/a", "memory.stat"],
                            ["get", "/a", "cgroup.threads"],
                            ["set", "/a/b", "memory.max", "1M"],
                            ["set", "/a", "cgroup.procs", "1"],
                            ["create", "/x/y"], ["rm", "/a/b"], ["gc"],
                            ["move", "1", "/a"], ["smaps", "1"],
                            ["top", "--once", "--json"], ["stat", "/a"],
                            ["events"], ["pressure"], ["audit"]):
                outcome = domain.command(*command)
                check(outcome.status in (0, 1), f"seed {seed}", outcome)


def rm_all_removes_no_file_of_another_kind(umemcg):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"precious" * 1000)
        file.flush()
        outcome = plain([umemcg.program, "rm", "--all", "--domain",
                         file.name])
        check(outcome.status == 1 and os.path.exists(file.name),
              "it was removed", outcome)
        outcome = plain([umemcg.program, "rm", "--all", "--domain",
                         os.path.dirname(file.name)])
        check(outcome.status == 1, "a folder is no domain", outcome)


def a_domain_that_cannot_be_made(umemcg):
    outcome = plain([umemcg.program, "create", "--domain",
                     "/no/such/folder/domain", "/a"])
    check(outcome.status == 1, "made", outcome)
    text = outcome.stderr.decode()
    check("/no/such/folder/domain" in text and "No such file" in text,
          "not said where", outcome)
    outcome = plain([umemcg.program, "ls", "--domain", "x" * 600])
    check(outcome.status == 1 and "too long" in outcome.stderr.decode(),
          "a name that is cut", outcome)


def a_group_that_is_not_there(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for command in (["set", "/b", "memory.max", "1M"],
                        ["get", "/b", "memory.max"], ["rm", "/b"],
                        ["ls", "/b"], ["tree", "/b"], ["move", "1", "/b"],
                        ["top", "/b"], ["stat", "/b"], ["events", "/b"],
                        ["pressure", "/b"]):
            domain.refused(*command, words=["no group /b", "No such file",
                                            domain.path, "umemcg create"])


def names_that_cannot_be(umemcg):
    with domain_of(umemcg, "/") as domain:
        for path in ("/a/..", "/.", "/a\nb", "/" + "x" * 256):
            domain_line = domain.command("create", path)
            check(domain_line.status == 1, f"{path!r} was made", domain_line)
            check("Invalid argument" in domain_line.stderr.decode(),
                  f"{path!r}", domain_line)
        domain.done("create", "/" + "x" * 255)
        domain.done("create", "/1" * 32)
        domain.refused("create", "/2" * 33, words=["No space", "32"])


def rm_goes_on_after_an_error(umemcg):
    with domain_of(umemcg, "/a/b", "/c") as domain:
        outcome = domain.command("rm", "/a", "/nobody", "/c")
        check(outcome.status == 1 and len(outcome.complaints()) == 2,
              "not two complaints", outcome)
        check(domain.done("ls") == "/\n/a\n/a/b\n", "/c is there")


def a_group_with_groups_below(umemcg):
    with domain_of(umemcg, "/a/b", "/a/c") as domain:
        domain.refused("rm", "/a", words=["/a", "busy", "groups below it",
                                          "b, c"])
        domain.refused("rm", "/", words=["the root", "rm --all"])


def files_that_are_not_there(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for command in (["get", "/a", "memory.maximum"],
                        ["set", "/a", "memory.maximum", "1"]):
            domain.refused(*command, words=["memory.maximum", "No such file",
                                            " memory.max ", "cgroup.type"])


def values_that_are_refused(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for file, value, error, word in (
                ("memory.max", "1.5M", "Invalid argument", "512M"),
                ("memory.max", "", "Invalid argument", "512M"),
                ("memory.current", "0", "Invalid argument",
                 "cannot be written"),
                ("memory.kmem.limit_in_bytes", "max", "Invalid argument",
                 "-1"),
                ("cgroup.max.depth", "1K", "Invalid argument", "number"),
                ("cgroup.max.depth", "-1", "out of range", "range"),
                ("cgroup.subtree_control", "memory", "Invalid argument",
                 "+memory"),
                ("cgroup.procs", "me", "Invalid argument", "process"),
                ("cgroup.procs", "0", "No such process", "umemcg ps")):
            domain.refused("set", "/a", file, value,
                           words=[file, f"'{value}'", "/a", error, word])
        domain.refused("set", "/", "memory.max", "1M",
                       words=["root has no limits"])


def a_process_that_is_not_there(umemcg):
    with domain_of(umemcg, "/a") as domain:
        pid = os.getpid()
        domain.refused("move", pid, "/a",
                       words=[str(pid), "No such process", "umemcg ps"])
        domain.refused("smaps", pid,
                       words=[str(pid), domain.path, "No such process"])


def usage_errors(umemcg):
    """Exit status 2; the command is named that says more."""
    for command, words in (
            (["bogus"], ["bogus", "--help"]), ([], ["--help"]),
            (["--bogus"], ["--help"]),
            (["create"], ["path", "umemcg create --help"]),
            (["create", "--groups", "0", "/a"], ["--groups", "1000000"]),
            (["create", "--groups", "many", "/a"], ["--groups", "many"]),
            (["set", "/a", "memory.max"], ["value", "umemcg set --help"]),
            (["set", "/a", "memory.max", "1", "2"], ["umemcg set --help"]),
            (["get", "/a"], ["file", "umemcg get --help"]),
            (["get", "--bogus", "/a", "x"], ["--bogus"]),
            (["rm"], ["--all", "umemcg rm --help"]),
            (["rm", "--all", "/a"], ["--all", "path"]),
            (["move", "/a"], ["umemcg move --help"]),
            (["move", "me", "/a"], ["me"]), (["move", "-1", "/a"], ["umemcg"]),
            (["ps", "/a"], ["umemcg ps --help"]),
            (["smaps"], ["pid", "umemcg smaps --help"])):
        outcome = plain([umemcg.program, *command])
        check(outcome.status == BAD_USAGE, f"{command}: not 2", outcome)
        check(outcome.stdout == b"" and len(outcome.complaints()) == 1,
              f"{command}: not one line", outcome)
        for word in words:
            check(word in outcome.stderr.decode(), f"no {word!r}", outcome)


def every_command_has_help(umemcg):
    overview = plain([umemcg.program, "--help"]).stdout.decode()
    for command in ("run", "create", "set", "get", "rm", "ls", "tree", "ps",
                    "move", "gc", "smaps"):
        check(f"\n  {command} " in overview, f"{command} is not listed")
        outcome = plain([umemcg.program, command, "--help"])
        check(outcome.status == 0 and b"--domain" in outcome.stdout,
              f"no help for {command}", outcome)


def another_user_is_refused(umemcg):
    """The file is its owner's alone."""
    nobody = 65534
    if os.getuid() != 0:
        raise Skip("only root can change to another user")
    if plain(["setpriv", "--reuid", str(nobody), "--clear-groups",
              umemcg.program, "--version"]).status != 0:
        raise Skip("another user cannot run the program where it is")
    with domain_of(umemcg, "/a") as domain:
        outcome = plain(["setpriv", "--reuid", str(nobody), "--clear-groups",
                         umemcg.program, "ls", "--domain", domain.path])
        check(outcome.status == 1
              and "Permission denied" in outcome.stderr.decode(),
              "another user's domain was opened", outcome)


if __name__ == "__main__":
    main([a_domain_that_is_not_there, a_file_that_is_no_domain,
          a_truncated_domain, damaged_tables,
          rm_all_removes_no_file_of_another_kind,
          a_domain_that_cannot_be_made, a_group_that_is_not_there,
          names_that_cannot_be, rm_goes_on_after_an_error,
          a_group_with_groups_below, files_that_are_not_there,
          values_that_are_refused, a_process_that_is_not_there, usage_errors,
          every_command_has_help, another_user_is_refused])

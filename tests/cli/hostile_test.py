#!/usr/bin/env python3
"""Names that would steer a terminal, or that are no text."""

import json
import os
import pty
import subprocess
import sys
import tempfile

from domain import domain_of
from harness import check, clean_environment, main, plain

# ESC, the one-byte form of "ESC [", DEL, and a line of its own.
HOSTILE = "/x\x1b]0;pwn\x07\u009b31m\x7f"
ESCAPED = "/x\\x1b]0;pwn\\x07\\xc2\\x9b31m\\x7f"
PR_SET_NAME = 15
NAMED = ("import ctypes, sys\n"
         f"ctypes.CDLL(None).prctl({PR_SET_NAME}, b'\\x1b]0;pwn')\n"
         "print('ok', flush=True)\nsys.stdin.readline()")


def on_a_terminal(command):
    """What a command prints there, and how it ends."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        env=clean_environment(LC_ALL="C.UTF-8", TERM="xterm"))
    os.close(theirs)
    printed = b""
    while True:
        try:
            got = os.read(ours, 65536)
        except OSError:  # the other end is closed
            got = b""
        if not got:
            break
        printed += got
    os.close(ours)
    return process.wait(timeout=60), printed.decode()


def steers(text):
    """Whether there is more in it than lines and colours of umemcg's own."""
    for colour in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"):
        text = text.replace(colour, "")
    return any((c < " " and c not in "\r\n\t") or "\x7f" <= c < "\xa0"
               for c in text)


def nothing_steers_the_terminal(umemcg):
    with domain_of(umemcg, HOSTILE) as domain:
        process = subprocess.Popen(
            [sys.executable, "-c", NAMED], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment(LD_PRELOAD=umemcg.library,
                                  UMEMCG_DOMAIN=domain.name,
                                  UMEMCG_GROUP=HOSTILE))
        try:
            check(process.stdout.readline() == "ok\n", "it has not begun")
            pid = str(process.pid)
            for verb, *rest in (
                    ["ls"], ["tree"], ["events"], ["pressure"], ["ps"],
                    ["top", "--once", "--processes"], ["audit"],
                    ["audit", pid], ["stat", HOSTILE], ["smaps", pid],
                    ["explain", HOSTILE], ["events", "--json"],
                    ["tree", "--json"], ["ps", "--json"],
                    ["get", HOSTILE, "memory.stat"]):
                status, text = on_a_terminal(
                    [umemcg.program, verb, "--domain", domain.name, *rest])
                check(status == 0 and not steers(text),
                      f"{verb} {rest}: {status} {text!r}")
            for verb, *rest in (["rm", HOSTILE + "y"], ["stat", HOSTILE + "y"],
                                ["get", HOSTILE, HOSTILE],
                                ["ls", "/", HOSTILE]):
                status, text = on_a_terminal(
                    [umemcg.program, verb, "--domain", domain.name, *rest])
                check(status != 0 and "\\x1b" in text and not steers(text),
                      f"{verb} {rest}: {status} {text!r}")
        finally:
            process.communicate("\n", timeout=60)
        _, text = on_a_terminal([umemcg.program, "ls", "--domain",
                                 domain.name])
        check(text == f"/\r\n{ESCAPED}\r\n", f"{text!r}")
        # Into a pipe, and as JSON, names are what they are.
        check(domain.done("ls") == f"/\n{HOSTILE}\n", "another name")
        check(set(domain.json("tree")["groups"]) == {"/", HOSTILE},
              "another name in JSON")


def names_that_are_no_text_stay_apart(umemcg):
    """Also from one that is written as the escape of another."""
    names = [b"/\xfe", b"/\xff", b"/\\xff", "/ä".encode(), b"/a\xc3"]
    shown = {"/", "/\\xfe", "/\\xff", "/\\x5cxff", "/ä", "/a\\xc3"}
    with domain_of(umemcg) as domain:
        done = plain([umemcg.program, "create", "--domain", domain.name,
                      *names])
        check(done.status == 0, "not made", done)
        for verb in ("events", "tree", "pressure"):
            groups = domain.json(verb)["groups"]
            check(set(groups) == shown, f"{verb}: {list(groups)}")
        check({g["path"] for g in domain.json("ls")["groups"]} == shown, "ls")
        done = plain([umemcg.program, "export", "--once", "--domain",
                      domain.name])
        check(done.stdout.decode().count("\numemcg_memory_usage_bytes{")
              == len(shown), "not all of them are exported", done)


def a_reader_that_leaves_ends_following(umemcg):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "32M")
        domain.worker("/a").order("fail", 64 << 20)
        process = subprocess.Popen(
            [umemcg.program, "events", "-f", "--domain", domain.name, "/a"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=clean_environment())
        check("event" in json.loads(process.stdout.readline()), "no event")
        process.stdout.close()
        process.wait(timeout=60)


def a_recording_takes_no_other_file(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        target, link, fresh = (os.path.join(folder, name)
                               for name in ("target", "link", "fresh"))
        with open(target, "w", encoding="utf-8") as file:
            file.write("text")
        os.symlink(target, link)
        domain.refused("record", "-n", "1", link,
                       words=["Too many levels of symbolic links"])
        domain.refused("record", "-n", "1", target, words=["no recording"])
        with open(target, encoding="utf-8") as file:
            check(file.read() == "text", "written over")
        for count in ("3", "2"):  # a recording is
            domain.done("record", "-n", count, "-d", "0.05", fresh)
        with open(fresh, encoding="utf-8") as file:
            check(len(file.readlines()) == 3, "not written anew")
        lines = domain.done("record", "-n", "2", "-d", "0.05", "-")
        check([sorted(json.loads(line))[0] for line in lines.splitlines()]
              == ["domain", "clock_ns", "clock_ns"], lines[:500])


if __name__ == "__main__":
    main([nothing_steers_the_terminal, names_that_are_no_text_stay_apart,
          a_reader_that_leaves_ends_following,
          a_recording_takes_no_other_file])

"""The commands on a domain in which processes live, move and die."""

import os
import signal
import struct
import subprocess
import time

from harness import MIB, check, main, plain

from domain import (DOMAIN_DIR, PID_NAMESPACE, Domain, check_aligned,
                    domain_of, poke, wait_until)


def ps_lists_the_living(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        one, two = domain.worker("/a"), domain.worker("/b")
        one.order("take", 20 * MIB)
        lines = check_aligned(domain.done("ps"))
        check(lines[0].split() == ["slot", "pid", "name", "group", "charged",
                                   "threads"], lines[0])
        check(len(lines) == 3, f"{lines}")
        check(f"{one.pid}  python3" in lines[1] and "/a" in lines[1],
              f"{lines}")
        rows = {row["pid"]: row for row in domain.json("ps")["processes"]}
        check(set(rows) == {one.pid, two.pid}, f"{rows}")
        check(rows[one.pid]["group"] == "/a" and rows[one.pid]["threads"] == 1,
              f"{rows}")
        check(20 * MIB <= rows[one.pid]["charged_bytes"] <= 40 * MIB,
              f"{rows}")
        check(rows[one.pid]["slot"] != rows[two.pid]["slot"], f"{rows}")
        total = sum(row["charged_bytes"] for row in rows.values())
        check(total == domain.number("/", "memory.current"),
              f"{total} is not all that is charged")


def the_dead_are_reaped_by_any_command(umemcg):
    """Whoever looks next sees what is left: nothing."""
    for command in (["get", "/a", "memory.current"], ["ls"], ["tree"], ["ps"]):
        with domain_of(umemcg, "/a") as domain:
            worker = domain.worker("/a")
            worker.order("take", 8 * MIB)
            domain.end_worker(worker, kill=True)
            domain.done(*command)
            check(domain.json("gc")["processes_reaped"] == 0,
                  f"{command} left it to gc")
            check(domain.get("/a", "memory.current") == "0\n",
                  "it is still charged")
            check(domain.number("/a", "memory.peak") >= 8 * MIB, "no peak")


def gc_says_what_it_found(umemcg):
    with domain_of(umemcg, "/a") as domain:
        for _ in range(3):
            domain.end_worker(domain.worker("/a"), kill=True)
            # The next one to start reaps it, and so would any command.
        lines = domain.done("gc").splitlines()
        check(lines[0] == "processes reaped        1", f"{lines}")


def gc_removes_runs_that_were_left(umemcg):
    """Private domains that are old, and that nobody is in."""
    left, used = (Domain(umemcg) for _ in range(2))
    for domain in (left, used):
        domain.name = "run-" + domain.name
        domain.path = f"{DOMAIN_DIR}/{domain.name}"
        domain.done("create", "/a")
    worker = used.worker("/a")
    try:
        with domain_of(umemcg, "/a") as domain:
            domain.done("gc")
            check(os.path.exists(left.path), "one so young may be used yet")
            time.sleep(11.5)
            # Another gc or run may be faster.
            check(domain.json("gc")["stale_runs_removed"] >= 1
                  or not os.path.exists(left.path), "none was removed")
            check(not os.path.exists(left.path), "it is still there")
            check(os.path.exists(used.path), "somebody is in this one")
    finally:
        used.end_worker(worker)
        used.done("rm", "--all")


def rm_waits_for_the_last_process(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        words = ["busy", f"1 process: {worker.pid} (python3)"]
        domain.refused("rm", "/a", words=["/a", *words])
        domain.refused("rm", "--all", words=[domain.path, *words])
        check(domain.done("ls") == "/\n/a\n", "removed all the same")
        domain.end_worker(worker)
        domain.done("rm", "/a")
        check(domain.done("ls") == "/\n", "not removed")
        domain.done("rm", "--all")
        check(not os.path.exists(domain.path), "the file is there")


def rm_waits_for_threads_put_into_the_group(umemcg):
    with domain_of(umemcg, "/a", "/tenant") as domain:
        worker = domain.worker("/a")
        worker.order("enter", "/tenant")
        check(domain.get("/tenant", "cgroup.threads") == f"{worker.pid}\n",
              "the thread is not listed")
        check(domain.get("/tenant", "cgroup.procs") == "", "a process is")
        group = domain.json("tree")["groups"]["/tenant"]
        check((group["processes"], group["threads"]) == (0, 1), f"{group}")
        domain.refused("rm", "/tenant", words=[
            "busy", f"threads put into it: {worker.pid}"])
        worker.order("enter", "/a")
        domain.done("rm", "/tenant")


def what_children_inherited_is_shown(umemcg):
    """A process that has ended, while children it forked live on."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        worker.order("fork", 3)
        domain.end_worker(worker, kill=True)
        row, = domain.json("ps")["processes"]
        check(row["ended"] and row["pid"] == worker.pid
              and row["charged_bytes"] >= 16 * MIB, f"{row}")
        check("python3 (ended)" in domain.done("ps"), "not shown")
        check(domain.get("/a", "cgroup.procs") == "", "it is no process")
        check(domain.json("tree")["groups"]["/a"]["processes"] == 0, "counted")
        domain.refused("rm", "--all", words=[
            "busy", f"{worker.pid} (python3, ended; its children"])
        wait_until(lambda: domain.number("/", "memory.current") == 0,
                   "not given back with the last child")
        check(domain.json("ps")["processes"] == [], "still shown")


def rm_all_looks_at_locks_alone(umemcg):
    """Also when the domain is one that cannot be joined."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        with open(domain.path, "r+b") as file:
            file.seek(8)  # the version
            kept = file.read(4)
            file.seek(8)
            file.write(b"\xff\0\0\0")
        domain.refused("rm", "--all", words=["busy", "live process"])
        with open(domain.path, "r+b") as file:
            file.seek(8)
            file.write(kept)
        domain.end_worker(worker)
        domain.done("rm", "--all")


def tree_counts_who_is_inside(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        domain.worker("/a"), domain.worker("/a/b"), domain.worker("/a/b")
        groups = domain.json("tree")["groups"]
        counts = {path: (group["processes"], group["threads"])
                  for path, group in groups.items()}
        check(counts == {"/": (0, 0), "/a": (1, 1), "/a/b": (2, 2)},
              f"{counts}")
        lines = check_aligned(domain.done("tree"))
        check([line.split()[-2:] for line in lines[1:]] ==
              [["0", "0"], ["1", "1"], ["2", "2"]], f"{lines}")


def the_files_name_who_is_inside(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        pids = sorted(domain.worker("/a/b").pid for _ in range(3))
        for file in ("cgroup.procs", "cgroup.threads"):
            listed = sorted(map(int, domain.get("/a/b", file).split()))
            check(listed == pids, f"{file}: {listed} is not {pids}")
            check(domain.get("/a", file) == "", f"{file} of the parent")
        check(sorted(domain.json("get", "/a/b", "cgroup.procs")) == pids,
              "not an array of numbers")
        check(domain.get("/a", "cgroup.events").startswith("populated 1\n"),
              "not populated")


def other_pid_namespaces_are_0(umemcg):
    """Their numbers mean nothing here: nobody can be found by them."""
    with domain_of(umemcg, "/a", "/b") as domain:
        worker = domain.worker("/a")
        kept = poke(domain, PID_NAMESPACE, struct.pack("<Q", 12345))
        for file in ("cgroup.procs", "cgroup.threads"):
            check(domain.get("/a", file) == "0\n", f"{file} names it")
        row, = domain.json("ps")["processes"]
        check(row["pid"] == 0, f"{row}")
        check(domain.get("/a", "cgroup.events").startswith("populated 1\n"),
              "not counted")
        domain.refused("move", worker.pid, "/b", words=["No such process"])
        poke(domain, PID_NAMESPACE, kept)
        check(domain.get("/a", "cgroup.procs") == f"{worker.pid}\n",
              "not named again")
        check(domain.json("move", worker.pid, "b/") == {
            "domain": domain.path,
            "moved": {"pid": worker.pid, "group": "/b"}}, "not said")


def long_lists_are_not_cut(umemcg):
    """More thread ids than a page holds; the command asks for what it needs."""
    script = ("import sys, threading\n"
              "stop = threading.Event()\n"
              "def work():\n"
              "    block = bytearray(100000)\n"
              "    ready.release()\n"
              "    stop.wait()\n"
              "ready = threading.Semaphore(0)\n"
              "threads = [threading.Thread(target=work) for _ in range(900)]\n"
              "for thread in threads: thread.start()\n"
              "for _ in threads: ready.acquire()\n"
              "print('ok', flush=True)\n"
              "sys.stdin.readline()\n"
              "stop.set()\n")
    with domain_of(umemcg, "/a") as domain:
        process = subprocess.Popen(
            umemcg.run_command(["python3", "-c", script],
                               ["--domain", domain.name, "--group", "/a"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            check(process.stdout.readline() == b"ok\n", "no threads")
            content = domain.get("/a", "cgroup.threads")
            check(len(content) > 4096 and len(content.split()) == 901
                  and content.endswith("\n"),
                  f"{len(content)} bytes, {len(content.split())} threads")
            check(domain.json("tree", "/a")["groups"]["/a"]["threads"] == 901,
                  "not counted")
        finally:
            process.communicate(b"\n", timeout=30)


def moved(umemcg, move):
    """New charges go to the new group; what is charged stays."""
    with domain_of(umemcg, "/a", "/b") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        before = domain.stat("/a")["anon"]
        check(before >= 16 * MIB, f"only {before} bytes in /a")
        move(domain, worker)
        check(domain.get("/b", "cgroup.procs") == f"{worker.pid}\n",
              "not listed in /b")
        check(domain.get("/a", "cgroup.procs") == "", "listed in /a")
        check(domain.stat("/a")["anon"] == before
              and domain.stat("/b")["anon"] == 0, "memory moved with it")
        worker.order("take", 16 * MIB)
        inside = domain.stat("/b")["active_anon"]
        # The first blocks, of what was charged ahead and free, are /a's.
        check(15.5 * MIB <= inside <= 24 * MIB,
              f"new memory is not charged to /b, but {inside} bytes")
        held = domain.stat("/a")["active_anon"]
        check(16 * MIB <= held <= before + 2 * MIB,
              f"what is charged to /a did not stay, but is {held} bytes")
        check(domain.get("/b", "cgroup.threads") == f"{worker.pid}\n",
              "the thread is not in /b")
        domain.refused("rm", "/b", words=["busy", str(worker.pid)])
        domain.done("rm", "/a")
        domain.end_worker(worker)
        check(domain.get("/", "memory.current") == "0\n", "charged for ever")


def move_charges_the_new_group(umemcg):
    moved(umemcg, lambda domain, worker:
          domain.done("move", worker.pid, "/b"))


def writing_procs_is_moving(umemcg):
    moved(umemcg, lambda domain, worker:
          domain.done("set", "/b", "cgroup.procs", worker.pid))


def who_starts_from_a_moved_process_starts_there(umemcg):
    """A program that it executes, and one that it has become by exec."""
    say = 'python3 -c "import os; print(os.getpid(), flush=True); input()"'
    script = f"read go; {say}; UMEMCG_GROUP=/c {say}; exec {say}"
    with domain_of(umemcg, "/a", "/b", "/c") as domain:
        shell = subprocess.Popen(
            umemcg.run_command(["sh", "-c", f"echo $$; {script}"],
                               ["--domain", domain.name, "--group", "/a"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            first = int(shell.stdout.readline())
            domain.done("move", first, "/b")
            for group in ("/b", "/c", "/b"):
                shell.stdin.write("\n")
                shell.stdin.flush()
                pid = int(shell.stdout.readline())
                inside = domain.get(group, "cgroup.procs").split()
                check(str(pid) in inside, f"{pid} is not in {group}: {inside}")
            check(pid == first, "exec made another process")
            check(domain.get("/a", "cgroup.procs") == "", "one is in /a")
        finally:
            shell.communicate("\n", timeout=60)


def a_limit_that_is_set_holds(umemcg):
    """In a process that runs already, and whatever it has."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        # Below the usage: it is set, and what is missing is said.
        outcome = domain.command("set", "/a", "memory.max", "8M")
        check(outcome.status == 0 and b"is over it by" in outcome.stderr,
              "not set, or nothing said", outcome)
        check(domain.number("/a", "memory.max") == 8 * MIB, "not set")
        worker.order("drop")
        worker.process.stdin.write(f"take {64 * MIB}\n")
        worker.process.stdin.flush()
        check(worker.process.stdout.readline() == "", "it was not refused")
        check(domain.json("get", "/a", "memory.events")["max"] >= 1,
              "no event")


def a_peak_is_reset(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        domain.end_worker(worker)
        domain.done("ls")
        check(domain.number("/a", "memory.peak") >= 16 * MIB, "no peak")
        domain.done("set", "/a", "memory.peak", "reset")
        check(domain.get("/a", "memory.peak") == "0\n", "not reset")


def run_joins_what_create_made(umemcg):
    """`umemcg run --domain` is in the same domain, under its limit."""
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", "64M")
        outcome = plain(umemcg.run_command(
            umemcg.hog(), ["--domain", domain.name, "--group", "/a"]))
        check(outcome.stdout.startswith(b"MemoryError"), "not refused",
              outcome)
        events = domain.json("get", "/a", "memory.events")
        check(events["max"] >= 1 and events["oom"] >= 0, f"{events}")
        check(domain.number("/a", "memory.peak") <= 64 * MIB + 256 * 1024,
              "above the limit")


def a_stopped_process_is_no_obstacle(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        worker = domain.worker("/a")
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            domain.done("tree")
            domain.done("move", worker.pid, "/b")
            domain.done("create", "/c")
            domain.done("gc")
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        worker.order("take", 2 * MIB)
        wait_until(lambda: domain.stat("/b")["anon"] >= MIB, "not in /b")


if __name__ == "__main__":
    main([ps_lists_the_living, the_dead_are_reaped_by_any_command,
          gc_says_what_it_found, gc_removes_runs_that_were_left,
          rm_waits_for_the_last_process,
          rm_waits_for_threads_put_into_the_group,
          what_children_inherited_is_shown,
          rm_all_looks_at_locks_alone, tree_counts_who_is_inside,
          the_files_name_who_is_inside, other_pid_namespaces_are_0,
          long_lists_are_not_cut,
          move_charges_the_new_group, writing_procs_is_moving,
          who_starts_from_a_moved_process_starts_there,
          a_limit_that_is_set_holds, a_peak_is_reset,
          run_joins_what_create_made, a_stopped_process_is_no_obstacle])

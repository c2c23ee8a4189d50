"""`umemcg audit`, and `top`, against processes and a running redis-server."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from harness import MIB, Skip, check, clean_environment, main, plain

from domain import check_aligned, domain_of, wait_until
from terminal import PROMPT, terminal

RESIDENT = ("heap", "inherited", "anonymous", "stacks", "libraries", "shared")


def audit(domain, pid):
    outcome = domain.command("audit", "--json", pid)
    if b"Operation not permitted" in outcome.stderr:
        raise Skip("memory of another process may not be read here")
    return domain.json("audit", pid)["processes"][0]


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) << 10


def check_sums(found, pid):
    """The parts are the whole, on both sides."""
    check(sum(found[part] for part in RESIDENT) == found["resident"],
          f"the parts are not what is resident: {found}")
    check(found["heap"] + found["untouched"] + found["records"]
          == found["charged"], f"the parts are not what is charged: {found}")
    resident = resident_bytes(pid)
    check(abs(found["resident"] - resident) < MIB + resident // 20,
          f"{resident} resident, but {found}")


class Redis:
    """A server on a socket of its own, under umemcg run."""

    def __init__(self, umemcg, domain, folder, group):
        if shutil.which("redis-server") is None:
            raise Skip("redis-server is not installed")
        path = os.path.join(folder, "socket")
        self.process = subprocess.Popen(
            umemcg.run_command(
                ["redis-server", "--port", "0", "--unixsocket", path,
                 "--save", "", "--appendonly", "no", "--dir", folder],
                ["--domain", domain.name, "--group", group, "--max", "256M"]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=clean_environment())
        wait_until(lambda: os.path.exists(path), "redis-server does not start")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(30)
        self.connection.connect(path)
        self.answers = self.connection.makefile("rb")
        self.pid = int(self.info("process_id"))

    def info(self, key):
        self.connection.sendall(b"INFO\r\n")
        size = int(self.answers.readline()[1:])
        text = self.answers.read(size + 2).decode()
        return re.search(rf"^{key}:(\S+)", text, re.MULTILINE)[1]

    def fill(self, count, size):
        value = b"v" * size
        self.connection.sendall(b"".join(
            b"SET key:%d %s\r\n" % (i, value) for i in range(count)))
        for _ in range(count):
            check(self.answers.readline() == b"+OK\r\n", "redis refused")

    def end(self):
        with contextlib.suppress(OSError):
            self.connection.sendall(b"SHUTDOWN NOSAVE\r\n")
        self.process.wait(timeout=30)


@contextlib.contextmanager
def redis_in(umemcg, domain, group):
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(umemcg, domain, folder, group)
        try:
            yield redis
        finally:
            redis.end()


def redis_is_accounted_for(umemcg):
    """What is charged is what redis itself counts, and what is resident."""
    with domain_of(umemcg, "/a") as domain, \
            redis_in(umemcg, domain, "/cache") as redis:
        before = audit(domain, redis.pid)
        check_sums(before, redis.pid)
        redis.fill(60_000, 500)
        found = audit(domain, redis.pid)
        check_sums(found, redis.pid)
        used = int(redis.info("used_memory"))
        check(used > 30 * MIB, f"{used}")
        # The heap holds what redis counts, its pages in use not being full, the
        # records (some 3 MiB) and what the allocator keeps free.
        check(used <= found["charged"] <= used * 3 // 2 + 8 * MIB,
              f"redis counts {used}: {found}")
        # Against its RSS: the program itself comes on top, and nothing else.
        private = found["resident"] - found["libraries"] - found["shared"]
        check(abs(found["charged"] - private)
              <= found["untouched"] + found["records"] + found["unaccounted"],
              f"{private}: {found}")
        check(found["unaccounted"] < 8 * MIB
              and found["unaccounted"] - before["unaccounted"] < 2 * MIB,
              f"what redis has taken is not accounted for: {found}")
        on_a_screen(umemcg, domain, redis)


def on_a_screen(umemcg, domain, redis):
    with terminal() as screen:
        screen.run(umemcg.program, "top", "--domain", domain.name, "-d", "0.2",
                   "--processes")
        shown = screen.wait_for(
            lambda text: text.count(f"redis-server ({redis.pid})") == 2,
            "redis below the root and below its group")
        check(re.search(r"^  cache +\d+\.\d MiB +256\.0 MiB", shown,
                        re.MULTILINE), shown)
        screen.keys("g")
        redis.fill(60_000, 900)
        screen.keys("q")
        screen.wait_for(PROMPT)


def each_kind_is_told_apart(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        before = audit(domain, worker.pid)
        check_sums(before, worker.pid)
        for order, part in (("take", "heap"), ("map", "anonymous"),
                            ("share", "shared"), ("block", "untouched"),
                            ("deep", "stacks")):
            worker.order(order, 16 * MIB)
            found = audit(domain, worker.pid)
            check_sums(found, worker.pid)
            grown = {key: found[key] - before[key]
                     for key in (*RESIDENT, "untouched")}
            least = 12 * MIB if order != "deep" else 256 << 10
            check(grown[part] >= least, f"{order}: {grown}")
            # (16 MiB in blocks of 64 KiB and a few bytes take more.)
            for other in set(grown) - {part}:
                check(grown[other] <= 10 * MIB if order == "take"
                      else grown[other] <= 2 * MIB, f"{order}: {grown}")
            check(found["unaccounted"] == found["anonymous"] + found["stacks"],
                  f"{found}")
            before = found


# A parent with 20 MiB, and a child with 10 MiB of its own.
FAMILY = """
import os, time
blocks = [bytearray(b"x") * 65536 for _ in range(320)]
child = os.fork()
if child == 0:
    more = [bytearray(b"x") * 65536 for _ in range(160)]
    print(os.getpid(), flush=True)
    time.sleep(60)
os.waitpid(child, 0)
"""


def what_a_child_inherits_is_not_its_own(umemcg):
    with domain_of(umemcg, "/a") as domain:
        parent = subprocess.Popen(
            umemcg.run_command([sys.executable, "-c", FAMILY],
                               ["--domain", domain.name, "--group", "/a"]),
            stdout=subprocess.PIPE, text=True, env=clean_environment())
        try:
            child = int(parent.stdout.readline())
            found = audit(domain, child)
            check_sums(found, child)
            check(found["inherited"] >= 20 * MIB
                  and 10 * MIB <= found["heap"] < 18 * MIB
                  and found["charged"] < 24 * MIB, f"{found}")
            os.kill(child, 9)
        finally:
            parent.communicate(timeout=30)


def all_are_in_a_table(umemcg):
    with domain_of(umemcg, "/a", "/b") as domain:
        workers = [domain.worker("/a"), domain.worker("/b")]
        audit(domain, workers[0].pid)
        found = domain.json("audit")["processes"]
        check({one["pid"] for one in found}
              == {worker.pid for worker in workers}, f"{found}")
        lines = check_aligned(domain.done("audit"))
        check(len(lines) == 4 and lines[0].split()[-1] == "unaccounted"
              and lines[-1].split()[0] == "total", f"{lines}")
        text = domain.done("audit", workers[0].pid)
        for word in ("charged", "untouched", "records", *RESIDENT):
            check(word in text, f"no {word}:\n{text}")
        domain.refused("audit", os.getpid(),
                       words=[str(os.getpid()), "umemcg ps"])


def without_the_right_to_read(umemcg):
    """The others are shown; that one is not is a note."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        audit(domain, worker.pid)
        if os.getuid() != 0 or plain(["setpriv", "--version"]).status != 0:
            raise Skip("only root can give up the right")

        def powerless(*options):
            return plain(["setpriv", "--bounding-set=-sys_ptrace",
                          "--inh-caps=-all", umemcg.program, "audit",
                          "--domain", domain.name, *options])

        outcome = powerless()
        if outcome.stderr == b"":
            raise Skip("the right cannot be given up here")
        check(outcome.status == 0 and b"is left out" in outcome.stderr
              and b"ptrace_scope" in outcome.stderr
              and b"total" in outcome.stdout, "", outcome)
        outcome = powerless("--json")
        check(outcome.status == 0 and not outcome.stderr
              and b'"error"' in outcome.stdout, "", outcome)
        outcome = powerless(str(worker.pid))
        check(outcome.status == 1 and b"ptrace_scope" in outcome.stderr
              and outcome.stderr.count(b"\n") == 1, "", outcome)


if __name__ == "__main__":
    main([redis_is_accounted_for, each_kind_is_told_apart,
          what_a_child_inherits_is_not_its_own, all_are_in_a_table,
          without_the_right_to_read])

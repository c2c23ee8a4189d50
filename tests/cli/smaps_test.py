"""`umemcg smaps`: what a process's own page table says, read from outside."""

import os
import struct
import subprocess
import sys

from harness import MIB, Skip, check, main, plain

from domain import PAGE_TABLE, check_aligned, domain_of, poke

LEAF_SHIFT = 20  # in a PageTableMap (accounting/page_words.h)
RELEASED_OFFSET = 44  # in an AccountMap


def smaps(domain, pid):
    outcome = domain.command("smaps", "--json", pid)
    if b"Operation not permitted" in outcome.stderr:
        raise Skip("memory of another process may not be read here")
    return domain.json("smaps", pid)


def sums_are_what_memory_stat_says(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 48 * MIB)
        worker.order("drop")
        worker.order("take", 24 * MIB)
        found = smaps(domain, worker.pid)
        stat = domain.stat("/a")
        mine = found["groups"]["/a"]
        check(mine["used"] == stat["active_anon"]
              and mine["cached"] == stat["cached"], f"{mine} is not {stat}")
        check(mine["used"] + mine["cached"] + stat["stock_bytes"]
              == domain.number("/a", "memory.current"),
              f"{mine} and {stat['stock_bytes']} are not all")
        check(mine["used"] >= 24 * MIB, f"{mine}")
        for kind in ("used", "cached"):
            total = sum(row[kind] for row in found["mappings"]
                        if row["group"] == "/a")
            check(total == mine[kind], f"{kind}: {total} is not {mine[kind]}")


def mappings_are_the_process_s(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 8 * MIB)
        found = smaps(domain, worker.pid)
        with open(f"/proc/{worker.pid}/maps", encoding="utf-8") as maps:
            mappings = {line.split()[0] for line in maps}
        for row in found["mappings"]:
            check(f"{row['start']}-{row['end']}" in mappings,
                  f"{row} is no mapping")
            size = int(row["end"], 16) - int(row["start"], 16)
            check(0 < row["used"] + row["cached"] <= size
                  and row["used"] % 4096 == row["cached"] % 4096 == 0,
                  f"{row}: more than there is, or no pages")


def the_table_has_the_same(umemcg):
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 8 * MIB)
        found = smaps(domain, worker.pid)
        lines = check_aligned(domain.done("smaps", worker.pid))
        check(lines[0].split() == ["address", "group", "used", "cached"],
              lines[0])
        check([line.split() for line in lines[1:-1]] ==
              [[f"{row['start']}-{row['end']}", row["group"],
                str(row["used"]), str(row["cached"])]
               for row in found["mappings"]], f"{lines}")
        sums = [sum(row[kind] for row in found["mappings"])
                for kind in ("used", "cached")]
        check(lines[-1].split() == ["total", *map(str, sums)], lines[-1])


def owners_are_told_apart(umemcg):
    """What was charged before a move and what after, in the same mapping."""
    with domain_of(umemcg, "/a", "/b") as domain:
        worker = domain.worker("/a")
        worker.order("take", 16 * MIB)
        domain.done("move", worker.pid, "/b")
        worker.order("take", 32 * MIB)
        groups = smaps(domain, worker.pid)["groups"]
        for path in ("/a", "/b"):
            stat = domain.stat(path)
            check(groups[path]["used"] == stat["active_anon"]
                  and groups[path]["cached"] == stat["cached"],
                  f"{path}: {groups} is not {stat}")
        # When a group is gone, its parent is charged.
        domain.done("rm", "/a")
        worker.order("take", MIB)
        groups = smaps(domain, worker.pid)["groups"]
        check("/a" not in groups and groups["/"]["used"] >= 16 * MIB,
              f"{groups}")


def inherited_pages_are_the_parent_s(umemcg):
    """A forked child's page table names them; the child is not charged."""
    script = ("import os, sys, time\n"
              "blocks = [bytearray(65536) for _ in range(320)]\n"
              "child = os.fork()\n"
              "if child == 0:\n"
              "    more = [bytearray(65536) for _ in range(160)]\n"
              "    print('ready', os.getpid(), flush=True)\n"
              "    time.sleep(60)\n"
              "os.waitpid(child, 0)\n")
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")  # keeps the group in use
        process = subprocess.Popen(
            umemcg.run_command([sys.executable, "-c", script],
                               ["--domain", domain.name, "--group", "/a"]),
            stdout=subprocess.PIPE, text=True)
        try:
            child = int(process.stdout.readline().split()[1])
            found = smaps(domain, child)
            inherited = sum(row["used"] for row in found["mappings"]
                            if row["inherited"] and row["group"] == "/a")
            check(inherited >= 20 * MIB, f"{found}")
            own = found["groups"]["/a"]["used"]
            check(10 * MIB <= own <= 16 * MIB, f"{found}")
            check("/a (inherited)" in domain.done("smaps", child), "not shown")
            os.kill(child, 9)
        finally:
            process.communicate(timeout=30)
        domain.end_worker(worker)


def addresses_are_not_trusted(umemcg):
    """The domain's file may say anything: no crash, no hang, one line."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        smaps(domain, worker.pid)
        with open(f"/proc/{worker.pid}/maps", encoding="utf-8") as maps:
            somewhere = int(maps.readline().split("-")[0], 16)
        for page_table, accounts in (
                (0, 0), (1, 1), (somewhere, somewhere),
                (2**64 - 8, 2**64 - 8), (2**47, 2**47)):
            kept = poke(domain, PAGE_TABLE,
                        struct.pack("<QQ", page_table, accounts))
            domain.refused("smaps", worker.pid,
                           words=[str(worker.pid), "Invalid argument"])
            poke(domain, PAGE_TABLE, kept)
        smaps(domain, worker.pid)


def tables_are_not_trusted(umemcg):
    """A process that forges descriptors is read within bounds."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        smaps(domain, worker.pid)
        # Both descriptors lie in the worker's memory; forge them there.
        kept = poke(domain, PAGE_TABLE, b"\0" * 16)
        poke(domain, PAGE_TABLE, kept)
        page_table, accounts = struct.unpack("<QQ", kept)
        with open(f"/proc/{worker.pid}/mem", "r+b", buffering=0) as memory:
            # Magic, sizes, shifts and offsets; 64 bits of addresses.
            forge(domain, worker, memory, page_table, 40, (
                (0, 1), (8, 1), (12, 2**31), (16, 2**32 - 1),
                (LEAF_SHIFT, 0), (LEAF_SHIFT, 9), (LEAF_SHIFT, 63),
                (LEAF_SHIFT, 31), (24, 12), (28, 0), (28, 2**31),
                (32, 2**32 - 1)), wrong=(0, LEAF_SHIFT))
            forge(domain, worker, memory, accounts, 56, (
                (0, 1), (8, 1), (12, 2**31), (16, 0), (20, 0), (24, 0),
                (24, 2**32 - 1), (28, 2**32 - 1), (32, 4096), (36, 2**31),
                (40, 2**32 - 1), (44, 2**31)), wrong=(0,))
        smaps(domain, worker.pid)


def released_accounts_are_nobody_s(umemcg):
    """What a row that is free still says of a group is not shown."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        worker.order("take", 8 * MIB)
        check(smaps(domain, worker.pid)["groups"]["/a"]["used"] >= 8 * MIB,
              "nothing is charged to /a")
        kept = poke(domain, PAGE_TABLE, b"\0" * 16)
        poke(domain, PAGE_TABLE, kept)
        accounts = struct.unpack("<QQ", kept)[1]
        with open(f"/proc/{worker.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(accounts + 24)
            sizes = struct.unpack("<6I", memory.read(24))
            # A byte that is not 0 in every row: of the row's own id.
            write_over(memory, accounts + RELEASED_OFFSET,
                       struct.pack("<I", sizes[1]))
            check(smaps(domain, worker.pid)["groups"] == {}, "still shown")
            write_over(memory, accounts + RELEASED_OFFSET,
                       struct.pack("<I", sizes[5]))
        check("/a" in smaps(domain, worker.pid)["groups"], "not put back")


def forge(domain, worker, memory, address, size, forgeries, wrong):
    """What lies at the offsets `wrong` cannot be taken for a table at all."""
    memory.seek(address)
    kept = memory.read(size)
    for offset, value in forgeries:
        forged = bytearray(kept)
        struct.pack_into("<I", forged, offset, value)
        write_over(memory, address, forged)
        outcome = domain.command("smaps", worker.pid)
        check(outcome.status == 1 if offset in wrong
              else outcome.status in (0, 1), f"{offset}: {value}", outcome)
        write_over(memory, address, kept)


def write_over(memory, address, data):
    memory.seek(address)
    memory.write(data)


def without_the_right_to_read(umemcg):
    """A process whose memory may not be read: told apart from a bad table."""
    with domain_of(umemcg, "/a") as domain:
        worker = domain.worker("/a")
        smaps(domain, worker.pid)
        if os.getuid() != 0 or plain(["setpriv", "--version"]).status != 0:
            raise Skip("only root can give up the right")
        outcome = plain(["setpriv", "--bounding-set=-sys_ptrace",
                         "--inh-caps=-all", umemcg.program, "smaps",
                         "--domain", domain.name, str(worker.pid)])
        if outcome.status == 0:
            raise Skip("the right cannot be given up here")
        check(b"Operation not permitted" in outcome.stderr
              and b"ptrace_scope" in outcome.stderr, "not said", outcome)


if __name__ == "__main__":
    main([sums_are_what_memory_stat_says, mappings_are_the_process_s,
          the_table_has_the_same, owners_are_told_apart,
          inherited_pages_are_the_parent_s, addresses_are_not_trusted,
          tables_are_not_trusted, released_accounts_are_nobody_s,
          without_the_right_to_read])

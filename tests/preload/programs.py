"""The real programs that run under umemcg: what each needs, runs and makes."""

import dataclasses
import os
import random

from harness import MIB


@dataclasses.dataclass
class Program:
    """One entry of the table; `command` runs in a folder with `inputs`."""

    command: list
    needs: list  # binaries that must be in PATH
    inputs: list = ()  # files of tests/preload/programs
    prepare: object = None  # called with the folder, to make generated input
    artefacts: list = ()  # glob patterns of files that must be the same
    least_peak: int = MIB  # bytes that umemcg must have seen at once


def write_lines(folder):
    """500,000 lines for sort."""
    numbers = random.Random(1)
    with open(os.path.join(folder, "lines"), "w", encoding="ascii") as lines:
        for _ in range(500_000):
            lines.write(f"{numbers.getrandbits(60):x}\n")


def write_tree(folder):
    """A folder of 60 files, half of their bytes compressible, for tar."""
    numbers = random.Random(2)
    for i in range(60):
        path = os.path.join(folder, "tree", f"{i % 6}", f"file{i}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(numbers.randbytes(20_000))
            file.write(b"the same line again\n" * numbers.randrange(4000))


def write_history(folder):
    """A git fast-import stream: 400 commits, 2 branches, 300 files."""
    numbers = random.Random(3)
    lines = []
    for i in range(400):
        branch, place = ("side", "other") if i % 4 == 3 else ("main", "folder")
        text = "".join(f"line {numbers.randrange(1000)}\n" for _ in range(200))
        message = f"Change number {i}"
        lines.append(
            f"commit refs/heads/{branch}\n"
            f"committer A U Thor <author@example.com> {1700000000 + i} +0000\n"
            f"data {len(message)}\n{message}\n"
            + ("from refs/heads/main\n" if i == 3 else "") +
            f"M 100644 inline {place}{i % 9}/file{numbers.randrange(40)}.txt\n"
            f"data {len(text)}\n{text}\n")
    with open(os.path.join(folder, "history"), "w", encoding="ascii") as file:
        file.write("".join(lines) + "done\n")


PROGRAMS = {
    "python3": Program(
        command=["python3", "everyday.py"], needs=["python3"],
        inputs=["everyday.py"], least_peak=8 * MIB),
    "python3_processes": Program(
        command=["python3", "processes.py"], needs=["python3"],
        inputs=["processes.py"], least_peak=4 * MIB),
    "perl": Program(
        command=["perl", "hashes.pl"], needs=["perl"], inputs=["hashes.pl"],
        least_peak=8 * MIB),
    "bash": Program(
        command=["bash", "pipelines.sh"], needs=["bash", "awk", "seq"],
        inputs=["pipelines.sh"]),
    "git": Program(
        command=["bash", "repository.sh"], needs=["bash", "git"],
        inputs=["repository.sh"], prepare=write_history,
        artefacts=["log", "clone/**"], least_peak=2 * MIB),
    "gcc": Program(
        command=["bash", "compile_c.sh"], needs=["bash", "gcc"],
        inputs=["compile_c.sh", "expression.c"],
        artefacts=["*.o", "expression"], least_peak=4 * MIB),
    "gxx": Program(
        command=["bash", "compile_cxx.sh"], needs=["bash", "g++"],
        inputs=["compile_cxx.sh", "containers.cc"],
        artefacts=["*.o", "containers"], least_peak=40 * MIB),
    "sqlite3": Program(
        command=["bash", "database.sh"], needs=["bash", "sqlite3"],
        inputs=["database.sh"], artefacts=["data.db"]),
    "redis": Program(
        command=["bash", "redis.sh"],
        needs=["bash", "redis-server", "redis-cli", "redis-benchmark"],
        inputs=["redis.sh"], least_peak=4 * MIB),
    "node": Program(
        command=["node", "workers.js"], needs=["node"], inputs=["workers.js"],
        least_peak=4 * MIB),
    "java_version": Program(
        command=["bash", "-c", "java -version 2>&1"], needs=["bash", "java"]),
    "java": Program(
        command=["bash", "java.sh"], needs=["bash", "java"],
        inputs=["java.sh", "Everyday.java"], least_peak=4 * MIB),
    "tar_xz": Program(
        command=["bash", "archive.sh"],
        needs=["bash", "tar", "xz", "diff"], inputs=["archive.sh"],
        prepare=write_tree, artefacts=["tree.tar.xz"], least_peak=2 * MIB),
    "sort": Program(
        command=["sort", "--parallel=2", "-S", "40M", "-o", "sorted", "lines"],
        needs=["sort"], prepare=write_lines, artefacts=["sorted"],
        least_peak=8 * MIB),
}

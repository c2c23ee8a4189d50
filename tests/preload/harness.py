"""What the preload tests share: umemcg's interface as they expect it.

Everything that a test knows of the `umemcg` program's options, its report and
its messages is said here once. A test is a function that takes a Umemcg and
raises Failure or Skip; main() runs the ones of a file.
"""

import argparse
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback

MIB = 1 << 20
RESERVE = 256 << 10  # the most that a group may hold above its max
SKIPPED = 77  # the exit status that CMake's SKIP_RETURN_CODE names

# Of this many bytes hog.py reports under 64 MiB, whatever the block size costs.
HOG_LIMIT = 64 * MIB
HOG_LEAST, HOG_MOST = 45_000_000, 64_000_000

EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126


class Failure(Exception):
    """The test failed; the text says how."""


class Skip(Exception):
    """The test cannot run here; the text says why."""


def check(condition, text, *outcomes):
    """Fails with the text, and with what the outcomes' programs printed."""
    if not condition:
        raise Failure("\n".join([text, *(o.describe() for o in outcomes)]))


class Report:
    """The JSON report: what each group, by path, says of itself."""

    def __init__(self, text):
        document = json.loads(text)
        groups = document.get("groups", document)
        self.groups = {path: group for path, group in groups.items()
                       if isinstance(group, dict) and "memory.peak" in group}

    def peak(self):
        """The highest peak of any group."""
        return max((g["memory.peak"] for g in self.groups.values()), default=0)

    def limited(self, limit):
        """The group whose memory.max is `limit`."""
        for group in self.groups.values():
            if group["memory.max"] == limit:
                return group
        raise Failure(f"no group with memory.max {limit} in {self.groups}")


@dataclasses.dataclass
class Outcome:
    """How one command ended."""

    command: list
    status: int  # as a shell has it: 128 + N after signal N
    stdout: bytes
    stderr: bytes
    report: Report = None

    def complaints(self):
        """The lines in which umemcg says something."""
        lines = self.stderr.decode(errors="replace").split("\n")
        return [line for line in lines if line.startswith("umemcg")]

    def refusals(self):
        """The lines that tell of the first allocation refused."""
        return [line for line in self.complaints() if is_refusal(line)]

    def describe(self):
        return (f"  command: {' '.join(map(str, self.command))}\n"
                f"  status: {self.status}\n"
                f"  stdout: {self.stdout[-1500:].decode(errors='replace')}\n"
                f"  stderr: {self.stderr[-1500:].decode(errors='replace')}")


def is_refusal(line):
    """Whether the line has all that a refusal's line must say."""
    return bool(re.search(r"/\S|\bgroup\b", line)) and all(
        re.search(rf"\b{word}", line)
        for word in ("limit", "usage", "cached", "request"))


def clean_environment(**settings):
    """The caller's environment without anything that steers an allocator."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("UMEMCG_", "MIMALLOC_", "MALLOC_"))
            and name not in ("LD_PRELOAD", "GLIBC_TUNABLES")}
    return {**kept, "LC_ALL": "C", **settings}


def plain(command, *, timeout=120, env=None, **kwargs):
    """Runs a command as it is; kills all that it started when it hangs."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=env or clean_environment(),
        start_new_session=True, **kwargs)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        outcome = Outcome(command, 137, stdout, stderr)
        raise Failure(f"still running after {timeout} s\n{outcome.describe()}")
    status = process.returncode
    return Outcome(command, 128 - status if status < 0 else status,
                   stdout, stderr)


class Umemcg:
    """The two ways in: the `umemcg` program, and the library preloaded."""

    def __init__(self, arguments):
        self.program = arguments.umemcg
        self.library = arguments.library
        self.source_dir = arguments.source_dir

    def hog(self, size="1G"):
        """The command that takes memory until MemoryError, or until `size`.

        The interpreter itself, not a wrapper script in PATH: the tests count
        the lines that each process under the limit may print. And never
        without a size: a limit that fails must not cost the machine's memory.
        """
        return [sys.executable,
                os.path.join(self.source_dir, "examples/hog.py"), size]

    def run_command(self, command, options=()):
        return [self.program, "run", *options, "--", *map(str, command)]

    def run(self, command, *, max=None, options=(), **kwargs):
        """`umemcg run`, with the report that it wrote."""
        if max is not None:
            options = ["--max", str(max), *options]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            outcome = plain(self.run_command(
                command, ["--json", f"--report={path}", *options]), **kwargs)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as report:
                    outcome.report = Report(report.read())
        return outcome

    def preload(self, command, *, settings=None, **kwargs):
        """LD_PRELOAD and UMEMCG_* variables alone."""
        return plain(command, env=clean_environment(
            LD_PRELOAD=self.library, **(settings or {})), **kwargs)


def hog_bytes(outcome):
    """How far hog.py got before MemoryError."""
    found = re.match(rb"MemoryError after (\d+) bytes", outcome.stdout)
    check(found, "no MemoryError reported", outcome)
    return int(found.group(1))


def check_hog_stopped(outcome):
    """hog.py met the 64 MiB limit where it should, and lived."""
    check(outcome.status == 0, "the exit status is not 0", outcome)
    got = hog_bytes(outcome)
    check(HOG_LEAST <= got <= HOG_MOST, f"{got} bytes under 64 MiB", outcome)


def add_arguments(parser):
    parser.add_argument("--umemcg", required=True, help="the program")
    parser.add_argument("--library", required=True, help="libumemcg.so")
    parser.add_argument("--source-dir", required=True, help="the repository")


def run_tests(tests):
    """Runs each (name, callable); returns the exit status for ctest."""
    results = {"ok": 0, "FAIL": 0, "SKIP": 0}
    for name, test in tests:
        try:
            test()
            word, text = "ok", ""
        except Skip as reason:
            word, text = "SKIP", f": {reason}"
        except Failure as reason:
            word, text = "FAIL", f": {reason}"
        except Exception:
            word, text = "FAIL", f": {traceback.format_exc()}"
        results[word] += 1
        print(f"{word} {name}{text}", flush=True)
    if results["FAIL"]:
        return 1
    return 0 if results["ok"] else SKIPPED


def main(tests):
    """Runs a file's tests, or those named on the command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("names", nargs="*", help="only these tests")
    arguments = parser.parse_args()
    umemcg = Umemcg(arguments)
    names = {test.__name__: test for test in tests}
    chosen = arguments.names or list(names)
    sys.exit(run_tests(
        [(name, lambda test=names[name]: test(umemcg)) for name in chosen]))

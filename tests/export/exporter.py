"""An exporter at work, and what it says.

Beside ../preload/harness.py, which says how a test ends, and ../cli/domain.py.
"""

import contextlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request

from harness import Skip, check, clean_environment, plain

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def need(program):
    """The path of a program, without which the test cannot run."""
    path = shutil.which(program)
    if path is None:
        raise Skip(f"{program} is not installed")
    return path


class Metrics:
    """The text format: values by name and labels."""

    def __init__(self, text):
        self.text = text
        self.types, self.help, self.values = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, word, name, rest = line.split(" ", 3)
                {"TYPE": self.types, "HELP": self.help}[word][name] = rest
                continue
            found = SAMPLE.fullmatch(line)
            check(found, f"not a sample: {line!r}")
            labels = tuple(sorted(
                (name, value.replace("\\\\", "\\").replace('\\"', '"'))
                for name, value in LABEL.findall(found[2] or "")))
            check((found[1], labels) not in self.values, f"twice: {line}")
            self.values[found[1], labels] = float(found[3])

    def find(self, name, **labels):
        """The value of a series; None if there is none."""
        return self.values.get((name, tuple(sorted(labels.items()))))

    def get(self, name, **labels):
        value = self.find(name, **labels)
        check(value is not None, f"no {name} {labels} in\n{self.text[:20000]}")
        return value

    def labels(self, label):
        """The values that a label has anywhere."""
        return {dict(labels)[label] for _, labels in self.values
                if label in dict(labels)}


class Exporter:
    """`umemcg export` that listens; its address is what it says itself."""

    def __init__(self, umemcg, *options):
        self.process = subprocess.Popen(
            [umemcg.program, "export", *options], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment())
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"metrics at (http://(\S+)/metrics)\n", self.line)
        if found is None:
            self.end()
            check(False, f"it says {self.line!r} and {self.errors!r}")
        self.url, self.address = found[1], found[2]

    def scrape(self):
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            self.content_type = answer.headers["Content-Type"]
            return Metrics(answer.read().decode())

    def end(self, number=signal.SIGTERM):
        """The exit status; `errors` is then what it printed to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            _, self.errors = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            check(False, f"it does not end by signal {number}")
        return self.process.returncode


@contextlib.contextmanager
def exporter_of(umemcg, *options):
    """An exporter that ends well, and has nothing to complain of."""
    exporter = Exporter(umemcg, "--listen", "127.0.0.1:0", *options)
    try:
        yield exporter
    finally:
        status = exporter.end()
    check(status == 0 and exporter.errors == "",
          f"it ended with {status}: {exporter.errors}")


def once(umemcg, *options):
    """The metrics, printed. (Of all domains, some may be nothing of ours.)"""
    outcome = plain([umemcg.program, "export", "--once", *options], timeout=60)
    check(outcome.status == 0 and ("--all" in options or not outcome.stderr),
          "export failed", outcome)
    return Metrics(outcome.stdout.decode())


def until(condition, text, seconds=60):
    """What `condition` gives when it is something; fails after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    check(False, text() if callable(text) else text)

"""A domain, and programs of programs/ that live in it.

Beside ../preload/harness.py (how a test ends) and ../cli/domain.py (the
commands on a domain).
"""

import contextlib
import os
import subprocess
import sys

from harness import clean_environment

PROGRAMS = os.environ["UMEMCG_SHARED_PROGRAMS"]


def program(name):
    return os.path.join(PROGRAMS, f"shared_{name}")


def start(umemcg, domain, group, *command, settings=None, **kwargs):
    """A preloaded program in a group of the domain, with pipes."""
    return subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=kwargs.pop("stderr", subprocess.PIPE), text=True,
        env=clean_environment(LD_PRELOAD=umemcg.library, UMEMCG_DOMAIN=domain,
                              UMEMCG_GROUP=group, **(settings or {})),
        **kwargs)


@contextlib.contextmanager
def ended(process):
    """Whatever happens, it does not stay."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def stress_seconds():
    """None: as short as ctest wants it."""
    text = os.environ.get("UMEMCG_STRESS_SECONDS")
    return int(text) if text else None


def say(text):
    print(text, file=sys.stdout, flush=True)

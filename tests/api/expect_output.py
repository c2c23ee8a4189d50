#!/usr/bin/env python3
"""Runs a program that must end well and print the lines that are expected.

    expect_output.py --stdout 'LINE|LINE' --stderr LINE -- PROGRAM ARGS...

The lines are regular expressions, between bars; each matches a whole line.
"""

import argparse
import re
import subprocess
import sys


def problems(stream, expected, text):
    """Yields what is not as expected in one stream."""
    wanted = expected.split("|") if expected else []
    lines = text.splitlines()
    if len(lines) != len(wanted):
        yield f"{stream}: {len(lines)} lines instead of {len(wanted)}"
    for line, pattern in zip(lines, wanted):
        if not re.fullmatch(pattern, line):
            yield f"{stream}: {line!r} does not match {pattern!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stdout", required=True)
    parser.add_argument("--stderr", required=True)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    done = subprocess.run(args.command, capture_output=True, text=True)
    found = [*problems("stdout", args.stdout, done.stdout),
             *problems("stderr", args.stderr, done.stderr)]
    if done.returncode != 0:
        found.append(f"exit status {done.returncode}")
    if found:
        print(*found, "stdout:", done.stdout, "stderr:", done.stderr,
              sep="\n")
        sys.exit(1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What can be said of C and C++ files without understanding them.

At most 80 columns and 600 lines; a TODO names its issue, as TODO(#12); and
clang-format 14 would change nothing.
"""

import re
import shutil
import subprocess

import common

MOST_COLUMNS = 80
MOST_LINES = 600
BARE_TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
CLANG_FORMAT = ("clang-format-14", "clang-format")


def line_problems(lines):
    """Yields (line number, what is wrong) for the lines of one file."""
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_COLUMNS:
            yield number, f"{len(line)} columns"
        if BARE_TODO.search(line):
            yield number, "a TODO without the number of its issue"
        if line != line.rstrip():
            yield number, "blanks at the end"
    if len(lines) > MOST_LINES:
        yield len(lines), f"more than {MOST_LINES} lines"


def clang_format():
    """The path of clang-format 14, or None: others format differently."""
    for name in CLANG_FORMAT:
        path = shutil.which(name)
        if path and " 14." in common.output_of(path, "--version"):
            return path
    return None


def format_problems(formatter, root, names):
    """Yields the files that clang-format would change."""
    for name in names:
        done = subprocess.run([formatter, "--dry-run", "-Werror", name],
                              cwd=root, capture_output=True, text=True)
        if done.returncode != 0:
            found = re.findall(r":(\d+):\d+: error", done.stderr)
            lines = ", ".join(list(dict.fromkeys(found))[:8])
            yield f"{name}: clang-format -i would change lines {lines}"


def guard(args):
    """Yields each breach of the house style."""
    root = args.source_dir
    names = common.project_files(root, common.C_SUFFIXES)
    for name in names:
        for number, problem in line_problems(
                (root / name).read_text().splitlines()):
            yield f"{name}:{number}: {problem}"
    formatter = clang_format()
    if formatter is None:
        print("SKIP of the format: no clang-format 14")
    else:
        yield from format_problems(formatter, root, names)


if __name__ == "__main__":
    common.main(guard)

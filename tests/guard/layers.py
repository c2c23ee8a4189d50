#!/usr/bin/env python3
"""An include goes down only, and is spelled from the root of the project.

    base < accounting < stock < alloc < reclaim < shim
    cli sees base and accounting

alloc/ is the only folder that knows mimalloc; abseil stays in cli/. A public
header is installed without the rest of the tree, so it includes none of it.
"""

import pathlib
import re

import common

STACK = ("base", "accounting", "stock", "alloc", "reclaim", "shim")

# For each folder, those whose headers it may include.
ALLOWED = {layer: set(STACK[:i + 1]) for i, layer in enumerate(STACK)}
ALLOWED["shim"].add("include")
ALLOWED["cli"] = {"base", "accounting", "cli"}
ALLOWED["include"] = set()

# Headers of others, by the folders that may include them.
RESERVED = (
    (re.compile(r"mimalloc"), "mimalloc", {"alloc"}),
    (re.compile(r"absl/"), "abseil", {"cli"}),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    """(line number, whether quoted, what) of each include of a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == '"', match[2]


def quoted_problem(root, folder, header):
    """What is wrong with a quoted include, or None."""
    target = pathlib.PurePosixPath(header).parts[0]
    if (target not in ALLOWED or ".." in header
            or not (root / header).is_file()):
        return "is not spelled from the root of the project"
    if target not in ALLOWED[folder]:
        return f"goes up: {folder}/ may not see {target}/"
    return None


def bracketed_problem(folder, header):
    """What is wrong with an include in angle brackets, or None."""
    if header.split("/")[0] in ALLOWED and "/" in header:
        return "is the project's own: in quotes, please"
    for pattern, name, folders in RESERVED:
        if pattern.match(header) and folder not in folders:
            return f"{name} is for {' and '.join(sorted(folders))} only"
    return None


def check(root):
    """Yields a line for each include that breaks a rule."""
    for folder in ALLOWED:
        files = (path for path in sorted((root / folder).rglob("*"))
                 if path.suffix in common.C_SUFFIXES)
        for path in files:
            for number, quoted, header in includes(path):
                problem = (quoted_problem(root, folder, header) if quoted
                           else bracketed_problem(folder, header))
                if problem:
                    yield (f"{path.relative_to(root)}:{number}: {header} "
                           f"{problem}")


if __name__ == "__main__":
    common.main(lambda args: check(args.source_dir))

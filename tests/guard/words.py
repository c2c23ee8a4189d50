#!/usr/bin/env python3
"""Words that tie the project to one machine or one mirror are not in it.

Set-up takes the addresses of registries from the machine's configuration, and
no file names a folder of the machine it was written on.
"""

import re

import common

HOLDERS = ("tests/guard/words.py", "tests/guard/self_test.py")

FORBIDDEN = (
    (re.compile(r"\b(deb|ftp|security|snapshot|registry|files)"
                r"\.[a-z]+\.(org|com)"),
     "a package registry's host: the machine's configuration has it"),
    (re.compile(r"((?<![\w.$}/-])|(?<=-[IL]))/(work|home|Users|root)/\w"),
     "a path of the machine it was written on"),
)


def rules(root):
    """The forbidden words, this checkout's own folder among them."""
    own = re.compile(re.escape(str(root)) + r"(?![\w.-])")
    deep = len(root.parts) > 2  # "/src" is too short to mean anything
    return [*FORBIDDEN, (own, "the path of this checkout")] if deep else [
        *FORBIDDEN]


def check(text, forbidden):
    """Yields (line number, what is wrong)."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, problem in forbidden:
            match = pattern.search(line)
            if match:
                yield number, f"{match[0]}: {problem}"


def guard(args):
    """Yields every forbidden word in a text file of the project."""
    forbidden = rules(args.source_dir)
    for name in common.project_files(args.source_dir):
        data = (args.source_dir / name).read_bytes()
        if name in HOLDERS or b"\0" in data:
            continue
        for number, problem in check(data.decode(errors="replace"),
                                     forbidden):
            yield f"{name}:{number}: {problem}"


if __name__ == "__main__":
    common.main(guard)

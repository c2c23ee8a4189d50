#!/usr/bin/env python3
"""The layout of a segment is what layout.golden says under its version.

Processes of different builds may meet in one domain: a changed layout must
have a new kLayoutVersion, which makes them refuse each other.
"""

import re

import common

GOLDEN = common.HERE / "layout.golden"
FIELD = re.compile(r"\batomic<[^;]*>\s+(\w+_)\{")


def layout(args):
    """What layout_rows prints."""
    return common.output_of(args.build_dir / "tests/guard/guard_layout_rows")


def version(text):
    """The number in the first line."""
    return text.splitlines()[0].split()[-1] if text else None


def advice(now, before):
    """What to do about a difference."""
    update = "run tests/guard/layout.py --update"
    if version(now) == version(before):
        return ("the layout of a segment has changed: bump kLayoutVersion in "
                f"accounting/layout.h and {update}")
    return f"kLayoutVersion has changed: {update}"


def unprinted(header, text):
    """Yields PageCounter's fields that layout_rows.cc does not name."""
    for field in FIELD.findall(header):
        if not re.search(rf" {field}$", text, re.MULTILINE):
            yield f"layout_rows.cc does not name PageCounter::{field}"


def guard(args):
    """Yields the difference to the golden."""
    text = layout(args)
    header = args.source_dir / "accounting/page_counter.h"
    yield from unprinted(header.read_text(), text)
    before = GOLDEN.read_text() if GOLDEN.exists() else ""
    yield from common.compare_golden(GOLDEN, text.splitlines(), args,
                                     advice(text, before))


if __name__ == "__main__":
    common.main(guard)

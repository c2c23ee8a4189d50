#!/usr/bin/env python3
"""CMakePresets.json has the builds that people and CI ask for by name."""

import json

import common

NAMES = ("release", "debug", "asan", "tsan", "clang")
KINDS = ("configurePresets", "buildPresets", "testPresets")


def check(document):
    """Yields each preset that is missing."""
    for kind in KINDS:
        names = {preset["name"] for preset in document.get(kind, [])}
        for name in NAMES:
            if name not in names:
                yield f"CMakePresets.json: {kind} has no {name}"


def guard(args):
    """Yields what is missing, or what cmake itself says."""
    text = (args.source_dir / "CMakePresets.json").read_text()
    yield from check(json.loads(text))
    listed = common.output_of("cmake", "--list-presets", cwd=args.source_dir)
    for name in NAMES:
        if f'"{name}"' not in listed:
            yield f"cmake --list-presets does not list {name}"


if __name__ == "__main__":
    common.main(guard)

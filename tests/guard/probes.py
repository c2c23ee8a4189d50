#!/usr/bin/env python3
"""libumemcg.so carries the probes that base/probe.h names, and no others."""

import re

import common


def listed(source_dir):
    """The names in the header's table."""
    header = (source_dir / "base" / "probe.h").read_text()
    comment = header[:header.index("#pragma once")]
    return set(re.findall(r"^//   ([a-z_]+)  +group", comment, re.MULTILINE))


def guard(args):
    """Yields the probes that are missing, or not in the table."""
    library = args.build_dir / "libumemcg.so"
    notes = common.output_of("readelf", "-nW", library)
    found = set(re.findall(r"Provider: umemcg\s+Name: (\w+)", notes))
    if not found:
        raise common.Skip("built without <sys/sdt.h> (systemtap-sdt-dev)")
    for name in sorted(listed(args.source_dir) - found):
        yield f"base/probe.h names {name}, which is nowhere"
    for name in sorted(found - listed(args.source_dir)):
        yield f"base/probe.h does not name {name}"


if __name__ == "__main__":
    common.main(guard)

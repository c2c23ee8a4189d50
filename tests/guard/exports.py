#!/usr/bin/env python3
"""libumemcg.so exports the names in exports.golden, and nothing else.

They are the malloc family, operator new and delete, the interposed calls and
umemcg_*. Each further name is one that a program's own may collide with.
"""

import common


def exported(library):
    """"TYPE NAME" of every dynamic symbol that the library defines."""
    text = common.output_of("nm", "-D", "--defined-only", library)
    return sorted((line.split(maxsplit=1)[1] for line in text.splitlines()),
                  key=lambda row: row.split()[1])


def guard(args):
    """Yields the difference to the golden."""
    yield from common.compare_golden(
        common.HERE / "exports.golden",
        exported(args.build_dir / "libumemcg.so"), args,
        "if the change is wanted, say why in the commit and run "
        "tests/guard/exports.py --update")


if __name__ == "__main__":
    common.main(guard)

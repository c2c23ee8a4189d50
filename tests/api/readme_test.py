#!/usr/bin/env python3
"""The code in README.md is copied from the examples.

Between the comments [readme] and [/readme] of every example are lines that
README.md shows, indented by four.

    readme_test.py SOURCE_DIR
"""

import pathlib
import re
import sys
import textwrap

MARKED = re.compile(r"^[^\n]*\[readme\][^\n]*\n(.*?)^[^\n]*\[/readme\]",
                    re.MULTILINE | re.DOTALL)
SHOWN = ("tenants.cc", "index.cc", "cache.cc", "plain.c")


def main():
    root = pathlib.Path(sys.argv[1])
    readme = (root / "README.md").read_text()
    missing = []
    for name in SHOWN:
        marked = MARKED.findall((root / "examples" / name).read_text())
        if not marked:
            missing.append(f"examples/{name} has no marked lines")
        for lines in marked:
            if textwrap.indent(textwrap.dedent(lines), "    ") not in readme:
                missing.append(
                    f"README.md does not show these lines of examples/{name}:"
                    f"\n{textwrap.dedent(lines)}")
    print(*missing, sep="\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What libumemcg.so brings into a process.

It needs the C library and mimalloc, found beside itself; no C++ library. It
runs one function at load, reaches its thread-local storage without a call (a
__tls_get_addr may allocate), and shares its text with every process.
"""

import re

import common

NEEDED = {"libmimalloc.so.3", "libc.so.6"}
MAY_NEED = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
AT_LOAD = {"on_load", "frame_dummy"}  # the second is the compiler's own
CXX_VERSION = re.compile(r"GLIBCXX_|CXXABI_")


def dynamic_entries(library):
    """{tag: [values]} of the dynamic section."""
    entries = {}
    row = re.compile(r"^ 0x\w+ \((\w+)\)\s+(.*)$")
    for line in common.output_of("readelf", "-dW", library).splitlines():
        match = row.match(line)
        if match:
            value = re.search(r"\[(.*)\]", match[2])
            entries.setdefault(match[1], []).append(
                value[1] if value else match[2])
    return entries


def dynamic_problems(entries):
    """Yields what the dynamic section says that it should not."""
    needed = set(entries.get("NEEDED", []))
    for name in sorted(needed - NEEDED - MAY_NEED):
        yield f"needs {name}"
    for name in sorted(NEEDED - needed):
        yield f"does not name {name}, which it uses"
    if entries.get("RUNPATH") != ["$ORIGIN"] or "RPATH" in entries:
        yield "RUNPATH is not $ORIGIN"
    if "TEXTREL" in entries or "TEXTREL" in "".join(entries.get("FLAGS", [])):
        yield "has text relocations"


def import_problems(library):
    """Yields the imports that a preloaded library must not have."""
    text = common.output_of("nm", "-D", "--undefined-only", library)
    for line in text.splitlines():
        name = line.split()[-1]
        if name.split("@")[0] == "__tls_get_addr":
            yield "thread-local storage that is not initial-exec"
        if CXX_VERSION.search(name):
            yield f"imports {name} from the C++ library"


def plain_name(symbol):
    """on_load of umemcg::(anonymous namespace)::on_load()."""
    return re.sub(r"\([^()]*\)$", "", symbol).split("::")[-1]


def load_functions(library):
    """Names of what runs when the library is loaded."""
    sections = common.output_of("readelf", "-SW", library)
    found = re.search(r"\.init_array\s+INIT_ARRAY\s+(\w+)\s+\w+\s+(\w+)",
                      sections)
    if not found:
        return []
    start, size = (int(word, 16) for word in found.groups())
    functions = {}
    for line in common.output_of("nm", "-C", library).splitlines():
        row = line.split(maxsplit=2)
        if len(row) == 3 and row[1] in "tT":
            functions[int(row[0], 16)] = plain_name(row[2])
    names = []
    for line in common.output_of("readelf", "-rW", library).splitlines():
        row = line.split()
        if len(row) < 4 or "RELATIVE" not in line:
            continue
        if start <= int(row[0], 16) < start + size:
            address = int(row[-1], 16)
            names.append(functions.get(address, hex(address)))
    if len(names) != size // 8:
        names.append("an entry without a relocation")
    return names


def load_problems(names):
    """Yields the functions that should not run at load."""
    for name in names:
        if name not in AT_LOAD:
            yield (f"{name} runs when it is loaded: no static constructors "
                   "below shim/, and one of ours")
    if names.count("on_load") != 1:
        yield "on_load does not run exactly once when it is loaded"


def guard(args):
    """Yields what is wrong with the library's dependencies."""
    library = args.build_dir / "libumemcg.so"
    problems = [*dynamic_problems(dynamic_entries(library)),
                *import_problems(library),
                *load_problems(load_functions(library))]
    yield from (f"libumemcg.so {problem}" for problem in problems)


if __name__ == "__main__":
    common.main(guard)

#!/usr/bin/env python3
"""The hot exported functions stay as short as fastpath.golden says.

malloc and its like are one jump through a pointer, free is one jump, whatever
the compiler. The golden counts what g++ makes of a Release build.
"""

import platform
import re

import common

HOT = ("malloc", "calloc", "realloc", "free", "malloc_usable_size", "_Znwm",
       "_Znam", "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm")
JUMPS = ("malloc", "realloc", "free", "malloc_usable_size", "_ZdlPv", "_ZdaPv",
         "_ZdlPvm", "_ZdaPvm")
JUMP = (3, 0, 0, 0, 0)  # a load, an endbr64 and the jump
COLUMNS = ("instructions", "calls", "branches", "pushes", "locked")

FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\t(.*)$")
PADDING = re.compile(r"(data16 )*(cs )?(nop|xchg\s+%ax,%ax|int3)")


def disassembled(library):
    """{function: its instructions}, without the padding at the end."""
    functions = {}
    body = None
    text = common.output_of("objdump", "-d", "--no-show-raw-insn", library)
    for line in text.splitlines():
        start, instruction = FUNCTION.match(line), INSTRUCTION.match(line)
        if start:
            body = functions.setdefault(start[1], [])
        elif instruction and body is not None:
            body.append(instruction[1])
    for body in functions.values():
        while body and PADDING.match(body[-1]):
            body.pop()
    return functions


def counts(body):
    """The golden's columns for one function."""
    words = [instruction.split() for instruction in body]
    names = [word[0] for word in words]
    return (len(names), names.count("call"),
            sum(n.startswith("j") and n != "jmp" for n in names),
            names.count("push"), names.count("lock"))


def measured(functions):
    """{hot function: counts}."""
    return {name: counts(functions[name]) for name in HOT}


def read_golden(path):
    """{hot function: counts} from the golden file."""
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    return {row[0]: tuple(map(int, row[1:])) for row in rows}


def write_golden(path, rows):
    """The golden file: a head, and a row for each function."""
    head = f"{'function':20}" + " ".join(COLUMNS) + "\n"
    path.write_text(head + "".join(
        f"{name:20}" + " ".join(f"{n:<{len(column)}}" for n, column
                                in zip(row, COLUMNS)).rstrip() + "\n"
        for name, row in rows.items()))


def compare(rows, golden):
    """Yields where a function has become longer."""
    for name, row in rows.items():
        for column, now, most in zip(COLUMNS, row, golden[name]):
            if now > most:
                yield f"{name}: {now} {column}, at most {most}"


def cache_says(build_dir, text):
    """Whether a line of the build's CMake cache ends with the text."""
    cache = (build_dir / "CMakeCache.txt").read_text()
    return re.search(f"{text}$", cache, re.MULTILINE) is not None


def guard(args):
    """Yields where the machine code is longer than the golden."""
    if platform.machine() != "x86_64":
        raise common.Skip("the golden is of x86-64")
    if cache_says(args.build_dir, "^CMAKE_BUILD_TYPE:.*=Debug"):
        raise common.Skip("a Debug build")
    rows = measured(disassembled(args.build_dir / "libumemcg.so"))
    yield from compare({name: rows[name] for name in JUMPS},
                       dict.fromkeys(JUMPS, JUMP))
    if cache_says(args.build_dir, r"^CMAKE_CXX_COMPILER:.*clang\+\+[-\d]*"):
        return
    golden = common.HERE / "fastpath.golden"
    if args.update:
        write_golden(golden, rows)
    problems = list(compare(rows, read_golden(golden)))
    yield from problems
    if problems:
        yield ("a change of the fast path needs a figure in the commit that "
               "says what it costs; then tests/guard/fastpath.py --update")


if __name__ == "__main__":
    common.main(guard)

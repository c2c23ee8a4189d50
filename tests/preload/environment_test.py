"""The variables: what they do with LD_PRELOAD alone, and their bad values."""

import os
import re
import shlex
import sys
import tempfile

from harness import HOG_LIMIT, check, check_hog_stopped, hog_bytes, main

HELLO = [sys.executable, "-c", "print('hello')"]

# Variable, values that it refuses, and what its complaint must speak of.
BAD_VALUES = [
    ("UMEMCG_MAX", ["12Q", "lots", "-5", "64M64", "1.5M"],
     r"[Bb]ytes|size|64M"),
    ("UMEMCG_HIGH", ["12Q", "yes"], r"[Bb]ytes|size|64M"),
    ("UMEMCG_LOW", ["12Q", "low"], r"[Bb]ytes|size|64M"),
    ("UMEMCG_MIN", ["12Q", "-1"], r"[Bb]ytes|size|64M"),
    ("UMEMCG_RESERVE", ["12Q", "some"], r"[Bb]ytes|size|64K"),
    ("UMEMCG_OOM", ["explode"], r"fail"),
    ("UMEMCG_GROUP", ["/a/../b", "/" + "x" * 5000], r"/"),
    ("UMEMCG_DOMAIN", ["../up", "a/b"], r"name|letters"),
    ("UMEMCG_ACCOUNT", ["heap,disk"], r"heap"),
    ("UMEMCG_VERBOSE", ["loud"], r"\b0\b"),
    ("UMEMCG_WORKER", ["perhaps"], r"\b0\b"),
    ("UMEMCG_THP", ["perhaps"], r"\b0\b"),
    ("UMEMCG_REPORT", ["/nonexistent/folder/file"], r"file|stderr"),
]

# What would void the limit if it reached mimalloc.
MIMALLOC_VARIABLES = {
    "MIMALLOC_ARENA_RESERVE": ["1GiB", "4GiB"],
    "MIMALLOC_PURGE_DELAY": ["-1", "100000"],
    "MIMALLOC_PAGE_COMMIT_ON_DEMAND": ["0"],
    "MIMALLOC_ARENA_EAGER_COMMIT": ["1"],
    "MIMALLOC_EAGER_COMMIT": ["1"],
    "MIMALLOC_PURGE_DECOMMITS": ["0"],
    "MIMALLOC_ALLOW_LARGE_OS_PAGES": ["1"],
    "MIMALLOC_RESERVE_OS_MEMORY": ["1GiB"],
    "MIMALLOC_RESERVE_HUGE_OS_PAGES": ["1"],
    "MIMALLOC_DISALLOW_ARENA_ALLOC": ["1"],
    "MIMALLOC_LIMIT_OS_ALLOC": ["1"],
    "MIMALLOC_ARENA_MAX_OBJECT_SIZE": ["64KiB"],
    "MIMALLOC_ALLOW_THP": ["1"],
    "MIMALLOC_ARENA_PURGE_MIN_SIZE": ["1GiB"],
    "MIMALLOC_PAGEMAP_COMMIT": ["1"],
    "MIMALLOC_MAX_VABITS": ["30"],
    "MIMALLOC_DESTROY_ON_EXIT": ["1"],
}


def preload_alone_is_enough(umemcg):
    outcome = umemcg.preload(umemcg.hog(),
                             settings={"UMEMCG_MAX": "64M"})
    check_hog_stopped(outcome)


def sizes_have_suffixes(umemcg):
    for text in ("67108864", "65536K", "64m", "0x4000000", " 64M "):
        outcome = umemcg.preload(umemcg.hog(),
                                 settings={"UMEMCG_MAX": text})
        check_hog_stopped(outcome)


def max_means_no_limit(umemcg):
    outcome = umemcg.preload(umemcg.hog("80M"),
                             settings={"UMEMCG_MAX": "max"})
    check(outcome.stdout.startswith(b"reached ") and not outcome.stderr,
          "UMEMCG_MAX=max hindered", outcome)


def without_settings_nothing_is_said(umemcg):
    outcome = umemcg.preload(HELLO)
    check(outcome.status == 0 and outcome.stdout == b"hello\n"
          and outcome.stderr == b"", "not silent", outcome)


def bad_values_are_named(umemcg):
    for variable, values, accepts in BAD_VALUES:
        for value in values:
            outcome = umemcg.preload(HELLO, settings={variable: value})
            case = f"{variable}={value[:40]}"
            check(outcome.status == 0 and outcome.stdout == b"hello\n",
                  f"{case}: the program did not run", outcome)
            lines = outcome.stderr.decode().splitlines()
            check(len(lines) == 1, f"{case}: not one line on stderr", outcome)
            check(variable in lines[0], f"{case}: not named", outcome)
            check(re.search(accepts, lines[0].replace(variable, "")),
                  f"{case}: the line does not say what it accepts", outcome)


def bad_value_leaves_the_others(umemcg):
    outcome = umemcg.preload(
        umemcg.hog(),
        settings={"UMEMCG_MAX": "64M", "UMEMCG_HIGH": "12Q"})
    check_hog_stopped(outcome)
    check("UMEMCG_HIGH" in outcome.stderr.decode(), "no complaint", outcome)


def mimalloc_variables_cannot_void_the_limit(umemcg):
    for variable, values in MIMALLOC_VARIABLES.items():
        for value in values:
            outcome = umemcg.preload(
                umemcg.hog(),
                settings={"UMEMCG_MAX": "64M", variable: value})
            got = hog_bytes(outcome)
            check(outcome.status == 0 and got <= HOG_LIMIT,
                  f"{variable}={value}: {got} bytes under 64 MiB", outcome)


def all_mimalloc_variables_at_once(umemcg):
    settings = {name: values[0] for name, values in MIMALLOC_VARIABLES.items()}
    outcome = umemcg.preload(umemcg.hog(),
                             settings={"UMEMCG_MAX": "64M", **settings})
    check_hog_stopped(outcome)


def check_report(text, *outcomes):
    for word in ("group", "current", "peak", "max"):
        check(re.search(word, text, re.IGNORECASE), f"no {word} in: {text!r}",
              *outcomes)


def report_to_a_file(umemcg):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report")
        outcome = umemcg.preload(umemcg.hog(),
                                 settings={"UMEMCG_MAX": "64M",
                                           "UMEMCG_REPORT": path})
        check_hog_stopped(outcome)
        check(os.path.exists(path), "no report file", outcome)
        with open(path, encoding="utf-8") as report:
            check_report(report.read(), outcome)


def report_to_stderr(umemcg):
    outcome = umemcg.preload(HELLO, settings={"UMEMCG_REPORT": "stderr"})
    check(outcome.stdout == b"hello\n", "stdout is not the program's", outcome)
    check_report(outcome.stderr.decode(), outcome)


def first_refusal_is_one_line(umemcg):
    """Many refusals, one line, and it has what one asks for first."""
    script = ("for _ in range(20):\n"
              "    try: bytearray(80 << 20)\n"
              "    except MemoryError: print('refused')\n")
    outcome = umemcg.preload([sys.executable, "-c", script],
                             settings={"UMEMCG_MAX": "64M"})
    check(outcome.stdout == b"refused\n" * 20, "wrong output", outcome)
    check(len(outcome.stderr.splitlines()) == 1, "not one line", outcome)
    check(len(outcome.refusals()) == 1, "the line lacks something", outcome)


def verbose_0_is_silent(umemcg):
    outcome = umemcg.preload(umemcg.hog(),
                             settings={"UMEMCG_MAX": "64M",
                                       "UMEMCG_VERBOSE": "0"})
    check_hog_stopped(outcome)
    check(outcome.stderr == b"", "not silent", outcome)


def refusal_with_stderr_closed(umemcg):
    check_hog_stopped(umemcg.preload(
        ["bash", "-c", f"exec {shlex.join(umemcg.hog())} 2>&-"],
        settings={"UMEMCG_MAX": "64M"}))


if __name__ == "__main__":
    main([preload_alone_is_enough, sizes_have_suffixes, max_means_no_limit,
          without_settings_nothing_is_said, bad_values_are_named,
          bad_value_leaves_the_others, mimalloc_variables_cannot_void_the_limit,
          all_mimalloc_variables_at_once, report_to_a_file, report_to_stderr,
          first_refusal_is_one_line, verbose_0_is_silent,
          refusal_with_stderr_closed])

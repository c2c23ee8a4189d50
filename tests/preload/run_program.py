"""Runs one small program under umemcg and passes its verdict on to ctest.

    run_program.py [--max SIZE] [--preload] [--address-space BYTES] ... \\
        -- PROGRAM ARGS...

Fails unless the program exits 0, was accounted, and umemcg said nothing beyond
what --expect-line allows and --require-line demands. A program that exits 77 is skipped, with its words.
"""

import argparse
import os
import re
import resource
import sys
import tempfile

from harness import (SKIPPED, Skip, Umemcg, add_arguments, check,
                     is_refusal, run_tests)


def parse():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("--max", help="the limit")
    parser.add_argument("--preload", action="store_true",
                        help="LD_PRELOAD alone, not `umemcg run`")
    parser.add_argument("--address-space", type=int,
                        help="RLIMIT_AS of umemcg and the program, in bytes")
    parser.add_argument("--expect-line", metavar="REGEX",
                        help="a line that umemcg says, once at most")
    parser.add_argument("--require-line", metavar="REGEX",
                        help="a line that umemcg says, exactly once")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def run_preloaded(umemcg, arguments, **kwargs):
    """The report file at exit is the proof that the library was there."""
    settings = {"UMEMCG_MAX": arguments.max} if arguments.max else {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report")
        outcome = umemcg.preload(arguments.command, **kwargs,
                                 settings={**settings, "UMEMCG_REPORT": path})
        accounted = os.path.exists(path) and os.path.getsize(path) > 0
    return outcome, accounted


def run_under(umemcg, arguments, **kwargs):
    outcome = umemcg.run(arguments.command, max=arguments.max, **kwargs)
    accounted = outcome.report is not None and outcome.report.peak() > 0
    return outcome, accounted


def check_words(outcome, arguments):
    """A refusal's line where there is a limit, and what the options name."""
    expected = arguments.expect_line or arguments.require_line
    unexpected = [line for line in outcome.complaints()
                  if not (arguments.max and is_refusal(line))
                  and not (expected and re.search(expected, line))]
    check(not unexpected, f"umemcg said: {unexpected}", outcome)
    if expected:
        said = [line for line in outcome.complaints()
                if re.search(expected, line)]
        check(len(said) <= 1, f"said more than once: {said}", outcome)
        check(said or not arguments.require_line, "not said", outcome)


def run(umemcg, arguments):
    def limit_address_space():
        resource.setrlimit(resource.RLIMIT_AS, (arguments.address_space,) * 2)

    limit = limit_address_space if arguments.address_space else None
    way = run_preloaded if arguments.preload else run_under
    outcome, accounted = way(umemcg, arguments, preexec_fn=limit)
    if outcome.status == SKIPPED:
        raise Skip(outcome.stdout.decode(errors="replace").strip())
    check(outcome.status == 0, "the exit status is not 0", outcome)
    check(accounted, "the program was not accounted", outcome)
    check_words(outcome, arguments)
    sys.stdout.write(outcome.stdout.decode(errors="replace"))


def main():
    arguments = parse()
    umemcg = Umemcg(arguments)
    name = os.path.basename(arguments.command[0])
    sys.exit(run_tests([(name, lambda: run(umemcg, arguments))]))


if __name__ == "__main__":
    main()

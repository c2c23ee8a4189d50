"""Runs a real program plainly and under umemcg: the two must not differ.

    compare_output.py --umemcg U --library L --source-dir D PROGRAM

Standard output, exit status and the files that the program makes are compared;
umemcg must have said nothing, and its report must show that the program's
memory went through it. A binary that is missing makes the test a SKIP.
"""

import argparse
import difflib
import glob
import hashlib
import os
import shutil
import sys
import tempfile

from harness import (Skip, Umemcg, add_arguments, check, clean_environment,
                     plain, run_tests)
from programs import PROGRAMS

HERE = os.path.dirname(os.path.abspath(__file__))


def require(program):
    for binary in program.needs:
        if shutil.which(binary) is None:
            raise Skip(f"{binary} is not installed")


def fresh_folder(folder, program):
    """The same folder, made anew: paths in the output are the same twice."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "home"))
    for name in program.inputs:
        shutil.copy(os.path.join(HERE, "programs", name), folder)
    if program.prepare:
        program.prepare(folder)


def fingerprints(folder, program):
    """What the program made: names and SHA-256 of its artefacts."""
    found = {}
    for pattern in program.artefacts:
        paths = glob.glob(os.path.join(folder, pattern), recursive=True)
        check(paths, f"no artefact {pattern}")
        for path in filter(os.path.isfile, paths):
            with open(path, "rb") as artefact:
                digest = hashlib.sha256(artefact.read()).hexdigest()
            found[os.path.relpath(path, folder)] = digest
    return found


def difference(before, after):
    lines = [text.stdout.decode(errors="replace").splitlines()
             for text in (before, after)]
    return "\n".join(list(difflib.unified_diff(
        *lines, "plain", "under umemcg", lineterm=""))[:40])


def compare(umemcg, program):
    require(program)
    with tempfile.TemporaryDirectory(prefix="preload-") as top:
        folder = os.path.join(top, "work")
        environment = clean_environment(HOME=os.path.join(folder, "home"),
                                        TMPDIR=folder, TZ="UTC")
        arms = []
        for run in (plain, umemcg.run):
            fresh_folder(folder, program)
            outcome = run(program.command, cwd=folder, env=environment)
            arms.append((outcome, fingerprints(folder, program)
                         if outcome.status == 0 else {}))
    (before, made), (after, made_after) = arms
    check(before.status == 0, "fails even without umemcg", before)
    check(after.status == before.status, "another exit status", after)
    check(after.stdout == before.stdout,
          "another output:\n" + difference(before, after), after)
    check(made_after == made, f"other files: {made} {made_after}", after)
    check(not after.complaints(), "umemcg said something", after)
    check(after.report is not None, "no report", after)
    least = program.least_peak
    check(after.report.peak() >= least,
          f"peak {after.report.peak()} is below {least}: not accounted", after)
    print(f"{len(before.stdout)} bytes of output, {len(made)} files, "
          f"peak {after.report.peak() >> 10} KiB")


def main():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parser.add_argument("program", choices=PROGRAMS)
    arguments = parser.parse_args()
    umemcg = Umemcg(arguments)
    name = arguments.program
    sys.exit(run_tests([(name, lambda: compare(umemcg, PROGRAMS[name]))]))


if __name__ == "__main__":
    main()

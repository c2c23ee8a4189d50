"""What the guards share: the tree's files, goldens, and how a guard ends.

A guard is a generator of problems, each a line for people. main() runs it: no
problem is exit status 0, any is 1, Skip is 77. Under --update a guard that has
a golden file writes it instead of comparing.
"""

import argparse
import difflib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SKIPPED = 77  # the exit status that CMake's SKIP_RETURN_CODE names

C_SUFFIXES = (".h", ".cc", ".c")


class Skip(Exception):
    """The guard cannot run here; the text says why."""


class Broken(Exception):
    """The guard could not look; the text says why. A failure."""


def output_of(*command, **options):
    """What a command prints; its failure is the guard's."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, text=True, capture_output=True,
                              **options)
    except OSError as error:
        raise Broken(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise Broken(f"{' '.join(command)}: exit status {done.returncode}\n"
                     f"{done.stdout}{done.stderr}")
    return done.stdout


def _listed_by_git(root):
    if not (root / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files",
         "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True)
    if done.returncode != 0:
        return None
    return [name.decode() for name in done.stdout.split(b"\0") if name]


def _walked(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders
                      if f not in ("build", ".git", "__pycache__")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


def project_files(root, suffixes=("",)):
    """Paths from the root of what git has or would take, in order."""
    names = _listed_by_git(root)
    if names is None:
        names = _walked(root)
    return sorted(name for name in set(names)
                  if name.endswith(tuple(suffixes))
                  and (root / name).is_file())


def compare_golden(golden, lines, args, advice):
    """Yields the difference to the golden file, then the advice."""
    lines = [line + "\n" for line in lines]
    if args.update:
        golden.write_text("".join(lines))
        return
    wanted = golden.read_text().splitlines(True) if golden.exists() else []
    if lines == wanted:
        return
    for line in difflib.unified_diff(wanted, lines, golden.name, "this build",
                                     n=0):
        yield line.rstrip("\n")
    yield advice


def main(guard):
    """Runs the guard with the arguments that every guard takes."""
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source-dir", type=pathlib.Path, default=ROOT)
    parser.add_argument("--build-dir", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--update", action="store_true",
                        help="write the golden file, if the guard has one")
    args = parser.parse_args()
    args.source_dir = args.source_dir.resolve()
    args.build_dir = args.build_dir.resolve()
    problems = 0
    try:
        for problem in guard(args):
            print(problem)
            problems += 1
    except Skip as skip:
        print(f"SKIP: {skip}")
        sys.exit(SKIPPED)
    except Broken as broken:
        print(broken)
        problems += 1
    print("ok" if problems == 0 else "FAILED")
    sys.exit(problems != 0)

#!/usr/bin/env python3
"""Every header compiles on its own, with the flags of its folder.

The flags are those of a source file of the same folder (or else the nearest)
in the build's compile_commands.json. Both g++ and clang++ look at each (at the
program's, which read large libraries, g++ alone); public headers are read as C
as well.
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess

import common

COMPILERS = {"c++": ("g++", "clang++"), "c": ("gcc", "clang")}

# What names a file of that one compilation rather than a setting; and what was
# precompiled, which a header is to do without.
WITH_OPERAND = {"-o", "-c", "-MF", "-MT", "-MQ", "-include"}
DROPPED = {"-MD", "-MMD", "-Winvalid-pch"}


def flags_of(command):
    """A compilation's flags, without its compiler and its files."""
    words = iter(shlex.split(command)[1:])
    flags = []
    for word in words:
        if word in WITH_OPERAND:
            next(words)
        elif word not in DROPPED:
            flags.append(word)
    return flags


def flags_by_folder(args):
    """{folder: {language: flags}} of the build's compilations."""
    text = (args.build_dir / "compile_commands.json").read_text()
    found = {}
    for entry in json.loads(text):
        path = pathlib.Path(entry["file"])
        if not path.is_relative_to(args.source_dir):
            continue
        folder = str(path.parent.relative_to(args.source_dir))
        language = "c" if path.suffix == ".c" else "c++"
        found.setdefault(folder, {}).setdefault(
            language, flags_of(entry["command"]))
    return found


def nearest(folders, folder):
    """{language: flags} of the folder, or C++'s of one below or around it."""
    if folder in folders:
        return folders[folder]
    while folder:
        for name, languages in sorted(folders.items()):
            if f"{name}/".startswith(f"{folder}/") and "c++" in languages:
                return {"c++": languages["c++"]}
        folder = os.path.dirname(folder)
    return {"c++": folders["base"]["c++"]}


def jobs(args):
    """(header, compiler, language, flags) of every look to take."""
    folders = flags_by_folder(args)
    for header in common.project_files(args.source_dir, [".h"]):
        folder = os.path.dirname(header)
        languages = nearest(folders, folder)
        if folder.startswith("include/"):
            languages = {"c": ["-std=c99", "-pedantic", "-Wall", "-Wextra",
                               "-Werror", f"-I{args.source_dir}"], **languages}
        for language, flags in languages.items():
            for compiler in COMPILERS[language]:
                if folder.startswith("cli") and compiler == "clang++":
                    continue
                if shutil.which(compiler):
                    yield header, compiler, language, flags


def compile_alone(job):
    """The compiler's complaint, or None."""
    header, compiler, language, flags = job
    done = subprocess.run(
        [compiler, *flags, "-fsyntax-only", "-x", language, "-"], text=True,
        input=f'#include "{header}"\n', stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return None
    return f"{header} alone, with {compiler}:\n{done.stdout}"


def guard(args):
    """Yields the complaint about each header that needs another."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(compile_alone, jobs(args)))


if __name__ == "__main__":
    common.main(guard)

#!/usr/bin/env python3
"""`cmake --install` makes a prefix that can be moved, and be built against.

What is installed is moved to another folder first. There programs are built in
each way to link it, with what pkg-config says and with find_package; they read
their own memory.current. bin/umemcg runs a program under a limit.
"""

import errno
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import common

CONSUMER = common.HERE / "consumer"
HAVE = ("bin/umemcg", "include/umemcg/umemcg.h", "include/umemcg/umemcg.hpp",
        "share/man/man1/umemcg.1", "share/bash-completion/completions/umemcg",
        "share/zsh/site-functions/_umemcg",
        "share/fish/vendor_completions.d/umemcg.fish")
HAVE_IN_LIBDIR = ("libumemcg.so", "libumemcg_api.a", "libumemcg_new.a",
                  "cmake/umemcg/umemcgConfig.cmake", "pkgconfig/umemcg.pc",
                  "pkgconfig/umemcg-api.pc", "pkgconfig/umemcg-new.pc")
# A source in consumer/, and what to link it with: pkg-config's package, and the
# program that find_package's target makes.
CONSUMERS = (("consumer.c", "umemcg"), ("consumer_api.c", "umemcg-api"),
             ("consumer_new.cc", "umemcg-new"))

# Nothing of the machine's may help the installed library to be found.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("LD_", "UMEMCG_", "PKG_CONFIG_",
                                       "CMAKE_", "MIMALLOC_"))}


def output_of(*command, **environment):
    """What a command prints, away from the build's own libraries."""
    return common.output_of(*command, env={**ENVIRONMENT, **environment})


def cached(build_dir, name):
    """A variable of the build's CMake cache."""
    for line in (build_dir / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split("=", 1)[1]
    raise KeyError(name)


def install(args, folder):
    """Installs under `folder`, moves it; the prefix and its library folder."""
    made, prefix = folder / "made", folder / "moved here"
    output_of("cmake", "--install", args.build_dir, "--prefix", made)
    made.rename(prefix)
    return prefix, prefix / cached(args.build_dir, "CMAKE_INSTALL_LIBDIR")


def missing(prefix, libdir):
    """Yields what was not installed."""
    for path in [*(prefix / name for name in HAVE),
                 *(libdir / name for name in HAVE_IN_LIBDIR)]:
        if not path.exists():
            yield f"{path.relative_to(prefix)} is not installed"


def leftover_paths(args, prefix):
    """Yields the installed text files that name the source or the build."""
    for path in prefix.rglob("*"):
        if path.suffix not in (".cmake", ".pc", ".h", ".hpp"):
            continue
        for folder in (args.source_dir, args.build_dir, prefix.parent):
            if str(folder) in path.read_text():
                yield f"{path.relative_to(prefix)} names {folder}"


def with_pkg_config(libdir, folder):
    """Builds the consumers with what pkg-config says; their folder."""
    build = folder / "by_pkg_config"
    build.mkdir()
    for source, package in CONSUMERS:
        flags = output_of("pkg-config", "--cflags", "--libs", package,
                          PKG_CONFIG_PATH=str(libdir / "pkgconfig"))
        compiler = "cc" if source.endswith(".c") else "c++"
        output_of(compiler, CONSUMER / source, "-o",
                  build / source.split(".")[0], *shlex.split(flags),
                  f"-Wl,-rpath,{libdir}")
    return build


def with_find_package(prefix, folder):
    """Builds the consumers with find_package(umemcg); their folder."""
    build = folder / "consumer"
    output_of("cmake", "-S", CONSUMER, "-B", build,
              f"-DCMAKE_PREFIX_PATH={prefix}")
    output_of("cmake", "--build", build)
    return build


def consumer_problems(name, build, libdir):
    """Yields what is wrong with what the consumers say of themselves."""
    # A name, since LD_PRELOAD takes no path with a blank.
    preload = {"LD_PRELOAD": "libumemcg.so", "LD_LIBRARY_PATH": str(libdir)}
    for program, environment in (("consumer", {}), ("consumer_new", {}),
                                 ("consumer_api", preload)):
        text = output_of(build / program, **environment).strip()
        if not text.isdigit() or (int(text) == 0 and not environment):
            yield f"{program}, by {name}: memory.current is {text!r}"
    text = output_of(build / "consumer_api").strip()
    if text != os.strerror(errno.ENOSYS):
        yield f"consumer_api, by {name}, without libumemcg.so: {text!r}"


def run_problems(prefix):
    """Yields what is wrong with bin/umemcg."""
    command = [prefix / "bin/umemcg", "run", "--max", "64M", "--",
               "python3", "-c", "print(len(bytearray(1 << 20)))"]
    text = output_of(*command)
    if text != f"{1 << 20}\n":
        yield f"umemcg run printed {text!r}"
    command[-1] = "bytearray(1 << 30)"
    refused = subprocess.run(list(map(str, command)), env=ENVIRONMENT,
                             capture_output=True, text=True)
    if "MemoryError" not in refused.stderr:
        yield f"1 GiB under a limit of 64 MiB: {refused.stderr!r}"


def guard(args):
    """Yields what does not work from the moved prefix."""
    if not shutil.which("pkg-config"):
        raise common.Skip("no pkg-config")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        prefix, libdir = install(args, folder)
        problems = list(missing(prefix, libdir))
        yield from problems
        if problems:
            return
        yield from leftover_paths(args, prefix)
        yield from consumer_problems(
            "pkg-config", with_pkg_config(libdir, folder), libdir)
        yield from consumer_problems(
            "find_package", with_find_package(prefix, folder), libdir)
        yield from run_problems(prefix)


if __name__ == "__main__":
    common.main(guard)

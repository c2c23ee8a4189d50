"""A file that is not a sound domain of the user's is refused with one line,
and the program runs on, not accounted."""

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile

from domain import domain_of
from harness import Skip, check, clean_environment, main

NOBODY = 65534


def refused(umemcg, path, words, library=None, **kwargs):
    """One line that has these words; the program does what it does anyway."""
    outcome = subprocess.run(
        ["/bin/sh", "-c", "echo runs"],
        capture_output=True, text=True, timeout=60, **kwargs,
        env=clean_environment(LD_PRELOAD=library or umemcg.library,
                              UMEMCG_DOMAIN=path))
    check(outcome.returncode == 0 and outcome.stdout == "runs\n",
          f"{words}: the program does not run: {outcome}")
    lines = outcome.stderr.splitlines()
    check(len(lines) == 1 and lines[0].startswith("umemcg: not accounted: "),
          f"{words}: not one line: {outcome.stderr!r}")
    for word in (path, words):
        check(word in lines[0], f"{lines[0]!r} says nothing of {word!r}")


@contextlib.contextmanager
def copy_of_a_domain(umemcg):
    """The file of a domain that was sound, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, \
            domain_of(umemcg, "/a") as domain:
        path = os.path.join(folder, "domain")
        shutil.copyfile(domain.path, path)
        os.chmod(path, 0o600)
        yield path


def write_at(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def a_sound_copy_is_taken(umemcg):
    """Or the rest of these tests would prove nothing."""
    with copy_of_a_domain(umemcg) as path:
        outcome = subprocess.run(
            ["/bin/sh", "-c", "true"], capture_output=True,
            env=clean_environment(LD_PRELOAD=umemcg.library,
                                  UMEMCG_DOMAIN=path))
        check(outcome.returncode == 0 and outcome.stderr == b"", f"{outcome}")


def truncated(umemcg):
    with copy_of_a_domain(umemcg) as path:
        for size in (os.path.getsize(path) - 4096, 4096, 100, 0):
            os.truncate(path, size)
            refused(umemcg, path, "truncated")


def longer(umemcg):
    with copy_of_a_domain(umemcg) as path:
        os.truncate(path, os.path.getsize(path) + 4096)
        refused(umemcg, path, "damaged")


def foreign(umemcg):
    with copy_of_a_domain(umemcg) as path:
        with open(path, "wb") as file:
            file.write(b"#!/bin/sh\necho something else\n" * 1000)
        refused(umemcg, path, "is not a umemcg domain")


def version(umemcg, step, words):
    with copy_of_a_domain(umemcg) as path:
        with open(path, "rb") as file:
            number = struct.unpack("<I", file.read(12)[8:])[0]
        write_at(path, 8, struct.pack("<I", number + step))
        refused(umemcg, path, words)


def older(umemcg):
    version(umemcg, -1, "older")


def newer(umemcg):
    version(umemcg, 1, "newer")


def impossible_sizes(umemcg):
    for value in (0, 0xffffffff):
        with copy_of_a_domain(umemcg) as path:
            write_at(path, 24, struct.pack("<I", value))  # groups
            refused(umemcg, path, "impossible table sizes")
    with copy_of_a_domain(umemcg) as path:
        write_at(path, 28, struct.pack("<I", 3))  # processes
        refused(umemcg, path, "damaged")


def a_symlink(umemcg):
    with copy_of_a_domain(umemcg) as path:
        os.symlink(path, path + ".link")
        refused(umemcg, path + ".link", "symbolic links")


def a_folder_and_a_device(umemcg):
    with tempfile.TemporaryDirectory() as folder:
        refused(umemcg, folder, "directory")
    refused(umemcg, "/dev/null", "is not a regular file")


def open_to_others(umemcg):
    for mode in (0o666, 0o620, 0o602, 0o644):
        with copy_of_a_domain(umemcg) as path:
            os.chmod(path, mode)
            refused(umemcg, path, "mode")


def refused_as_nobody(umemcg, path, words):
    """To a user who need not see the build's folder: so a copy of it."""
    if os.geteuid() != 0:
        raise Skip("only root can run a program as another user")
    folder = os.path.dirname(path)
    os.chmod(folder, 0o755)
    for name in os.listdir(os.path.dirname(umemcg.library)):
        if ".so" in name:
            shutil.copy(os.path.join(os.path.dirname(umemcg.library), name),
                        folder)
    refused(umemcg, path, words, user=NOBODY, group=NOBODY, extra_groups=[],
            library=os.path.join(folder, os.path.basename(umemcg.library)))


def of_another_user(umemcg):
    """Whatever its mode says."""
    with copy_of_a_domain(umemcg) as path:
        os.chmod(path, 0o666)
        refused_as_nobody(umemcg, path, "belongs to another user")


def unreadable(umemcg):
    with copy_of_a_domain(umemcg) as path:
        refused_as_nobody(umemcg, path, "Permission denied")


if __name__ == "__main__":
    main([a_sound_copy_is_taken, truncated, longer, foreign, older, newer,
          impossible_sizes, a_symlink, a_folder_and_a_device, open_to_others,
          of_another_user, unreadable])

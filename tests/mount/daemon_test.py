"""The process that answers: how it begins and ends, and what it survives."""

import contextlib
import errno
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tempfile

from domain import wait_until
from harness import Skip, check, clean_environment, main, plain

from mounted import end_workers, errno_of, mount_of, require_fuse

GROUP_OFFSET = 40  # in a domain's header (accounting/layout.h)


def said(outcome, *words, status=1):
    check(outcome.status == status, f"the status is not {status}", outcome)
    check(len(outcome.complaints()) == 1, "not one line", outcome)
    for word in words:
        check(word in outcome.stderr.decode(), f"no {word!r} in it", outcome)


def it_makes_the_domain_and_leaves_it(umemcg):
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        mount.write("a/memory.max", "8M")
        check(mount.umount().status == 0, "not unmounted")
        check(not mount.mounted() and os.listdir(mount.root) == [], "it stays")
        wait_until(lambda: mount.daemon() is None, "the daemon lives on")
        check(mount.domain.number("/a", "memory.max") == 8 << 20,
              "the limit is lost")


def killed(umemcg):
    """The domain is intact, and a new mount clears the old one away."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        mount.write("a/memory.max", "64M")
        worker = mount.domain.worker("/a")
        os.kill(mount.daemon(), signal.SIGKILL)
        wait_until(lambda: errno_of(os.stat, mount.root) == errno.ENOTCONN,
                   "it answers")
        worker.order("take", 8 << 20)
        check(mount.domain.number("/a", "memory.current") > 8 << 20,
              "not charged")
        said(mount.mount(), "daemon that has ended", str(mount.root), status=0)
        check(mount.procs("a") == {worker.pid}, "the process is lost")
        worker.order("take", 1 << 20)
        os.kill(mount.daemon(), signal.SIGKILL)
        check(mount.umount().status == 0, "a dead mount cannot be unmounted")
        check(os.listdir(mount.root) == [], "it stays")


def signals_end_it(umemcg):
    with mount_of(umemcg) as mount:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(mount.daemon(), number)
            wait_until(lambda: mount.daemon() is None, "it lives on")
            check(not mount.mounted(), "it stays mounted")
            check(mount.mount().status == 0, "not mounted again")


def in_the_foreground(umemcg):
    with mount_of(umemcg) as mount:
        mount.umount()
        wait_until(lambda: mount.daemon() is None, "it lives on")
        command = [umemcg.program, "mount", "--foreground", "--domain",
                   mount.domain.name, str(mount.root)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            wait_until(mount.mounted, "not mounted")
            (mount.root / "a").mkdir()
            process.terminate()
            check(process.wait(30) == 0, f"status {process.returncode}")
            check(process.stderr.read() == b"", "it says something")
        # A domain that is removed ends it.
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            wait_until(mount.mounted, "not mounted")
            mount.domain.done("rm", "--all")
            check(process.wait(30) == 1, f"status {process.returncode}")
            check(b"was removed" in process.stderr.read(), "not said")
        check(not mount.mounted(), "it stays mounted")


def refusals(umemcg):
    with mount_of(umemcg) as mount, tempfile.TemporaryDirectory() as folder:
        program = umemcg.program
        said(mount.mount(), "Device or resource busy", mount.domain.name,
             "umount")
        said(plain([program, "mount", folder + "/none"]), "No such file")
        file = os.path.join(folder, "file")
        with open(file, "w", encoding="utf-8"):
            os.chmod(file, 0o600)
            said(plain([program, "mount", file]), "Not a directory")
        said(plain([program, "mount", "--domain", file, folder]),
             "truncated or damaged")
        said(plain([program, "umount", folder]), "nothing is mounted")
        said(plain([program, "umount", folder + "/none"]), "No such file")
        said(plain([program, "umount", "/proc"]), "not umemcg's", "proc")
        said(plain([program, "umount", str(mount.root / "a")]))
        # A process in it, and one that holds a file.
        (mount.root / "a").mkdir()
        reads = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        with subprocess.Popen(reads, stdin=subprocess.PIPE,
                              cwd=mount.root / "a") as user:
            said(mount.umount(), "Device or resource busy", str(user.pid),
                 "--lazy")
            check(mount.umount("--lazy").status == 0, "not lazily")
            check(not mount.mounted(), "it stays")
            user.communicate()
        wait_until(lambda: mount.daemon() is None, "the daemon lives on")
        # Without a directory nothing is understood.
        said(plain([program, "mount"]), "directory", status=2)


def of_a_removed_domain(umemcg):
    """Nothing goes on in a domain that another has the name of."""
    with mount_of(umemcg) as mount:
        (mount.root / "a").mkdir()
        fd = os.open(mount.root / "a/memory.max", os.O_RDWR)
        peak = os.open(mount.root / "a/memory.peak", os.O_RDWR)
        os.write(peak, b"reset")
        daemon = mount.daemon()
        # Nobody is in it for them: not the daemon, nor what it has open.
        mount.domain.done("gc")
        mount.domain.done("rm", "--all")
        mount.domain.done("create", "/a")
        gone = (errno.ENODEV, errno.ENOTCONN, errno.ENOENT, errno.ECONNABORTED)
        for function in (lambda: os.write(fd, b"8M"),
                         lambda: os.pread(fd, 10, 0),
                         lambda: os.mkdir(mount.root / "a/b"),
                         lambda: os.listdir(mount.root / "a")):
            check(errno_of(function) in gone, f"{errno_of(function)}")
        check(mount.domain.get("/a", "memory.max") == "max\n", "written")
        os.close(fd)
        os.close(peak)
        wait_until(lambda: not mount.mounted(), "it stays mounted")
        wait_until(lambda: not os.path.exists(f"/proc/{daemon}"),
                   "the daemon lives on")


def started_in_a_domain(umemcg):
    """The daemon is not a member: it answers whatever happens to the group."""
    with mount_of(umemcg) as mount:
        mount.umount()
        wait_until(lambda: mount.daemon() is None, "it lives on")
        run = [umemcg.program, "run", "--domain", mount.domain.name,
               "--group", "/a", "--"]
        outcome = plain([*run, umemcg.program, "mount", "--domain",
                         mount.domain.name, str(mount.root)])
        check(outcome.status == 0 and not outcome.stderr, "not mounted",
              outcome)
        with open(f"/proc/{mount.daemon()}/maps", encoding="utf-8") as maps:
            check("libumemcg" not in maps.read(), "the library is loaded")
        check(mount.procs("a") == set(), f"{mount.procs('a')}")
        worker = mount.domain.worker("/a")
        for value in (1, 0):
            mount.write("a/cgroup.freeze", value)
            check(mount.number("a/cgroup.freeze") == value, "not frozen")
        check(mount.procs("a") == {worker.pid}, f"{mount.procs('a')}")
        end_workers(mount.domain)
        # What else is to be preloaded stays.
        mount.umount()
        wait_until(lambda: mount.daemon() is None, "it lives on")
        environment = clean_environment(
            LD_PRELOAD=f"libm.so.6:{umemcg.library}",
            UMEMCG_DOMAIN=mount.domain.name)
        outcome = plain([umemcg.program, "mount", "--domain",
                         mount.domain.name, str(mount.root)],
                        env=environment)
        check(outcome.status == 0, "not mounted", outcome)
        with open(f"/proc/{mount.daemon()}/environ", "rb") as file:
            check(b"LD_PRELOAD=libm.so.6" in file.read().split(b"\0"),
                  "not preloaded any more")


def other_users(umemcg):
    """Each is told what is in the way."""
    if os.getuid() != 0:
        raise Skip("only root can be another user")
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    with mount_of(umemcg) as mount:
        outcome = plain([umemcg.program, "umount", str(mount.root)], **nobody)
        said(outcome, "Operation not permitted", "uid 0")
        check(mount.mounted(), "unmounted")
    if stat.S_IMODE(os.stat("/dev/fuse").st_mode) & 0o006 == 0o006:
        why = ["mount on a directory that you may write to"]
    else:
        why = ["/dev/fuse (Permission denied)", "0666"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(f"{folder}/tree")
        os.mkdir(f"{folder}/own")
        os.chmod(f"{folder}/own", 0o777)
        outcome = plain([umemcg.program, "mount", "--domain",
                         f"{folder}/own/domain", f"{folder}/tree"], **nobody)
        check(outcome.status == 1, "mounted", outcome)
        for word in why:
            check(word in outcome.stderr.decode(), f"no {word!r}", outcome)


def odd_paths(umemcg):
    """Blanks, commas, backslashes and links in the way to the tree."""
    require_fuse()
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        tree = os.path.join(folder, "a b,c\\d\n\té")
        link = os.path.join(folder, "link")
        domain = os.path.join(folder, "do,main \\x")
        os.mkdir(tree)
        os.symlink(tree, link)
        outcome = plain([umemcg.program, "mount", "--domain", domain, link])
        check(outcome.status == 0, "not mounted", outcome)
        try:
            os.mkdir(os.path.join(tree, "ümlaut grüppe"))
            listed = plain([umemcg.program, "ls", "--domain", domain])
            check("/ümlaut grüppe" in listed.stdout.decode(), "ls", listed)
            said(plain([umemcg.program, "mount", "--domain", domain,
                        tree + "/"]), domain)
        finally:
            outcome = plain([umemcg.program, "umount", link + "/"])
        check(outcome.status == 0 and os.listdir(tree) == [], "umount",
              outcome)


def damage(umemcg):
    """Whatever lies in the domain's file, the daemon answers."""
    with mount_of(umemcg) as mount:
        for name in ("a", "b", "a/c"):
            (mount.root / name).mkdir()
        worker = mount.domain.worker("/a")
        daemon = mount.daemon()
        seed = 5
        numbers = random.Random(seed)
        with open(mount.domain.path, "r+b") as file:
            file.seek(GROUP_OFFSET)
            start, processes = struct.unpack("<QQ", file.read(16))
            size = processes - start + (1 << 16)
            file.seek(start)
            good = file.read(size)
            for _ in range(15):
                for _ in range(200):
                    file.seek(start + numbers.randrange(4096 * 12))
                    file.write(numbers.randbytes(8))
                file.seek(processes + numbers.randrange(2048))
                file.write(numbers.randbytes(64))
                file.flush()
                with contextlib.suppress(OSError):
                    for path, _, names in os.walk(mount.root):
                        for name in names:
                            with contextlib.suppress(OSError):
                                full = os.path.join(path, name)
                                with open(full, "rb") as content:
                                    content.read()
                for name in ("a", "b/x"):
                    errno_of(os.mkdir, mount.root / name)
                    errno_of(os.rmdir, mount.root / name)
                check(mount.daemon() == daemon, f"it died (seed {seed})")
            file.seek(start)
            file.write(good)
        check("memory.current" in os.listdir(mount.root / "a"), "not repaired")
        mount.domain.end_worker(worker, kill=True)


if __name__ == "__main__":
    main([it_makes_the_domain_and_leaves_it, killed, signals_end_it,
          in_the_foreground, refusals, of_a_removed_domain,
          started_in_a_domain, other_users, odd_paths, damage])

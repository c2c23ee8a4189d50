"""A domain that is mounted for one test, and watching what it says.

Beside ../preload/harness.py and ../cli/domain.py.
"""

import contextlib
import ctypes
import os
import pathlib
import select
import shutil
import struct
import tempfile
import time

from domain import domain_of
from harness import Skip, check, plain


def require_fuse():
    """Skips where file systems in user space cannot be mounted."""
    if not os.path.exists("/dev/fuse"):
        raise Skip("there is no /dev/fuse")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        raise Skip(f"/dev/fuse: {error.strerror}")
    if os.getuid() != 0 and shutil.which("fusermount3") is None:
        raise Skip("there is no fusermount3")


class Mount:
    """A mounted domain; `root` is its directory."""

    def __init__(self, domain, folder):
        self.domain = domain
        self.root = pathlib.Path(folder)

    def mount(self, *options):
        return plain([self.domain.umemcg.program, "mount", "--domain",
                      self.domain.name, *options, str(self.root)], timeout=30)

    def umount(self, *options):
        return plain([self.domain.umemcg.program, "umount", *options,
                      str(self.root)], timeout=30)

    def mounted(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            return any(line.split()[4] == str(self.root) for line in table)

    def daemon(self):
        """The pid of the process that answers."""
        wanted = [b"mount", b"--domain", self.domain.name.encode()]
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if not entry.isdigit():
                    continue
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    words = line.read().split(b"\0")
                if words[1:4] == wanted and str(self.root).encode() in words:
                    return int(entry)
        return None

    def read(self, path):
        return (self.root / path).read_text()

    def number(self, path):
        return int(self.read(path))

    def write(self, path, value):
        """One write(2), as echo does. (A file of Python's own would take
        EAGAIN for a descriptor that does not block.)"""
        fd = os.open(self.root / path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, f"{value}\n".encode())
        finally:
            os.close(fd)

    def events(self, group):
        return {key: int(value) for key, value in map(
            str.split, self.read(f"{group}/memory.events").splitlines())}

    def procs(self, group):
        return {int(pid) for pid in
                self.read(f"{group}/cgroup.procs").split()}


@contextlib.contextmanager
def mount_of(umemcg, *options):
    """A mounted domain, both gone at the end."""
    require_fuse()
    with domain_of(umemcg) as domain, tempfile.TemporaryDirectory(
            prefix="umemcg-mount-") as folder:
        mount = Mount(domain, folder)
        outcome = mount.mount(*options)
        check(outcome.status == 0 and not outcome.stderr, "not mounted",
              outcome)
        try:
            yield mount
            end_workers(domain)
            if mount.mounted():
                outcome = mount.umount()
                check(outcome.status == 0, "cannot be unmounted", outcome)
        finally:
            end_workers(domain)
            if mount.mounted():
                mount.umount("--lazy")


def end_workers(domain):
    for worker in list(domain.workers):
        domain.end_worker(worker, kill=True)


def errno_of(function, *arguments):
    """The error number that it fails with; 0 if it does not."""
    try:
        function(*arguments)
        return 0
    except OSError as error:
        return error.errno


IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_OPEN = 0x20
IN_DELETE_SELF = 0x400
IN_IGNORED = 0x8000


class Inotify:
    """inotify(7): (seconds, name, mask) of what happens."""

    ALL = 0xFFF

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        check(self.fd >= 0, "no inotify")
        self.names = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def watch(self, path, mask=ALL):
        watch = self.libc.inotify_add_watch(
            self.fd, os.fsencode(str(path)), ctypes.c_uint32(mask))
        check(watch >= 0, f"{path} cannot be watched")
        self.names[watch] = pathlib.Path(path).name

    def collect(self, seconds, enough=lambda events: False):
        """What happens within that time, or until that is enough."""
        events = []
        end = time.monotonic() + seconds
        while not enough(events):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                break
            now = time.monotonic()
            data = os.read(self.fd, 65536)
            while data:
                watch, mask, _, length = struct.unpack_from("iIII", data)
                events.append((now, self.names[watch], mask))
                data = data[16 + length:]
        return events

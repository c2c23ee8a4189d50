"""The ways to a control file: each reads and writes by (group, file), and says
(error number, content) and an error number."""

import contextlib
import errno
import os
import subprocess

from harness import Skip, check, clean_environment
from mounted import Mount


def error_in(stderr):
    """The error number whose text is in the complaint."""
    for number in (errno.EINVAL, errno.EAGAIN, errno.EBADF, errno.EBUSY,
                   errno.ENOENT, errno.EOPNOTSUPP, errno.ERANGE, errno.ESRCH,
                   errno.ENODEV, errno.EPERM):
        if f"({os.strerror(number)})" in stderr:
            return number
    return None


class Cli:
    """`umemcg get` and `umemcg set`."""

    name = "cli"
    writer = None  # whom 0 stands for

    def __init__(self, domain, v1):
        self.domain = domain
        self.options = ["--v1"] if v1 else []

    def outcome(self, verb, *arguments):
        ended = self.domain.command(verb, *self.options, *arguments)
        if ended.status == 0:
            return 0, ended.stdout.decode()
        complaint = ended.stderr.decode()
        error = error_in(complaint)
        check(ended.status == 1 and error is not None
              and complaint.count("\n") == 1, "no line that says why", ended)
        return error, ""

    def get(self, group, file):
        return self.outcome("get", group, file)

    def set(self, group, file, value):
        return self.outcome("set", group, file, value)[0]

    def end(self):
        pass


class Api:
    """umemcg_get and umemcg_set, in a program of the domain."""

    name = "api"

    def __init__(self, domain, v1):
        del v1  # by the name
        self.process = subprocess.Popen(
            [os.environ["UMEMCG_API_DRIVER"]], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=clean_environment(LD_PRELOAD=domain.umemcg.library,
                                  UMEMCG_DOMAIN=domain.name))
        self.writer = self.process.pid

    def answer(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        check(answer, f"no answer to {words}")
        error, _, content = answer.partition(" ")
        return int(error), bytes.fromhex(content).decode()

    def get(self, group, file):
        return self.answer(group, file)

    def set(self, group, file, value):
        return self.answer(group, file, "=" + value.encode().hex())[0]

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


class Mounted:
    """read(2) and write(2) in a mounted tree."""

    name = "mount"
    writer = None

    def __init__(self, domain, v1, folder):
        self.mount = Mount(domain, folder)
        ended = self.mount.mount(*(["--v1"] if v1 else []))
        check(ended.status == 0, "not mounted", ended)

    def open(self, group, file, flags):
        return os.open(f"{self.mount.root}/{group}/{file}", flags)

    # Who is not root may not even open what has not got the mode.
    def error(self, failed, group, file, mode):
        if failed.errno == errno.EACCES and os.getuid() != 0 and not (
                os.stat(f"{self.mount.root}/{group}/{file}").st_mode & mode):
            return errno.EINVAL
        return failed.errno

    def get(self, group, file):
        try:
            handle = self.open(group, file, os.O_RDONLY)
        except OSError as failed:
            return self.error(failed, group, file, 0o400), ""
        try:
            return 0, os.read(handle, 1 << 20).decode()
        except OSError as failed:
            return failed.errno, ""
        finally:
            os.close(handle)

    def set(self, group, file, value):
        try:
            handle = self.open(group, file, os.O_WRONLY)
        except OSError as failed:
            return self.error(failed, group, file, 0o200)
        try:
            wrote = os.write(handle, value.encode())
            check(wrote == len(value), f"{wrote} bytes of {value!r}")
            return 0
        except OSError as failed:
            return failed.errno
        finally:
            os.close(handle)

    def names(self, group):
        return {entry.name for entry in os.scandir(f"{self.mount.root}/{group}")
                if entry.is_file()}

    def end(self):
        ended = self.mount.umount()
        if ended.status != 0:
            self.mount.umount("--lazy")
            check(False, "cannot be unmounted", ended)


class Kernel:
    """read(2) and write(2) in the kernel's own groups."""

    name = "kernel"
    writer = None

    def __init__(self, roots):
        """In the first of these that is there, and may be written."""
        self.made = []
        for root in roots:
            folder = f"{root}/umemcg-test-{os.getpid()}"
            with contextlib.suppress(OSError):
                if os.path.exists(f"{root}/cgroup.procs"):
                    os.mkdir(folder)
                    self.made.append(folder)
                    return
        raise Skip(f"{' and '.join(roots)}: not there, or not to be written")

    def make(self):
        """A fresh group; its path."""
        path = f"{self.made[0]}/{len(self.made)}"
        os.mkdir(path)
        self.made.append(path)
        return path

    @staticmethod
    def get(group, file):
        try:
            with open(f"{group}/{file}", "rb", buffering=0) as handle:
                return 0, handle.read(1 << 20).decode()
        except OSError as failed:
            return failed.errno, ""

    @staticmethod
    def set(group, file, value):
        handle = os.open(f"{group}/{file}", os.O_WRONLY)
        try:
            os.write(handle, value.encode())
            return 0
        except OSError as failed:
            return failed.errno
        finally:
            os.close(handle)

    def end(self):
        for path in reversed(self.made):
            os.rmdir(path)

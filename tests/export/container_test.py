#!/usr/bin/env python3
"""examples/container/Dockerfile, line by line, without a container engine.

A folder with a copy of /etc, the machine's /usr and a /dev/shm of 64 MiB
stands for the image; RUN, ENTRYPOINT and CMD are executed in it, the commands
after USER as that user without any capability. That takes root. What only an
engine can do is not run: FROM, and the RUN that fetches packages; of that the
list of packages is held against what the program needs.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile

from exporter import need
from harness import MIB, Skip, check, main, plain

# What debian:12-slim has.
IN_BASE = {"libc6", "libgcc-s1", "libstdc++6", "libtinfo6", "zlib1g"}
ETC = ("passwd", "group", "shadow", "gshadow", "login.defs", "ld.so.conf",
       "ld.so.conf.d", "nsswitch.conf", "alternatives", "subuid", "subgid")

# $1: the folder; the rest is what is done in it. All mounts are this shell's.
PREPARE = """
set -e
root=$1
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root"/{dev,etc,proc,tmp,usr,var/cache/ldconfig,home}
chmod 1777 "$root/tmp"
for name in bin sbin lib lib64 lib32 libx32; do
  if [ -e "/$name" ]; then ln -s "usr/$name" "$root/$name"; fi
done
mount --rbind /usr "$root/usr"
mount -t tmpfs -o mode=755 tmpfs "$root/usr/local"
for name in $ETC; do
  if [ -e "/etc/$name" ]; then cp -a "/etc/$name" "$root/etc/"; fi
done
for name in null zero random urandom; do
  touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o "mode=1777,size=$SHM" tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mkdir "$root/context"
mount --bind "$CONTEXT" "$root/context"
in_root() { chroot "$root" /usr/bin/env -i PATH="$IMAGE_PATH" "$@"; }
as_user() {
  in_root /usr/bin/setpriv --reuid "$USER_NAME" --regid "$USER_NAME" \\
    --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
}
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Dockerfile:
    """(Instruction, its text) in order; no line of it is continued."""

    def __init__(self, source_dir):
        self.path = os.path.join(source_dir, "examples/container/Dockerfile")
        with open(self.path, encoding="utf-8") as file:
            self.text = file.read()
        self.lines = [tuple(line.split(" ", 1))
                      for line in self.text.splitlines()
                      if line and line[0] != "#"]
        check(not any(line.endswith("\\") for line in self.text.splitlines()),
              "a line that goes on is not understood here")

    def value(self, instruction):
        found = [text for name, text in self.lines if name == instruction]
        check(len(found) == 1, f"{instruction}: {found}")
        return found[0]

    def command(self):
        return [*json.loads(self.value("ENTRYPOINT")),
                *json.loads(self.value("CMD"))]

    def script(self):
        """The lines before ENTRYPOINT, as shell, but those not run."""
        user, script = None, []
        for name, text in self.lines:
            if name == "RUN" and not fetches(text):
                who = "as_user" if user else "in_root"
                script.append(f"{who} /bin/sh -c {shlex.quote(text)}")
            elif name == "COPY":
                source, target = text.split()
                script.append(f'cp -a "$root/context/{source}." '
                              f'"$root{target}"')
            elif name == "USER":
                user = text
                script.append(f"USER_NAME={shlex.quote(user)}")
            else:
                check(name in ("FROM", "ENTRYPOINT", "CMD")
                      or fetches(text), f"{name} is not understood here")
        return "\n".join(script) + "\n"


def fetches(text):
    return text.startswith("apt-get update ")


def installed_in(umemcg, folder):
    """What the Dockerfile says to do first: cmake --install."""
    build = os.environ.get("UMEMCG_BUILD_DIR")
    if not build:
        raise Skip("UMEMCG_BUILD_DIR does not say what is to be installed")
    document = Dockerfile(umemcg.source_dir).text
    line = re.search(r"# +(cmake --install \S+ --prefix \S+)\n", document)[1]
    words = [need("cmake") if word == "cmake" else word.replace(
        "build/release", build).replace("examples/container", folder)
        for word in line.split()]
    outcome = plain(words)
    check(outcome.status == 0, "not installed", outcome)


def run_in_image(umemcg, commands, shm="64m"):
    """The Dockerfile's lines, then these; what they print."""
    if os.geteuid() != 0:
        raise Skip("only root may make a file system that stands for an image")
    need("unshare"), need("setpriv"), need("useradd")
    dockerfile = Dockerfile(umemcg.source_dir)
    with tempfile.TemporaryDirectory() as context, \
            tempfile.TemporaryDirectory() as root:
        os.chmod(context, 0o755)
        installed_in(umemcg, context)
        script = PREPARE + dockerfile.script() + commands
        environment = {"PATH": os.environ["PATH"] + ":" + PATH, "LC_ALL": "C",
                       "ETC": " ".join(ETC), "SHM": shm, "CONTEXT": context,
                       "IMAGE_PATH": PATH}
        probe = plain(["unshare", "-m", "-p", "-f", "--mount-proc",
                       "mount", "-t", "tmpfs", "tmpfs", root])
        if probe.status != 0:
            raise Skip("no mounts here: " + probe.stderr.decode().strip())
        return plain(["unshare", "-m", "-p", "-n", "-f", "--kill-child",
                      "bash", "-c", script, "bash", root], env=environment)


def the_command_runs_without_privileges(umemcg):
    """Under its limit, by ENTRYPOINT and CMD; others look at it."""
    command = shlex.join(Dockerfile(umemcg.source_dir).command())
    outcome = run_in_image(umemcg, f"""
as_user {command} &
look() {{ as_user umemcg "$@" --domain app; }}
for i in $(seq 600); do
  used=$(look get /app memory.current 2>/dev/null || echo 0)
  if [ "$used" -gt 2000000 ]; then break; fi
  sleep 0.1
done
look get /app memory.max
echo used "$used"
as_user sh -c 'id -un; grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status'
server=$(look get /app cgroup.procs)
kill -TERM $server
wait $! || echo ended $?
as_user du -B1 /dev/shm/umemcg-10001/app
""")
    check(outcome.status == 0, "it failed", outcome)
    said = outcome.stdout.decode().splitlines()
    check(said[0] == str(256 * MIB), "not its limit", outcome)
    check(int(said[1].split()[1]) > 2 * MIB, "not in the group", outcome)
    check(said[2] == "app" and "NoNewPrivs:\t1" in said
          and {"CapEff:\t0000000000000000",
               "CapBnd:\t0000000000000000"} <= set(said), "privileges",
          outcome)
    check("ended 143" in said, "it did not end by the signal", outcome)
    size = int(said[-1].split()[0])
    check(17 * MIB <= size <= 18 * MIB, f"a domain takes {size} bytes")


def a_refusal_is_the_programs(umemcg):
    outcome = run_in_image(umemcg, """
as_user umemcg run --max 64M -- python3 -c 'bytearray(1 << 30)' 2>&1 || true
""")
    check(outcome.status == 0 and b"MemoryError" in outcome.stdout,
          "it was not refused", outcome)


def too_little_shared_memory_is_said(umemcg):
    """The first line that needs it fails, and says why."""
    outcome = run_in_image(umemcg, "true\n", shm="8m")
    check(outcome.status == 125 and
          b"No space left on device" in outcome.stderr, "not said", outcome)


def packages_are_those_that_are_needed(umemcg):
    """Of the line that is not run."""
    fetched, = [text for name, text in Dockerfile(umemcg.source_dir).lines
                if name == "RUN" and fetches(text)]
    listed = set(fetched.split(" && ")[1].split()[2:])
    listed = {word for word in listed if word[0] != "-" and word != "install"}
    done = subprocess.run(["ldd", umemcg.program], text=True, check=True,
                          capture_output=True)
    direct = set(re.findall(r"Shared library: \[(.*)\]", subprocess.run(
        [need("readelf"), "-dW", umemcg.program], text=True, check=True,
        capture_output=True).stdout))
    paths = {name: path for name, path in
             re.findall(r"(\S+) => (\S+)", done.stdout) if name in direct}
    check(len(paths) >= 5, f"{done.stdout}")
    need("dpkg-query")
    needed = set()
    for path in paths.values():
        owner = None
        for name in (path, os.path.realpath(path), "/usr" + path):
            found = subprocess.run(["dpkg-query", "-S", name], text=True,
                                   capture_output=True)
            if found.returncode == 0:
                owner = found.stdout.split(":")[0]
                break
        check(owner, f"{path} is no package's")
        needed.add(owner)
    check(needed - IN_BASE <= listed, f"missing: {needed - IN_BASE - listed}")
    check(listed - needed <= {"python3"}, f"not needed: {listed - needed}")


def the_document_shows_it(umemcg):
    """And marks the lines that are not run here."""
    document = pathlib.Path(umemcg.source_dir, "docs/operations.md").read_text(
        encoding="utf-8")
    text = Dockerfile(umemcg.source_dir).text
    shown = "".join(f"    {line}\n" for line in text.splitlines())
    check(shown in document, "not as it is")
    check("examples/container/Dockerfile" in document, "it is not named")


if __name__ == "__main__":
    main([the_command_runs_without_privileges, a_refusal_is_the_programs,
          too_little_shared_memory_is_said,
          packages_are_those_that_are_needed, the_document_shows_it])

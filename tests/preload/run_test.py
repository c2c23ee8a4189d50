"""`umemcg run`: exit status, signals, what cannot be accounted, the report."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import (EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, HOG_LIMIT, MIB, Skip,
                     check, check_hog_stopped, clean_environment, main, plain)

DOMAIN_DIR = f"/dev/shm/umemcg-{os.getuid()}"


def exit_status_passes_through(umemcg):
    for status in (0, 1, 2, 7, 125, 126, 127, 128, 255):
        outcome = umemcg.run(["sh", "-c", f"exit {status}"])
        check(outcome.status == status, f"not {status}", outcome)


def death_by_signal_is_128_and_more(umemcg):
    """As a shell reports it; umemcg itself must not die of the signal."""
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV,
                   signal.SIGABRT, signal.SIGINT):
        command = umemcg.run_command(["sh", "-c", f"kill -{int(number)} $$"])
        shell = plain(["bash", "-c", '"$@"; exit $?', "bash", *command])
        check(shell.status == 128 + number, f"not 128 + {number}", shell)


def signal_to_child(umemcg, number):
    """The child says that it is ready, catches the signal and exits with 5."""
    script = ("import signal, sys, time\n"
              "def caught(number, frame):\n"
              "    print('caught', number, flush=True)\n"
              "    sys.exit(5)\n"
              f"signal.signal({int(number)}, caught)\n"
              "print('ready', flush=True)\n"
              "time.sleep(30)\n")
    process = subprocess.Popen(
        umemcg.run_command([sys.executable, "-c", script]),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=clean_environment())
    try:
        process.stdout.readline()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=15)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    check(stdout == b"caught %d\n" % number and process.returncode == 5,
          f"{number!r}: {stdout!r} {stderr!r} status {process.returncode}")


def signals_reach_the_child(umemcg):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP,
                   signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
        signal_to_child(umemcg, number)


def command_not_found(umemcg):
    for command in ("umemcg-no-such-command", "/no/such/command"):
        outcome = umemcg.run([command])
        check(outcome.status == EXIT_NOT_FOUND, "not 127", outcome)
        check(command in outcome.stderr.decode(), "not named", outcome)


def command_not_executable(umemcg):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        with open(path, "w", encoding="utf-8") as data:
            data.write("no program\n")
        for command in (path, folder):
            outcome = umemcg.run([command])
            check(outcome.status == EXIT_NOT_EXECUTABLE, "not 126", outcome)
            check(command in outcome.stderr.decode(), "not named", outcome)


def static_program_is_said(umemcg):
    """It cannot be preloaded: one line says so, in clear words."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "hello.c")
        program = os.path.join(folder, "hello")
        with open(source, "w", encoding="utf-8") as file:
            file.write('#include <stdio.h>\nint main(void) '
                       '{ puts("hello"); return 3; }\n')
        if not shutil.which("gcc"):
            raise Skip("no gcc to build a static program with")
        built = plain(["gcc", "-static", "-o", program, source])
        if built.status != 0:
            raise Skip(f"no static libc: {built.stderr.decode()[-200:]}")
        outcome = umemcg.run([program])
        lines = [line for line in outcome.complaints() if "static" in line]
        check(len(lines) == 1 and program in lines[0],
              "not said that the program is statically linked", outcome)
        # Whether it is run unaccounted or not at all, it is no silent success.
        check(outcome.status != 0, "claims success", outcome)
        check((outcome.stdout == b"hello\n") == (outcome.status == 3),
              "neither run nor refused", outcome)


def setuid_program_is_said(umemcg):
    if os.getuid() != 0:
        raise Skip("only root can make a program setuid to another user")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "true")
        shutil.copy("/bin/true", program)
        os.chown(program, 65534, 65534)
        os.chmod(program, 0o4755)
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            raise Skip(f"{folder} is mounted nosuid")
        outcome = umemcg.run([program])
        check(any("setuid" in line and program in line
                  for line in outcome.complaints()),
              "not said that the program is setuid", outcome)


def bad_usage_is_told(umemcg):
    for options, word in ((["--max", "12Q"], "--max"),
                          (["--high", "-1"], "--high"),
                          (["--no-such-option"], "--no-such-option"),
                          (["--max"], "--max")):
        outcome = plain([umemcg.program, "run", *options, "--", "echo", "ran"])
        check(outcome.status != 0 and outcome.stdout == b"",
              f"{options} accepted", outcome)
        check(word in outcome.stderr.decode(), "not named", outcome)
    outcome = plain([umemcg.program, "run"])
    check(outcome.status != 0 and outcome.stderr, "no command, no word",
          outcome)


def options_of_the_command_are_its_own(umemcg):
    outcome = umemcg.run(["echo", "--max", "12Q", "--", "-n"])
    check(outcome.stdout == b"--max 12Q -- -n\n", "arguments changed", outcome)


def command_needs_no_dashes(umemcg):
    """Options end at the command; --report never takes the word after it."""
    for options in ([], ["--max", "64M"], ["--max=64M", "--report"],
                    ["--report"], ["--report", "--json"]):
        outcome = plain([umemcg.program, "run", *options, "echo", "--report",
                         "--help", "-x"])
        check(outcome.status == 0 and
              outcome.stdout == b"--report --help -x\n",
              f"{options}: arguments changed", outcome)


def options_beat_variables(umemcg):
    """UMEMCG_MAX of the caller does not undo --max."""
    outcome = umemcg.run(umemcg.hog(), max="64M",
                         env=clean_environment(UMEMCG_MAX="1G"))
    check_hog_stopped(outcome)


def run_inside_a_run(umemcg):
    inner = umemcg.run_command(["echo", "hi"], ["--max", "32M"])
    outcome = umemcg.run(inner, max="64M")
    check(outcome.status == 0 and outcome.stdout == b"hi\n",
          "a run inside a run", outcome)


def stdin_passes_through(umemcg):
    data = b"one\0two\n" * 9999
    done = subprocess.run(umemcg.run_command(["cat"]), input=data, timeout=30,
                          capture_output=True, check=False,
                          env=clean_environment())
    check(done.returncode == 0 and done.stdout == data,
          f"stdin or stdout was changed: {done.stderr!r}")


def no_descriptor_leaks(umemcg):
    command = ["sh", "-c", "ls -l /proc/self/fd | wc -l"]
    before = plain(command)
    after = umemcg.run(command)
    check(before.stdout == after.stdout, "other descriptors", before, after)


def signal_mask_is_kept(umemcg):
    """A child starts with the caller's mask and dispositions."""
    command = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    before = plain(command)
    after = umemcg.run(command)
    check(before.stdout == after.stdout, "other signal state", before, after)


def report_is_json(umemcg):
    outcome = umemcg.run(umemcg.hog(), max="64M")
    group = outcome.report.limited(HOG_LIMIT)
    for key in ("memory.current", "memory.peak", "memory.max"):
        check(isinstance(group[key], int), f"{key} is no number: {group}")
    for key in ("low", "high", "max", "oom", "oom_kill", "oom_group_kill"):
        check(isinstance(group["memory.events"][key], int),
              f"memory.events has no {key}: {group}")
    check(group["memory.current"] < MIB, f"not given back at exit: {group}")


def report_without_limit_says_max(umemcg):
    outcome = umemcg.run(["true"])
    check(any(group["memory.max"] == "max"
              for group in outcome.report.groups.values()),
          f"no unlimited group: {outcome.report.groups}", outcome)


def json_to_stderr(umemcg):
    """--json --report without a file leaves stdout to the program."""
    outcome = plain([umemcg.program, "run", "--json", "--report", "--", "echo",
                     "hi"])
    check(outcome.stdout == b"hi\n", "stdout is not the program's", outcome)
    json.loads(outcome.stderr)


def table_has_its_columns(umemcg):
    outcome = plain([umemcg.program, "run", "--report", "--max", "64M", "--",
                     "echo", "hi"])
    check(outcome.stdout == b"hi\n", "stdout is not the program's", outcome)
    table = outcome.stderr.decode().lower()
    for word in ("group", "current", "peak", "max", "charged", "uncharged",
                 "processes"):
        check(word in table, f"no {word} in the table", outcome)


def report_that_is_lost_is_said(umemcg):
    for kind in ([], ["--json"]):
        outcome = plain(umemcg.run_command(
            ["sh", "-c", "exit 7"], [*kind, "--report=/dev/full"]))
        check(outcome.status == 7, "not the command's status", outcome)
        lines = outcome.stderr.decode().splitlines()
        check(len(lines) == 1 and "/dev/full" in lines[0]
              and "No space left" in lines[0], "not said", outcome)


def report_is_written_in_pieces(umemcg):
    """Into a pipe that is smaller, and not waited for (O_NONBLOCK)."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    process = subprocess.Popen(
        umemcg.run_command(["true"], ["--json", "--report",
                                      "--group", "/1/2/3/4/5/6/7/8"]),
        stdin=subprocess.DEVNULL, stderr=writer, env=clean_environment())
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        time.sleep(0.5)  # it is full by then
        text = pipe.read()
    check(process.wait(timeout=30) == 0, "the exit status is not 0")
    check(len(text) > 4 * 4096, f"{len(text)} bytes would fit")
    check(len(json.loads(text)["groups"]) == 9, text)


def a_child_opts_out(umemcg):
    """With UMEMCG_DISABLE=1, which `umemcg run` itself does not heed."""
    take = [sys.executable, "-c", f"x = bytearray({200 * MIB})"]
    outcome = umemcg.run(["env", "UMEMCG_DISABLE=1", *take], max="64M")
    check(outcome.status == 0 and not outcome.complaints(), "it was refused",
          outcome)
    peak = outcome.report.limited(HOG_LIMIT)["memory.peak"]
    check(peak < 8 * MIB, f"{peak} bytes are charged", outcome)
    outcome = umemcg.run(take, max="64M",
                         env=clean_environment(UMEMCG_DISABLE="1"))
    check(outcome.status == 1 and b"MemoryError" in outcome.stderr,
          "the command itself has opted out", outcome)


def group_option_names_the_group(umemcg):
    outcome = umemcg.run(umemcg.hog(), max="64M",
                         options=["--group", "/web/api"])
    check("/web/api" in outcome.report.groups,
          f"no /web/api in {list(outcome.report.groups)}", outcome)
    check(outcome.report.groups["/web/api"]["memory.max"] == HOG_LIMIT,
          "the limit is not that group's", outcome)


def domains():
    return set(os.listdir(DOMAIN_DIR)) if os.path.isdir(DOMAIN_DIR) else set()


@contextlib.contextmanager
def own_domain(umemcg, *options):
    name = f"test-run-{os.getpid()}"
    try:
        made = plain([umemcg.program, "create", "--domain", name, *options,
                      "/kept"])
        check(made.status == 0, "no domain", made)
        yield name
    finally:
        for _ in range(100):  # what was started there has to end
            if plain([umemcg.program, "rm", "--all", "--domain",
                      name]).status == 0:
                break
            time.sleep(0.1)


def groups_of(umemcg, name):
    outcome = plain([umemcg.program, "ls", "--domain", name])
    return set(outcome.stdout.decode().split())


def groups_of_runs_are_removed(umemcg):
    with own_domain(umemcg, "--groups", "3") as name:
        for command in (["true"], ["sh", "-c", "kill -9 $$"],
                        ["no-such-command"], ["true"], ["true"]):
            outcome = umemcg.run(command, options=["--domain", name])
            check(outcome.status in (0, 127, 137), "no room", outcome)
        check(groups_of(umemcg, name) == {"/", "/kept"}, "one was left")
        umemcg.run(["true"], options=["--domain", name, "--group", "/asked"])
        check("/asked" in groups_of(umemcg, name), "one was removed")


def the_group_of_a_run_stays_while_somebody_is_in_it(umemcg):
    with own_domain(umemcg) as name:
        script = ("import os, sys, time\n"
                  "if os.fork(): os._exit(0)\n"
                  "for fd in range(3): os.close(fd)\n"
                  "time.sleep(1)\n")
        outcome = umemcg.run([sys.executable, "-c", script], max="64M",
                             options=["--domain", name])
        check(outcome.status == 0, "", outcome)
        left = groups_of(umemcg, name) - {"/", "/kept"}
        check(len(left) == 1, f"{left}")
        limit = plain([umemcg.program, "get", "--domain", name, *left,
                       "memory.max"])
        check(limit.stdout == b"%d\n" % HOG_LIMIT, "no limit", limit)


def a_full_table_is_explained(umemcg):
    with own_domain(umemcg, "--groups", "1") as name:
        outcome = umemcg.run(["true"], options=["--domain", name])
        check(outcome.status == 125 and len(outcome.complaints()) == 1
              and b"umemcg rm" in outcome.stderr
              and b"--groups" in outcome.stderr, "no advice", outcome)


def a_run_inside_a_run_is_in_its_limit(umemcg):
    inner = umemcg.run_command(
        [sys.executable, "-c", f"x = bytearray({128 * MIB})"],
        ["--json", "--report", "--max", "max"])
    outcome = umemcg.run(["sh", "-c", '"$@"; echo $?', "sh", *inner],
                         max="64M")
    check(outcome.stdout == b"1\n" and b"MemoryError" in outcome.stderr,
          "not refused", outcome)
    text = outcome.stderr.decode()
    groups = list(json.loads(text[text.index("\n{") + 1:])["groups"])
    check(len(groups) == 1 and groups[0].count("/") == 2
          and re.fullmatch(r"/sh\.\d+/python.*\.\d+", groups[0]),
          f"not below: {groups}", outcome)


def the_variable_names_the_domain(umemcg):
    with own_domain(umemcg) as name:
        outcome = umemcg.run(["sh", "-c", "echo $UMEMCG_DOMAIN $UMEMCG_GROUP"],
                             env=clean_environment(UMEMCG_DOMAIN=name,
                                                   UMEMCG_GROUP="/kept"))
        check(re.fullmatch(rf"{DOMAIN_DIR}/{name} /kept/sh\.\d+\n",
                           outcome.stdout.decode()), "another", outcome)


def a_library_that_cannot_be_loaded_is_said(umemcg):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(umemcg.program, folder)
        with open(f"{folder}/libumemcg.so", "wb") as library:
            library.write(b"no library")
        outcome = plain([f"{folder}/umemcg", "run", "--", "echo", "ran"])
        check(outcome.status == 125 and outcome.stdout == b"", "it ran",
              outcome)
        check(len(outcome.complaints()) == 1
              and outcome.stderr.count(b"\n") == 1
              and b"libmimalloc.so.3" in outcome.stderr, "not said", outcome)


def domain_is_removed(umemcg):
    """A private domain lives as long as the command, also when it is killed.

    Other tests may have domains of their own at the same time: this one knows
    its own by the process that maps it.
    """
    script = ("import re\n"
              "maps = open('/proc/self/maps').read()\n"
              f"print(*set(re.findall(r'{DOMAIN_DIR}/\\S+', maps)))\n")
    for end in ("", "import os; os.kill(os.getpid(), 9)\n"):
        outcome = umemcg.run([sys.executable, "-u", "-c", script + end])
        mine = outcome.stdout.decode().split()
        check(mine, f"no file of {DOMAIN_DIR} is mapped", outcome)
        left = [path for path in mine
                if os.path.basename(path) in domains()]
        check(not left, f"left behind: {left}", outcome)


def background_child_outlives_the_command(umemcg):
    """A daemon that CMD left keeps working after umemcg has gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "done")
        script = ("import os, sys, time\n"
                  "if os.fork(): os._exit(0)\n"
                  "os.setsid()\n"
                  "null = os.open('/dev/null', os.O_RDWR)\n"
                  "for fd in range(3): os.dup2(null, fd)\n"
                  "time.sleep(0.5)\n"
                  "blocks = [bytearray(100000) for _ in range(200)]\n"
                  f"open({path!r}, 'w').write('done')\n")
        outcome = umemcg.run([sys.executable, "-c", script])
        check(outcome.status == 0, "the exit status is not 0", outcome)
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.1)
        check(os.path.exists(path), "the daemon did not survive", outcome)
        time.sleep(0.1)


if __name__ == "__main__":
    main([exit_status_passes_through, death_by_signal_is_128_and_more,
          signals_reach_the_child, command_not_found, command_not_executable,
          static_program_is_said, setuid_program_is_said, bad_usage_is_told,
          options_of_the_command_are_its_own, command_needs_no_dashes,
          options_beat_variables, run_inside_a_run, stdin_passes_through,
          no_descriptor_leaks, signal_mask_is_kept, report_is_json,
          report_without_limit_says_max, json_to_stderr, table_has_its_columns,
          report_that_is_lost_is_said, report_is_written_in_pieces,
          a_child_opts_out,
          group_option_names_the_group, groups_of_runs_are_removed,
          the_group_of_a_run_stays_while_somebody_is_in_it,
          a_full_table_is_explained, a_run_inside_a_run_is_in_its_limit,
          the_variable_names_the_domain,
          a_library_that_cannot_be_loaded_is_said, domain_is_removed,
          background_child_outlives_the_command])

"""A program at its limit gets MemoryError, not a kill; without one, nothing."""

import shlex
import signal
import sys

from harness import (HOG_LIMIT, MIB, RESERVE, check, check_hog_stopped,
                     clean_environment, main, plain)


def hog_stops_at_the_limit(umemcg):
    outcome = umemcg.run(umemcg.hog(), max="64M")
    check_hog_stopped(outcome)
    group = outcome.report.limited(HOG_LIMIT)
    check(group["memory.peak"] <= HOG_LIMIT + RESERVE,
          f"peak {group['memory.peak']}", outcome)
    check(group["memory.peak"] >= 45 * MIB, f"peak {group['memory.peak']}",
          outcome)
    check(group["memory.events"]["max"] > 0, "no max event", outcome)
    check(group["memory.events"]["oom_kill"] == 0, "an oom_kill", outcome)


def hog_through_the_path(umemcg):
    """`python3` as a user types it, be it a wrapper script."""
    command = ["python3", *umemcg.hog()[1:]]
    check_hog_stopped(umemcg.run(command, max="64M"))


def no_limit_no_hindrance(umemcg):
    outcome = umemcg.run(umemcg.hog("300M"))
    check(outcome.status == 0 and outcome.stdout.startswith(b"reached "),
          "hindered without a limit", outcome)
    check(not outcome.complaints(), "umemcg complained", outcome)
    check(outcome.report.peak() >= 300 * MIB, "the report misses the blocks",
          outcome)


def room_left_is_no_refusal(umemcg):
    """Well under the limit nothing is refused, and nothing is said."""
    outcome = umemcg.run(umemcg.hog("64M"), max="128M")
    check(outcome.stdout.startswith(b"reached "), "refused too early", outcome)
    check(not outcome.complaints(), "umemcg complained", outcome)
    check(outcome.report.limited(128 * MIB)["memory.events"]["max"] == 0,
          "a max event below the limit", outcome)


def one_block_over_the_limit(umemcg):
    """A single huge block, and a program that goes on after the refusal."""
    script = ("try: b = bytearray(300 << 20)\n"
              "except MemoryError: print('refused')\n"
              "print(len(bytearray(16 << 20)))\n")
    outcome = umemcg.run([sys.executable, "-c", script], max="64M")
    check(outcome.stdout == b"refused\n16777216\n", "wrong output", outcome)


def limit_is_met_again_and_again(umemcg):
    script = ("for _ in range(5):\n"
              "    blocks = []\n"
              "    try:\n"
              "        for _ in range(9999): blocks.append(bytearray(100000))\n"
              "    except MemoryError:\n"
              "        n = len(blocks)\n"
              "        del blocks\n"
              "        print(450 <= n <= 640)\n")
    outcome = umemcg.run([sys.executable, "-c", script], max="64M")
    check(outcome.status == 0 and outcome.stdout == b"True\n" * 5,
          "not the same room each time", outcome)


def children_share_the_limit(umemcg):
    """Two hogs at once: together they stay under the one limit."""
    one = shlex.join(umemcg.hog())
    both = f"{one} & {one} & wait"
    outcome = umemcg.run(["bash", "-c", both], max="64M")
    check(outcome.status == 0, "the exit status is not 0", outcome)
    check(outcome.stdout.count(b"MemoryError after ") == 2,
          "not both were refused", outcome)
    peak = outcome.report.limited(HOG_LIMIT)["memory.peak"]
    check(peak <= HOG_LIMIT + RESERVE, f"peak {peak}", outcome)


def forked_child_shares_the_limit(umemcg):
    """The parent's blocks leave a forked child only the rest."""
    script = ("import os\n"
              "mine = [bytearray(100000) for _ in range(300)]\n"
              "if os.fork() == 0:\n"
              "    blocks = []\n"
              "    try:\n"
              "        for _ in range(9999): blocks.append(bytearray(100000))\n"
              "    except MemoryError:\n"
              "        os.write(1, b'%d\\n' % len(blocks))\n"
              "        os._exit(0)\n"
              "os.wait()\n")
    outcome = umemcg.run([sys.executable, "-c", script], max="64M")
    got = int(outcome.stdout or b"-1")
    check(150 <= got <= 340, f"the child got {got} blocks of 100,000", outcome)


def what_a_parent_freed_is_its_childrens(umemcg):
    """A parent that waits does not sit on memory that it has freed."""
    script = ("import os, subprocess, sys\n"
              "blocks = [bytearray(100000) for _ in range(400)]\n"
              "del blocks\n"
              "hog = 'print(len([bytearray(100000) for _ in range(450)]))'\n"
              "if os.fork() == 0:\n"
              "    exec(hog, {})\n"
              "    os._exit(sys.stdout.flush() or 0)\n"
              "os.wait()\n"
              "subprocess.run([sys.executable, '-c', hog])\n")
    outcome = umemcg.run([sys.executable, "-c", script], max="64M")
    check(outcome.stdout == b"450\n450\n", "a child was refused", outcome)


def nested_run(umemcg):
    """umemcg under umemcg: the inner limit holds."""
    inner = umemcg.run_command(umemcg.hog(), ["--max", "64M"])
    check_hog_stopped(umemcg.run(inner))


def reserve_may_be_zero(umemcg):
    outcome = umemcg.run(umemcg.hog(), max="64M",
                         env=clean_environment(UMEMCG_RESERVE="0"))
    check_hog_stopped(outcome)
    peak = outcome.report.limited(HOG_LIMIT)["memory.peak"]
    check(peak <= HOG_LIMIT, f"peak {peak} with no reserve", outcome)


def what_is_not_said_comes_from_the_environment(umemcg):
    env = clean_environment(UMEMCG_MAX="64M")
    check_hog_stopped(umemcg.run(umemcg.hog(), env=env))
    env = clean_environment(UMEMCG_MAX="1G")
    check_hog_stopped(umemcg.run(umemcg.hog(), max="64M", env=env))
    env = clean_environment(UMEMCG_MAX="64M", UMEMCG_OOM="kill")
    outcome = umemcg.run(umemcg.hog(), env=env)
    check(outcome.status == 128 + signal.SIGKILL, "not killed", outcome)


def the_policy_is_chosen(umemcg):
    command = umemcg.run_command(umemcg.hog(), ["--max", "64M", "--oom", "kill"])
    outcome = plain(command)
    check(outcome.status == 128 + signal.SIGKILL, "not killed", outcome)
    outcome = plain(umemcg.run_command(umemcg.hog(), ["--oom", "flee"]))
    check(outcome.status != 0 and b"'flee' is not a policy" in outcome.stderr,
          "a policy that is none was taken", outcome)


if __name__ == "__main__":
    main([hog_stops_at_the_limit, hog_through_the_path, no_limit_no_hindrance,
          room_left_is_no_refusal, one_block_over_the_limit,
          limit_is_met_again_and_again, children_share_the_limit,
          forked_child_shares_the_limit, what_a_parent_freed_is_its_childrens,
          nested_run, reserve_may_be_zero,
          what_is_not_said_comes_from_the_environment, the_policy_is_chosen])

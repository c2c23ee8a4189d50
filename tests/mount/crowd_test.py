"""Four shells that make, use and remove 150 groups at the same time.

Once or twice as a rule; 50 times with UMEMCG_STRESS_SECONDS set.
"""

import os
import random
import signal
import subprocess
import time

from domain import wait_until
from harness import check, clean_environment, main

from mounted import mount_of

SHELLS = 4
GROUPS = 150
LONG = "UMEMCG_STRESS_SECONDS" in os.environ
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "crowd.sh")


def begin(mount, rounds):
    edges = [1 + GROUPS * i // SHELLS for i in range(SHELLS + 1)]
    return [subprocess.Popen(
        ["sh", SCRIPT, str(mount.root), str(first), str(next_ - 1),
         str(rounds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=clean_environment())
        for first, next_ in zip(edges, edges[1:])]


def end(mount, shells, rounds):
    for shell in shells:
        output, complaints = shell.communicate(timeout=900)
        check(shell.returncode == 0 and output == f"{rounds}\n",
              f"{shell.args}: {output!r} {complaints!r}")
    check(mount.domain.done("ls") == "/\n", "groups are left")
    left = dict(line.split() for line in
                mount.read("cgroup.stat").splitlines())
    check(left["nr_dying_descendants"] == "0", f"{left}")


def shells_at_once(umemcg):
    rounds = 50 if LONG else 2
    with mount_of(umemcg) as mount:
        before = time.monotonic()
        end(mount, begin(mount, rounds), rounds)
        print(f"  {GROUPS} groups, {rounds} times by {SHELLS} shells: "
              f"{time.monotonic() - before:.1f} s")


def and_the_daemon_killed(umemcg):
    """At any moment; what was made is there when it is mounted again."""
    rounds = 50 if LONG else 2
    seed = 7
    pauses = random.Random(seed)
    with mount_of(umemcg) as mount:
        (mount.root / "kept").mkdir()
        mount.write("kept/memory.max", "1G")
        worker = mount.domain.worker("/kept")
        worker.order("take", 1 << 20)
        shells = begin(mount, rounds)
        kills = 0
        while any(shell.poll() is None for shell in shells):
            time.sleep(pauses.uniform(0.1, 0.6))
            os.kill(mount.daemon(), signal.SIGKILL)
            kills += 1
            wait_until(lambda: mount.daemon() is None, "it lives")
            outcome = mount.mount()
            check(outcome.status == 0, f"kill {kills} (seed {seed})", outcome)
            check(mount.procs("kept") == {worker.pid}, "the process is lost")
            worker.order("take", 1 << 16)
        check(mount.number("kept/memory.max") == 1 << 30, "the limit is lost")
        mount.domain.end_worker(worker, kill=True)
        (mount.root / "kept").rmdir()
        end(mount, shells, rounds)
        print(f"  {kills} daemons killed")
        check(kills > 0, "none was killed")


if __name__ == "__main__":
    main([shells_at_once, and_the_daemon_killed])

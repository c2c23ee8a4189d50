"""Out of memory in a domain, by policy: who is killed and what is counted; who
waits, and who is asked."""

import signal
import time

from domain import domain_of
from harness import MIB, check, main
from world import ended, program, start

LIMIT = 64


class Worker:
    """An oom.c in a group of the domain."""

    def __init__(self, umemcg, domain, group):
        self.process = start(umemcg, domain.name, group, program("oom"))

    def __enter__(self):
        self.context = ended(self.process)
        self.context.__enter__()
        return self

    def __exit__(self, *error):
        return self.context.__exit__(*error)

    def order(self, word, first=0, second=0):
        print(word, first, second, file=self.process.stdin, flush=True)

    def answer(self, word):
        line = self.process.stdout.readline().split()
        check(len(line) == 2 and line[0] == word,
              f"{line} instead of {word}")
        return int(line[1])

    def ask(self, word, first=0, second=0, answer=None):
        self.order(word, first, second)
        return self.answer(answer or word)

    def took(self, mib):
        got = self.ask("take", mib, answer="took")
        check(got == mib, f"{got} of {mib} MiB")

    def was_killed(self):
        status = self.process.wait(timeout=30)
        check(status == -signal.SIGKILL, f"it ended with {status}")

    def lives(self):
        check(self.process.poll() is None, "it has ended")
        self.ask("drop", 0, answer="dropped")


def limited(umemcg, policy, *groups):
    """A domain whose /a has a limit and that policy."""
    context = domain_of(umemcg, "/a", *groups)

    class Limited:
        def __enter__(self):
            domain = context.__enter__()
            domain.done("set", "/a", "memory.max", f"{LIMIT}M")
            domain.done("set", "/a", "memory.oom.policy", policy)
            for group in groups:
                domain.done("set", group, "memory.oom.policy", policy)
            return domain

        def __exit__(self, *error):
            return context.__exit__(*error)

    return Limited()


def events(domain, group="/a"):
    return dict((key, int(value)) for key, value in
                map(str.split, domain.get(group, "memory.events").splitlines()))


def counted(domain, **wanted):
    found = events(domain)
    for key, value in wanted.items():
        check(found[key] == value, f"{key} is not {value} in {found}")


def fail_is_an_error_of_malloc(umemcg):
    with limited(umemcg, "fail") as domain, \
            Worker(umemcg, domain, "/a") as worker:
        worker.took(20)
        check(worker.ask("one", LIMIT - 10) == 0, "it was given")
        # As the kernel counts: one try, one after the drain, 16 retries.
        counted(domain, max=18, oom=1, oom_kill=0)
        worker.lives()


def kill_kills_the_largest_once(umemcg):
    with limited(umemcg, "kill") as domain, \
            Worker(umemcg, domain, "/a") as large, \
            Worker(umemcg, domain, "/a") as small:
        small.took(10)
        large.took(40)
        check(small.ask("one", 20) == 1, "it was refused")
        current = domain.number("/a", "memory.current")
        check(current < 40 * MIB, f"{current} bytes are charged")
        large.was_killed()
        counted(domain, max=18, oom=1, oom_kill=1, oom_group_kill=0)
        explained = domain.json("explain", "/a")["groups"]["/a"]
        check(explained["refusals"][0]["outcome"] == "killed", f"{explained}")


def many_threads_kill_once(umemcg):
    with limited(umemcg, "kill") as domain, \
            Worker(umemcg, domain, "/a") as large, \
            Worker(umemcg, domain, "/a") as small:
        small.took(10)
        large.took(40)
        got = small.ask("threads", 4, 8)
        check(got == 4, f"{got} of 4 threads got memory")
        large.was_killed()
        counted(domain, oom_kill=1)


def the_caller_may_be_the_largest(umemcg):
    with limited(umemcg, "kill") as domain, \
            Worker(umemcg, domain, "/a") as large, \
            Worker(umemcg, domain, "/a") as small:
        small.took(10)
        large.took(40)
        large.order("one", 20)
        large.was_killed()
        small.lives()
        counted(domain, oom=1, oom_kill=1)


def a_group_dies_together_but_for_the_spared(umemcg):
    with limited(umemcg, "kill", "/a/b/d", "/a/c") as domain, \
            Worker(umemcg, domain, "/a/c") as caller, \
            Worker(umemcg, domain, "/a/b") as large, \
            Worker(umemcg, domain, "/a/b/d") as small, \
            Worker(umemcg, domain, "/a/b") as spared:
        domain.done("set", "/a/b", "memory.oom.group", 1)
        caller.took(10)
        small.took(5)
        large.took(30)
        # It takes a privilege to say so.
        may_spare = spared.ask("spare")
        check(caller.ask("one", 30) == 1, "it was refused")
        large.was_killed()
        small.was_killed()
        caller.lives()
        if may_spare:
            spared.lives()
        else:
            spared.was_killed()
        counted(domain, oom=1, oom_kill=3 - may_spare, oom_group_kill=1)


def a_small_request_does_not_wait_for_a_large_one(umemcg):
    with limited(umemcg, "wait 1500") as domain, \
            Worker(umemcg, domain, "/a") as holder, \
            Worker(umemcg, domain, "/a") as first, \
            Worker(umemcg, domain, "/a") as second:
        first.took(1)
        second.took(1)
        holder.order("take", LIMIT)
        begin = time.monotonic()
        check(holder.answer("took") < LIMIT, "there was no limit")
        waited = time.monotonic() - begin
        check(1.4 < waited < 15, f"it waited {waited} s")
        domain.done("set", "/a", "memory.oom.policy", "wait 2000")
        first.order("one", 8)
        second.order("one", 1)
        time.sleep(0.3)
        holder.ask("drop", 3, answer="dropped")
        check(second.answer("one") == 1, "the small one was refused")
        check(first.answer("one") == 0, "the large one was given")
        counted(domain, oom=3, oom_kill=0)


def the_program_is_asked(umemcg):
    with limited(umemcg, "callback") as domain, \
            Worker(umemcg, domain, "/a") as worker:
        worker.took(5)
        check(worker.ask("cache", 30) == 0, "no callback")
        check(worker.ask("one", 40) == 1, "it was refused")
        check(worker.ask("calls") == 1, "it was not asked once")
        check(worker.ask("one", 40) == 0, "it was given")
        check(worker.ask("calls") == 2, "it was not asked again")
        counted(domain, oom_kill=0)


def who_exits_is_not_refused(umemcg):
    for how in range(4):
        with limited(umemcg, "fail") as domain, \
                Worker(umemcg, domain, "/a") as worker:
            got = worker.ask("take", LIMIT, answer="took")
            check(got < LIMIT, "there was no limit")
            more = worker.ask("exit", how, answer="handler")
            check(12 <= more <= 16, f"a handler got {more} MiB at end {how}")
            check(worker.process.wait(timeout=30) == 0, "it failed")


def the_end_of_main_is_not_the_processs(umemcg):
    with limited(umemcg, "fail") as domain, \
            Worker(umemcg, domain, "/a") as worker:
        worker.ask("take", LIMIT, answer="took")
        more = worker.ask("exit", 4, answer="alone")
        check(more == 0, f"a thread got {more} MiB over the limit")


if __name__ == "__main__":
    main([fail_is_an_error_of_malloc, kill_kills_the_largest_once,
          many_threads_kill_once, the_caller_may_be_the_largest,
          a_group_dies_together_but_for_the_spared,
          a_small_request_does_not_wait_for_a_large_one,
          the_program_is_asked, who_exits_is_not_refused,
          the_end_of_main_is_not_the_processs])

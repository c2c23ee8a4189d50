"""What idle threads have charged ahead is little, and within reach."""

from domain import domain_of
from harness import MIB, check, main
from world import ended, program, say, start

THREADS = 2000


def order(process):
    process.stdin.write("\n")
    process.stdin.flush()


def little_is_stranded(umemcg, limit, bound):
    with domain_of(umemcg, "/a") as domain:
        domain.done("set", "/a", "memory.max", str(limit))
        with ended(start(umemcg, domain.name, "/a",
                         program("idle_threads"), THREADS,
                         settings={"UMEMCG_RESERVE": "0"})) as process:
            check(process.stdout.readline() == "idle\n", "not all threads")
            before = domain.stat("/a")
            used = domain.number("/a", "memory.current")
            say(f"limit {limit}: {used} bytes charged, of these "
                f"{before['stock_bytes']} in stock")
            check(before["stock_bytes"] <= bound,
                  f"{before['stock_bytes']} bytes stranded")
            order(process)
            got = int(process.stdout.readline())
            current = domain.number("/a", "memory.current")
            after = domain.stat("/a")
            say(f"then one thread got {got} bytes: {current} are charged, "
                f"{after['stock_bytes']} in stock")
            order(process)
        return got, used, before["stock_bytes"], current, after


def the_smaller_limit(umemcg):
    """Until it is refused; then nothing may be left in anybody's stock."""
    limit = 640 * MIB
    got, used, stock, current, after = little_is_stranded(
        umemcg, limit, 16 * MIB)
    check(got < 4 << 30, "it was never refused")
    # A block of 64 KiB is the most that did not fit; the allocator asks for
    # some more at once.
    check(current >= limit - 2 * MIB, f"refused at {current} of {limit}")
    check(after["stock_bytes"] <= MIB // 4, "refused beside a full stock")
    check(got >= limit - used + stock - 8 * MIB,
          f"{got} bytes, where {limit - used} were free and {stock} in stock")


def the_larger_limit(umemcg):
    """0.5 % of it is more than 16 MiB; there is more room than is wanted."""
    limit = 8 << 30
    got, _, _, _, _ = little_is_stranded(umemcg, limit, limit // 200)
    check(got == 4 << 30, f"refused after {got} bytes of {limit}")


if __name__ == "__main__":
    main([the_smaller_limit, the_larger_limit])

"""umemcg explain, and the files of what happens when memory is out."""

from harness import MIB, check, main

from domain import domain_of


def nothing_was_refused(umemcg):
    with domain_of(umemcg, "/a") as domain:
        check(domain.done("explain") == "no charge was refused\n", "it was")
        check(domain.json("explain") == {"domain": domain.path, "groups": {}},
              "not nothing")
        domain.refused("explain", "/none", words=["/none"])


def refuse_some(domain, worker):
    """A worker of /a/b comes to the limit of /a."""
    domain.done("set", "/a", "memory.max", "48M")
    worker.process.stdin.write(f"take {64 * MIB}\n")
    worker.process.stdin.flush()
    # Python says MemoryError and ends.
    worker.process.wait(timeout=60)


def a_refusal_is_explained(umemcg):
    with domain_of(umemcg, "/a/b", "/a/kept", "/other") as domain:
        domain.done("set", "/a/kept", "memory.min", "1M")
        kept = domain.worker("/a/kept")
        kept.order("take", 4 * MIB)
        worker = domain.worker("/a/b")
        refuse_some(domain, worker)
        groups = domain.json("explain")["groups"]
        check(list(groups) == ["/a"], f"{groups}")
        of = groups["/a"]
        check(of["limit_bytes"] == 48 * MIB and of["policy"] == "fail",
              f"{of}")
        refusal = of["refusals"][0]
        check(refusal["pid"] == worker.pid, f"{refusal}")
        check(refusal["group"] == "/a/b", f"{refusal}")
        check(refusal["thread_name"].startswith("python"), f"{refusal}")
        check(refusal["limit_bytes"] == 48 * MIB, f"{refusal}")
        check(40 * MIB < refusal["usage_bytes"] <= 48 * MIB + 256 * 1024,
              f"{refusal}")
        check(0 < refusal["request_bytes"] <= MIB, f"{refusal}")
        check(of["refused"] >= 1 and len(of["refusals"]) <= 6, f"{of}")
        # Those that the reserve let pass are counted apart.
        passed = [refusal["outcome"] in ("reserve", "forced")
                  for refusal in of["refusals"]]
        check(min(4, of["refused"]) == passed.count(False)
              and min(2, of["let_pass"]) == passed.count(True), f"{of}")
        groups_below = [c["group"] for c in of["consumers"] if "group" in c]
        check("/a/kept" in groups_below, f"{of}")
        advice = "\n".join(of["advice"])
        for words in ("raise memory.max of /a: one more request of",
                      "memory.min of /a/kept keeps 1.0 MiB",
                      "memory.oom.policy of /a is fail"):
            check(words in advice, f"no {words!r} in {advice}")


def the_text_names_them(umemcg):
    with domain_of(umemcg, "/a/b") as domain:
        refuse_some(domain, domain.worker("/a/b"))
        for path in ("/", "/a", "/a/b"):
            text = domain.done("explain", path)
            for words in ("/a: ", "refused at its limit; it is 48.0 MiB",
                          "policy fail", "failed", "/a/b",
                          "what would help:", "raise memory.max of /a"):
                check(words in text, f"no {words!r} in {text}")
            check("nobody has anything" in text, text)
        domain.done("create", "/c")
        check(domain.done("explain", "/c") == "no charge was refused\n",
              "another group's")
        # A group that is gone is said to be.
        domain.done("rm", "/a/b")
        check("(removed)" in domain.done("explain"), "it is not")


def the_files_of_out_of_memory(umemcg):
    with domain_of(umemcg, "/a") as domain:
        check(domain.get("/a", "memory.oom.policy") == "fail\n", "no default")
        check(domain.get("/a", "memory.oom.group") == "0\n", "no default")
        for value, shown in (("kill", "kill"), ("callback", "callback"),
                             ("wait", "wait 10000"), ("wait 20", "wait 20")):
            domain.done("set", "/a", "memory.oom.policy", value)
            check(domain.get("/a", "memory.oom.policy") == shown + "\n", value)
        domain.refused("set", "/a", "memory.oom.policy", "panic",
                       words=["Invalid"])
        domain.done("create", "/a/b")
        check(domain.get("/a/b", "memory.oom.policy") == "wait 20\n",
              "not its parent's")
        domain.done("set", "/a", "memory.oom.group", 1)
        check(domain.get("/a", "memory.oom.group") == "1\n", "not set")
        check(domain.get("/a/b", "memory.oom.group") == "0\n", "inherited")
        domain.refused("set", "/a", "memory.oom.group", 2, words=["Invalid"])
        domain.refused("set", "/", "memory.oom.group", 1, words=["Invalid"])


if __name__ == "__main__":
    main([nothing_was_refused, a_refusal_is_explained, the_text_names_them,
          the_files_of_out_of_memory])

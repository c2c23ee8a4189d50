#!/usr/bin/env python3
"""Times alloc_workload under several allocators, interleaved.

Every round runs every case, and every case all the arms one after another, in
an order shuffled from a fixed seed; a ratio pairs two runs of one round, so
that drift of the machine hits both. What is printed:

    time    median ns/op over the rounds (interquartile range in % of it)
    ratio   median of the rounds' ratios to mimalloc (or --base ARM; same
            spread), and the geometric mean over the cases
    rss     with --peak-rss: the same for the peak resident set

    compare.py [--cases a,b] [--arms a,b] [--rounds N] [--json FILE]
    compare.py --startup      /bin/true instead: ms from spawn to exit

An arm is measured only if the process really runs on its allocator, and
umemcg's only if a limit really refuses. An arm whose library is not there is
a SKIP, said aloud. Debug builds are refused, except by --smoke.

mimalloc asks for transparent huge pages and umemcg's ranges do not: where
faults matter, a ratio to mimalloc holds both the shim and the pages. To tell
them apart: --arms mimalloc_4k,umemcg --base mimalloc_4k, or umemcg_thp.
"""

import argparse
import contextlib
import filecmp
import glob
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from typing import NamedTuple, Optional

MIB = 1 << 20
EXIT_SKIP = 77  # ctest's SKIP_RETURN_CODE
DEFAULT_ARMS = ("glibc", "mimalloc", "jemalloc", "tcmalloc", "umemcg",
                "umemcg_max")
MEASURED_BUILDS = ("Release", "RelWithDebInfo", "MinSizeRel")

# "Numbers to hold": printed beside what was measured, never asserted.
TARGET_MEAN = 1.03
TARGET_CASE = 1.10
TARGET_BARE_LOOP = 1.15
BARE_LOOPS = ("pair", "pair_1k")
TARGET_STARTUP_MS = 1.0

LIBRARY_DIRS = ("/usr/local/lib", "/usr/local/lib/*", "/usr/lib/*",
                "/usr/lib64", "/usr/lib", "/lib/*", "/lib64", "/lib")


class Arm(NamedTuple):
    name: str
    allocator: str  # what alloc_workload --identify has to say
    library: Optional[pathlib.Path]  # to preload
    env: dict


class Sample(NamedTuple):
    value: float  # ns per operation; ms in --startup
    rss_kib: int
    preempted: bool  # the thread did not have its CPU for itself


class Failure(Exception):
    """The comparison would not compare what it says."""


# ---- what there is to run


def parse_arguments():
    root = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    split = lambda text: text.split(",")
    parser.add_argument("--build-dir", type=pathlib.Path,
                        default=root / "build" / "release")
    parser.add_argument("--cases", type=split, help="comma-separated")
    parser.add_argument("--arms", type=split, default=DEFAULT_ARMS,
                        help="comma-separated; also mimalloc_4k, umemcg_thp")
    parser.add_argument("--base", default="mimalloc", metavar="ARM",
                        help="what ratios are to")
    parser.add_argument("--rounds", type=int, help="15; --startup: 200")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                        help="cpu: summed over threads; for a busy machine")
    parser.add_argument("--max", default="2G", help="umemcg_max's UMEMCG_MAX")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--startup", action="store_true")
    parser.add_argument("--peak-rss", action="store_true")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true",
                        help="2 rounds of few operations: does it run?")
    args = parser.parse_args()
    if args.rounds is None:
        args.rounds = 2 if args.smoke else 200 if args.startup else 15
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    args.build_dir = args.build_dir.resolve()
    return args


def build_type(build_dir):
    cache = build_dir / "CMakeCache.txt"
    if not cache.is_file():
        return None
    found = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache.read_text(), re.M)
    return found.group(1) if found else ""


def check_build(args):
    """Returns the build type; raises unless it is worth measuring."""
    kind = build_type(args.build_dir)
    if kind is None:
        problem = f"no CMakeCache.txt in {args.build_dir}"
    elif kind not in MEASURED_BUILDS:
        problem = f"{args.build_dir} is a {kind or 'typeless'} build"
    else:
        return kind
    if not args.smoke:
        raise Failure(f"{problem}: measure a Release build (cmake "
                      "-DCMAKE_BUILD_TYPE=Release), or give --build-dir")
    print(f"note: {problem}; the numbers below mean nothing")
    return kind


def find_library(name, *first):
    """The first file of that name in `first`, then the standard folders."""
    for pattern in (*first, *LIBRARY_DIRS):
        for folder in sorted(glob.glob(pattern)):
            path = pathlib.Path(folder, name)
            if path.is_file():
                return path
    return None


def find_arms(args):
    """The arms asked for that can run; a SKIP line for each other one."""
    build = glob.escape(str(args.build_dir))
    mimalloc = find_library("libmimalloc.so.3", build)
    jemalloc = find_library("libjemalloc.so.2")
    tcmalloc = find_library("libtcmalloc_minimal.so.4")
    umemcg = args.build_dir / "libumemcg.so"
    umemcg = umemcg if umemcg.is_file() else None
    no_mimalloc = (f"no libmimalloc.so.3 in {args.build_dir} or the system's "
                   "library folders")
    no_umemcg = f"no libumemcg.so in {args.build_dir}"
    arms = (
        (Arm("glibc", "glibc", None, {}), None),
        (Arm("mimalloc", "mimalloc", mimalloc, {}), no_mimalloc),
        (Arm("mimalloc_4k", "mimalloc", mimalloc,
             {"MIMALLOC_ALLOW_THP": "0"}), no_mimalloc),
        (Arm("jemalloc", "jemalloc", jemalloc, {}),
         "no libjemalloc.so.2 (Debian: libjemalloc2)"),
        (Arm("tcmalloc", "tcmalloc", tcmalloc, {}),
         "no libtcmalloc_minimal.so.4 (Debian: libtcmalloc-minimal4)"),
        (Arm("umemcg", "umemcg", umemcg, {}), no_umemcg),
        (Arm("umemcg_max", "umemcg", umemcg, {"UMEMCG_MAX": args.max}),
         no_umemcg),
        (Arm("umemcg_thp", "umemcg", umemcg, {"UMEMCG_THP": "1"}), no_umemcg),
    )
    names = [arm.name for arm, _ in arms]
    wanted = choose("arm", names, args.arms)
    choose("arm", names, [args.base])
    found = []
    for arm, without in arms:
        if arm.name in wanted:
            if arm.library is None and without is not None:
                print(f"SKIP arm {arm.name}: {without}")
            else:
                found.append(arm)
    return found


def choose(what, known, asked):
    unknown = set(asked or ()) - set(known)
    if unknown:
        raise Failure(f"no such {what}: {', '.join(sorted(unknown))}; "
                      f"there are {', '.join(known)}")
    return [name for name in known if asked is None or name in asked]


def find_cases(args, workload):
    """The cases asked for, as alloc_workload --list gives them."""
    cases = {case["case"]: case for case in workload.run(None, "--list")}
    cpus = len(os.sched_getaffinity(0))
    found = []
    for name in choose("case", list(cases), args.cases):
        case = cases[name]
        if case["threads"] > cpus:
            print(f"SKIP case {name}: needs {case['threads']} CPUs, "
                  f"{cpus} allowed")
        else:
            if args.smoke:
                case["ops"] = max(1, case["ops"] // 1000)
            found.append(case)
    return found


# ---- running


def environment(arm):
    """Nothing of the caller's: a stray MALLOC_ or MIMALLOC_ would tune."""
    env = {"PATH": os.defpath, "LC_ALL": "C"}
    if arm is not None:
        env.update(arm.env)
        if arm.library is not None:
            env["LD_PRELOAD"] = str(arm.library)
    return env


class Workload:
    """The alloc_workload program of a build."""

    def __init__(self, build_dir):
        self.path = build_dir / "bench" / "workload" / "alloc_workload"
        if not self.path.is_file():
            raise Failure(f"{self.path} is not built")
        self.heard = set()

    def start(self, arm, *arguments, **more_env):
        return subprocess.run(
            [self.path, *arguments, "--json"], capture_output=True, text=True,
            env=environment(arm) | more_env, check=False)

    def run(self, arm, *arguments):
        """Its answer; raises if it failed or was not accounted."""
        done = self.start(arm, *arguments)
        name = arm.name if arm else "none"
        if done.returncode != 0 or "not accounted" in done.stderr:
            raise Failure(f"arm {name}: alloc_workload {' '.join(arguments)}: "
                          f"exit {done.returncode}: {done.stderr.strip()}")
        if done.stderr and name not in self.heard:
            self.heard.add(name)
            print(f"note: arm {name} says: {done.stderr.strip()}")
        return json.loads(done.stdout)


def check_arms(workload, arms):
    """Raises unless each arm's process runs on that arm's allocator."""
    base = next((arm for arm in arms if arm.allocator == "mimalloc"), None)
    for arm in arms:
        identity = workload.run(arm, "--identify")
        if identity["allocator"] != arm.allocator:
            raise Failure(f"arm {arm.name} runs on {identity['allocator']} "
                          f"({identity['malloc']})")
        if arm.allocator == "umemcg":
            check_accounting(workload, arm)
            theirs = identity["mimalloc"]
            if base and theirs and not filecmp.cmp(theirs, base.library,
                                                   shallow=False):
                raise Failure(f"arm {arm.name} has mimalloc from {theirs}, "
                              f"arm {base.name} is {base.library}")


def check_accounting(workload, arm):
    """Raises unless a limit of 32 MiB refuses a program that wants 64."""
    done = workload.start(arm, "--probe", str(64 * MIB), UMEMCG_MAX="32M")
    if "not accounted" in done.stderr:
        raise Failure(f"arm {arm.name}: {done.stderr.strip()}")
    # Ended by the group's OOM policy counts as refused.
    if done.returncode == 0 and json.loads(done.stdout)["bytes"] >= 64 * MIB:
        raise Failure(f"arm {arm.name}: UMEMCG_MAX=32M let 64 MiB through")


@contextlib.contextmanager
def pinned(threads):
    """Children get the last CPUs (the first one has the most interrupts)."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[-threads:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def run_case(workload, arm, case, clock):
    done = workload.run(arm, case["case"], "--ops", str(case["ops"]))
    preempted = (case["threads"] == 1 and
                 done["wall_ns"] > 1.05 * done["cpu_ns"] + 1e6)
    return Sample(done[clock + "_ns"] / done["ops"], done["peak_rss_kib"],
                  preempted)


def run_true(path, arm):
    env = environment(arm)
    begin = time.perf_counter_ns()
    child = os.posix_spawn(path, [path], env)
    _, status, usage = os.wait4(child, 0)
    elapsed = time.perf_counter_ns() - begin
    if status != 0:
        raise Failure(f"arm {arm.name}: {path}: status {status}")
    return Sample(elapsed / 1e6, usage.ru_maxrss, False)


class Progress:
    """One line on standard error, if somebody is looking."""

    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, what):
        self.done += 1
        if self.shown:
            spent = time.monotonic() - self.begin
            left = spent / self.done * (self.total - self.done)
            print(f"\r\033[K{self.done}/{self.total}  {left:.0f} s left  "
                  f"{what}", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def interleave(args, cases, arms, run):
    """{(case, arm): [Sample of round 0, of round 1, ...]}."""
    order = random.Random(args.seed)
    samples = {(case["case"], arm.name): [] for case in cases for arm in arms}
    progress = Progress(args.rounds * len(samples))
    for number in range(1, args.rounds + 1):
        for case in order.sample(cases, len(cases)):
            with pinned(case["threads"]):
                for arm in order.sample(arms, len(arms)):
                    samples[case["case"], arm.name].append(run(arm, case))
                    progress.step(f"round {number} {case['case']} {arm.name}")
    progress.end()
    return samples


# ---- what it says


def spread(values):
    """Median, and interquartile range in % of it."""
    middle = statistics.median(values)
    if len(values) < 2 or middle == 0:
        return middle, 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, 100 * (high - low) / middle


def against_base(samples, base, case, arm, field):
    """The rounds' ratios to the base arm; empty if it was not measured."""
    return [getattr(mine, field) / getattr(theirs, field)
            for mine, theirs in zip(samples[case, arm],
                                samples.get((case, base), ()))
            if getattr(theirs, field)]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def summarise(samples, base, cases, arms, field):
    """{case: {arm: {median, iqr_percent, ratio, ratio_iqr_percent}}}."""
    summary = {}
    for case in (case["case"] for case in cases):
        summary[case] = {}
        for arm in (arm.name for arm in arms):
            values = [getattr(one, field) for one in samples[case, arm]]
            entry = dict(zip(("median", "iqr_percent"), spread(values)))
            ratios = against_base(samples, base, case, arm, field)
            if ratios:
                entry.update(zip(("ratio", "ratio_iqr_percent"),
                                 spread(ratios)))
            summary[case][arm] = entry
    return summary


def means_of(summary, arms):
    """{arm: geometric mean over the cases of its ratios}."""
    means = {}
    for arm in (arm.name for arm in arms):
        ratios = [row[arm]["ratio"] for row in summary.values()
                  if row[arm].get("ratio")]
        if ratios:
            means[arm] = geometric_mean(ratios)
    return means


def print_table(title, columns, rows):
    """Rows are (name, {column: text}), right-aligned under the columns."""
    rows = [("", {column: column for column in columns}), *rows]
    left = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, row in rows:
        line = name.ljust(left)
        for column in columns:
            width = max(len(other.get(column, "-")) for _, other in rows)
            line += "  " + row.get(column, "-").rjust(width)
        print(line.rstrip())


def number(value):
    digits = 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def print_summary(what, unit, base, summary, arms):
    names = [arm.name for arm in arms]
    values = [(case, {arm: f"{number(one['median'])} "
                           f"({one['iqr_percent']:.1f})"
                      for arm, one in row.items()})
              for case, row in summary.items()]
    print_table(f"{what}: median {unit} (interquartile range, % of it)", names,
                values)
    means = means_of(summary, arms)
    if not means:
        print(f"\nno ratios: {base} was not measured")
        return
    ratios = [(case, {arm: f"{one['ratio']:.3f} "
                           f"({one['ratio_iqr_percent']:.1f})"
                      for arm, one in row.items() if "ratio" in one})
              for case, row in summary.items()]
    if len(summary) > 1:
        ratios.append(("geometric mean", {arm: f"{mean:.3f}      "
                                          for arm, mean in means.items()}))
    print_table(f"{what}: ratio to {base}, median of the rounds' (IQR %)",
                names, ratios)


def print_targets(summary, arms):
    """One line for each umemcg arm on what it has to hold."""
    means = means_of(summary, arms)
    for arm in (arm.name for arm in arms if arm.allocator == "umemcg"):
        if arm not in means:
            continue
        over = [f"{case} {row[arm]['ratio']:.3f}"
                for case, row in summary.items()
                if row[arm]["ratio"] > (TARGET_BARE_LOOP if case in BARE_LOOPS
                                        else TARGET_CASE)]
        print(f"{arm}: geometric mean {means[arm]:.3f} (to hold: "
              f"{TARGET_MEAN:.2f}); cases over {TARGET_CASE:.2f} (bare loops "
              f"{TARGET_BARE_LOOP:.2f}): {', '.join(over) or 'none'}")


def print_startup(samples, base, arms):
    """Median ms, and the median of the rounds' differences to the base."""
    rows = []
    theirs = samples.get(("true", base))
    for arm in (arm.name for arm in arms):
        mine = samples["true", arm]
        middle, iqr = spread([one.value for one in mine])
        row = {"ms": f"{middle:.3f} ({iqr:.1f})"}
        if theirs:
            more = statistics.median(a.value - b.value
                                     for a, b in zip(mine, theirs))
            row["over"] = f"{more:+.3f}"
        rows.append((arm, row))
    print_table(f"/bin/true: median ms (IQR %), and ms over {base} "
                f"(to hold, for umemcg: {TARGET_STARTUP_MS:.0f})",
                ("ms", "over"), rows)


def first_line(path, default="?"):
    try:
        return pathlib.Path(path).read_text().split("\n", 1)[0]
    except OSError:
        return default


def describe(args, kind, arms):
    """What a reader needs to judge the numbers; also the JSON's head."""
    cpu = re.search(r"^model name\s*: (.*)$",
                    pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "transparent_hugepage": first_line(
            "/sys/kernel/mm/transparent_hugepage/enabled"),
        "loadavg": first_line("/proc/loadavg"),
        "build_type": kind,
        "rounds": args.rounds,
        "seed": args.seed,
        "base": args.base,
        "clock": "wall" if args.startup else args.clock,
        "libraries": {arm.name: str(arm.library.resolve())
                      for arm in arms if arm.library},
    }


def write_json(path, about, samples, **summaries):
    rounds = [{"case": case, "arm": arm, "values": [s.value for s in taken],
               "peak_rss_kib": [s.rss_kib for s in taken],
               "preempted": sum(s.preempted for s in taken)}
              for (case, arm), taken in samples.items()]
    text = json.dumps({"about": about, **summaries, "samples": rounds},
                      indent=1)
    path.write_text(text + "\n")


# ---- the two modes


def compare_cases(args, workload, arms, about):
    cases = find_cases(args, workload)
    if not cases:
        raise Failure("no case can run")
    samples = interleave(
        args, cases, arms,
        lambda arm, case: run_case(workload, arm, case, args.clock))
    times = summarise(samples, args.base, cases, arms, "value")
    peaks = summarise(samples, args.base, cases, arms, "rss_kib")
    print_summary("time", f"ns/op, {args.clock} clock", args.base, times, arms)
    if args.peak_rss:
        print_summary("peak resident set", "KiB", args.base, peaks, arms)
    print()
    print_targets(times, arms)
    taken = [one for some in samples.values() for one in some]
    print(f"{sum(one.preempted for one in taken)} of {len(taken)} runs were "
          "preempted (one-thread cases: wall over 1.05 of CPU time)")
    if args.json:
        write_json(args.json, about, samples, time=times, peak_rss=peaks,
                   geometric_mean=means_of(times, arms))


def compare_startup(args, arms, about):
    path = shutil.which("true", path=os.defpath)
    if path is None:
        raise Failure("there is no true program")
    samples = interleave(args, [{"case": "true", "threads": 1}], arms,
                         lambda arm, _: run_true(path, arm))
    print_startup(samples, args.base, arms)
    if args.json:
        write_json(args.json, about, samples)


def main():
    args = parse_arguments()
    kind = check_build(args)
    workload = Workload(args.build_dir)
    bare = workload.run(None, "--identify")
    if bare["allocator"] == "unknown":
        print("SKIP: alloc_workload has an allocator of its own, so none can "
              f"be preloaded (a sanitizer?): {bare['malloc']}")
        return EXIT_SKIP if args.smoke else 1
    arms = find_arms(args)
    if not arms:
        raise Failure("no arm can run")
    check_arms(workload, arms)
    about = describe(args, kind, arms)
    for key, value in about.items():
        if key != "libraries":
            print(f"{key}: {value}")
    if args.startup:
        compare_startup(args, arms, about)
    else:
        compare_cases(args, workload, arms, about)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"compare.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)

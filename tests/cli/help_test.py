"""What umemcg says of itself: --help, the manual page, completion, versions."""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import tempfile

from harness import Skip, check, clean_environment, main, plain

from domain import domain_of

VERSION_OFFSET = 8  # in a domain's header (accounting/layout.h)

# These print what is no data, or serve until they are ended.
WITHOUT_JSON = {"completion", "man", "mount", "umount", "export"}


def text_of(umemcg, *arguments):
    outcome = plain([umemcg.program, *arguments])
    check(outcome.status == 0 and not outcome.stderr, "failed", outcome)
    return outcome.stdout.decode()


def commands_of(umemcg):
    text = text_of(umemcg, "--help")
    names = re.findall(r"^  ([a-z]+) ", text[text.index("Subcommands:"):],
                       re.MULTILINE)
    check(len(names) > 15 and "top" in names, f"{names}")
    return names


def options_of(umemcg, command):
    """All names of its options, as --help lists them."""
    text = text_of(umemcg, command, "--help")
    return re.findall(r"(?<![\w-])(--?[a-z][\w-]*)",
                      "\n".join(line[:28] for line in text.splitlines()
                                if line.startswith("  -")))


def every_command_has_help(umemcg):
    for command in commands_of(umemcg):
        text = text_of(umemcg, command, "--help")
        check("Exit status:" in text, f"{command}:\n{text}")
        check("--json" in text or command in WITHOUT_JSON,
              f"{command} has no --json")
    check("125" in text_of(umemcg, "run", "--help"), "run's own are missing")
    check("Exit status:" in text_of(umemcg, "--help"), "not in --help")


def all_is_in_the_manual_page(umemcg):
    page = text_of(umemcg, "man")
    plain_page = page.replace("\\-", "-").replace("\\fB", "").replace(
        "\\fR", "").replace("\\fI", "")
    for command in commands_of(umemcg):
        start = plain_page.index(f"\n.SS {command}\n")
        end = plain_page.find("\n.SS ", start + 1)
        section = plain_page[start:end]
        for option in options_of(umemcg, command):
            check(re.search(rf"(^|, ){re.escape(option)}\b", section,
                            re.MULTILINE),
                  f"{command} {option} is not in\n{section}")
    for words in ("EXIT STATUS", "NO_COLOR", "UMEMCG_DOMAIN", "UMEMCG_WORKER",
                  "LD_PRELOAD.md", "HOST:PORT", "SEE ALSO"):
        check(words in plain_page, f"no {words}")
    check("Exit status:" not in plain_page, "said twice")


def the_manual_page_is_well_formed(umemcg):
    if shutil.which("groff") is None:
        raise Skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"],
                          input=text_of(umemcg, "man"), text=True,
                          capture_output=True, timeout=60, check=False,
                          env=clean_environment())
    check(done.returncode == 0 and not done.stderr, done.stderr)
    check("EXIT STATUS" in re.sub(r".\b|\x1b\[\d*m", "", done.stdout,
                                  flags=re.ASCII) or len(done.stdout) > 5000,
          done.stdout[:500])


def scripts_name_all(umemcg):
    for shell, checker in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]),
                           ("fish", ["fish", "-n"])):
        script = text_of(umemcg, "completion", shell)
        for command in commands_of(umemcg):
            check(re.search(rf"\b{command}\b", script), f"{shell}: {command}")
            for option in options_of(umemcg, command):
                bare = option.lstrip("-") if shell == "fish" else option
                check(re.search(rf"(?<![\w-]){re.escape(bare)}\b", script),
                      f"{shell}: {command} {option}")
        if shutil.which(shell) is None:
            continue
        with tempfile.NamedTemporaryFile("w", suffix="." + shell) as file:
            file.write(script)
            file.flush()
            outcome = plain([*checker, file.name])
            check(outcome.status == 0 and not outcome.stderr, shell, outcome)
    outcome = plain([umemcg.program, "completion", "tcsh"])
    check(outcome.status == 2, "tcsh", outcome)


def complete(umemcg, *words):
    """What bash offers for the last word; as it would be put there."""
    script = (f"source <({shlex.quote(umemcg.program)} completion bash)\n"
              f"COMP_WORDS=({shlex.join([umemcg.program, *words])})\n"
              f"COMP_CWORD={len(words)}\n"
              "_umemcg\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
              "complete -p umemcg >/dev/null\n")
    outcome = plain(["bash", "--norc", "-c", script])
    check(outcome.status == 0 and not outcome.stderr, f"{words}", outcome)
    return [line for line in outcome.stdout.decode().split("\n") if line]


def bash_completes(umemcg):
    with domain_of(umemcg, "/a/b", "/a/c d", "/x") as domain:
        where = ("--domain", domain.name)
        for words, offered in (
                (["to"], ["top"]),
                (["st"], ["stat"]),
                (["completion", ""], ["bash", "fish", "zsh"]),
                (["top", "--sort", "g"], ["growth"]),
                (["top", "--fl"], ["--flat"]),
                (["stat", *where, "/a"], ["/a", "/a/b", "/a/c\\ d"]),
                (["rm", *where, "/x", "/a/b"], ["/a/b"]),
                (["get", *where, "/x", "memory.ma"],
                 ["memory.max"]),
                (["get", "--v1", *where, "/x", "memory.limit"],
                 ["memory.limit_in_bytes"]),
                (["set", *where, "/x", "memory.pe"], ["memory.peak"]),
                (["set", *where, "/x", "memory.cu"], []),
                (["stat", f"--domain={domain.name}", "/a/c"], ["/a/c\\ d"]),
                (["stat", "--domain", "=", domain.name, "/a/c"],
                 ["/a/c\\ d"]),
                (["stat", f"--domain={domain.name[:-1]}"],
                 [f"--domain={domain.name}"]),
                (["stat", "--domain", "=", domain.name[:-1]], [domain.name]),
                (["run", "--oom", "=", "k"], ["kill"]),
                (["get", *where, "/x", "memory.max", ""], []),
                (["stat", "--domain", domain.name[:-1]], [domain.name]),
                (["none", ""], [])):
            found = complete(umemcg, *words)
            check(sorted(found) == offered, f"{words}: {found}")
        check({"run", "top", "--help"} <= set(complete(umemcg, "")), "no list")
        worker = domain.worker("/x")
        check(complete(umemcg, "audit", *where, "") == [str(worker.pid)],
              "no process")
        check("bash" in complete(umemcg, "run", *where, "--", "bas"),
              "no program")


def names_are_not_run(umemcg):
    """A group's name may look like a command to the shell."""
    with tempfile.TemporaryDirectory() as folder, \
            domain_of(umemcg, "/x") as domain:
        # (A name has no slash.)
        domain.done("create", "/$(touch bad)", "/`touch bad`", "/a;b")
        script = (f"cd {folder}; source <({umemcg.program} completion bash)\n"
                  f"COMP_WORDS=({umemcg.program} stat --domain {domain.name} "
                  "/); COMP_CWORD=4\n_umemcg; declare -p COMPREPLY\n")
        outcome = plain(["bash", "--norc", "-c", script])
        check(b"touch" in outcome.stdout and not os.listdir(folder),
              "it was run", outcome)


def fish_completes(umemcg):
    if shutil.which("fish") is None:
        raise Skip("fish is not installed")
    with domain_of(umemcg, "/a/b") as domain, \
            tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.abspath(umemcg.program), f"{folder}/umemcg")
        for line, word in (("umemcg pres", "pressure"),
                           ("umemcg top --sor", "--sort"),
                           (f"umemcg stat --domain {domain.name} /a", "/a/b"),
                           ("umemcg top --sort gr", "growth")):
            outcome = plain(
                ["fish", "--no-config", "-c",
                 "umemcg completion fish | source; complete -C "
                 + shlex.quote(line)],
                env=clean_environment(
                    PATH=folder + ":" + os.environ["PATH"], HOME=folder))
            check(word in outcome.stdout.decode().split(), f"{line}: {word}",
                  outcome)


def versions_are_told(umemcg):
    with domain_of(umemcg, "/a") as domain, \
            tempfile.TemporaryDirectory() as folder:
        found = json.loads(text_of(umemcg, "version", "--json"))
        with open(domain.path, "rb") as file:
            file.seek(VERSION_OFFSET)
            layout = struct.unpack("<I", file.read(4))[0]
        check(found["layout"] == layout
              and found["umemcg"] == text_of(umemcg, "--version").strip()
              and found["library"] == os.path.realpath(umemcg.library)
              and re.fullmatch(r"3\.\d+\.\d+", found["mimalloc"]), f"{found}")
        text = text_of(umemcg, "version")
        check(all(str(value) in text for value in found.values()), text)
        # Away from its library.
        alone = shutil.copy(umemcg.program, folder)
        outcome = plain([alone, "version", "--json"])
        check(json.loads(outcome.stdout)["library"] is None, "", outcome)


if __name__ == "__main__":
    main([every_command_has_help, all_is_in_the_manual_page,
          the_manual_page_is_well_formed, scripts_name_all, bash_completes,
          names_are_not_run, fish_completes, versions_are_told])

"""A terminal for one test: tmux on a socket of its own, driven by keys."""

import contextlib
import os
import shlex
import shutil
import subprocess
import time

from harness import Skip, check, clean_environment


PROMPT = "ready$"  # (blanks at the end of a line are not captured)


class Terminal:
    """One of them, with a shell in it."""

    def __init__(self, columns=100, lines=24):
        self.socket = f"umemcg-test-{os.getpid()}"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns),
                  "-y", str(lines), "env", "-u", "BASH_ENV", "PS1=ready$ ",
                  "bash", "--norc", "--noprofile")
        self.wait_for(PROMPT)

    def tmux(self, *arguments):
        done = subprocess.run(
            ["tmux", "-L", self.socket, *arguments], capture_output=True,
            text=True, timeout=30, check=False,
            env=clean_environment(LC_ALL="C.UTF-8", TERM="xterm-256color"))
        check(done.returncode == 0, f"tmux {arguments}: {done.stderr}")
        return done.stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def run(self, *command):
        """Types a command line."""
        self.tmux("send-keys", "-l",
                  "clear; " + " ".join(map(shlex.quote, map(str, command))))
        self.keys("Enter")

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def wait_for(self, condition, text=None):
        """The screen, when a word is in it, or a function of it is true."""
        screen = ""
        for _ in range(200):
            screen = self.screen()
            if (condition in screen if isinstance(condition, str)
                    else condition(screen)):
                return screen
            time.sleep(0.05)
        check(False, f"never: {text or condition}\n{screen}")

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def end(self):
        with contextlib.suppress(Exception):
            self.tmux("kill-server")


@contextlib.contextmanager
def terminal():
    if shutil.which("tmux") is None:
        raise Skip("tmux is not installed")
    one = Terminal()
    try:
        yield one
    finally:
        one.end()

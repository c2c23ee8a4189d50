#!/usr/bin/env python3
"""page_counter_replay must find what is wrong with a corrupted vectors file.

Changes one number at a time in copies of the files and expects exit status 1
and the number of the changed line; expects 2 for what cannot be replayed.

    replay_corruption_test.py PAGE_COUNTER_REPLAY VECTORS_FOLDER
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

REPLAY = VECTORS = None

STATE = ["usage", "max", "min", "low", "watermark", "failcnt", "min_usage",
         "low_usage", "children_min_usage", "children_low_usage"]


def replay(*args):
    done = subprocess.run([REPLAY, *map(str, args)], capture_output=True,
                          text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def other(token):
    return "7" if token == "max" else str(int(token) + 1)


class ReplayTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "corrupted.txt"


class Corruption(ReplayTest):
    def lines(self, name="vectors.txt"):
        return (VECTORS / name).read_text().split("\n")

    def last(self, lines, pattern):
        """The last line that matches: all before it must be replayed."""
        return max(i for i, line in enumerate(lines) if re.search(pattern, line))

    def expect_mismatch(self, lines, index, changed, *options):
        self.assertNotEqual(lines[index], changed)
        self.file.write_text("\n".join(lines[:index] + [changed]
                                       + lines[index + 1:]))
        status, output, error = replay(*options, self.file)
        self.assertEqual((status, error), (1, ""), output)
        self.assertIn(f":{index + 1}: mismatch in \"{changed}\": expected ",
                      output)
        self.assertEqual(output.count("\n"), 1, "one line, the first mismatch")

    def test_every_field_of_a_state(self):
        lines = self.lines()
        index = self.last(lines, "^state ")
        tokens = lines[index].split()
        self.assertEqual(len(tokens), 2 + len(STATE))
        for field, name in enumerate(STATE, start=2):
            with self.subTest(field=name):
                changed = tokens[:]
                changed[field] = other(changed[field])
                self.expect_mismatch(lines, index, " ".join(changed))

    def test_outcomes(self):
        lines = self.lines()
        changes = {
            r"^try_charge .* -> ok$": lambda s: s.replace("ok", "fail 0"),
            r"^try_charge .* -> fail 0$": lambda s: s.replace("fail 0", "ok"),
            r"^try_charge .* -> fail [1-9]":
                lambda s: re.sub(r"fail \d+", "fail 0", s),
            r"^set_max .* -> 0$": lambda s: s[:-1] + "-16",
            r"^set_max .* -> -16$": lambda s: s[:-3] + "0",
            r"^protect .* -> \d+ \d+$": lambda s: s + "0",
            r"^protect .* -> [1-9]\d* ": lambda s: re.sub("-> ", "-> 1", s),
        }
        for pattern, change in changes.items():
            with self.subTest(pattern=pattern):
                index = self.last(lines, pattern)
                self.expect_mismatch(lines, index, change(lines[index]))

    def test_a_lost_operation(self):
        lines = self.lines()
        index = self.last(lines, "^charge ")
        self.file.write_text("\n".join(lines[:index] + lines[index + 1:]))
        status, output, _ = replay(self.file)
        self.assertEqual(status, 1)
        self.assertIn("mismatch", output)

    def test_memparse(self):
        lines = self.lines("memparse.txt")
        for index in range(0, len(lines) - 1, 6):
            text, result = lines[index].rsplit("\t", 1)
            wrong = "1" if result in ("error", "max") else other(result)
            self.expect_mismatch(lines, index, f"{text}\t{wrong}",
                                 "--memparse")


class CannotReplay(ReplayTest):
    def expect_refusal(self, *args):
        status, output, error = replay(*args)
        self.assertEqual((status, output), (2, ""))
        self.assertEqual(error.count("\n"), 1, error)
        return error

    def test_usage(self):
        for args in [(), ("a", "b"), ("--memparse",), ("--help",),
                     ("--memparse", "a", "b")]:
            self.assertIn("usage: page_counter_replay",
                          self.expect_refusal(*args))

    def test_files(self):
        self.assertIn("No such file", self.expect_refusal(self.file))
        self.assertIn("Is a directory", self.expect_refusal(VECTORS))
        self.file.write_text("")
        self.assertIn("holds no records", self.expect_refusal(self.file))

    def test_records(self):
        head = "tree 0 2 all\nnode 0 -1 1\nnode 1 0 1\n"
        for record in ["", "chargee 0 1", "charge 0", "charge 0 1 2",
                       "charge 2 1", "charge 0 -1", "charge 0 1x", "state 9 0",
                       "protect 0 1 2 -> 0 0", "protect 0 5 1 -> 0 0",
                       "node 1 1 1", "node 0 0 1", "tree 0 0 all", "node 1 0 2"]:
            with self.subTest(record=record):
                self.file.write_text(head + record + "\n")
                self.assertIn(f":4: not an operation record: {record}",
                              self.expect_refusal(self.file))
        self.file.write_text("charge 0 1\n")
        self.assertIn(":1: not an operation", self.expect_refusal(self.file))
        self.file.write_text("no tab\n")
        self.assertIn(":1: not a memparse record",
                      self.expect_refusal("--memparse", self.file))


if __name__ == "__main__":
    REPLAY = sys.argv.pop(1)
    VECTORS = pathlib.Path(sys.argv.pop(1))
    unittest.main()

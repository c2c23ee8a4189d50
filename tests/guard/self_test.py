#!/usr/bin/env python3
"""The guards, on samples that break their rules: a guard must be able to fail.
"""

import argparse
import pathlib
import tempfile
import unittest

import common
import dependencies
import fastpath
import layers
import layout
import presets
import style
import words


def make_tree(root, files):
    """Writes {path: text} under a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class TreeTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)


class LayersTest(TreeTest):

    GOOD = {
        "base/lock.h": "#include <atomic>\n",
        "accounting/event.h": '#include "base/lock.h"\n',
        "stock/stock.h": '#include "accounting/event.h"\n',
        "alloc/heap.cc": '#include <mimalloc.h>\n#include "stock/stock.h"\n',
        "include/umemcg/umemcg.h": "#include <stddef.h>\n",
        "shim/api.cc": '#include "include/umemcg/umemcg.h"\n',
        "cli/main.cc": '#include <absl/status/status.h>\n'
                       '#include "base/lock.h"\n',
    }
    BAD = {
        "base/up.h": ('#include "stock/stock.h"\n', "goes up"),
        "accounting/up.cc": ('  #  include "shim/api.h"\n', "goes up"),
        "stock/mi.cc": ("#include <mimalloc.h>\n", "mimalloc is for"),
        "stock/mi2.h": ("#include <mimalloc/types.h>\n", "mimalloc is for"),
        "cli/stock.cc": ('#include "stock/stock.h"\n', "goes up"),
        "alloc/public.h": ('#include "include/umemcg/umemcg.h"\n', "goes up"),
        "include/umemcg/own.h": ('#include "base/lock.h"\n', "goes up"),
        "alloc/near.cc": ('#include "page.h"\n', "not spelled from the root"),
        "alloc/dots.cc": ('#include "../base/lock.h"\n',
                          "not spelled from the root"),
        "alloc/gone.cc": ('#include "base/gone.h"\n',
                          "not spelled from the root"),
        "reclaim/angle.cc": ("#include <base/lock.h>\n", "in quotes"),
        "shim/absl.cc": ("#include <absl/time/time.h>\n", "abseil is for"),
    }

    def test_good_tree(self):
        make_tree(self.root, self.GOOD)
        self.assertEqual(list(layers.check(self.root)), [])

    def test_bad_tree(self):
        make_tree(self.root, self.GOOD)
        make_tree(self.root, {"shim/api.h": "", "alloc/page.h": ""})
        make_tree(self.root, {name: text for name, (text, _)
                              in self.BAD.items()})
        found = list(layers.check(self.root))
        self.assertEqual(len(found), len(self.BAD), found)
        for name, (_, problem) in self.BAD.items():
            self.assertTrue(any(line.startswith(f"{name}:1:")
                                and problem in line for line in found),
                            (name, problem, found))


class GoldenTest(TreeTest):

    def compare(self, lines, update):
        args = argparse.Namespace(update=update)
        return list(common.compare_golden(self.root / "golden", lines, args,
                                          "advice"))

    def test_golden(self):
        self.assertEqual(self.compare(["T malloc"], True), [])
        self.assertEqual(self.compare(["T malloc"], False), [])
        found = self.compare(["T free", "T malloc"], False)
        self.assertIn("+T free", found)
        self.assertEqual(found[-1], "advice")

    def test_missing_golden(self):
        self.assertIn("+T malloc", self.compare(["T malloc"], False))

    def test_layout_advice(self):
        before = "kLayoutVersion 1\na\n"
        self.assertIn("bump", layout.advice("kLayoutVersion 1\nb\n", before))
        self.assertNotIn("bump",
                         layout.advice("kLayoutVersion 2\nb\n", before))

    def test_layout_field_not_printed(self):
        header = "  std::atomic<int64_t> old_{0};\n  std::atomic<int> new_{};\n"
        found = list(layout.unprinted(header, "     0    8 old_\n"))
        self.assertEqual(found,
                         ["layout_rows.cc does not name PageCounter::new_"])


class BinaryTest(unittest.TestCase):

    GOOD = {"NEEDED": ["libmimalloc.so.3", "libc.so.6"],
            "RUNPATH": ["$ORIGIN"], "FLAGS": ["BIND_NOW STATIC_TLS"]}

    def problems(self, **changes):
        return list(dependencies.dynamic_problems({**self.GOOD, **changes}))

    def test_dynamic(self):
        self.assertEqual(self.problems(), [])
        self.assertIn("needs libstdc++.so.6", self.problems(
            NEEDED=["libmimalloc.so.3", "libc.so.6", "libstdc++.so.6"]))
        self.assertTrue(self.problems(NEEDED=["libc.so.6"]))
        self.assertTrue(self.problems(RUNPATH=["/usr/lib"]))
        self.assertTrue(self.problems(FLAGS=["TEXTREL"]))

    def test_load(self):
        good = ["frame_dummy", "on_load"]
        self.assertEqual(list(dependencies.load_problems(good)), [])
        self.assertTrue(list(dependencies.load_problems(
            good + ["_GLOBAL__sub_I_lock.cc"])))
        self.assertTrue(list(dependencies.load_problems(["frame_dummy"])))
        self.assertEqual("on_load", dependencies.plain_name(
            "umemcg::(anonymous namespace)::on_load()"))

    def test_fast_path(self):
        jump = fastpath.counts(["jmp    *0x1120a(%rip)        # 16070 <x>"])
        slow = fastpath.counts(["push   %rbx", "call   4e60 <slow>",
                                "lock cmpxchg %rdx,(%rcx)", "jne    4e66",
                                "pop    %rbx", "ret"])
        self.assertEqual(jump, (1, 0, 0, 0, 0))
        self.assertEqual(slow, (6, 1, 1, 1, 1))
        self.assertEqual(list(fastpath.compare({"f": jump}, {"f": slow})), [])
        self.assertEqual(
            len(list(fastpath.compare({"f": slow}, {"f": jump}))), 5)


class TextTest(unittest.TestCase):

    def style_problems(self, text):
        return [problem for _, problem
                in style.line_problems(text.splitlines())]

    def test_style(self):
        self.assertEqual(self.style_problems("x" * 80), [])
        self.assertEqual(self.style_problems("// TODO(#12): later"), [])
        for bad in ("x" * 81, "// TODO: later", "// TODO(me): later", "x ",
                    "x\n" * 601):
            self.assertEqual(len(self.style_problems(bad)), 1, bad[:20])

    def word_problems(self, text, root="/src/umemcg"):
        rules = words.rules(pathlib.PurePosixPath(root))
        return [problem for _, problem in words.check(text, rules)]

    def test_words(self):
        for good in ("$root/home/x", "build/home/x", "/usr/lib/x",
                     "/src/umemcg-tools", "docs.pypi.example"):
            self.assertEqual(self.word_problems(good), [], good)
        for bad in ("http://deb.example.org/x", "cd /home/me/x",
                    "-I/home/me/x", "/src/umemcg/base"):
            self.assertEqual(len(self.word_problems(bad)), 1, bad)

    def test_presets(self):
        whole = {kind: [{"name": name} for name in presets.NAMES]
                 for kind in presets.KINDS}
        self.assertEqual(list(presets.check(whole)), [])
        whole["testPresets"].pop()
        self.assertEqual(len(list(presets.check(whole))), 1)


if __name__ == "__main__":
    unittest.main(argv=["self_test.py"])

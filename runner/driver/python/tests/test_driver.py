"""Unit tests of the driver's parts that need neither papermill nor a kernel."""
import json
import mmap
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "driver"), os.path.join(HERE, "..", "helper")]

import _nes_kernel  # noqa: E402
import nes  # noqa: E402
from nes_driver import journal, kernelspec, lastwords, prepare, recorder, streams, words  # noqa: E402
from nes_driver.end import End  # noqa: E402


class Directory(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def lines(self):
        with open(self.path("journal.jsonl"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]


class JournalTest(Directory):
    def test_lines_are_numbered_and_on_one_line_each(self):
        j = journal.Journal(self.dir, 1 << 30)
        for value in ("a\nb", "한\u2028", "\ud800", {"x": float("nan")}, [float("inf"), 1], None):
            j.line("log", text=value)
        j.flush()
        lines = self.lines()
        self.assertEqual([line["seq"] for line in lines], [1, 2, 3, 4, 5, 6])
        self.assertEqual(lines[0]["text"], "a\nb")
        self.assertEqual(lines[3]["text"], {"x": None})
        self.assertEqual(lines[4]["text"], [None, 1])

    def test_nothing_is_lost_between_flushes(self):
        j = journal.Journal(self.dir, 1 << 30)
        for i in range(5000):
            j.line("log", text="x" * 100, i=i)
        j.exit(End("CellError", "m" * 10000))
        lines = self.lines()
        self.assertEqual(len(lines), 5001)
        self.assertEqual((lines[-1]["k"], lines[-1]["code"], len(lines[-1]["message"])), ("exit", 1, 4096))

    def test_full_disk_has_a_reason(self):
        with open("/dev/full", "wb") as full:
            j = journal.Journal(self.dir, 1 << 30)
            os.dup2(full.fileno(), j._fd)
            j.line("log", text="x")
            with self.assertRaises(End) as caught:
                j.flush()
        self.assertEqual(caught.exception.reason, "DiskFull")


class BodyTest(unittest.TestCase):
    def test_bytes_are_used_as_they_came(self):
        raw = '{"a": "한", "b": [1.50]}'.encode()
        self.assertIs(recorder._body(raw)[0], raw)

    def test_what_is_no_line_of_json_is_mended(self):
        for raw, want in (
            (b'{"a":\n1}', {"a": 1}), (b'{"a":\r1}', {"a": 1}), (b'{"a": NaN}', {"a": None}), (b'{"a": -Infinity}', {"a": None}),
            (b'{"a": "\xff"}', {"a": "\ufffd"}), (b"[1]", {}), (b"nonsense", {}), (b"", {}), (b"[" * 100000, {}),
        ):
            line, _ = recorder._body(raw)
            self.assertEqual(json.loads(line.decode(), parse_constant=self.fail), want)
            self.assertNotIn(b"\n", line)
            self.assertNotIn(b"\r", line)

    def test_huge_errors_are_shortened(self):
        short = recorder._shorter({"ename": "E", "evalue": "v" * 3_000_000, "traceback": ["t" * 3_000_000]})
        self.assertLess(len(json.dumps(short)), 1_000_000)


class StreamsTest(Directory):
    def streams(self, limit, files=1 << 20):
        self.journal = journal.Journal(self.dir, 1 << 30)
        return streams.Streams(self.journal, limit, streams.SideFiles(self.dir, files))

    def kept(self):
        self.journal.flush()
        return [(m["cell"], m["content"]["name"], m["content"]["text"], m.get("cut")) for m in self.lines()]

    def test_consecutive_text_is_merged(self):
        s = self.streams(1000)
        for cell, name, text in ((1, "stdout", "a"), (1, "stdout", "b"), (1, "stderr", "c"), (2, "stderr", "d"), (1, "stdout", "e")):
            s.text(cell, name, text)
        s.finish()
        self.assertEqual(self.kept(), [(1, "stdout", "ab", None), (1, "stderr", "c", None), (2, "stderr", "d", None), (1, "stdout", "e", None)])

    def test_head_and_tail_are_kept(self):
        s = self.streams(20)
        for i in range(100):
            s.text(3, "stdout", "%05d" % i)
            s.flush()
        s.close(3)
        kept = self.kept()
        text = "".join(k[2] for k in kept)
        self.assertEqual(text, "00000000010009800099")
        cut = next(k[3] for k in kept if k[3])
        self.assertEqual(cut, {"bytes": 480, "file": "cell-3-output.txt"})
        with open(self.path("cell-3-output.txt")) as f:
            self.assertEqual(f.read(), "".join("%05d" % i for i in range(100)))

    def test_text_within_the_limit_has_no_cut(self):
        s = self.streams(20)
        for piece in ("0123456789", "abcdefghij"):
            s.text(0, "stdout", piece)
            s.flush()
        s.close(0)
        self.assertEqual([k[2:] for k in self.kept()], [("0123456789", None), ("abcdefghij", None)])
        self.assertFalse(os.path.exists(self.path("cell-0-output.txt")))

    def test_letters_are_never_split(self):
        s = self.streams(10)
        s.text(0, "stdout", "한국어한국어")
        s.close(0)
        self.assertTrue(set("".join(k[2] for k in self.kept())) <= set("한국어"))

    def test_side_files_have_a_cap(self):
        s = self.streams(20, files=50)
        for i in range(100):
            s.text(0, "stdout", "%05d" % i)
            s.flush()
        s.close(0)
        self.assertEqual(sum(k[3]["bytes"] for k in self.kept() if k[3]), 480)
        self.assertLessEqual(sum(os.path.getsize(self.path(n)) for n in os.listdir(self.dir) if n.endswith(".txt")), 50)

    def test_a_side_file_is_no_link(self):
        os.symlink("/dev/null", self.path("cell-0-output.txt"))
        s = self.streams(10)
        s.text(0, "stdout", "x" * 100)
        s.close(0)
        self.assertNotIn("file", self.kept()[-1][3] or {})


class WordsTest(unittest.TestCase):
    def test_bundles(self):
        for data, want in (
            ({"application/vnd.nes.result+json": {"value": {"a": 1}}}, [("result", "", {"a": 1})]),
            ({"application/vnd.nes.result+json": {"value": 1, "other": 2}}, [("result", "", {"value": 1, "other": 2})]),
            ({"application/vnd.nes.checkpoint+json": {"value": 1, "name": "n"}}, [("checkpoint", "n", 1)]),
            ({"application/vnd.nes.skip+json": "why"}, [("skip", "", "why")]),
            ({"application/vnd.nes.not_ready+json": {"why": "w"}}, [("not_ready", "", "w")]),
            ({"application/vnd.nes.progress+json": 0.5}, [("progress", "", {"fraction": 0.5})]),
            ({"application/vnd.nes.progress+json": {"fraction": 7, "label": 1}}, [("progress", "", {"fraction": 1.0, "label": "1"})]),
            ({"application/vnd.nes.unknown+json": 1, "text/plain": "x"}, []),
            ({"application/scrapbook.scrap.text+json": {"name": "n", "data": [1]}}, [("result", "n", [1])]),
            ({"application/scrapbook.scrap.text+json": 7}, []),
        ):
            self.assertEqual(words.words(data), want)

    def test_description(self):
        self.assertEqual(words.description("# papermill_description=load_data\nx"), "load_data")
        self.assertEqual(words.description("x = 1"), "")
        self.assertEqual(words.description("# papermill_description="), "")


class HelperTest(unittest.TestCase):
    def test_works_outside_of_nes(self):
        self.assertNotIn("NES_RUN_ID", os.environ)
        with tempfile.TemporaryFile("w+") as out:
            sys.stdout, before = out, sys.stdout
            try:
                for call in (lambda: nes.result({1, 2}), lambda: nes.progress(0.5, "x"), lambda: nes.skip("y"),
                             lambda: nes.not_ready(), lambda: nes.checkpoint(3)):
                    call()
            finally:
                sys.stdout = before
            out.seek(0)
            said = out.read()
        self.assertEqual(said.count("nes: "), 5)
        self.assertIn("the notebook would end here", said)


class LastWordsTest(Directory):
    def setUp(self):
        super().setUp()
        lastwords.create(self.path("f"))
        with open(self.path("f"), "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), 2 * (_nes_kernel.HEAD + _nes_kernel.SIZE))
        self.ring = _nes_kernel._Ring(self.memory, 0)
        self.words = lastwords.LastWords(self.path("f"))

    def test_layouts_are_the_same(self):
        self.assertEqual((_nes_kernel.SIZE, _nes_kernel.HEAD, _nes_kernel.STREAMS), (lastwords.SIZE, lastwords.HEAD, lastwords.STREAMS))

    def test_what_did_not_arrive(self):
        for text in ("one\n", "two\n", "셋\n", "two\n"):
            self.ring.write(text)
        self.words.heard("stdout", "one\ntwo\n")
        self.assertEqual(self.words.missing(), [("stdout", "셋\ntwo\n")])

    def test_all_arrived(self):
        self.ring.write("one\n")
        self.words.heard("stdout", "one\n")
        self.assertEqual(self.words.missing(), [])

    def test_counts_from_the_last_cell_that_settled(self):
        self.ring.write("not of a cell")
        self.words.settled()
        self.ring.write("new")
        self.assertEqual(self.words.missing(), [("stdout", "new")])

    def test_ring_goes_round(self):
        for i in range(30000):
            self.ring.write("%06d\n" % i)
        self.words.heard("stdout", "".join("%06d\n" % i for i in range(29990)))
        self.assertEqual(self.words.missing(), [("stdout", "".join("%06d\n" % i for i in range(29990, 30000)))])

    def test_more_than_the_ring_takes(self):
        self.ring.write("x" * 200000 + "end")
        (_, text), = self.words.missing()
        self.assertTrue(text.endswith("xend"))
        self.assertIn("characters were lost", text)


class KernelspecTest(Directory):
    def setUp(self):
        super().setUp()
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ["JUPYTER_PATH"] = self.dir

    def install(self, name, document):
        os.makedirs(self.path("kernels", name))
        with open(self.path("kernels", name, "kernel.json"), "w") as f:
            f.write(document if isinstance(document, str) else json.dumps(document))

    def test_command(self):
        self.install("mine", {"argv": ["python", "-m", "x", "{connection_file}", "{resource_dir}", "{other}"], "env": {"A": "1"}})
        spec = kernelspec.find("mine")
        self.assertEqual(spec.command("/c"), [sys.executable, "-m", "x", "/c", self.path("kernels", "mine"), "{other}"])
        self.assertEqual(spec.env, {"A": "1"})
        self.assertFalse(spec.ipython)

    def test_broken_specs_are_no_kernels(self):
        for name, document in (("a", "{"), ("b", {}), ("c", {"argv": []}), ("d", [1])):
            self.install(name, document)
            with self.assertRaises(End):
                kernelspec.find(name)

    def test_names_are_no_paths(self):
        for name in ("../x", "/etc", "a b", ""):
            with self.assertRaises(End):
                kernelspec.find(name)

    def test_agrees_with_jupyter(self):
        try:
            from jupyter_client.kernelspec import KernelSpecManager
            from jupyter_core.paths import jupyter_path
        except ImportError:
            self.skipTest("jupyter_client is not installed")
        ours = kernelspec._directories()
        theirs = [p for p in jupyter_path("kernels") if p in ours or os.path.isdir(p)]
        self.assertEqual([p for p in ours if p in theirs], theirs)
        self.install("zz", {"argv": ["x"], "display_name": "z", "language": "z"})
        self.assertEqual(set(KernelSpecManager().find_kernel_specs()), set(kernelspec.names()))


class PrepareTest(Directory):
    def test_parameter_names(self):
        prepare.check_names(["alpha", "_x", "이름", "a.b"])
        for name in ("a; import os", "a b", "a\n", "1", "", "class", "a..b", "None"):
            with self.assertRaises(End):
                prepare.check_names([name])

    def test_read(self):
        for text, reason in ((b"{", 1), (b"[]", 1), (b'{"nbformat": "4", "cells": []}', 1), (b"\xff", 1), (b"[" * 100000, 1)):
            with open(self.path("n"), "wb") as f:
                f.write(text)
            with self.assertRaises(End) as caught:
                prepare.read(self.path("n"))
            self.assertEqual(caught.exception.reason, "NotANotebook")


if __name__ == "__main__":
    unittest.main()

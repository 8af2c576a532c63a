"""Unit tests of masking."""
import base64
import html
import json
import os
import random
import shutil
import sys
import tempfile
import unittest
from urllib.parse import quote, quote_plus

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "driver")]

from nes_driver import journal, mask, recorder  # noqa: E402
from nes_driver.end import End  # noqa: E402
from nes_driver.wire import Message  # noqa: E402

CANARY = 'Kanarienvogel/+"<ö>\\ 7%&'
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----"


class FormsTest(unittest.TestCase):
    def setUp(self):
        self.mask = mask.Mask([CANARY])

    def test_every_way_of_writing_it(self):
        raw = CANARY.encode()
        for name, text in {
            "plain": CANARY, "json": json.dumps(CANARY)[1:-1],
            "json with letters": json.dumps(CANARY, ensure_ascii=False)[1:-1], "repr": repr(CANARY)[1:-1], "ascii": ascii(CANARY)[1:-1],
            "html": html.escape(CANARY), "html text": html.escape(CANARY, quote=False), "url": quote(CANARY, safe=""), "path": quote(CANARY),
            "form": quote_plus(CANARY), "small letters": quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%22", "%22").replace(
                "%3C", "%3c").replace("%C3%B6", "%c3%b6").replace("%3E", "%3e").replace("%5C", "%5c"),
            "base64": base64.b64encode(raw).decode(), "base64 for addresses": base64.urlsafe_b64encode(raw).decode(), "hex": raw.hex(), "HEX": raw.hex().upper(),
        }.items():
            with self.subTest(name):
                self.assertIn("***", self.mask.text("before " + text + " behind"))
                self.assertNotIn(text, self.mask.text("before " + text + " behind"))

    def test_base64_at_every_place(self):
        core = base64.b64encode(CANARY.encode()).decode()[3:-4]
        for before in range(7):
            for behind in range(4):
                text = base64.b64encode(b"u:" + b"x" * before + CANARY.encode() + b"y" * behind).decode()
                got = self.mask.text(text)
                self.assertIn("***", got, (before, behind))
                self.assertLess(len(got.replace("***", "")), 8 + (before + behind + 8) * 4 // 3, (before, behind, got))
                self.assertNotIn(core, got)

    def test_short_values_spare_pictures(self):
        picture = base64.b64encode(random.Random(1).randbytes(3 << 20)).decode()
        self.assertEqual(mask.Mask(["ab1x"]).text(picture).count("***"), picture.count("ab1x"), "only the value itself")
        self.assertEqual(mask.Mask(["ab1x"]).text("YWIxeA=="), "***")

    def test_lines_of_a_key(self):
        m = mask.Mask([PEM])
        for line in PEM.splitlines():
            self.assertNotIn(line, m.text("  | " + line + " |"))
        self.assertEqual(m.text("x" + PEM + "y"), "x***y")

    def test_longer_ones_first(self):
        self.assertEqual(mask.Mask(["abcd", "abcdefgh"]).text("abcdefgh abcd"), "*** ***")

    def test_values(self):
        self.assertEqual(
            self.mask.value({"a": [CANARY, {CANARY: None}], "b": 1.5, "c": True, "d": "x" + CANARY}), {"a": ["***", {"***": None}], "b": 1.5, "c": True, "d": "x***"})
        self.assertEqual(mask.Mask(["12345678"]).value([12345678, 1, True, {"x": 12345678.0}]), ["***", 1, True, {"x": "***"}])
        self.assertEqual(mask.Mask(["name", "text"]).value({"name": "stdout", "text": "text"}), {"name": "stdout", "text": "***"})
        data = b"\0" + CANARY.encode() + b"\xff"
        self.assertEqual(self.mask.binary(memoryview(data)), b"\0" + b"*" * len(CANARY.encode()) + b"\xff")

    def test_only_what_can_be_masked(self):
        self.assertIsNone(mask.of(None))
        self.assertIsNone(mask.of(["A", "B"], {"A": "abc"}))
        self.assertEqual(mask.of(["A"], {"A": "abcd", "B": "other"}).text("abcd other"), "*** other")


class SplitTest(unittest.TestCase):
    def test_cut_anywhere(self):
        values = ["hunter2", "hunter2-and-more", "aabaab", "xaax"]
        m = mask.Mask(values)
        r = random.Random(7)
        for _ in range(2000):
            text = "".join(r.choice(values + ["hun", "ter", "a", "x", "aab", "\n", "-and", "more"]) for _ in range(r.randrange(1, 9)))
            got, waiting, at = "", "", 0
            while at < len(text):
                size = r.randrange(1, 6)
                new, waiting = m.split(waiting + text[at:at + size])
                got += new
                at += size
            got += m.text(waiting)
            for value in values:
                self.assertNotIn(value, got, text)

    def test_holds_no_more_than_it_must(self):
        m = mask.Mask(["hunter2"])
        self.assertEqual(m.split("nothing of it\n"), ("nothing of it\n", ""))
        self.assertEqual(m.split("say hunt"), ("say ", "hunt"))
        self.assertEqual(m.split("say hunter2"), ("say ***", ""))
        self.assertEqual(m.split("say hunter2 h"), ("say *** ", "h"))

    def test_large_text_takes_no_time(self):
        m = mask.Mask([PEM * 40])
        m.split("x" * (1 << 20) + PEM[:30])


class RecorderTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.mask = mask.Mask([CANARY, "hunter2secret"])
        self.journal = journal.Journal(self.dir, 1 << 30, self.mask)
        self.recorder = recorder.Recorder(self.journal, {"body": 400}, None, self.mask)

    def say(self, kind, content, metadata=None, buffers=()):
        self.recorder.message(Message(kind, "", json.dumps(metadata or {}).encode(), json.dumps(content, ensure_ascii=False).encode(), list(buffers)), 0)

    def stored(self):
        self.recorder.streams.finish()
        self.journal.exit(End("CellError", "x" * 4090 + "hunter2secret"))
        texts = []
        for where, _, names in os.walk(self.dir):
            for name in names:
                with open(os.path.join(where, name), encoding="utf-8") as f:
                    texts.append(f.read())
        return "\n".join(texts)

    def test_nothing_of_it_is_stored(self):
        self.say("stream", {"name": "stdout", "text": "a hunter2"})
        self.say("stream", {"name": "stdout", "text": "secret b\n"})
        self.say("stream", {"name": "stderr", "text": CANARY + "\n"})
        self.say("error", {"ename": "E", "evalue": CANARY, "traceback": ["x", "E: " + CANARY]})
        self.say("display_data", {"data": {"text/html": "<b>" + html.escape(CANARY), "application/json": {"k": [CANARY]}}, "metadata": {}, "transient": {"display_id": CANARY}})
        self.say("display_data", {"data": {"text/html": "hunter2secret" * 100}}, {"m": CANARY})
        self.say("display_data", {"data": {"application/vnd.nes.result+json": {"name": "hunter2secret", "value": {"v": "hunter2secret"}}}})
        self.say("comm_open", {"comm_id": "1", "data": {"state": {"value": CANARY}}}, buffers=[b"hunter2secret"])
        stored = self.stored()
        for form in self.mask._forms + ["hunter2", base64.b64encode(b"hunter2secret").decode()]:
            self.assertNotIn(form, stored)
        self.assertIn("a *** b", stored)

    def texts(self):
        self.stored()
        with open(os.path.join(self.dir, "journal.jsonl"), encoding="utf-8") as f:
            contents = [json.loads(line).get("content", {}) for line in f]
        return [(c["name"], c["text"]) for c in contents if c.get("text")]

    def test_what_is_held_back_comes_in_time(self):
        held = self.recorder.streams
        self.say("stream", {"name": "stdout", "text": "a hunter2"})
        held.pause()
        self.assertIsNotNone(held.due)
        self.assertEqual(held._begun[0, "stdout"][0], "hunter2")
        held._begun[0, "stdout"] = held._begun[0, "stdout"][0], 0.0
        held.pause()
        self.assertIsNone(held.due)
        self.say("stream", {"name": "stdout", "text": "secret"})
        self.assertEqual("|".join(text for _, text in self.texts())[:15], "a |hunter2|secr")

    def test_another_stream_does_not_end_the_wait(self):
        self.say("stream", {"name": "stdout", "text": "a hunter2"})
        self.say("stream", {"name": "stderr", "text": "x hunt"})
        self.say("stream", {"name": "stdout", "text": "secret b"})
        self.say("stream", {"name": "stderr", "text": "er2secret y"})
        self.recorder.streams.pause()
        self.assertIsNone(self.recorder.streams.due)
        self.assertEqual(self.texts(), [("stdout", "a "), ("stderr", "x "), ("stdout", "*** b"), ("stderr", "*** y")])

    def test_another_message_ends_the_wait(self):
        self.say("stream", {"name": "stdout", "text": "hunter2"})
        self.recorder.streams.pause()
        self.say("display_data", {"data": {"text/plain": "x"}})
        self.journal.flush()
        with open(os.path.join(self.dir, "journal.jsonl"), encoding="utf-8") as f:
            self.assertEqual([json.loads(line)["type"] for line in f], ["stream", "display_data"])


if __name__ == "__main__":
    unittest.main()

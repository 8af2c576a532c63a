"""What a task's log says of a run."""

from __future__ import annotations

import pytest

from nes_provider.follow import LONGEST_LINE, MOST_LINES, Tail, failure, traceback, where


def page(text, following, ended=False):
    return {"text": text, "next": following, "ended": ended}


def test_lines_are_written_whole_and_once():
    lines = []
    tail = Tail(lines.append)
    assert tail.wants({"attempt": 1})
    assert not tail.take(page("한 줄\nhalf", 10))
    assert lines == ["한 줄"]
    assert not tail.take(page(" done\n", 16))
    assert lines == ["한 줄", "half done"]
    assert tail.take(page("", 16)), "nothing more to read"
    assert tail.cursor == 16
    tail.take(page("no end of line", 30, ended=True))
    tail.flush()
    tail.flush()
    assert lines[2:] == ["no end of line"]


def test_an_attempt_after_another_is_read_from_its_beginning():
    lines = []
    tail = Tail(lines.append, attempt=1, cursor=99)
    assert tail.wants({"attempt": 1}) and tail.cursor == 99
    tail.take(page("rest", 103))
    assert tail.wants({"attempt": 2}) and (tail.attempt, tail.cursor) == (2, 0)
    assert lines == ["rest"]
    assert not Tail(lines.append).wants({"attempt": 0}), "nothing was launched"
    assert not Tail(lines.append).wants({})


def test_colours_and_progress_bars():
    lines = []
    Tail(lines.append).take(page("\x1b[31mred\x1b[0m\n10%\r50%\r100%\r\n\n   \nend\n", 50))
    assert lines == ["red", "100%", "end"]


def test_a_log_without_end_is_cut():
    lines = []
    tail = Tail(lines.append)
    tail.take(page("x" * (LONGEST_LINE + 1), 5000))
    assert lines == ["x" * LONGEST_LINE + " ..."], "a line without end is not kept"
    tail.take(page("y\n" * (MOST_LINES + 10), 99999))
    assert len(lines) == MOST_LINES + 1 and lines[-1] == "... further lines are in the viewer"


def test_progress_is_told_when_it_changes():
    tail = Tail(lambda line: None)
    run = {"stage": "executing", "progress": {"total": 3, "done": 1}}
    assert tail.progress(run) == "1 of 3 cells"
    assert tail.progress(run) == ""
    run["progress"] = {"total": 3, "done": 1, "label": "loading"}
    assert tail.progress(run) == "1 of 3 cells: loading"
    assert where({"status": "Pending", "stage": "queued"}) == "queued"
    assert where({"stage": "waiting", "message": "not ready"}) == "waiting: not ready"
    assert where({}) == ""


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (
            {"status": "Failed", "reason": "CellError", "outcome": {"error": {"cell": 3, "name": "KeyError", "value": "'x'\nmore"}}},
            "CellError in cell 3: KeyError: 'x' - v",
        ),
        ({"status": "Failed", "reason": "CellError", "message": "a"}, "CellError: a - v"),
        ({"status": "Failed", "reason": "Cancelled", "cancel_requested_by": "kim"}, "Cancelled by kim - v"),
        ({"status": "Error", "reason": "NodeLost", "message": "\x1b[1mgone\x1b[0m\nline"}, "NodeLost: gone - v"),
        ({"status": "Error"}, "Error - v"),
    ],
)
def test_failures_are_one_line(run, said):
    assert failure(run, "v") == said
    assert failure(run, "") == said.removesuffix(" - v")


def test_a_traceback_has_no_colours():
    run = {"outcome": {"error": {"traceback": ["\x1b[0;31mKeyError\x1b[0m", "line"]}}}
    assert traceback(run) == "KeyError\nline"
    assert traceback({}) == "" and traceback({"outcome": None}) == ""

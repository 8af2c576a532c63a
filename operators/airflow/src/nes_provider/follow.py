"""What a task's log says while a run goes on: the notebook's lines and how far its cells are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

LONGEST_LINE = 4096
MOST_LINES = 10_000

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def plain(text: str) -> str:
    """Text without the colours of a terminal."""
    return _ANSI.sub("", text)


class Tail:
    """
    Writes a run's log to a task's log, by cursor, so that nothing is kept but the line that is not yet whole.

    :param write: takes one line.
    :param attempt: of the run, as far as it was followed.
    :param cursor: in that attempt's log.
    """

    def __init__(self, write: Callable[[str], None], attempt: int = 0, cursor: int = 0) -> None:
        self._write = write
        self.attempt = attempt
        self.cursor = cursor
        self._rest = ""
        self._lines = 0
        self._said = ""

    def wants(self, run: dict[str, Any]) -> bool:
        """Whether there may be something new to read."""
        attempt = int(run.get("attempt") or 0)
        if attempt > self.attempt:
            self.flush()
            self.attempt, self.cursor = attempt, 0
        return attempt > 0

    def take(self, page: dict[str, Any]) -> bool:
        """Write a page of the log; true when there is nothing more to read now."""
        text = self._rest + str(page.get("text") or "")
        following = int(page.get("next") or 0)
        moved = following > self.cursor
        self.cursor = max(self.cursor, following)
        *whole, self._rest = text.split("\n")
        if len(self._rest) > LONGEST_LINE:
            whole.append(self._rest)
            self._rest = ""
        for line in whole:
            self._line(line)
        return not moved or bool(page.get("ended"))

    def flush(self) -> None:
        """Write what has no end of line."""
        if self._rest:
            self._line(self._rest)
        self._rest = ""

    def _line(self, line: str) -> None:
        # A progress bar overwrites itself: what was last there is what a terminal would show.
        line = plain(line.rstrip("\r").rsplit("\r", 1)[-1]).rstrip()
        if not line:
            return
        self._lines += 1
        if self._lines > MOST_LINES:
            if self._lines == MOST_LINES + 1:
                self._write("... further lines are in the viewer")
            return
        self._write(line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ...")

    def progress(self, run: dict[str, Any]) -> str:
        """One line about how far the run is, empty when it is the same as before."""
        said = where(run)
        if said == self._said:
            return ""
        self._said = said
        return said


def where(run: dict[str, Any]) -> str:
    """How far a run is, in a few words."""
    progress = run.get("progress") or {}
    total = progress.get("total") or 0
    if not total:
        stage = str(run.get("stage") or run.get("status") or "")
        return f"{stage}: {run['message']}" if run.get("message") else stage
    text = f"{progress.get('done', 0)} of {total} cells"
    if progress.get("label"):
        text += f": {progress['label']}"
    return text


def failure(run: dict[str, Any], viewer_url: str) -> str:
    """Why a run failed, in one line that names where to look."""
    reason = run.get("reason") or run.get("status")
    error = (run.get("outcome") or {}).get("error")
    if error and reason == "CellError":
        value = plain(str(error.get("value") or "")).strip().split("\n")[0][:500]
        what = f"{reason} in cell {error.get('cell')}: {error.get('name')}: {value}"
    elif reason == "Cancelled" and run.get("cancel_requested_by"):
        what = f"Cancelled by {run['cancel_requested_by']}"
    else:
        message = plain(str(run.get("message") or "")).strip().split("\n")[0]
        what = f"{reason}: {message}" if message else str(reason)
    return f"{what} - {viewer_url}" if viewer_url else what


def traceback(run: dict[str, Any]) -> str:
    """The failed cell's traceback without colours; empty when no cell failed."""
    error = (run.get("outcome") or {}).get("error") or {}
    return plain("\n".join(str(part) for part in error.get("traceback") or []))

"""Writes the kernel's messages into the journal."""
import base64
import os

from .journal import decode, encode
from .streams import Streams
from .words import MARKS, STOP, only_progress, words

_OUTPUTS = {"display_data", "execute_result", "error", "update_display_data", "clear_output"}
_COMMS = {"comm_open", "comm_msg", "comm_close"}
_LINE_MAX = 12 << 20  # of a message, once its large bodies are out of it
_ERROR_MAX = 1 << 20


class Recorder:
    """Everything that a notebook says passes through here, and loses its secrets here."""

    def __init__(self, journal, limits, side, mask=None):
        self._journal = journal
        self._mask = mask
        self._body = self._without_secrets if mask else _body
        self._body_max = limits.get("body") or 1 << 20
        self.streams = Streams(journal, limits.get("cell_text") or 8 << 20, side, mask)
        self.on_word = lambda word, value: None
        self.on_text = lambda name, text: None

    def message(self, m, cell):
        """Record an IOPub message that answers the request of a cell, or of none."""
        if m.type == "stream":
            self._stream(m, cell)
        elif m.type in _OUTPUTS:
            self._output(m, cell)
        elif m.type in _COMMS:
            raw, _ = self._body(m.content)
            buffers = [base64.b64encode(self._mask.binary(b) if self._mask else b).decode() for b in m.buffers]
            self._write(m, cell, raw, **({"buffers": buffers} if buffers else {}))

    def _without_secrets(self, raw):
        """A part of a message as _body gives it."""
        raw, value = _body(raw)
        masked = self._mask.value(value)
        return (raw, value) if masked == value else (encode(masked), masked)

    def masked(self, value):
        """A JSON value without secrets."""
        return self._mask.value(value) if self._mask else value

    def word(self, cell, word, name, value):
        """Record what the notebook said to NES."""
        fields = {} if cell is None else {"cell": cell}
        if name:
            fields["name"] = name
        self._journal.line("word", word=word, value=self.masked(value), **fields)
        self.on_word(word, value)

    def _stream(self, m, cell):
        _, content = _body(m.content)
        text = content.get("text")
        if not isinstance(text, str) or not text:
            return
        if cell is None:  # what the process wrote while it started: for the log, not for the notebook
            os.write(2, text.encode("utf-8", "replace"))
        else:
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            self.on_text(name, text)
            self.streams.text(cell, name, text)

    def _output(self, m, cell):
        raw, content = self._body(m.content)
        if m.type == "error":
            if content.get("ename") == STOP:
                return
            if len(raw) > _ERROR_MAX:
                raw = encode(_shorter(content))
        fields = {}
        data = content.get("data")
        if isinstance(data, dict):
            if any(mark in raw for mark in MARKS):
                found = words(data)
                self.streams.flush()
                for word, name, value in found:
                    self.word(cell, word, name, value)
                if only_progress(found, data):
                    return
            if len(raw) > self._body_max:
                raw, fields = self._take_out(content, data)
            if content.get("transient"):
                fields["transient"] = encode(content["transient"])
        self._write(m, cell, raw, **fields)

    def _take_out(self, content, data):
        """Move bodies that are too large for a line into blobs."""
        self.streams.flush()
        blobs, kept = {}, {}
        for mime, body in data.items():
            if _length(body) > self._body_max:
                blobs[mime] = self._journal.blob(mime, body)
            else:
                kept[mime] = body
        return encode({**content, "data": kept}), {"blobs": blobs} if blobs else {}

    def _write(self, m, cell, raw, **fields):
        self.streams.flush()
        if cell is not None:
            fields["cell"] = cell
        if len(raw) + sum(map(len, fields.get("buffers", ()))) > _LINE_MAX:
            self._journal.line("log", text="left out a message of type %s with %d bytes" % (m.type, len(raw)), **fields_of(cell))
            return
        if m.metadata != b"{}":
            fields["metadata"] = self._body(m.metadata)[0]
        self._journal.line("msg", type=m.type, content=raw, **fields)


def fields_of(cell):
    """The cell field of a line, where there is one."""
    return {} if cell is None else {"cell": cell}


def _body(raw):
    """A part of a message as JSON on one line, and its value. Its bytes are used as they came wherever they may be."""
    try:
        value = decode(raw.decode())
        if b"\n" in raw or b"\r" in raw:
            raw = encode(value)
    except (ValueError, RecursionError):  # not UTF-8, NaN, or no JSON at all
        value = _repair(raw)
        raw = encode(value)
    return (raw, value) if isinstance(value, dict) else (b"{}", {})


def _repair(raw):
    import json
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}


def _length(body):
    if isinstance(body, str):
        return len(body)
    if isinstance(body, list):
        return sum(map(_length, body))
    return len(encode(body)) if isinstance(body, dict) else 32


def _shorter(error):
    """An error with its texts cut to a size that can be stored."""
    keep = _ERROR_MAX // 4
    trace = "\n".join(map(str, error.get("traceback") or []))
    lines = [trace[:keep], "... (left out) ...", trace[-keep:]] if len(trace) > 2 * keep else [trace]
    return {"ename": str(error.get("ename"))[:1000], "evalue": str(error.get("evalue"))[:keep], "traceback": lines}

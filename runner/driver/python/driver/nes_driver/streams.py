"""Stream text on its way into the journal: merged, and cut where it is too much."""
import collections
import os
import time

from .journal import DISK_FULL, disk_error, encode

_MERGE_FOR = 0.1        # seconds that text may wait for more of its kind
_HOLD_FOR = 1.0         # seconds that what may be the beginning of a secret waits for the rest of it
_MERGE_UP_TO = 64 << 10
_LINE_MAX = 1 << 20     # characters in a line of the journal


def size_of(text):
    """Bytes of text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Streams:
    """Merges consecutive text of one cell and stream; keeps head and tail of each cell's text."""

    def __init__(self, journal, limit, side, mask=None):
        self._journal = journal
        self._mask = mask
        self._begun = {}  # what may be the beginning of a secret, and until when it waits for the rest, by cell and stream
        self._half = max(1, limit // 2)
        self._side = side
        self._cells = {}
        self._cell = self._name = None
        self._texts = []
        self._size = 0
        self.due = None

    def text(self, cell, name, text):
        """Take text that was printed."""
        if self._texts and (cell != self._cell or name != self._name):
            self._settle()
        if not self._texts:
            self._cell, self._name = cell, name
            if self._begun:
                self._continue()
            self.due = time.monotonic() + _MERGE_FOR
        self._texts.append(text)
        self._size += len(text)
        if self._size >= _MERGE_UP_TO:
            self._settle()

    def pause(self):
        """Write the text that has waited long enough."""
        self._settle()
        now = time.monotonic()
        for (cell, name), (text, when) in list(self._begun.items()):
            if when <= now:
                del self._begun[cell, name]
                self._write(cell, name, self._mask.text(text))
        self.due = min((when for _, when in self._begun.values()), default=None)

    def flush(self):
        """Write all text that was held back."""
        self._settle()
        if self._begun:
            begun, self._begun, self.due = self._begun, {}, None
            for (cell, name), (text, _) in begun.items():
                self._write(cell, name, self._mask.text(text))

    def _continue(self):
        """Put what comes before what may be the beginning of a secret, also where another stream said something in between."""
        begun = self._begun.pop((self._cell, self._name), None)
        if begun:
            self._texts.append(begun[0])
            self._size = len(begun[0])

    def _settle(self):
        """Write merged text, but for what may go on as a secret."""
        if not self._texts:
            return
        text = "".join(self._texts)
        self._texts, self._size, self.due = [], 0, None
        if self._mask:
            text, begun = self._mask.split(text)
            if begun:
                self._begun[self._cell, self._name] = begun, time.monotonic() + _HOLD_FOR
            self.due = min((when for _, when in self._begun.values()), default=None)
        if text:
            self._write(self._cell, self._name, text)

    def _write(self, cell, name, text):
        state = self._cells.get(cell)
        if state is None:
            state = self._cells[cell] = _CellText(self._half)
        head, rest = state.split(text)
        if head:
            state.head.append(head)
            self._lines(cell, name, head)
        if rest:
            state.keep(name, rest, self._overflow(cell))

    def close(self, cell):
        """Write the tail of a cell's text, with the mark of what was left out. Late text counts as tail again."""
        self.flush()
        state = self._cells.get(cell)
        if state is None:
            return
        cut = {"bytes": state.dropped, **({"file": state.file} if state.file else {})} if state.dropped else None
        for name, text in state.tail:
            self._lines(cell, name, text, cut)
            cut = None
        state.closed()

    def finish(self):
        """Close every cell."""
        self.flush()
        for cell in list(self._cells):
            self.close(cell)

    def _lines(self, cell, name, text, cut=None):
        for at in range(0, len(text), _LINE_MAX):
            piece = encode({"name": name, "text": text[at:at + _LINE_MAX]})
            self._journal.line("msg", cell=cell, type="stream", content=piece, **({"cut": cut} if cut else {}))
            cut = None

    def _overflow(self, cell):
        return lambda file, text: self._side.append(file or "cell-%d-output.txt" % cell, text)


class _CellText:
    """What was printed by one cell so far."""

    def __init__(self, half):
        self._half = half
        self._left = half  # bytes that still go straight into the journal
        self.head = []
        self.tail = collections.deque()
        self._tail_size = 0
        self.dropped = 0
        self.file = None
        self._spilled = False

    def split(self, text):
        """The part of text that the head takes, and the rest."""
        size = size_of(text)
        if size <= self._left:
            self._left -= size
            return text, ""
        raw = text.encode("utf-8", "surrogatepass")
        head = raw[:self._left].decode("utf-8", "ignore")
        self._left = 0
        return head, text[len(head):]

    def keep(self, name, text, overflow):
        """Keep text as tail; what falls out of it is dropped, once the whole is in the side file."""
        for at in range(0, len(text), _MERGE_UP_TO):
            piece = text[at:at + _MERGE_UP_TO]
            self.tail.append((name, piece))
            self._tail_size += size_of(piece)
            if self.file:
                overflow(self.file, piece)
            elif self._tail_size > self._half and not self._spilled:
                self._spilled = True
                whole = "".join(self.head) + "".join(t for _, t in self.tail)
                self.file = overflow(None, whole)
                self.head = []
            while self._tail_size > self._half and len(self.tail) > 1:
                size = size_of(self.tail.popleft()[1])
                self._tail_size -= size
                self.dropped += size

    def closed(self):
        """Forget what is written."""
        self.head = []
        self.tail.clear()
        self._tail_size = 0
        self.dropped = 0


class SideFiles:
    """Files that the driver itself writes beside the notebook's, with a cap on all of them."""

    def __init__(self, directory, limit):
        self._directory = directory
        self._left = limit

    def append(self, name, text):
        """Append text to a file and return its name, or None where there is no room."""
        data = text.encode("utf-8", "backslashreplace")
        if len(data) > self._left:
            self._left = 0
            return None
        self._left -= len(data)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(os.open(os.path.join(self._directory, name), flags, 0o644), "wb") as f:
                f.write(data)
        except OSError as e:  # a full disk ends the run; what the notebook put in the file's place does not
            if e.errno in DISK_FULL:
                raise disk_error(e) from e
            return None
        return name

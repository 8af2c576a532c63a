"""Finds what a dead kernel printed and could not send any more (see _nes_kernel in the helper directory)."""
import struct

SIZE = 64 << 10
HEAD = 16
STREAMS = ("stdout", "stderr")
_COMPARE = 1024


def create(path):
    """Make the file that the kernel maps into its memory."""
    with open(path, "wb") as f:
        f.truncate(len(STREAMS) * (HEAD + SIZE))


class LastWords:
    """Compares what was printed with what arrived."""

    def __init__(self, path):
        self._path = path
        self._arrived = dict.fromkeys(STREAMS, 0)  # characters
        self._ahead = dict.fromkeys(STREAMS, 0)    # printed before, but not counted as arrived
        self._tail = dict.fromkeys(STREAMS, "")

    def heard(self, name, text):
        """Count text that arrived."""
        self._arrived[name] += len(text)
        self._tail[name] = text if len(text) >= _COMPARE else (self._tail[name] + text)[-_COMPARE:]

    def settled(self):
        """Called when a cell is over: all that was printed has arrived."""
        for name, (characters, _) in self._read(text=False).items():
            self._ahead[name] = characters - self._arrived[name]

    def missing(self):
        """Pairs of stream and text that never arrived."""
        found = []
        for name, (characters, printed) in self._read(text=True).items():
            text = self._rest(name, characters - self._arrived[name] - self._ahead[name], printed)
            if text:
                found.append((name, text))
        return found

    def _rest(self, name, count, printed):
        """The last count characters of what was printed, if they follow on what arrived; else what follows it."""
        tail = self._tail[name]
        if 0 < count <= len(printed) and (printed[:-count].endswith(tail) or tail.endswith(printed[:-count])):
            return printed[-count:]
        at = printed.rfind(tail) if tail and count else -1
        if at >= 0:
            return printed[at + len(tail):]
        if count > len(printed):
            return "\n[... %d characters were lost with the kernel ...]\n%s" % (count - len(printed), printed)
        return ""

    def _read(self, text):
        try:
            with open(self._path, "rb") as f:
                return {name: self._ring(f, i * (HEAD + SIZE), text) for i, name in enumerate(STREAMS)}
        except (OSError, struct.error):
            return {}

    def _ring(self, f, at, text):
        f.seek(at)
        characters, written = struct.unpack("<QQ", f.read(HEAD))
        if not text:
            return characters, ""
        ring = f.read(SIZE)
        position = written % SIZE
        data = ring[position:] + ring[:position] if written > SIZE else ring[:written]
        return characters, data.decode("utf-8", "ignore")

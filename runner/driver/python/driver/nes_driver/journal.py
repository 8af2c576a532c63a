"""The journal: an append-only file of JSON lines, and blobs beside it.

Lines are collected and written together, by flush(), which whoever waits for the kernel calls before it
waits: so a line is in the file within milliseconds, and a busy kernel costs few writes.
"""
import errno
import hashlib
import json
import os
import time

from .end import End

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FLUSH_AT = 64 << 10
_MESSAGE_MAX = 4096


def _no_constant(name):
    raise ValueError(name + " is not JSON")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode
_encode_lossy = json.JSONEncoder(separators=(",", ":")).encode
decode = json.JSONDecoder(parse_constant=_no_constant).decode


def encode(value):
    """Encode a value as JSON on one line; NaN and infinities become null, lone surrogates escapes."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        return _encode_lossy(_finite(value)).encode()
    except ValueError:
        return encode(_finite(value))


def _finite(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value


class Journal:
    """Writes lines with v, seq and t; fields that are bytes hold JSON already."""

    def __init__(self, run, limit, mask=None):
        self._fd = os.open(os.path.join(run, "journal.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._blobs = os.path.join(run, "blobs")
        self._mask = mask
        self._buffer = []
        self._buffered = 0
        self._seq = 0
        self._limit = limit
        self.size = 0

    @property
    def full(self):
        """Whether output is beyond what may be stored."""
        return self.size > self._limit

    def line(self, kind, **fields):
        """Append a line."""
        self._seq += 1
        parts = [b'{"v":1,"seq":%d,"t":%.6f,"k":"%s"' % (self._seq, time.time(), kind.encode())]
        for name, value in fields.items():
            parts.append(b',"%s":' % name.encode())
            parts.append(value if type(value) is bytes else encode(value))
        parts.append(b"}\n")
        line = b"".join(parts)
        self._buffer.append(line)
        self._buffered += len(line)
        self.size += len(line)
        if self._buffered >= _FLUSH_AT:
            self.flush()

    def flush(self):
        """Write what was collected."""
        if not self._buffer:
            return
        data = memoryview(b"".join(self._buffer))
        self._buffer = []
        self._buffered = 0
        try:
            while data:
                data = data[os.write(self._fd, data):]
        except OSError as e:
            self._buffer = [bytes(data)]
            raise disk_error(e) from e

    def blob(self, mime, value):
        """Keep a large body as a file and return its digest."""
        body = encode(value)
        digest = hashlib.sha256(body).hexdigest()
        path = os.path.join(self._blobs, digest)
        if not os.path.exists(path):
            try:
                os.makedirs(self._blobs, exist_ok=True)
                with open(path + ".part", "wb") as f:
                    f.write(body)
                os.rename(path + ".part", path)
            except OSError as e:
                raise disk_error(e) from e
            self.size += len(body)
        self.line("blob", sha256=digest, size=len(body), mime=mime)
        return digest

    def exit(self, end):
        """Append the last line and write everything."""
        message = self._mask.text(end.message) if self._mask else end.message  # before it is cut
        self.line("exit", code=end.code, reason=end.reason, message=message[:_MESSAGE_MAX])
        self.flush()


def disk_error(e):
    """The end that a failed write means."""
    if e.errno in DISK_FULL:
        return End("DiskFull", "the disk of the run is full: " + str(e))
    return End("Internal", "cannot write to the run's directory: " + str(e))

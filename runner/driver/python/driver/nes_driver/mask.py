"""Masks known secret values in what a notebook says.

This is against accidents: a printed connection string, an exception that quotes a password. A notebook that wants to
give a secret away can. Values are looked for as they are, as JSON, Python, HTML and URLs write them, in
hexadecimal and in base64, wherever they stand in what was encoded.
"""
import base64
import html
import json
import os
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4          # bytes; shorter values are refused when a run is launched
_LINE = 8             # characters of a line that is masked by itself
_EMBEDDED = 6         # bytes of a value that is looked for inside of other base64 and hexadecimal text
_PROTOCOL = {  # names in Jupyter's messages, which have to stay even where a secret is as short as one of them
    "data", "metadata", "transient", "display_id", "execution_count", "name", "text", "wait", "ename", "evalue", "traceback", "status", "payload", "source",
    "comm_id", "target_name", "state", "method", "buffer_paths", "application/json", "text/plain", "text/html", "image/png", "image/svg+xml"}
_NUMBER = set("0123456789.+-eE")


def of(names, env=os.environ):
    """The mask for the secrets in these variables; None where there are none, so that runs without any pay nothing."""
    values = [env[n] for n in names or () if len(env.get(n, "").encode("utf-8", "surrogateescape")) >= SHORTEST]
    return Mask(values) if values else None


class Mask:
    """Replaces every form of some values."""

    def __init__(self, values):
        forms = set()
        for value in values:
            forms |= _forms(value)
            lines = value.splitlines()
            if len(lines) > 1:  # keys are often shown line by line
                for line in lines:
                    if len(line) >= _LINE:
                        forms |= _forms(line)
        self._forms = sorted(forms, key=lambda f: (-len(f), f))
        self._numbers = any(set(f) <= _NUMBER for f in self._forms)
        self._bytes = sorted({v.encode("utf-8", "surrogateescape") for v in values}, key=lambda v: (-len(v), v))

    def text(self, text):
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def split(self, text):
        """The text that can be written now, without secrets, and what may be the beginning of one."""
        cut = self._begun(text)
        return self.text(text[:cut]), text[cut:]

    def _begun(self, text):
        """Where the longest end of the text begins that may go on as a secret; never inside of a whole one."""
        cut = min(_begins(text, form) for form in self._forms)
        moved = cut < len(text)
        while moved:
            moved = False
            for form in self._forms:
                at = text.find(form, max(0, cut - len(form) + 1), cut + len(form) - 1)
                if 0 <= at < cut:
                    cut, moved = at, True
        return cut

    def value(self, value):
        """A JSON value without secrets in its texts, names and numbers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {k if k in _PROTOCOL else self.text(k): self.value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if self._numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            text = repr(value)
            return value if self.text(text) == text else MASK
        return value

    def binary(self, data):
        """Bytes without secrets, of the same length."""
        data = bytes(data)
        for value in self._bytes:
            data = data.replace(value, b"*" * len(value))
        return data


def _begins(text, form):
    """Where the longest end of the text begins that this form begins with."""
    start = form[:SHORTEST]
    at = text.find(start, max(0, len(text) - len(form) + 1))
    while at >= 0:
        if form.startswith(text[at:]):
            return at
        at = text.find(start, at + 1)
    for size in range(SHORTEST - 1, 0, -1):
        if text.endswith(form[:size]):
            return len(text) - size
    return len(text)


def _forms(value):
    """The ways in which a value may be written."""
    forms = {value}
    for quoted in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value), ascii(value)):
        forms.add(quoted[1:-1])
    forms |= {html.escape(value), html.escape(value, quote=False)}
    raw = value.encode("utf-8", "surrogateescape")
    for url in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        forms |= {url, _lower(url)}
    forms |= _base64(raw)
    if len(raw) >= _EMBEDDED:
        forms |= {raw.hex(), raw.hex().upper()}
    return {f for f in forms if len(f) >= SHORTEST}


def _lower(url):
    """A quoted text with its escapes in small letters."""
    parts = url.split("%")
    return "%".join(parts[:1] + [p[:2].lower() + p[2:] for p in parts[1:]])


def _base64(raw):
    """The value encoded by itself, and the letters that it alone decides at each of its three places in a longer text."""
    found = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(raw).decode())
        if len(raw) < _EMBEDDED:
            continue  # so few letters are found by chance in every picture
        for before in range(3):
            text = encode(b"\0" * before + raw).decode()
            found.add(text[-(-before * 8 // 6):(before + len(raw)) * 8 // 6])
    return found

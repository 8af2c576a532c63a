"""What a notebook says to NES: displays with MIME types of ours, and scrapbook's scraps."""

WORDS = ("result", "skip", "not_ready", "checkpoint", "progress")
STOP = "NesStop"  # the helper module's exception that ends a cell after skip and not_ready
MARKS = (b"application/vnd.nes.", b"application/scrapbook.scrap.")


def words(data):
    """The words in a MIME bundle, each a tuple (word, name, value)."""
    found = []
    for mime, body in data.items():
        if mime.startswith("application/vnd.nes.") and mime.endswith("+json"):
            word = mime[len("application/vnd.nes."):-len("+json")]
            if word in WORDS:
                found.append((word,) + _read(word, body))
        elif mime.startswith("application/scrapbook.scrap.") and isinstance(body, dict) and "name" in body:
            found.append(("result", str(body["name"]), body.get("data")))
    return found


def _read(word, body):
    """Name and value: a bundle is {"value": ..., "name": ...} or the value itself."""
    if word in ("skip", "not_ready"):
        why = body.get("why", "") if isinstance(body, dict) else body
        return "", str(why)[:4096]
    if word == "progress":
        return "", _progress(body)
    if isinstance(body, dict) and "value" in body and set(body) <= {"value", "name"}:
        return str(body.get("name") or ""), body["value"]
    return "", body


def _progress(body):
    if not isinstance(body, dict):
        body = {"fraction": body} if isinstance(body, (int, float)) else {"label": body}
    value = {}
    fraction = body.get("fraction")
    if isinstance(fraction, (int, float)) and not isinstance(fraction, bool):
        value["fraction"] = min(1.0, max(0.0, float(fraction)))
    if body.get("label") is not None:
        value["label"] = str(body["label"])[:200]
    return value


def only_progress(found, data):
    """Whether a display says nothing but progress, so that it needs no place in the notebook."""
    mimes = {m for m in data if m.startswith("application/vnd.nes.")}
    return bool(found) and all(w == "progress" for w, _, _ in found) and set(data) <= mimes | {"text/plain"}


def description(source):
    """papermill's label of a cell: the rest of the word behind papermill_description=."""
    _, found, rest = source.partition("papermill_description=")
    return rest.split()[0].rstrip("'\"") if found and rest.split() else ""

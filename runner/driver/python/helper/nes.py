"""What a notebook may say to NES.

    import nes
    nes.result({"rows": 1200})            # the run's result, shown with it and handed to the DAG
    nes.result(0.93, name="accuracy")     # one of several
    nes.progress(0.4, "training")         # a word on how far it is
    nes.checkpoint("2024-05-01", name="orders")
    nes.skip("no new data")               # nothing to do: the run ends here and has succeeded
    nes.not_ready("input is not there")   # the run ends here and may be started again later

In any other Jupyter the functions show a line and change nothing.
"""
import os as _os

__all__ = ["result", "progress", "checkpoint", "skip", "not_ready"]


class NesStop(BaseException):
    """Ends the cell after skip and not_ready; no "except Exception" catches it."""

    def _render_traceback_(self):
        return [str(self)]


def result(value, name=None):
    """Hand a value over as the run's result, or as one of several, by name."""
    value = _plain(value)
    _say("result", {"value": value, **({"name": str(name)} if name else {})}, "%s: %s" % (name or "result", _short(value)))


def checkpoint(value, name="default"):
    """Remember the last point that was processed; it counts once the run has succeeded."""
    value = _plain(value)
    _say("checkpoint", {"value": value, "name": str(name)}, "checkpoint %s: %s" % (name, _short(value)))


def progress(fraction=None, label=None):
    """Say how far the notebook is: a fraction between 0 and 1, a label, or both."""
    body = {}
    if fraction is not None:
        body["fraction"] = min(1.0, max(0.0, float(fraction)))
    if label is not None:
        body["label"] = str(label)
    percent = "%3.0f %%" % (100 * body["fraction"]) if "fraction" in body else ""
    _say("progress", body, ("progress: %s %s" % (percent, label or "")).rstrip())


def skip(why=""):
    """End the run here: there is nothing to do. It has succeeded."""
    _end("skip", why, "skipped")


def not_ready(why=""):
    """End the run here: what it needs is not there yet."""
    _end("not_ready", why, "not ready")


def _end(word, why, text):
    line = text + (": %s" % why if why else "")
    if not _os.environ.get("NES_RUN_ID"):
        line += " (in a run of NES, the notebook would end here)"
    _say(word, {"why": str(why)}, line)
    if _os.environ.get("NES_RUN_ID"):
        raise NesStop(line)


def _say(word, body, text):
    try:
        from IPython import get_ipython
        shell = get_ipython()
    except ImportError:
        shell = None
    if shell is None or not _os.environ.get("NES_RUN_ID"):
        print("nes: " + text)
        return
    shell.display_pub.publish({"application/vnd.nes.%s+json" % word: body, "text/plain": text})


def _plain(value):
    """The value as JSON can hold it: numbers of numpy, times and tables in their usual forms."""
    import json
    return json.loads(json.dumps(value, default=_convert, allow_nan=True))


def _convert(value):
    for method in ("to_dict", "tolist", "isoformat"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."

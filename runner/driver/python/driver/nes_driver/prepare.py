"""Has papermill prepare the notebook: parameters, translators, kernel selection, metadata."""
import hashlib
import json
import keyword
import os

from .end import End

_ADDRESS = "nes://notebook.ipynb"  # read by our handler, so that braces in a path are no templates to papermill


def read(path):
    """The notebook's text, and the kernel name in it; End NotANotebook where it is none."""
    try:
        with open(path, encoding="utf-8-sig") as f:
            text = f.read()
        document = json.loads(text)
        if not isinstance(document, dict) or not isinstance(document.get("nbformat"), int):
            raise ValueError("it has no nbformat")
        if not isinstance(document.get("cells", document.get("worksheets")), list):
            raise ValueError("it has no cells")
    except FileNotFoundError:
        raise End("NotANotebook", "there is no notebook at %s" % path) from None
    except (OSError, ValueError, RecursionError) as e:
        raise End("NotANotebook", "not a Jupyter notebook: %s" % e) from e
    metadata = document.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    return text, (spec.get("name") or "") if isinstance(spec, dict) else ""


def check_names(parameters):
    """Refuse names that are no identifiers: papermill writes them into code as they are."""
    for name in parameters:
        if not all(part.isidentifier() for part in name.split(".")) or keyword.iskeyword(name):
            raise End("ParameterError", "%r is not a name that a parameter can have" % name)


def load():
    """Import papermill; End EngineMissing, with the cure, where that fails."""
    import sys
    try:
        import papermill  # noqa: F401
        import zmq  # noqa: F401
    except Exception as e:  # a broken installation raises anything
        python = sys.executable
        raise End("EngineMissing", "papermill cannot be used with %s (%s: %s): run '%s -m pip install papermill ipykernel'" % (
            python, type(e).__name__, e, python)) from e


def execute(text, launch, engine):
    """Let papermill prepare the notebook and hand it, with the kernel's name, to engine."""
    import papermill
    from papermill.engines import Engine, papermill_engines
    from papermill.iorw import papermill_io

    class NesEngine(Engine):
        """papermill's extension point: gets the notebook as it is to be executed."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            nb_man.nb.metadata.papermill["input_path"] = launch.get("input_path", "")
            nb_man.nb.metadata.papermill["output_path"] = launch.get("output_path", "")
            engine(nb_man.nb, kernel_name)

    papermill_engines.register("nes", NesEngine)
    papermill_io.register("nes://", _Handler(text))
    try:
        papermill.execute_notebook(
            _ADDRESS, None, engine_name="nes", parameters=launch.get("parameters") or None,
            kernel_name=launch.get("kernel_name") or None, progress_bar=False, autosave_cell_every=0)
    except End:
        raise
    except Exception as e:
        raise _explain(e) from e


def store(notebook, run):
    """Write the parameterised notebook to run/input.ipynb and return its digest."""
    from nbformat import v4
    data = v4.writes(notebook).encode("utf-8", "surrogatepass")
    with open(os.path.join(run, "input.ipynb"), "wb") as f:
        f.write(data)
    return hashlib.sha256(data).hexdigest()


def to_run(notebook):
    """The cells that are executed, with their indices."""
    return [(i, c) for i, c in enumerate(notebook.cells)
            if c.cell_type == "code" and c.source.strip() and "skip-execution" not in c.metadata.get("tags", [])]


class _Handler:
    """Gives papermill the text that was read already."""

    def __init__(self, text):
        self._text = text

    def read(self, path):
        return self._text

    def listdir(self, path):
        return []

    def write(self, text, path):
        raise PermissionError("papermill saves nothing here")

    def pretty_path(self, path):
        return path


def _explain(e):
    """The end that an error of papermill's preparation means, told by where it came from."""
    message = "%s: %s" % (type(e).__name__, e)
    modules = set()
    trace = e.__traceback__
    while trace is not None:
        modules.add(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    if "No kernel name found" in message:
        return End("KernelNotFound", "the notebook names no kernel")
    if any(m.startswith("nbformat") for m in modules) or "papermill.iorw" in modules:
        return End("NotANotebook", "papermill cannot read the notebook: " + message)
    if modules & {"papermill.parameterize", "papermill.translators", "papermill.inspection"}:
        return End("ParameterError", "papermill cannot pass the parameters on: " + message)
    return End("Internal", "papermill failed: " + message)

"""Finds kernels where Jupyter looks for them, without importing Jupyter.

Importing jupyter_client takes longer than a kernel takes to show its first sign of life; this
is why the driver reads kernel.json itself and imports while the kernel boots.
"""
import json
import os
import re
import sys

from .end import End

LAST_WORDS = "last-words"  # beside the connection file

_NAME = re.compile(r"^[a-z0-9._\-]+$", re.I)


class Spec:
    """A kernel that can be started."""

    def __init__(self, name, argv, env, interrupt_mode, language, directory):
        self.name = name
        self.argv = argv
        self.env = env
        self.interrupt_mode = interrupt_mode
        self.language = language
        self.directory = directory

    @property
    def ipython(self):
        """Whether this is IPython's own kernel."""
        return self.argv[1:3] == ["-m", "ipykernel_launcher"]

    def command(self, connection_file):
        """The command line, as jupyter_client makes it."""
        names = {"connection_file": connection_file, "prefix": sys.prefix, "resource_dir": self.directory}
        argv = [re.sub(r"\{([A-Za-z0-9_]+)\}", lambda m: names.get(m.group(1), m.group(0)), a) for a in self.argv]
        version = sys.version_info
        if argv[0] in {"python", "python%d" % version[0], "python%d.%d" % version[:2]}:
            argv[0] = sys.executable
        if self.ipython:
            argv.append("--HistoryManager.hist_file=:memory:")  # as nbclient has it: no database in the home directory
            last_words = os.path.join(os.path.dirname(connection_file), LAST_WORDS)
            argv.append("--IPKernelApp.code_to_run=__import__('_nes_kernel').start(%r)" % last_words)
        return argv


def find(name):
    """The kernel of that name; End KernelNotFound or EngineMissing where there is none."""
    if not name:
        raise End("KernelNotFound", "the notebook names no kernel; name one of: " + (", ".join(names()) or "(none is installed)"))
    if _NAME.match(name):
        for directory in _directories():
            spec = _read(name, os.path.join(directory, name.lower())) or _read(name, os.path.join(directory, name))
            if spec:
                return spec
    if name in ("python3", "python") and _has_ipykernel():
        argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return Spec(name, argv, {}, "signal", "python", "")
    installed = names()
    if not installed:
        raise End("EngineMissing", "no kernel is installed for %s: run '%s -m pip install papermill ipykernel'" % (sys.executable, sys.executable))
    raise End("KernelNotFound", "kernel %r is not installed; installed are: %s" % (name, ", ".join(installed)))


def names():
    """The names of all kernels that are installed."""
    found = set()
    for directory in _directories():
        try:
            entries = os.listdir(directory)
        except OSError:
            continue
        found.update(e for e in entries if os.path.isfile(os.path.join(directory, e, "kernel.json")))
    if _has_ipykernel():
        found.add("python3")
    return sorted(found)


def _directories():
    """Jupyter's search path for kernels, as jupyter_core.paths.jupyter_path gives it."""
    env = os.environ
    paths = [p.rstrip(os.sep) for p in env.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    user = [_data_dir()]
    if _site_enabled():
        user.append(os.path.join(_user_base(), "share", "jupyter"))
    here = [os.path.join(sys.prefix, "share", "jupyter")]
    system = ["/usr/local/share/jupyter", "/usr/share/jupyter"]
    both = here + user if _prefer_environment() else user + here
    ordered = paths + both + [p for p in system if p not in both]
    return [os.path.join(p, "kernels") for p in dict.fromkeys(ordered)] + [os.path.join(os.path.expanduser("~"), ".ipython", "kernels")]


def _prefer_environment():
    said = os.environ.get("JUPYTER_PREFER_ENV_PATH")
    if said is not None:
        return said.lower() not in ("no", "n", "false", "off", "0", "0.0")
    if sys.prefix != sys.base_prefix:
        return True
    conda = os.environ.get("CONDA_PREFIX")
    return bool(conda) and sys.prefix.startswith(conda) and os.environ.get("CONDA_DEFAULT_ENV", "base") != "base"


def _data_dir():
    env = os.environ
    if env.get("JUPYTER_DATA_DIR"):
        return env["JUPYTER_DATA_DIR"]
    home = os.path.expanduser("~")
    return os.path.join(env.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"), "jupyter")


def _site_enabled():
    import site
    return bool(site.ENABLE_USER_SITE)


def _user_base():
    import site
    return site.getuserbase()


def _read(name, directory):
    try:
        with open(os.path.join(directory, "kernel.json"), encoding="utf-8") as f:
            doc = json.load(f)
        argv = [str(a) for a in doc["argv"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not argv:
        return None
    env = {k: str(v) for k, v in (doc.get("env") or {}).items()}
    return Spec(name, argv, env, doc.get("interrupt_mode", "signal"), doc.get("language", ""), directory)


def _has_ipykernel():
    from importlib.util import find_spec
    return find_spec("ipykernel_launcher") is not None

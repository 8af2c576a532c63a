"""One run: start the kernel, have papermill prepare the notebook meanwhile, execute, write the end."""
import json
import os
import sys
import traceback

from . import VERSION, kernelspec, mask, prepare
from .end import End
from .journal import Journal
from .kernel import Kernel
from .wake import Wake

_SHUTDOWN = 5.0  # seconds that a kernel has for its exit handlers, as with nbclient


class Run:
    """What the driver does with one run directory."""

    def __init__(self, run, watched):
        self.watched = watched
        self.run = os.path.abspath(run)
        with open(os.path.join(self.run, "launch.json"), encoding="utf-8") as f:
            self.launch = json.load(f)
        self.limits = self.launch.get("limits") or {}
        self.mask = mask.of(self.launch.get("secrets"))
        self.journal = Journal(self.run, self.limits.get("journal") or 1 << 30, self.mask)
        self.wake = Wake()
        self.notebook = os.path.join(os.path.dirname(self.run), "work", self.launch["notebook"])
        self.outputs = os.path.join(self.run, "outputs")
        self.kernel = None
        self.session = None
        self.recorder = None

    def execute(self):
        """Run the notebook; always raises End."""
        text, own = prepare.read(self.notebook)
        prepare.check_names(self.launch.get("parameters") or {})
        os.makedirs(self.outputs, exist_ok=True)
        try:
            self._start(kernelspec.find(self.launch.get("kernel_name") or own))
            self._attach()
        except (End, ImportError):
            prepare.load()  # an environment without papermill is told so first
            raise
        prepare.load()
        prepare.execute(text, self.launch, self._engine)
        raise End("Internal", "papermill did not execute the notebook")

    def _engine(self, notebook, kernel_name):
        """Called by papermill with the notebook as it is to be executed."""
        if kernel_name != self.kernel.spec.name:
            self.kernel.stop(0)
            self._start(kernelspec.find(kernel_name))
            self._attach()
        digest = prepare.store(notebook, self.run)
        cells = prepare.to_run(notebook)
        info = self.session.ready(self.launch.get("start_timeout") or 60.0)
        language = info.get("language_info") or {}
        self.journal.line(
            "start", notebook={"sha256": digest, "cells": len(notebook.cells), "code": len(cells)},
            kernel={"name": kernel_name, "language": language.get("name", ""), "language_info": language, "pid": self.kernel.pid},
            versions=_versions())
        self.session.execute(cells)

    def _start(self, spec):
        helper = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "helper")
        env = dict(os.environ)
        env.update(self.launch.get("env") or {})
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [helper, env.get("PYTHONPATH")]))
        env["NES_RUN_ID"] = str(self.launch.get("run_id", ""))
        env["NES_ATTEMPT"] = str(self.launch.get("attempt", ""))
        env["NES_OUTPUT_DIR"] = self.outputs
        self.kernel = Kernel(spec, env, os.path.dirname(self.notebook), self.run)

    def _attach(self):
        from .recorder import Recorder
        from .session import Session
        from .streams import SideFiles
        self.recorder = Recorder(self.journal, self.limits, SideFiles(self.outputs, self.limits.get("files") or 1 << 30), self.mask)
        self.session = Session(self.launch, self.run, self.journal, self.recorder, self.wake, self.watched)
        self.session.attach(self.kernel)

    def finish(self, end):
        """Write the end, then let the kernel go: the record is complete before that."""
        try:
            if self.recorder:
                self.recorder.streams.finish()
            self.journal.exit(end)
        except End as disk:
            sys.stderr.write("nes: %s\n" % disk)
            end = disk
        if self.kernel:
            self.kernel.stop(_SHUTDOWN if end.code == 0 else 1.0)
        return end


def main(directory, watched=""):
    """Execute the notebook of a run directory; the exit code says whether that went well.

    Where watched is given, standard input closes when the process that watches over this one dies.
    """
    run = Run(directory, bool(watched))
    try:
        run.execute()
    except End as e:
        end = e
    except BaseException as e:
        traceback.print_exc()
        end = End("Internal", "the driver failed: %s: %s" % (type(e).__name__, e))
    end = run.finish(end)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code if end.reason != "DiskFull" else 74)  # nothing is left to do; an orderly end takes 50 ms


def _versions():
    modules = sys.modules
    versions = {"driver": VERSION, "python": "%d.%d.%d" % sys.version_info[:3]}
    for name in ("papermill", "jupyter_client", "nbformat"):
        version = getattr(modules.get(name), "__version__", None)
        if version:
            versions[name] = str(version)
    return versions

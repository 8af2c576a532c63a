"""Executes the cells of a prepared notebook, with nbclient's semantics and without its waits."""
import json
import os
import time

import zmq

from .end import End, KernelGone
from .journal import decode
from .process import Usage, oom_kills
from .words import STOP, description

_FLOOD = 50         # stream messages in a row, after which messages are taken in batches:
_FLOOD_PAUSE = 0.004  # waking up for each of them takes processor time from the kernel
_DRAIN = 0.05      # seconds of silence after which nothing more comes from a dead kernel
_IDLE_WAIT = 10.0  # seconds that a kernel may take to say that it is idle, after its reply
_LIFE = 0           # file descriptor that closes when the process that watches the driver dies
_CONTROL_MAX = 64 << 10
_CLEAN_EXITS = ("", "0", "None")


class Session:
    """One kernel, one notebook, one journal."""

    def __init__(self, launch, run, journal, recorder, wake, watched):
        self._launch = launch
        self._run = run
        self._journal = journal
        self._recorder = recorder
        self._wake = wake
        self._watched = watched
        self._kernel = None
        self._usage = None
        self._cells = {}       # request id -> cell index
        self._request = None   # the request that is waited for
        self._reply = None
        self._idle = False
        self._heard = 0.0      # when the kernel last sent anything
        self._end = None       # why the run ends, once something has decided that it does
        self._flood = 0        # stream messages in a row
        self._said = None      # why the notebook itself said that it ends
        self._timers = {}
        self._kills = oom_kills()
        self._grace = launch.get("grace") or 10.0
        recorder.on_word = self._on_word

    # -- start ---------------------------------------------------------------

    def attach(self, kernel):
        """Use a kernel that was just started, and greet it."""
        self._kernel = kernel
        self._usage = Usage(kernel.pid)
        self._recorder.on_text = kernel.last_words.heard
        kernel.connect()
        self._poller = zmq.Poller()
        self._sources = {
            kernel.wire.iopub: self._on_iopub, kernel.wire.shell: self._on_shell,
            kernel.output: self._on_output, self._wake.fd: self._on_wake,
        }
        if self._watched:
            self._sources[_LIFE] = self._on_life
        for source in self._sources:
            self._poller.register(source, zmq.POLLIN)
        self._greet()

    def ready(self, timeout):
        """Wait until the kernel answers and is heard on IOPub; returns its kernel_info_reply."""
        self._timers["start"] = (time.monotonic() + timeout, self._not_ready)
        try:
            while self._reply is None or not self._heard:
                self._turn()
                if self._end:
                    raise self._end
        except KernelGone:
            raise self._gone_at_start() from None
        self._timers.clear()
        self._usage.cell(0)
        return self._reply

    def _greet(self):
        wire = self._kernel.wire
        self._request = wire.send(wire.shell, "kernel_info_request", {})

    def _not_ready(self):
        self._end = End("KernelDied", "the kernel %r did not answer in time" % self._kernel.spec.name)

    def _gone_at_start(self):
        while self._kernel.read_output():
            pass
        said = self._kernel.tail.decode("utf-8", "replace").strip()
        if "No module named" in said and "ipykernel" in said.rpartition("No module named")[2]:
            python = self._kernel.spec.command("")[0]
            return End("EngineMissing", "ipykernel is not installed for %s: run '%s -m pip install ipykernel'" % (python, python))
        return self._end or End("KernelDied", "the kernel %r %s while starting: %s" % (
            self._kernel.spec.name, self._kernel.how(), said[-1500:] or "it wrote nothing"))

    # -- cells ---------------------------------------------------------------

    def execute(self, cells):
        """Execute cells, pairs of index and source cell; raises End, also at the good end."""
        self._set_timer("run", self._launch.get("timeout"), "RunTimeout", "the notebook ran longer than %g s")
        for index, cell in cells:
            self._cell(index, cell)
            if self._end or self._said:
                raise self._end or self._said
        raise End("")

    def _cell(self, index, cell):
        journal, began = self._journal, time.monotonic()
        self._reply, self._idle, self._heard = None, False, began
        tags = cell.metadata.get("tags", [])
        allowed = "raises-exception" in tags
        self._request = self._ask(cell.source, not allowed)
        self._cells[self._request] = index
        journal.line("cell_start", cell=index, msg_id=self._request)
        label = description(cell.source)
        if label:
            self._recorder.word(index, "progress", "", {"label": label})
        self._set_timer("cell", self._launch.get("cell_timeout"), "CellTimeout", "cell %d ran longer than %%g s" % index)
        self._watch_silence(index)
        died = False
        try:
            if self._kernel.dead():
                raise KernelGone()
            while self._reply is None or not self._idle:
                self._turn()
        except KernelGone:
            self._drain()
            died = self._reply is None
            for name, text in self._kernel.last_words.missing() if died else ():
                self._recorder.streams.text(index, name, text)
        for name in ("cell", "silence", "idle"):
            self._timers.pop(name, None)
        self._close(index, began, died, allowed)

    def _ask(self, source, stop_on_error):
        wire = self._kernel.wire
        return wire.send(wire.shell, "execute_request", {
            "code": source, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": stop_on_error})

    def _close(self, index, began, died, allowed):
        """Write how a cell ended, and decide whether the run does."""
        self._recorder.streams.close(index)
        wall = time.monotonic() - began
        cpu, memory = self._usage.cell(wall)
        self._kernel.last_words.settled()
        fields = {"wall": round(wall, 6), "cpu": cpu, "mem": memory}
        if died:
            status = self._stopped_status() if self._end else "died"
            self._journal.line("cell_end", cell=index, status=status, **fields)
            raise self._end or self._death(index)
        status, error = self._judge(index, allowed)
        if isinstance(self._reply.get("execution_count"), int):
            fields["n"] = self._reply["execution_count"]
        if error:
            fields["error"] = error
        self._journal.line("cell_end", cell=index, status=status, **fields)

    def _judge(self, index, allowed):
        """The status of a cell that was answered, and its error."""
        reply = self._reply
        if reply.get("status") == "ok":
            if any(p.get("source") == "ask_exit" for p in reply.get("payload") or []):
                self._said = self._said or End("")
            timed_out = self._end is not None and self._end.reason == "CellTimeout"
            return ("timeout" if timed_out else "ok"), None
        name, value = str(reply.get("ename", "Aborted")), str(reply.get("evalue", ""))
        if self._end:
            return self._stopped_status(), None
        if self._said and name == STOP:
            return "stopped", None
        error = {"ename": name, "evalue": value[:65536]}
        if allowed:
            return "allowed", error
        if name == "SystemExit" and value in _CLEAN_EXITS:
            self._said = self._said or End("")
            return "ok", None
        self._end = End("CellError", "cell %d: %s: %s" % (index, name, value))
        return "error", {**error, "traceback": _traceback(reply)}

    def _stopped_status(self):
        return "timeout" if self._end.reason == "CellTimeout" else "stopped"

    def _death(self, index):
        if self._kernel.killed and oom_kills() > self._kills:
            return End("OutOfMemory", "the kernel was killed in cell %d because the memory limit was reached" % index)
        return End("KernelDied", "the kernel %s in cell %d" % (self._kernel.how(), index))

    # -- one turn of waiting -------------------------------------------------

    def _turn(self):
        """Wait for something to happen, and deal with it."""
        if self._flood > _FLOOD:
            time.sleep(_FLOOD_PAUSE)
        ready = self._poller.poll(0)
        if not ready:
            self._journal.flush()
            ready = self._poller.poll(self._patience())
        for source, _ in ready:
            self._sources[source]()
        self._fire()

    def _patience(self):
        """Milliseconds until the next timer; None is for ever."""
        due = [when for when, _ in self._timers.values()]
        if self._recorder.streams.due is not None:
            due.append(self._recorder.streams.due)
        return max(0, (min(due) - time.monotonic()) * 1000 + 1) if due else None

    def _fire(self):
        now = time.monotonic()
        streams = self._recorder.streams
        if streams.due is not None and streams.due <= now:
            streams.pause()
        if self._timers:
            for name, (when, act) in list(self._timers.items()):
                if when <= now:
                    self._timers.pop(name, None)
                    act()

    def _drain(self):
        """Take what a dead kernel had already sent."""
        wire = self._kernel.wire
        end = time.monotonic() + 2
        while wire.iopub.poll(_DRAIN * 1000) and time.monotonic() < end:
            self._on_iopub()
        self._on_shell()
        self._kernel.read_output()

    def _on_iopub(self):
        receive, wire = self._kernel.wire.receive, self._kernel.wire
        for _ in range(256):
            m = receive(wire.iopub)
            if m is None:
                break
            self._flood = self._flood + 1 if m.type == "stream" else 0
            self._heard = time.monotonic()
            if m.type == "status":
                if m.parent == self._request and b'"idle"' in m.content:
                    self._idle = True
            elif not self._journal.full:
                self._recorder.message(m, self._cells.get(m.parent))
        if self._journal.full:
            self.stop(End("OutputTooLarge", "the notebook wrote more output than may be stored"))

    def _on_shell(self):
        m = self._kernel.wire.receive(self._kernel.wire.shell)
        if m is None or m.parent != self._request or not m.type.endswith("_reply"):
            return
        self._reply = self._recorder.masked(decode(m.content.decode("utf-8", "replace")))
        if m.type == "execute_reply":
            self._timers["idle"] = (time.monotonic() + _IDLE_WAIT, self._never_idle)
        elif not self._heard:  # the kernel is there, but IOPub is not connected yet
            self._timers["greet"] = (time.monotonic() + 0.05, self._greet)

    def _never_idle(self):
        quiet = time.monotonic() - self._heard
        if quiet < _IDLE_WAIT:
            self._timers["idle"] = (time.monotonic() + _IDLE_WAIT - quiet, self._never_idle)
        else:
            self._idle = True
            self._journal.line("log", text="the kernel answered but did not become idle")

    def _on_output(self):
        if not self._kernel.read_output():
            self._poller.unregister(self._kernel.output)

    def _on_wake(self):
        stops = self._wake.stops()
        for _ in range(stops):
            if self._end:
                self._kernel.kill()
            else:
                self.stop(self._asked())
        if self._kernel.dead():
            raise KernelGone()

    def _on_life(self):
        if os.read(_LIFE, 1) == b"":
            self._poller.unregister(_LIFE)
            self._end = self._end or End("Internal", "the process that watches over the run was killed")
            self._kernel.kill()

    def _on_word(self, word, value):
        if word == "skip":
            self._said = self._said or End("Skipped", value)
        elif word == "not_ready":
            self._said = self._said or End("NotReady", value)

    # -- ends from outside ---------------------------------------------------

    def stop(self, end):
        """End the run: interrupt the cell that runs, and kill the kernel if that does not help."""
        if self._end is None:
            self._end = end
            self._kernel.interrupt()
            self._timers["grace"] = (time.monotonic() + self._grace, self._kernel.kill)

    def _asked(self):
        """The end that the control file asks for."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(os.open(os.path.join(self._run, "control.json"), flags), "rb") as f:
                control = json.loads(f.read(_CONTROL_MAX))
            return End(str(control.get("reason") or "Cancelled"), str(control.get("why") or "the run was cancelled"))
        except (OSError, ValueError, AttributeError):
            return End("Cancelled", "the run was cancelled")

    def _set_timer(self, name, seconds, reason, message):
        if seconds:
            self._timers[name] = (time.monotonic() + seconds, lambda: self.stop(End(reason, message % seconds)))

    def _watch_silence(self, index):
        seconds = self._launch.get("silence_timeout")
        if not seconds:
            return

        def check():
            quiet = time.monotonic() - self._heard
            if quiet >= seconds:
                self.stop(End("SilenceTimeout", "cell %d said nothing for %g s" % (index, seconds)))
            else:
                self._timers["silence"] = (time.monotonic() + seconds - quiet, check)
        self._timers["silence"] = (self._heard + seconds, check)


def _traceback(reply):
    lines = [str(line) for line in reply.get("traceback") or []]
    return lines if sum(map(len, lines)) < 1 << 20 else lines[-1:]

"""The kernel's process: start, signals, end."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import lastwords
from .end import End
from .kernelspec import LAST_WORDS

_SOCKET_PATH_MAX = 90  # a Unix socket's path has 107 bytes at most
_TAIL = 4096


class Kernel:
    """A kernel that was started; its group and session are its own."""

    def __init__(self, spec, env, cwd, run):
        self.spec = spec
        self.wire = None
        self._directory = _private_directory(run)
        self.info = self._connection_info()
        file = os.path.join(self._directory, "connection.json")
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            json.dump(self.info, f)
        last_words = os.path.join(self._directory, LAST_WORDS)
        lastwords.create(last_words)
        self.last_words = lastwords.LastWords(last_words)
        self.output, write = os.pipe()
        os.set_blocking(self.output, False)
        self.tail = b""
        argv = spec.command(file)
        try:
            self._process = subprocess.Popen(
                argv, cwd=cwd, env={**env, **spec.env, "JPY_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL, stdout=write, stderr=write, start_new_session=True)
        except OSError as e:
            raise End("KernelNotFound", "kernel %r cannot be started: %s" % (spec.name, e)) from e
        finally:
            os.close(write)
        self.pid = self._process.pid

    def _connection_info(self):
        info = {"key": os.urandom(16).hex(), "signature_scheme": "hmac-sha256", "kernel_name": self.spec.name}
        names = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"]
        if self.spec.ipython:  # Unix sockets: nobody else can reach them and no port can be taken away meanwhile
            return {**info, "transport": "ipc", "ip": os.path.join(self._directory, "k"), **dict(zip(names, range(1, 6)))}
        return {**info, "transport": "tcp", "ip": "127.0.0.1", **dict(zip(names, _free_ports(len(names))))}

    def connect(self):
        """Open the sockets; they connect as soon as the kernel listens."""
        from .wire import Wire
        self.wire = Wire(self.info)

    def dead(self):
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def killed(self):
        """Whether SIGKILL ended the process, which is what running out of memory looks like."""
        return self._process.returncode == -signal.SIGKILL

    def how(self):
        """How the process ended, in words."""
        code = self._process.returncode
        if code is None:
            return "is still there"
        if code >= 0:
            return "exited with code %d" % code
        try:
            return "was ended by " + signal.Signals(-code).name
        except ValueError:
            return "was ended by signal %d" % -code

    def read_output(self):
        """Pass on what the process itself wrote, beside its messages."""
        try:
            data = os.read(self.output, 65536)
        except OSError:
            return False
        if data:
            self.tail = (self.tail + data)[-_TAIL:]
            os.write(2, data)
        return bool(data)

    def interrupt(self):
        """Interrupt the cell that runs, as Jupyter does."""
        if self.spec.interrupt_mode == "message":
            self.wire.send(self.wire.control, "interrupt_request", {})
        else:
            self._signal(signal.SIGINT)

    def kill(self):
        """End the kernel and its process group at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def stop(self, grace):
        """Ask the kernel to leave, so that its exit handlers run; end it after grace seconds."""
        if self.wire is not None and not self.dead():
            self.wire.send(self.wire.control, "shutdown_request", {"restart": False})
            self._wait(grace)
        self.kill()
        self._wait(5)
        while self.read_output():
            pass
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self, seconds):
        end = time.monotonic() + seconds
        pause = 0.001
        while not self.dead() and time.monotonic() < end:
            self.read_output()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)


def _private_directory(run):
    directory = os.path.join(run, "kernel")
    if len(os.fsencode(directory)) > _SOCKET_PATH_MAX:
        return tempfile.mkdtemp(prefix="nes-")
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory, 0o700)
    return directory


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()

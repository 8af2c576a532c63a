"""Runs once in IPython's kernel, before the first cell, so that no output is lost.

The kernel's publishing socket throws messages away when more than 1000 wait for their reader: the limit is taken off. And
what a killed kernel printed last is still in its memory then: the last of it is kept in a file mapped into memory as
well, where the driver finds it when the kernel is dead. And ipykernel's threads are ended in an order in which none
waits 10 seconds for another one that has ended already.
"""
import atexit
import mmap
import os
import struct
import sys
import threading

SIZE = 64 << 10  # bytes of each ring
HEAD = 16        # before each ring: characters written in all, bytes written in all
STREAMS = ("stdout", "stderr")


def start(path):
    """Prepare this kernel; whatever fails, the notebook runs as it would have."""
    for prepare in (_unlimited, _end_in_order, lambda: _record(path)):
        try:
            prepare()
        except Exception:
            pass


def _unlimited():
    """Take the limit off the connections that exist when the first cell runs: later ones have that of the time of binding."""
    import zmq
    from IPython import get_ipython
    shell = get_ipython()
    thread = shell.kernel.iopub_thread

    def first_cell():
        shell.events.unregister("pre_execute", first_cell)
        thread.schedule(lambda: thread.socket.setsockopt(zmq.SNDHWM, 0))

    shell.events.register("pre_execute", first_cell)


def _end_in_order():
    """Wait for the control thread, which flushes the streams, before ipykernel's own handler ends the thread that sends them.

    Exit handlers run in reverse order: those of the notebook before this one.
    """
    from IPython import get_ipython
    thread = get_ipython().kernel.control_thread
    if thread is not None:
        atexit.register(thread.join, 1)


def _record(path):
    with open(path, "r+b") as f:
        memory = mmap.mmap(f.fileno(), len(STREAMS) * (HEAD + SIZE))
    for i, name in enumerate(STREAMS):
        stream = getattr(sys, name)
        if stream.echo is None:
            stream.echo = _Ring(memory, i * (HEAD + SIZE))


class _Ring:
    """The last text of one stream: what ipykernel calls the stream's echo."""

    def __init__(self, memory, at):
        self._memory = memory
        self._at = at
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._characters = 0
        self._bytes = 0

    def write(self, text):
        """Called by the stream with everything that is written to it; a forked process has a stream, but no part in this."""
        if os.getpid() != self._owner:
            return
        data = text[-SIZE:].encode("utf-8", "replace")[-SIZE:]
        with self._lock:
            begin = self._at + HEAD
            position = self._bytes % SIZE
            first = min(len(data), SIZE - position)
            self._memory[begin + position:begin + position + first] = data[:first]
            self._memory[begin:begin + len(data) - first] = data[first:]
            self._characters += len(text)
            self._bytes += len(data)
            struct.pack_into("<QQ", self._memory, self._at, self._characters, self._bytes)

    def flush(self):
        """Nothing is held back."""

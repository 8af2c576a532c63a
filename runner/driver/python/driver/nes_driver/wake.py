"""Signals as readable bytes, so that one poll waits for messages, children and signals alike."""
import os
import signal


class Wake:
    """Catches SIGINT, SIGTERM and SIGCHLD."""

    def __init__(self):
        self.fd, write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(write, False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def stops(self):
        """How many requests to stop have come since the last call."""
        try:
            numbers = os.read(self.fd, 4096)
        except BlockingIOError:
            return 0
        return sum(n != signal.SIGCHLD for n in numbers)

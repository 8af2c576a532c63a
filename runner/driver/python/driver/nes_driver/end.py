"""Why a run ends."""


class End(Exception):
    """Ends the run for a reason of NES's table; an empty reason is success."""

    def __init__(self, reason, message="", skipped=False):
        super().__init__(message or reason)
        self.reason = reason
        self.message = message

    @property
    def code(self):
        """Exit code of the driver."""
        return 0 if self.reason in ("", "Skipped") else 1


class KernelGone(Exception):
    """The kernel's process ended while something was expected of it."""

"""What /proc and the cgroup say about the kernel."""
import os

_TICK = os.sysconf("SC_CLK_TCK")
_LONG = 0.05  # a cell shorter than this is not worth walking the process tree for


class Usage:
    """Processor time and memory of a process and its children."""

    def __init__(self, pid):
        self._pid = pid
        self._children = 0.0
        self._last = 0.0

    def cell(self, wall):
        """Processor seconds since the last call and peak resident bytes so far."""
        own = _ticks(self._pid)
        if own is None:
            return 0.0, 0
        if wall >= _LONG:
            self._children = sum(_ticks(p) or 0.0 for p in _descendants(self._pid))
        total = own + self._children
        used = max(0.0, total - self._last)
        self._last = total
        return round(used, 3), _peak(self._pid)


def _ticks(pid):
    """User and system time of a process and of its children that it waited for."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
        return sum(map(int, fields[11:15])) / _TICK
    except (OSError, ValueError):
        return None


def _peak(pid):
    try:
        with open("/proc/%d/status" % pid, "rb") as f:
            text = f.read()
        at = text.index(b"VmHWM:") + 6
        return int(text[at:text.index(b"kB", at)]) << 10
    except (OSError, ValueError):
        return 0


def _descendants(pid):
    found, queue = [], [pid]
    while queue and len(found) < 1000:
        parent = queue.pop()
        try:
            for task in os.listdir("/proc/%d/task" % parent):
                with open("/proc/%d/task/%s/children" % (parent, task), "rb") as f:
                    children = [int(c) for c in f.read().split()]
                found += children
                queue += children
        except OSError:
            continue
    return found


def oom_kills():
    """How often the kernel of the machine killed a process of our cgroup for memory."""
    for path in _memory_events():
        try:
            with open(path) as f:
                for line in f:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def _memory_events():
    """Candidates, version 2 and version 1; in a container the path in /proc may be that of the host."""
    try:
        with open("/proc/self/cgroup") as f:
            groups = [line.rstrip("\n").split(":", 2) for line in f]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if controllers == "":
            yield "/sys/fs/cgroup" + path + "/memory.events"
        elif "memory" in controllers.split(","):
            yield "/sys/fs/cgroup/memory" + path + "/memory.oom_control"
    yield "/sys/fs/cgroup/memory.events"
    yield "/sys/fs/cgroup/memory/memory.oom_control"

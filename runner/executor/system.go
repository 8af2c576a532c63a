package executor

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalName is the usual name, such as SIGKILL.
func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(s))
}

// memoryPeak is the largest resident size, in bytes, of any process that was waited for.
func memoryPeak() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage) != nil {
		return 0
	}
	return usage.Maxrss << 10
}

// oomKills counts how often a process of our cgroup was killed for memory.
func oomKills() int64 {
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for _, path := range memoryEventFiles(string(groups)) {
		if n, ok := oomKillsIn(path); ok {
			return n
		}
	}
	return 0
}

// memoryEventFiles lists where the count may be, for cgroup version 2 and 1. In a
// container the path in /proc may be the host's; its own group is then the root of the mount.
func memoryEventFiles(groups string) []string {
	var paths []string
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[1] == "" {
			paths = append(paths, "/sys/fs/cgroup"+parts[2]+"/memory.events")
		} else if strings.Contains(","+parts[1]+",", ",memory,") {
			paths = append(paths, "/sys/fs/cgroup/memory"+parts[2]+"/memory.oom_control")
		}
	}
	return append(paths, "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
}

func oomKillsIn(path string) (int64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

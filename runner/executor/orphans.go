package executor

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of every descendant whose own parent is gone, so that none can hide.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reapOrphans buries children that have ended, but for the one that somebody else waits for.
func reapOrphans(except int) {
	for _, pid := range childrenOf()[os.Getpid()] {
		if pid != except {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

const endOrphansWithin = 10 * time.Second

// endDescendants kills everything that descends from this process, and waits until it is gone.
// It reports whether nothing is left.
func endDescendants() bool {
	deadline := time.Now().Add(endOrphansWithin)
	for pause := time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 50*time.Millisecond) {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
		alive := descendants(os.Getpid())
		if len(alive) == 0 {
			return true
		}
		for _, pid := range alive {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(pause)
	}
	return false
}

// descendants lists the processes below pid.
func descendants(pid int) []int {
	children := childrenOf()
	var found []int
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		found = append(found, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

// childrenOf reads which process has which children.
func childrenOf() map[int][]int {
	children := map[int][]int{}
	proc, err := os.Open("/proc")
	if err != nil {
		return children
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if parent := parentOf(name); parent > 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

func parentOf(pid string) int {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state ppid ...
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measureMemory runs NES once more and looks at its processes every few milliseconds. It returns the largest sum of
// resident KiB of all processes of NES (command line, agent, exec, driver), and that of the kernel.
//
// Resident pages that two processes share are counted twice: the sums are upper bounds.
func measureMemory(ctx context.Context, data, path string) (ours, kernel int64, err error) {
	cmd := exec.CommandContext(ctx, "bin/nes", "run", path, "-p", "alpha", "3")
	cmd.Env = append(os.Environ(), "NES_DATA_DIR="+data, "NES_SERVER=")
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case err := <-done:
			tick.Stop()
			return ours, kernel, err
		case <-tick.C:
			o, k := resident(cmd.Process.Pid, data)
			ours, kernel = max(ours, o), max(kernel, k)
		}
	}
}

// process is what is known of a running process.
type process struct {
	parent  int
	cmdline string
	rss     int64 // KiB
}

// resident sums the resident KiB of the run's processes: those of NES, and the kernel with its
// children. The agent's processes are detached from the command line, but name the data directory.
func resident(pid int, data string) (ours, kernel int64) {
	all := processes()
	for id, p := range all {
		switch {
		case id == pid, strings.Contains(p.cmdline, data):
			ours += p.rss
		case below(all, p, data):
			kernel += p.rss
		}
	}
	return ours, kernel
}

// below reports whether a process descends from one that names the data directory.
func below(all map[int]process, p process, data string) bool {
	for range len(all) {
		parent, ok := all[p.parent]
		if !ok {
			return false
		}
		if strings.Contains(parent.cmdline, data) {
			return true
		}
		p = parent
	}
	return false
}

func processes() map[int]process {
	all := map[int]process{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		id, _ := strconv.Atoi(filepath.Base(dir))
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue
		}
		all[id] = process{
			parent: int(field(status, "PPid:")), rss: field(status, "VmRSS:"),
			cmdline: strings.ReplaceAll(string(cmdline), "\x00", " "),
		}
	}
	return all
}

// field reads a number of /proc/<pid>/status.
func field(status []byte, name string) int64 {
	_, rest, found := strings.Cut(string(status), name)
	words := strings.Fields(rest)
	if !found || len(words) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(words[0], 10, 64)
	return n
}

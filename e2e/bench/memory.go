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
// resident KiB of all processes of NES (command line, agent, exec, driver), and the kernel's peak.
//
// Resident pages that two processes share are counted twice: the sum is an upper bound.
func measureMemory(ctx context.Context, data, path string) (ours, kernel int64, err error) {
	cmd := exec.CommandContext(ctx, "bin/nes", "run", path, "-p", "alpha", "3")
	cmd.Env = append(os.Environ(), "NES_DATA_DIR="+data, "NES_SERVER=")
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
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

// resident sums the resident KiB of the run's processes: those of NES, and the kernel with its children.
func resident(pid int, data string) (ours, kernel int64) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		raw, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil {
			continue
		}
		cmdline := strings.ReplaceAll(string(raw), "\x00", " ")
		switch {
		case strings.Contains(cmdline, "ipykernel"):
			kernel += rss(p)
		case filepath.Base(p) == strconv.Itoa(pid), strings.Contains(cmdline, data):
			ours += rss(p)
		}
	}
	return ours, kernel
}

// rss reads VmRSS in KiB.
func rss(proc string) int64 {
	raw, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(raw), "VmRSS:")
	if !found {
		return 0
	}
	kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kb
}

package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// child is a process to run within bounds.
type child struct {
	command []string
	dir     string // its working directory
	order   []byte
	memory  int64 // resident bytes
	limit   time.Duration
}

// ending is how it went.
type ending struct {
	stdout        []byte
	stderr        string
	err           error
	peak          int64 // highest resident size that was seen
	tooMuchMemory bool
	tooLong       bool
}

// memoryPace is how often the child's size is looked at. Reading it takes some microseconds.
const memoryPace = 10 * time.Millisecond

// runChild runs c and returns when nothing of its process group lives any more.
func runChild(ctx context.Context, c child) ending {
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, errLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Dir = c.dir
	cmd.Env = childEnvironment(c)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	stdout, stderr := &bounded{max: 1 << 20}, &tail{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return ending{err: err}
	}
	if err := cmd.Start(); err != nil {
		return ending{err: err, stderr: err.Error()}
	}
	var watch memoryWatch
	stop := watch.start(cmd.Process.Pid, c.memory, cancel)
	// The input stays open: its end tells the child that we are gone.
	_, writeErr := in.Write(c.order)
	err = cmd.Wait()
	stop()
	return ending{
		stdout: stdout.buf.Bytes(), stderr: stderr.String(), err: errors.Join(err, writeErr), peak: watch.peak.Load(),
		tooMuchMemory: watch.exceeded.Load(), tooLong: errors.Is(context.Cause(ctx), errLimit),
	}
}

// childEnvironment passes on what resolving names and checking certificates needs, and nothing else.
func childEnvironment(c child) []string {
	env := []string{
		"GOMEMLIMIT=" + strconv.FormatInt(c.memory*3/4, 10), "GOMAXPROCS=2", "GOTRACEBACK=single",
		"TMPDIR=" + c.dir, "HOME=" + c.dir, "PATH=/usr/bin:/bin",
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// memoryWatch ends a process that grows too large. The address-space limit of the
// kernel would not do: Go reserves far more than it uses.
type memoryWatch struct {
	peak     atomic.Int64
	exceeded atomic.Bool
}

// start watches until the function that it returns is called.
func (m *memoryWatch) start(pid int, most int64, kill func()) (stop func()) {
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(memoryPace)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				size := residentSize(pid)
				m.peak.Store(max(m.peak.Load(), size))
				if size > most {
					m.exceeded.Store(true)
					kill()
					return
				}
			}
		}
	}()
	return func() { close(done); <-finished }
}

// residentSize reads how many bytes of memory a process holds; 0 when it is gone.
func residentSize(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// bounded keeps up to max bytes and fails then.
type bounded struct {
	buf bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.max {
		return 0, io.ErrShortWrite
	}
	return b.buf.Write(p)
}

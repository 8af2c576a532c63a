package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
)

const (
	killWait   = 5 * time.Second // for killed processes to be gone
	finishWait = 10 * time.Second
	look       = 5 * time.Millisecond
)

// Stop implements runner.Backend. Every process of the notebook is killed; the agent is told to
// finish, so that what was written still arrives, and killed when it does not.
func (b *Backend) Stop(ctx context.Context, ref runner.Ref) error {
	dir := b.dir(ref)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pid := agent.Process(dir)
	if pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	if err := killMarked(ctx, ref); err != nil {
		return err
	}
	if pid != 0 && !await(ctx, finishWait, func() bool { return agent.Process(dir) == 0 }) {
		return b.killAgent(ctx, dir)
	}
	// An agent that was between fetching and starting exec may have started it after all.
	return errors.Join(killMarked(ctx, ref), markDone(dir))
}

// markDone keeps an agent from being brought back to an attempt that was stopped.
func markDone(dir string) error {
	return os.WriteFile(filepath.Join(dir, agent.DoneFile), nil, 0o600)
}

func (b *Backend) killAgent(ctx context.Context, dir string) error {
	if err := markDone(dir); err != nil {
		return err
	}
	if pid := agent.Process(dir); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if !await(ctx, killWait, func() bool { return agent.Process(dir) == 0 }) {
		return nes.Errorf(nes.CodeUnavailable, "the agent of %s does not die", filepath.Base(dir))
	}
	return nil
}

// Remove implements runner.Backend.
func (b *Backend) Remove(ctx context.Context, ref runner.Ref) error {
	dir := b.dir(ref)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	await(ctx, time.Second, func() bool { return done(dir) && agent.Process(dir) == 0 }) // it may be just about to go
	if err := b.killAgent(ctx, dir); err != nil {
		return err
	}
	if err := killMarked(ctx, ref); err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.restarts, ref.Name())
	b.mu.Unlock()
	return b.discard(dir)
}

// gonePrefix begins the names of what was an attempt's directory. A crash may leave a part of it; the next backend takes that away.
const gonePrefix = ".gone-"

// discard takes an attempt's directory away, under its name at once or not at all: half a directory would be an attempt
// that can neither be read nor ended.
func (b *Backend) discard(dir string) error {
	gone := filepath.Join(b.o.Dir, gonePrefix+filepath.Base(dir))
	if err := removeAll(gone); err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	fault.At(fault.Removed)
	return removeAll(gone)
}

// sweep removes what earlier backends left unfinished.
func sweep(dir string) error {
	var errs []error
	for _, prefix := range []string{gonePrefix, newPrefix} {
		left, _ := filepath.Glob(filepath.Join(dir, prefix+"*")) // the pattern is well-formed
		for _, path := range left {
			errs = append(errs, removeAll(path))
		}
	}
	return errors.Join(errs...)
}

// removeAll removes a tree in which the notebook may have taken away its own right to write.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// killMarked kills every process that has the attempt's marks in its environment, whatever
// group, session or parent it chose, until there is none.
func killMarked(ctx context.Context, ref runner.Ref) error {
	gone := await(ctx, killWait, func() bool {
		found := marked(ref)
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(found) == 0
	})
	if !gone {
		return nes.Errorf(nes.CodeUnavailable, "processes of %s cannot be ended", ref.Name())
	}
	return nil
}

// marked lists the living processes of an attempt's notebook.
func marked(ref runner.Ref) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var marks [][]byte
	for _, m := range agent.Marks(ref.Run, ref.Attempt) {
		marks = append(marks, []byte("\x00"+m+"\x00"))
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || len(env) == 0 { // of somebody else, gone, or a zombie
			continue
		}
		if env = append([]byte{0}, env...); bytes.Contains(env, marks[0]) && bytes.Contains(env, marks[1]) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// await waits until ok says so, at most for d.
func await(ctx context.Context, d time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(d)
	for {
		if ok() {
			return true
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(look)
	}
}

// processEnd returns a function that waits for the end of a process that need not be a
// child, without holding a thread.
func processEnd(pid int) (wait func(), err error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		defer f.Close()
		_ = conn.Read(func(fd uintptr) bool { // a pidfd can be read when its process has ended
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 0)
			return n > 0 || (err != nil && !errors.Is(err, unix.EINTR))
		})
	}, nil
}

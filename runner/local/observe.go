package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
)

// Observe implements runner.Backend. Where it finds that an agent has died before its work was
// done, it starts another one, as a cluster brings back a sidecar.
func (b *Backend) Observe(_ context.Context, ref runner.Ref) (runner.Observation, error) {
	dir := b.dir(ref)
	v, err := agent.OpenVolume(filepath.Join(dir, agent.VolumeDir))
	if errors.Is(err, fs.ErrNotExist) {
		return runner.Observation{Phase: runner.PhaseAbsent}, nil
	}
	if err != nil {
		return runner.Observation{}, err
	}
	defer v.Close()
	pid := agent.Process(dir)
	b.follow(ref, pid)
	o := runner.Observation{Started: v.Begun()}
	if e, ok := v.Exit(); ok {
		o.Exit = &e
	}
	execLives := v.Alive()
	o.Started = o.Started || execLives // it may have begun since the look above
	attended := pid != 0 || b.starting(ref) || b.revive(ref, &o)
	switch {
	case execLives:
		o.Phase = runner.PhaseRunning
	case attended && o.Started:
		o.Phase = runner.PhaseExited
	case attended:
		o.Phase = runner.PhasePending
	default:
		o.Phase = runner.PhaseGone
	}
	return o, nil
}

// starting reports whether this process has started an agent that has not ended; it may not have taken its lock yet.
func (b *Backend) starting(ref runner.Ref) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watched[ref.Name()] != 0
}

const (
	maxRevivals  = 5
	revivalsSpan = time.Minute
)

// revive starts an agent that died, unless its work is done or it dies again and again.
func (b *Backend) revive(ref runner.Ref, o *runner.Observation) bool {
	dir := b.dir(ref)
	if done(dir) {
		return false
	}
	now := time.Now()
	b.mu.Lock()
	recent := slices.DeleteFunc(b.restarts[ref.Name()], func(t time.Time) bool { return now.Sub(t) > revivalsSpan })
	tooMany := len(recent) >= maxRevivals
	if !tooMany {
		recent = append(recent, now)
	}
	b.restarts[ref.Name()] = recent
	b.mu.Unlock()
	if tooMany {
		o.Reason, o.Message = nes.ReasonAgentLost, fmt.Sprintf("the agent died %d times: %s", maxRevivals, lastLine(filepath.Join(dir, agent.AgentLog)))
		return false
	}
	b.o.Log.Warn("the agent has died; starting another one", "attempt", ref.Name())
	if err := b.start(ref); err != nil {
		o.Message = err.Error()
		return false
	}
	return true
}

func lastLine(name string) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		return "it left no log"
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return lines[len(lines)-1]
}

// start starts an agent in a session of its own.
func (b *Backend) start(ref runner.Ref) error {
	dir := b.dir(ref)
	log, err := os.OpenFile(filepath.Join(dir, agent.AgentLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(b.o.Agent[0], append(slices.Clone(b.o.Agent[1:]), "attend", dir)...)
	cmd.Dir = dir
	cmd.Env = b.environment(dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the agent %s: %w", b.o.Agent[0], err)
	}
	b.mu.Lock()
	b.watched[ref.Name()] = cmd.Process.Pid
	b.mu.Unlock()
	fault.At(fault.Launched)
	go func() {
		_ = cmd.Wait() // what it came to is in its files
		b.ended(ref, cmd.Process.Pid)
	}()
	return nil
}

// follow waits for the end of an agent that an earlier server started.
func (b *Backend) follow(ref runner.Ref, pid int) {
	if pid <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watched[ref.Name()] != 0 {
		return
	}
	exited, err := processEnd(pid)
	if err != nil {
		return // it is gone already, or cannot be waited for: the controller looks again anyway
	}
	b.watched[ref.Name()] = pid
	go func() {
		exited()
		b.ended(ref, pid)
	}()
}

func (b *Backend) ended(ref runner.Ref, pid int) {
	b.mu.Lock()
	if b.watched[ref.Name()] == pid {
		delete(b.watched, ref.Name())
	}
	notify := b.notify
	b.mu.Unlock()
	notify(ref)
}

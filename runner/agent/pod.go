package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/nes-run/nes/runner/agentapi"
)

// fetchInPod is the first container of a pod. An error that is final is reported; a signal ends it, since nothing is lost yet.
func fetchInPod(c Config, f flags) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := f.prepare()
	if err == nil {
		err = Fetch(ctx, c)
	}
	if final(err) {
		return errors.Join(err, reportUnstarted(ctx, c, err))
	}
	return err
}

// prepare puts this program and a home directory where the notebook's container finds them.
func (f flags) prepare() error {
	if f.install != "" {
		if err := installTo(f.install); err != nil {
			return fmt.Errorf("install the agent: %w", err)
		}
	}
	if f.home != "" {
		return os.MkdirAll(f.home, 0o700)
	}
	return nil
}

// installTo copies this program, complete or not at all: the agent's image has no cp.
func installTo(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(name), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), name)
}

// watchInPod is the agent as a sidecar. When its work is done it stays until it is told to end: one that went would be started again.
func watchInPod(c Config, f flags) error {
	c.Disk = Disk{Limit: f.disk, Also: f.tmp}
	err := Watch(context.Background(), c)
	if err != nil && !errors.Is(err, agentapi.ErrSuperseded) {
		return err
	}
	<-c.Finish
	return nil
}

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/app"
)

// patient is how long anything may take before a test gives up.
const patient = 2 * time.Minute

// process is a running nes.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err *buffer
}

// buffer is what a process has written so far; changed is closed and replaced with each write.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

func newBuffer() *buffer { return &buffer{changed: make(chan struct{})} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.b.Write(p)
}

func (b *buffer) look() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String(), b.changed
}

// begin starts nes over a data directory.
func begin(t *testing.T, data string, args ...string) *process {
	t.Helper()
	python := interpreter()
	if python == "" {
		t.Skip("no notebook runtime: set NES_PYTHON to a Python that has papermill and ipykernel")
	}
	p := &process{t: t, cmd: exec.Command("nes", args...), out: newBuffer(), err: newBuffer()}
	p.cmd.Env = append(os.Environ(), "NES_DATA_DIR="+data, "NES_PYTHON="+python, "NES_SERVER=", "NES_CONFIG=", "NES_TOKEN=", "NES_ADDR=127.0.0.1:0", "NES_MAX_RUNNING=8")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("nes %v\n%s%s", args, p.err.b.String(), p.out.b.String())
		}
	})
	return p
}

// await returns once the process has written text to b.
func (p *process) await(b *buffer, text string) {
	p.t.Helper()
	limit := time.After(patient)
	for {
		all, changed := b.look()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			require.Failf(p.t, "waited in vain", "%q in %q", text, all)
		}
	}
}

// end waits for the end and returns the exit code.
func (p *process) end() int {
	p.t.Helper()
	timer := time.AfterFunc(patient, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		require.NoError(p.t, err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// awaitFile returns once the notebook has written a file.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, patient, 10*time.Millisecond, path)
}

// plantNotebook writes a notebook into a directory of its own, which is also where its cells put files.
func plantNotebook(t *testing.T, cells ...string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "a.ipynb")
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "DIR", dir)
	}
	require.NoError(t, os.WriteFile(path, []byte(gitsourcetest.Notebook("", cells...)), 0o600))
	return dir, path
}

// holding is a cell that waits until the test lets it go on.
const holding = `
import os, time
open("DIR/started", "w").close()
try:
    while not os.path.exists("DIR/go"):
        time.sleep(0.02)
finally:
    open("DIR/cleaned", "w").close()
`

func TestInterruptCancels(t *testing.T) {
	t.Parallel()
	dir, notebook := plantNotebook(t, "print('before')", holding, "print('never')")
	out := filepath.Join(dir, "out.ipynb")
	p := begin(t, t.TempDir(), "run", notebook, "-o", out)
	awaitFile(t, filepath.Join(dir, "started"))
	p.signal(syscall.SIGINT)
	require.Equal(t, exitCancel, p.end())
	all, _ := p.out.look()
	require.Equal(t, "Cancelled  "+out+"\n", all)
	require.FileExists(t, filepath.Join(dir, "cleaned"), "the cell's finally ran")
	kept, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(kept), "before")
	require.NotContains(t, string(kept), `"never\n"`)
}

func TestSecondInterruptLeavesAtOnce(t *testing.T) {
	t.Parallel()
	dir, notebook := plantNotebook(t, strings.ReplaceAll(holding, "finally:", "finally:\n    while not os.path.exists('DIR/go'): time.sleep(0.02)"))
	data := t.TempDir()
	p := begin(t, data, "run", notebook)
	awaitFile(t, filepath.Join(dir, "started"))
	p.signal(syscall.SIGINT)
	p.await(p.err, "once more leaves at once")
	p.signal(syscall.SIGINT)
	require.Equal(t, exitCancel, p.end())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	settled(t, data)
}

// settled takes what a process left running to its end.
func settled(t *testing.T, data string) {
	t.Helper()
	p := begin(t, data, "list", "--json")
	require.Equal(t, 0, p.end())
	all, _ := p.out.look()
	for line := range strings.Lines(all) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), `"id": "`); ok {
			require.Equal(t, 0, begin(t, data, "logs", "-f", strings.TrimSuffix(id, `",`)).end())
		}
	}
}

func TestSecondRunTakesOver(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"when the first has ended": 0, "when the first is killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			firstDir, firstBook := plantNotebook(t, holding)
			secondDir, secondBook := plantNotebook(t, "print('begin')", holding, "print('end')")
			first := begin(t, data, "run", firstBook)
			awaitFile(t, filepath.Join(firstDir, "started"))
			out := filepath.Join(secondDir, "out.ipynb")
			second := begin(t, data, "run", secondBook, "-o", out)
			awaitFile(t, filepath.Join(secondDir, "started"))

			if signal == 0 {
				require.NoError(t, os.WriteFile(filepath.Join(firstDir, "go"), nil, 0o600))
				require.Equal(t, 0, first.end())
			} else {
				first.signal(signal)
				first.end()
			}
			second.await(second.err, "this process carries its runs on")
			require.NoError(t, os.WriteFile(filepath.Join(secondDir, "go"), nil, 0o600))
			require.Equal(t, 0, second.end())
			all, _ := second.out.look()
			require.Equal(t, "Succeeded  "+out+"\n", all)
			kept, err := os.ReadFile(out)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(kept), `"end\n"`))
			require.NoError(t, os.WriteFile(filepath.Join(firstDir, "go"), nil, 0o600))
			settled(t, data)
		})
	}
}

func TestServerAndClients(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	server := begin(t, data, "serve")
	server.await(server.out, "NES serves at http://127.0.0.1:")
	owner, err := app.ReadServer(data)
	require.NoError(t, err)
	dir, notebook := plantNotebook(t, "print('hello')", holding)

	submitted := begin(t, data, "run", notebook, "--no-wait")
	require.Equal(t, 0, submitted.end())
	line, _ := submitted.out.look()
	id, page, _ := strings.Cut(strings.TrimSpace(line), " ")
	require.Equal(t, owner.URL+"/runs/"+id, page)
	awaitFile(t, filepath.Join(dir, "started"))

	gaveUp := begin(t, data, "rerun", id, "--wait", "100ms")
	require.Equal(t, exitGaveUp, gaveUp.end())

	log := begin(t, data, "logs", "-f", id)
	log.await(log.out, "hello")
	cancel := begin(t, data, "cancel", id)
	require.Equal(t, 0, cancel.end())
	require.Equal(t, 0, log.end())
	got := begin(t, data, "get", id)
	require.Equal(t, 0, got.end())
	text, _ := got.out.look()
	require.Contains(t, text, "Cancelled")
	saved := begin(t, data, "get", id, "-o", "-")
	require.Equal(t, 0, saved.end())
	text, _ = saved.out.look()
	require.Contains(t, text, `"nbformat"`)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	settled(t, data)
	server.signal(syscall.SIGTERM)
	require.Equal(t, 0, server.end())
	_, err = app.ReadServer(data)
	require.ErrorIs(t, err, os.ErrNotExist)
}

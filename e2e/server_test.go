package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/e2e/scenario"
)

// server is a `nes serve` process over a data directory, which outlives it.
type server struct {
	t      *testing.T
	bin    string // directory of its binary
	dir    string
	addr   string
	env    []string
	cmd    *exec.Cmd
	pid    *atomic.Int64 // of the process that was started last
	client *client.Client
}

// python returns the interpreter of the notebook runtime, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("NES_PYTHON"); p != "" {
		return p
	}
	p, err := filepath.Abs("../.venv/bin/python")
	require.NoError(t, err)
	if _, err := os.Stat(p); err != nil {
		t.Skip("no notebook runtime: run make runtime, or set NES_PYTHON to a Python that has papermill and ipykernel")
	}
	return p
}

// serve starts a server on an empty data directory and stops it, and everything it runs, with the test.
func serve(t *testing.T, env ...string) *server {
	t.Helper()
	s := prepare(t, bin, env...)
	s.start()
	return s
}

// prepare makes a server of the binaries in a directory, and does not start it yet.
func prepare(t *testing.T, bin string, env ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	s := &server{t: t, bin: bin, pid: &atomic.Int64{}, dir: t.TempDir(), addr: addr, client: client.New("http://"+addr, client.Options{})}
	s.env = append(os.Environ(), "NES_ADDR="+addr, "NES_DATA_DIR="+s.dir, "NES_PYTHON="+python(t), "NES_SERVER=", "NES_CONFIG=", "NES_TOKEN=")
	s.env = append(s.env, env...)
	t.Cleanup(s.close)
	return s
}

// start starts the process and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	ctx, cancel := context.WithTimeout(s.t.Context(), scenario.Patience)
	defer cancel()
	for {
		if _, err := s.client.Health(ctx); err == nil {
			return
		}
		require.NoError(s.t, ctx.Err(), "the server does not answer: %s", s.log())
		require.NoError(s.t, s.cmd.Process.Signal(syscall.Signal(0)), "the server ended: %s", s.log())
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

// launch starts the process.
func (s *server) launch(env ...string) {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer log.Close()
	s.cmd = exec.Command(filepath.Join(s.bin, "nes"), "serve")
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = append(s.env[:len(s.env):len(s.env)], env...), log, log
	require.NoError(s.t, s.cmd.Start())
	s.pid.Store(int64(s.cmd.Process.Pid))
}

// kill ends the server as a crash does.
func (s *server) kill() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
}

// close stops the server gently and cancels what it left running.
func (s *server) close() {
	if s.cmd == nil {
		return // it was never started
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if page, err := s.client.Runs(ctx, nil); err == nil {
		for _, r := range page.Runs {
			if !r.Ended() {
				_, _ = s.client.Cancel(ctx, r.ID)
				_, _ = s.client.Wait(ctx, r.ID)
			}
		}
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	if s.t.Failed() {
		s.t.Logf("server log:\n%s", s.log())
	}
}

// log is what the server wrote, without the requests that it answered well.
func (s *server) log() string {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
	var b strings.Builder
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, "level=INFO msg=request ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// submit sends a run.
func (s *server) submit(spec nes.Spec) nes.Run {
	s.t.Helper()
	run, _, err := s.client.Submit(s.ctx(), spec)
	require.NoError(s.t, err)
	return run
}

// wait returns the run once it has ended.
func (s *server) wait(id nes.RunID) nes.Run {
	s.t.Helper()
	run, err := s.client.Wait(s.ctx(), id)
	require.NoError(s.t, err)
	return run
}

// ctx bounds one step of a test.
func (s *server) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), scenario.Patience)
	s.t.Cleanup(cancel)
	return ctx
}

// awaitLog returns once the run's log contains text.
func (s *server) awaitLog(id nes.RunID, text string) {
	s.t.Helper()
	scenario.AwaitLog(s.ctx(), s.t, s.client, id, text)
}

// notebook reads the executed notebook of the run's newest attempt.
func (s *server) notebook(id nes.RunID) scenario.Executed {
	s.t.Helper()
	return scenario.ReadNotebook(s.ctx(), s.t, s.client, id, 0)
}

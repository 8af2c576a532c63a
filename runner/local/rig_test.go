package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/local"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage/file"
)

const serverEnv = "NESTEST_SERVER" // data directory: this process is a server

// TestMain lets the test binary be the agent, exec, or a server that can be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	if dir := os.Getenv(serverEnv); dir != "" {
		serve(dir)
	}
	cache, err := os.MkdirTemp("", "nestest-driver-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("NESTEST_CACHE", cache)
	if found, err := filepath.Abs("../../.venv/bin/python"); os.Getenv("NES_PYTHON") == "" && err == nil {
		if _, err := os.Stat(found); err == nil {
			os.Setenv("NES_PYTHON", found)
		}
	}
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

// serve controls runs until it is killed.
func serve(dir string) {
	s, err := newStack(dir, runner.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // the test dies: so does the server
	s.close()
	os.Exit(0)
}

// stack is everything that takes runs to their end, with real parts but for the source.
type stack struct {
	dir        string
	ledger     *ledger.Ledger
	records    *record.Store
	controller *runner.Controller
	backend    *local.Backend
	http       *http.Server
}

func newStack(dir string, o runner.Options) (*stack, error) {
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("NESTEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	l, err := ledger.Open(ctx, filepath.Join(dir, "ledger.db"), log)
	if err != nil {
		return nil, err
	}
	bucket, err := file.Open(filepath.Join(dir, "bucket"))
	if err != nil {
		return nil, err
	}
	key, err := runner.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	backend, err := local.New(local.Options{
		Dir: filepath.Join(dir, "attempts"), Server: "http://" + listener.Addr().String(),
		Agent: []string{self, "agent"}, Python: os.Getenv("NES_PYTHON"), CacheDir: os.Getenv("NESTEST_CACHE"), Log: log,
	})
	if err != nil {
		return nil, err
	}
	records := record.New(record.Options{Bucket: bucket, Source: sources{}.notebook, Version: "test", Log: log, TempDir: dir})
	if f, ok := o.Backend.(*flaky); ok {
		f.Backend = backend
	} else {
		o.Backend = backend
	}
	o.Ledger, o.Sources, o.Journals, o.Records, o.Key, o.Log = l, sources{}, records, records, key, log
	if o.Limits.Total == 0 {
		o.Limits.Total = 4
	}
	s := &stack{dir: dir, ledger: l, records: records, backend: backend, controller: runner.NewController(o)}
	s.http = &http.Server{Handler: agentapi.NewHandler(s.controller.Reception(), log)}
	go func() { _ = s.http.Serve(listener) }()
	return s, s.controller.Start(ctx)
}

func (s *stack) close() {
	s.controller.Stop()
	s.http.Close()
	s.ledger.Close()
}

// sources serves the fixed notebooks of this test: the input's address is the notebook itself.
type sources struct{}

func (sources) Fetch(_ context.Context, r *nes.Run) (nes.Fetched, error) {
	return nes.Fetched{
		Source:     nes.Source{Repository: "git.example.com/acme/reports", Commit: strings.Repeat("a", 40), Ref: "main", Path: "daily/report.ipynb", Bundle: r.Spec.InputURL},
		Parameters: r.Spec.Parameters,
	}, nil
}

func (sources) notebook(_ context.Context, s nes.Source) ([]byte, error) {
	return []byte(s.Bundle), nil
}

func (sources) OpenBundle(_ context.Context, s nes.Source) (io.ReadCloser, error) {
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, time.Unix(0, 0), nil)
	if err != nil {
		return nil, err
	}
	helper := "def greet():\n    return 'a neighbour'\n"
	for _, e := range []struct{ path, body string }{{"daily/neighbour.py", helper}, {s.Path, s.Bundle}} {
		if err := w.Add(bundle.Entry{Path: e.path, Kind: bundle.File, Size: int64(len(e.body))}, strings.NewReader(e.body)); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(&b), w.Close()
}

// notebook makes one of code cells.
func notebook(cells ...string) string {
	var all []map[string]any
	for i, c := range cells {
		all = append(all, map[string]any{
			"cell_type": "code", "id": fmt.Sprintf("c%d", i), "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil, "source": c,
		})
	}
	raw, _ := json.Marshal(map[string]any{
		"cells": all, "nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "python3", "language": "python", "display_name": "Python 3"}},
	})
	return string(raw)
}

// testDir is a data directory that outlives slow writers at the end of a test.
func testDir(t *testing.T) string {
	t.Helper()
	python(t)
	return t.TempDir()
}

func python(t *testing.T) {
	t.Helper()
	if os.Getenv("NES_PYTHON") == "" {
		t.Skip("no notebook runtime: set NES_PYTHON to a Python that has papermill and ipykernel")
	}
}

func start(t *testing.T, o runner.Options) *stack {
	t.Helper()
	s, err := newStack(testDir(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { s.abandon(t) })
	return s
}

// abandon leaves no process behind, whatever the test came to.
func (s *stack) abandon(t *testing.T) {
	s.controller.Stop()
	refs, err := s.backend.List(context.Background())
	require.NoError(t, err)
	for _, ref := range refs {
		require.NoError(t, s.backend.Remove(context.Background(), ref))
	}
	s.close()
}

func (s *stack) submit(t *testing.T, spec nes.Spec) nes.Run {
	t.Helper()
	run, _, err := s.ledger.Create(context.Background(), ledger.Submission{Spec: spec, Owner: "o", Team: "t", At: time.Now()})
	require.NoError(t, err)
	return run
}

// until waits for the ledger to say that ok holds of the run.
func (s *stack) until(t *testing.T, id nes.RunID, ok func(nes.Run) bool) nes.Run {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		changed := s.ledger.Changed(id)
		run, err := s.ledger.Run(context.Background(), id)
		require.NoError(t, err)
		if ok(run) {
			return run
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // another process may write
		case <-deadline:
			require.FailNow(t, "the run does not get there", "%s %s %s", run.Stage, run.Reason, run.Message)
		}
	}
}

func (s *stack) ended(t *testing.T, id nes.RunID) nes.Run {
	t.Helper()
	return s.until(t, id, func(r nes.Run) bool { return r.Ended() })
}

func executing(r nes.Run) bool { return r.Stage == nes.StageExecuting }

// executed reads the executed notebook: the text of each cell's streams, and each cell's status.
func (s *stack) executed(t *testing.T, run nes.Run) (texts, statuses []string) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.records.WriteNotebook(context.Background(), &run, run.Attempt, &b))
	var nb struct {
		Cells []struct {
			Metadata struct {
				Papermill struct {
					Status string `json:"status"`
				} `json:"papermill"`
			} `json:"metadata"`
			Outputs []struct {
				Text any `json:"text"`
			} `json:"outputs"`
		} `json:"cells"`
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &nb))
	for _, c := range nb.Cells {
		var text strings.Builder
		for _, o := range c.Outputs {
			switch v := o.Text.(type) {
			case string:
				text.WriteString(v)
			case []any:
				for _, line := range v {
					fmt.Fprint(&text, line)
				}
			}
		}
		texts, statuses = append(texts, text.String()), append(statuses, c.Metadata.Papermill.Status)
	}
	return texts, statuses
}

// processes counts those that have the run's mark.
func processes(id nes.RunID) int {
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && bytes.Contains(env, []byte("NES_RUN_ID="+string(id)+"\x00")) {
			n++
		}
	}
	return n
}

// killAgent kills the attempt's agent as a fault would.
func (s *stack) killAgent(t *testing.T, ref runner.Ref) {
	t.Helper()
	pid := agent.Process(filepath.Join(s.dir, "attempts", ref.Name()))
	require.Positive(t, pid)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

package runner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

const cells = `{"cells":[{"cell_type":"code","id":"a","metadata":{},"outputs":[],"execution_count":null,"source":"print(1)"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`

// house has the real ledger, records and agents' server. The test is the agent, and says what the backend sees.
type house struct {
	t          *testing.T
	ledger     *ledger.Ledger
	bucket     storage.Bucket
	records    *record.Store
	controller *runner.Controller
	key        runner.Key
	ward       *ward
	url        string
}

func newHouse(t *testing.T, p runner.Policy) *house {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	l, err := ledger.Open(t.Context(), filepath.Join(dir, "ledger.db"), log)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	bucket, err := file.Open(filepath.Join(dir, "bucket"))
	require.NoError(t, err)
	h := &house{t: t, ledger: l, bucket: bucket, key: make(runner.Key, 32), ward: &ward{phase: runner.PhaseRunning}}
	notebook := func(context.Context, nes.Source) ([]byte, error) { return []byte(cells), nil }
	h.records = record.New(record.Options{Bucket: bucket, Source: notebook, Version: "test", Log: log, TempDir: dir})
	h.controller = runner.NewController(runner.Options{
		Ledger: l, Sources: h.ward, Journals: h.records, Records: h.records, Backend: h.ward, Key: h.key, Log: log, Policy: p,
	})
	server := httptest.NewServer(agentapi.NewHandler(h.controller.Reception(), log))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// ward is a backend where nothing happens but what the test says, and the source of its runs.
type ward struct {
	mu     sync.Mutex
	phase  runner.Phase
	notify func(runner.Ref)
}

func (w *ward) Fetch(context.Context, *nes.Run) (nes.Fetched, error) {
	return nes.Fetched{Source: nes.Source{Repository: "git.example.com/a/b", Commit: strings.Repeat("a", 40), Path: "n.ipynb"}}, nil
}

func (w *ward) OpenBundle(context.Context, nes.Source) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("bundle")), nil
}
func (w *ward) Launch(context.Context, runner.Job) error   { return nil }
func (w *ward) Stop(context.Context, runner.Ref) error     { return nil }
func (w *ward) Remove(context.Context, runner.Ref) error   { return nil }
func (w *ward) List(context.Context) ([]runner.Ref, error) { return nil, nil }
func (w *ward) Notify(f func(runner.Ref))                  { w.notify = f }
func (w *ward) Observe(context.Context, runner.Ref) (runner.Observation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return runner.Observation{Phase: w.phase, Started: true}, nil
}

func (h *house) apply(change nes.Transition) nes.Run {
	h.t.Helper()
	run, err := h.ledger.Apply(context.Background(), change)
	require.NoError(h.t, err)
	return run
}

func (h *house) submit() nes.Run {
	h.t.Helper()
	run, _, err := h.ledger.Create(context.Background(), ledger.Submission{
		Spec: nes.Spec{InputURL: "https://git.example.com/a/b/blob/main/n.ipynb"}, Owner: "o", Team: "t", At: time.Now(),
	})
	require.NoError(h.t, err)
	return run
}

// launched takes a new run to its first attempt, as the controller does.
func (h *house) launched() nes.Run {
	h.t.Helper()
	run := h.submit()
	run = h.apply(nes.Fetch(&run, time.Now()))
	fetched, _ := h.ward.Fetch(context.Background(), &run)
	run = h.apply(nes.FetchDone(&run, fetched, time.Now()))
	return h.launch(run)
}

func (h *house) launch(run nes.Run) nes.Run {
	h.t.Helper()
	ref := runner.Ref{Run: run.ID, Attempt: run.Attempt + 1}
	return h.apply(nes.Launch(&run, runner.HashToken(h.key.Token(ref)), time.Now()))
}

func (h *house) agent(ref runner.Ref, token string) *agentapi.Client {
	c := agentapi.NewClient(agentapi.Options{
		Server: func() (string, error) { return h.url, nil }, Run: ref.Run, Attempt: ref.Attempt, Token: token, Log: slog.New(slog.DiscardHandler),
	})
	h.t.Cleanup(c.Close)
	return c
}

// calls are all that an agent can do.
func calls(c *agentapi.Client) map[string]func() error {
	ctx := context.Background()
	return map[string]func() error{
		"launch": func() error { _, err := c.Launch(ctx); return err },
		"bundle": func() error { return c.Bundle(ctx, func(io.Reader) error { return nil }) },
		"journal": func() error {
			_, err := c.Journal(ctx, 0, []byte("{\"v\":1,\"seq\":1,\"t\":1,\"k\":\"log\"}\n"))
			return err
		},
		"file": func() error { return put(c, "outputs/x.txt", "x") },
		"exit": func() error { return c.Exit(ctx, journal.Exit{V: 1}) },
	}
}

func put(c *agentapi.Client, name, body string) error {
	sum := sha256.Sum256([]byte(body))
	return c.PutFile(context.Background(), name, hex.EncodeToString(sum[:]), int64(len(body)), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(body)), nil
	})
}

// stored lists everything in the bucket.
func (h *house) stored() (keys []string) {
	h.t.Helper()
	page, err := h.bucket.List(context.Background(), storage.ListOptions{})
	require.NoError(h.t, err)
	require.Empty(h.t, page.Next)
	for _, o := range page.Objects {
		keys = append(keys, fmt.Sprint(o.Key, " ", o.Size))
	}
	return keys
}

func (h *house) events(id nes.RunID) []nes.Event {
	h.t.Helper()
	events, err := h.ledger.Events(context.Background(), 0, id, 1000)
	require.NoError(h.t, err)
	return events
}

func TestSupersededAttemptStoresNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, runner.Policy{})
	run := h.launched()
	first := runner.Ref{Run: run.ID, Attempt: 1}
	old := h.agent(first, h.key.Token(first))
	_, err := old.Journal(t.Context(), 0, nil)
	require.NoError(t, err)

	run, err = h.ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	run = h.apply(nes.Saving(&run, nil, "", time.Now()))
	run = h.apply(nes.RetryLater(&run, nes.Outcome{Reason: nes.ReasonNodeLost}, time.Now(), time.Now()))
	run = h.apply(nes.Requeue(&run, "", time.Now()))
	run = h.launch(run)
	second := runner.Ref{Run: run.ID, Attempt: 2}
	before, events := h.stored(), h.events(run.ID)
	for name, call := range calls(old) {
		err := call()
		require.ErrorIs(t, err, agentapi.ErrSuperseded, name)
		require.Equal(t, nes.CodeConflict, nes.CodeOf(err), name)
	}
	require.Equal(t, before, h.stored())
	require.Equal(t, events, h.events(run.ID))
	_, err = h.agent(second, h.key.Token(second)).Journal(t.Context(), 0, nil)
	require.NoError(t, err, "the newest one is let in")
}

func TestStrangersStoreNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, runner.Policy{})
	run, other := h.launched(), h.launched()
	ref := runner.Ref{Run: run.ID, Attempt: 1}
	for who, tt := range map[string]struct {
		ref   runner.Ref
		token string
		want  nes.Code
	}{
		"no token that was given out": {ref, "guess", nes.CodeUnauthorized},
		"another run's token":         {ref, h.key.Token(runner.Ref{Run: other.ID, Attempt: 1}), nes.CodeUnauthorized},
		"the next attempt's token":    {ref, h.key.Token(runner.Ref{Run: run.ID, Attempt: 2}), nes.CodeUnauthorized},
		"an attempt that is not":      {runner.Ref{Run: run.ID, Attempt: 2}, h.key.Token(runner.Ref{Run: run.ID, Attempt: 2}), nes.CodeNotFound},
		"a run that is not":           {runner.Ref{Run: "x", Attempt: 1}, h.key.Token(runner.Ref{Run: "x", Attempt: 1}), nes.CodeNotFound},
	} {
		for name, call := range calls(h.agent(tt.ref, tt.token)) {
			require.Equal(t, tt.want, nes.CodeOf(call()), "%s: %s", who, name)
		}
	}
	require.Empty(t, h.stored())
	now, err := h.ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, run, now)
}

func TestHeartbeatsWriteNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, runner.Policy{})
	run := h.launched()
	ref := runner.Ref{Run: run.ID, Attempt: 1}
	agent := h.agent(ref, h.key.Token(ref))
	_, err := agent.Journal(t.Context(), 0, nil)
	require.NoError(t, err)
	first, err := h.ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, nes.StageStarting, first.Stage, "the first call says that it starts")
	events := h.events(run.ID)
	for range 20 {
		pace, err := agent.Journal(t.Context(), 0, nil)
		require.NoError(t, err)
		require.Equal(t, agentapi.Pace{EveryMS: 200}, pace)
	}
	now, err := h.ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, first, now)
	require.Equal(t, events, h.events(run.ID))
	require.Empty(t, h.stored())
}

func TestExitMayBeRepeated(t *testing.T) {
	t.Parallel()
	h := newHouse(t, runner.Policy{})
	run := h.launched()
	ref := runner.Ref{Run: run.ID, Attempt: 1}
	agent := h.agent(ref, h.key.Token(ref))
	require.NoError(t, agent.Exit(t.Context(), journal.Exit{V: 1, Reason: "CellError"}))
	require.NoError(t, agent.Exit(t.Context(), journal.Exit{V: 1}), "its answer was lost")
	a, err := h.ledger.Attempt(t.Context(), run.ID, 1)
	require.NoError(t, err)
	require.Contains(t, string(a.Exit), "CellError", "the first word stands")
	_, err = agent.Journal(t.Context(), 0, []byte("late\n"))
	require.ErrorIs(t, err, agentapi.ErrSuperseded, "the record is closed")
	require.Empty(t, h.stored())
}

const said = `{"v":1,"seq":1,"t":1,"k":"start","notebook":{"sha256":"","cells":1,"code":1},"kernel":{"name":"python3","language":"python"}}
{"v":1,"seq":2,"t":2,"k":"cell_start","cell":0}
{"v":1,"seq":3,"t":3,"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"the last that was said\n"}}
`

// TestAnEndThatTheServerConcludes: the agent is never heard of again, and what it brought is the record.
func TestAnEndThatTheServerConcludes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy runner.Policy
		phase  runner.Phase
		want   nes.Reason
	}{
		"the backend sees nothing of it":   {runner.Policy{}, runner.PhaseAbsent, nes.ReasonPodDeleted},
		"the backend sees that it is over": {runner.Policy{}, runner.PhaseGone, nes.ReasonKernelDied},
		"its agent is silent":              {runner.Policy{AgentSilence: 300 * time.Millisecond, MaxLook: 50 * time.Millisecond}, runner.PhaseRunning, nes.ReasonAgentLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.policy)
			require.NoError(t, h.controller.Start(t.Context()))
			defer h.controller.Stop()
			run := h.until(h.submit().ID, func(r nes.Run) bool { return r.Stage == nes.StageScheduling })
			ref := runner.Ref{Run: run.ID, Attempt: 1}
			agent := h.agent(ref, h.key.Token(ref))
			require.NoError(t, put(agent, "input.ipynb", cells))
			pace, err := agent.Journal(t.Context(), 0, []byte(said))
			require.NoError(t, err)
			require.EqualValues(t, len(said), pace.Offset)

			h.ward.mu.Lock()
			h.ward.phase = tt.phase
			h.ward.mu.Unlock()
			h.ward.notify(ref)
			run = h.until(run.ID, func(r nes.Run) bool { return r.Ended() })
			require.Equal(t, tt.want, run.Reason, run.Message)
			var b bytes.Buffer
			require.NoError(t, h.records.WriteNotebook(t.Context(), &run, 1, &b))
			require.Contains(t, b.String(), "the last that was said")
			page, err := h.records.Log(t.Context(), &run, 1, 0, 0)
			require.NoError(t, err)
			require.Contains(t, page.Text, "the last that was said")
		})
	}
}

func (h *house) until(id nes.RunID, ok func(nes.Run) bool) nes.Run {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		changed := h.ledger.Changed(id)
		run, err := h.ledger.Run(ctx, id)
		require.NoError(h.t, err)
		if ok(run) {
			return run
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.FailNow(h.t, "the run does not get there", "%s %s %s", run.Stage, run.Reason, run.Message)
		}
	}
}

// TestLeftoversAreClearedAway: the run ended under a controller that did not live to publish it.
func TestLeftoversAreClearedAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t, runner.Policy{})
	run := h.launched()
	ref := runner.Ref{Run: run.ID, Attempt: 1}
	require.NoError(t, h.agent(ref, h.key.Token(ref)).Exit(t.Context(), journal.Exit{V: 1, Reason: "CellError"}))
	run, err := h.ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	run = h.apply(nes.End(&run, nes.ReasonCellError, "", &nes.Outcome{Reason: nes.ReasonCellError}, time.Now()))
	require.False(t, run.Published)
	require.NoError(t, h.controller.Start(t.Context()))
	defer h.controller.Stop()
	h.until(h.submit().ID, func(r nes.Run) bool { return r.Stage == nes.StageScheduling })
	h.until(run.ID, func(r nes.Run) bool { return r.Published })
	require.Contains(t, strings.Join(h.stored(), " "), "verdict.json")
}

// Package runnertest says what a runner.Backend promises, as a suite that every
// implementation passes, with real processes.
package runnertest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// Place is where a backend of the suite runs attempts.
type Place struct {
	Server string // address that the attempts' agents call
	Python string // interpreter of the default runtime; not a real one
}

// New gives a function that opens a backend over the place. It is called again for what a restarted server does.
type New func(t *testing.T, p Place) func() runner.Backend

// What stands for the interpreter: the suite needs processes, not notebooks.
const (
	sleeps = "#!/bin/sh\nexec sleep 600\n"
	ends   = "#!/bin/sh\nexit 0\n"
)

// Run runs the suite.
func Run(t *testing.T, open New) {
	t.Run("what is unknown is absent", func(t *testing.T) { t.Parallel(); testAbsent(setup(t, open, ends)) })
	t.Run("launched twice is launched once", func(t *testing.T) { t.Parallel(); testTwice(setup(t, open, sleeps)) })
	t.Run("many launches at once are one", func(t *testing.T) { t.Parallel(); testAtOnce(setup(t, open, sleeps)) })
	t.Run("another order under the name is refused", func(t *testing.T) { t.Parallel(); testOther(setup(t, open, sleeps)) })
	t.Run("an attempt survives the server", func(t *testing.T) { t.Parallel(); testSurvives(setup(t, open, sleeps)) })
	t.Run("an end is reported and seen", func(t *testing.T) { t.Parallel(); testEnd(setup(t, open, ends)) })
	t.Run("removing ends what lives", func(t *testing.T) { t.Parallel(); testRemove(setup(t, open, sleeps)) })
	t.Run("an unknown runtime never starts", func(t *testing.T) { t.Parallel(); testRuntime(setup(t, open, ends)) })
}

type testBundle struct {
	*testing.T
	desk *desk
	open func() runner.Backend
	back runner.Backend
	job  runner.Job
}

func setup(t *testing.T, open New, python string) *testBundle {
	t.Helper()
	d := &desk{exits: make(chan journal.Exit, 10)}
	server := httptest.NewServer(agentapi.NewHandler(d, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	program := filepath.Join(t.TempDir(), "python")
	require.NoError(t, os.WriteFile(program, []byte(python), 0o755))
	b := &testBundle{T: t, desk: d, open: open(t, Place{Server: server.URL, Python: program})}
	b.back = b.open()
	ref := runner.Ref{Run: nes.RunID("suite-" + strings.Map(letters, t.Name())), Attempt: 1}
	b.job = runner.Job{Ref: ref, Token: "token", Launch: journal.Launch{V: 1, RunID: string(ref.Run), Attempt: 1, Notebook: "a.ipynb"}}
	d.launch = b.job.Launch
	t.Cleanup(func() { require.NoError(t, b.back.Remove(context.Background(), ref)) })
	return b
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r == '-' {
		return r
	}
	return -1
}

// until waits for a phase.
func (b *testBundle) until(want runner.Phase) runner.Observation {
	b.Helper()
	var o runner.Observation
	require.Eventually(b, func() bool {
		var err error
		o, err = b.back.Observe(context.Background(), b.job.Ref)
		require.NoError(b, err)
		return o.Phase == want
	}, 30*time.Second, 10*time.Millisecond, "it does not become %s", want)
	return o
}

func (b *testBundle) launch() {
	b.Helper()
	require.NoError(b, b.back.Launch(context.Background(), b.job))
}

func testAbsent(b *testBundle) {
	ctx, ref := context.Background(), b.job.Ref
	o, err := b.back.Observe(ctx, ref)
	require.NoError(b, err)
	require.Equal(b, runner.PhaseAbsent, o.Phase)
	require.False(b, o.Started)
	require.NoError(b, b.back.Stop(ctx, ref))
	require.NoError(b, b.back.Remove(ctx, ref))
	refs, err := b.back.List(ctx)
	require.NoError(b, err)
	require.Empty(b, refs)
}

func testTwice(b *testBundle) {
	b.launch()
	b.launch()
	o := b.until(runner.PhaseRunning)
	require.True(b, o.Started)
	b.launch()
	refs, err := b.back.List(context.Background())
	require.NoError(b, err)
	require.Equal(b, []runner.Ref{b.job.Ref}, refs)
	require.Equal(b, 1, b.desk.fetches())
}

func testAtOnce(b *testBundle) {
	var wg sync.WaitGroup
	other := b.open() // another server
	for i := range 8 {
		wg.Go(func() {
			back := b.back
			if i%2 == 1 {
				back = other
			}
			if err := back.Launch(context.Background(), b.job); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.until(runner.PhaseRunning)
	require.Equal(b, 1, b.desk.fetches())
}

func testOther(b *testBundle) {
	b.launch()
	other := b.job
	other.Token = "of somebody else"
	require.Equal(b, nes.CodeConflict, nes.CodeOf(b.back.Launch(context.Background(), other)))
	other = b.job
	other.Launch.Notebook = "b.ipynb"
	require.Equal(b, nes.CodeConflict, nes.CodeOf(b.back.Launch(context.Background(), other)))
}

func testSurvives(b *testBundle) {
	b.launch()
	b.until(runner.PhaseRunning)
	b.back = b.open()
	o := b.until(runner.PhaseRunning)
	require.True(b, o.Started)
	b.launch()
	require.Equal(b, 1, b.desk.fetches(), "adopted, not started again")
	require.NoError(b, b.back.Stop(context.Background(), b.job.Ref))
	o = b.until(runner.PhaseGone)
	require.True(b, o.Started)
	require.NoError(b, b.back.Stop(context.Background(), b.job.Ref))
}

func testEnd(b *testBundle) {
	b.launch()
	select {
	case e := <-b.desk.exits:
		require.False(b, e.Inferred, "exec left a marker: %+v", e)
	case <-time.After(30 * time.Second):
		require.FailNow(b, "no end was reported")
	}
	o := b.until(runner.PhaseGone)
	require.NotNil(b, o.Exit)
	require.True(b, o.Started)
}

func testRemove(b *testBundle) {
	b.launch()
	b.until(runner.PhaseRunning)
	require.NoError(b, b.back.Remove(context.Background(), b.job.Ref))
	b.until(runner.PhaseAbsent)
	refs, err := b.back.List(context.Background())
	require.NoError(b, err)
	require.Empty(b, refs)
}

func testRuntime(b *testBundle) {
	b.job.Runtime = "there-is-none"
	err := b.back.Launch(context.Background(), b.job)
	require.Error(b, err)
	require.Equal(b, nes.StatusFailed, nes.ReasonOf(err).Status(), err)
	b.until(runner.PhaseAbsent)
}

// desk is a server as agents see it.
type desk struct {
	launch journal.Launch
	exits  chan journal.Exit

	mu      sync.Mutex
	bundles int
}

func (d *desk) fetches() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bundles
}

// Launch implements agentapi.Service.
func (d *desk) Launch(context.Context, agentapi.Caller) (journal.Launch, error) { return d.launch, nil }

// Bundle implements agentapi.Service.
func (d *desk) Bundle(context.Context, agentapi.Caller) (io.ReadCloser, error) {
	d.mu.Lock()
	d.bundles++
	d.mu.Unlock()
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, time.Unix(0, 0), nil)
	if err != nil {
		return nil, err
	}
	err = w.Add(bundle.Entry{Path: "a.ipynb", Kind: bundle.File, Size: 2}, strings.NewReader("{}"))
	if err == nil {
		err = w.Close()
	}
	return io.NopCloser(&out), err
}

// Journal implements agentapi.Service.
func (d *desk) Journal(_ context.Context, _ agentapi.Caller, offset int64, body io.Reader) (agentapi.Pace, error) {
	n, err := io.Copy(io.Discard, body)
	return agentapi.Pace{Offset: offset + n, EveryMS: 20}, err
}

// PutFile implements agentapi.Service.
func (d *desk) PutFile(_ context.Context, _ agentapi.Caller, _, _ string, body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

// Exit implements agentapi.Service.
func (d *desk) Exit(_ context.Context, _ agentapi.Caller, e journal.Exit) error {
	select {
	case d.exits <- e:
	default:
	}
	return nil
}

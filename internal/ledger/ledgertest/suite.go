// Package ledgertest says what the ledger means: it passes this suite on every database.
package ledgertest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

// Run runs the suite; open gives an empty ledger.
func Run(t *testing.T, open func(t *testing.T) *ledger.Ledger) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, *ledger.Ledger)
	}{
		{"a run as it was submitted", submitted},
		{"values keep their form", forms},
		{"large documents", largeDocuments},
		{"times are microseconds in UTC", times},
		{"unknown runs", unknown},
		{"200 submissions with one key are one run", oneKey},
		{"keys", keys},
		{"attaching", attaching},
		{"50 submissions of one task are one run", oneTask},
		{"every pair of stages", pairs},
		{"every reason", reasons},
		{"attempt guard", attemptGuard},
		{"the life of a run", life},
		{"a retry", retry},
		{"ends without an attempt", endsEarly},
		{"hostile text", hostileText},
		{"one of 20 launches wins", launches},
		{"cancel", cancel},
		{"cancel against end", cancelAgainstEnd},
		{"publish", publish},
		{"counts", counts},
		{"lease", lease},
		{"one of 20 holds a lease", holders},
		{"a lease runs out", leaseEnds},
		{"keys are shared", sharedKey},
		{"heard", heard},
		{"checkpoints", checkpoints},
		{"filters", filters},
		{"filters like a model", filtersLikeAModel},
		{"bad filters", badFilters},
		{"notebooks that were run", notebooks},
		{"counts by status", tally},
		{"pages", pages},
		{"pages while runs are added", pagesWhileAdding},
		{"events", events},
		{"no event is missed", noEventMissed},
		{"changed", changed},
		{"tokens", tokens},
		{"odd names of tokens", oddTokens},
		{"one of 20 tokens of a name is issued", oneTokenAName},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// noon is when the suite's runs are submitted.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// submit creates a run that must be new.
func submit(t *testing.T, l *ledger.Ledger, spec nes.Spec) nes.Run {
	t.Helper()
	run, created, err := l.Create(t.Context(), submission(spec))
	require.NoError(t, err)
	require.True(t, created)
	return run
}

func submission(spec nes.Spec) ledger.Submission {
	if spec.InputURL == "" {
		spec.InputURL = "https://github.com/acme/reports/blob/main/daily.ipynb"
	}
	return ledger.Submission{Spec: spec, Owner: "alice", Team: "data", Client: "test/1", Fingerprint: "f1", At: noon}
}

func apply(t *testing.T, l *ledger.Ledger, c nes.Transition) nes.Run {
	t.Helper()
	run, err := l.Apply(t.Context(), c)
	require.NoError(t, err)
	return run
}

var fetched = nes.Fetched{
	Source: nes.Source{
		Repository: "github.com/acme/reports", CloneURL: "https://github.com/acme/reports.git", Ref: "main",
		Commit: "0123456789abcdef0123456789abcdef01234567", Path: "daily.ipynb", Bundle: "sources/x/y.tar.zst", BundleSHA256: "aa",
		KernelName: "python3", Language: "python",
	},
	Parameters:  map[string]json.RawMessage{"n": json.RawMessage("60")},
	Conversions: []nes.Conversion{{Name: "n", From: json.RawMessage(`"60"`), To: json.RawMessage("60"), Type: "int"}},
}

// path is how a run comes to a stage.
func path(to nes.Stage) []func(*nes.Run) nes.Transition {
	start := []func(*nes.Run) nes.Transition{
		func(r *nes.Run) nes.Transition { return nes.Fetch(r, at(1)) },
		func(r *nes.Run) nes.Transition { return nes.FetchDone(r, fetched, at(2)) },
		func(r *nes.Run) nes.Transition { return nes.Launch(r, "token", at(3)) },
		func(r *nes.Run) nes.Transition { return nes.Starting(r, at(4)) },
		func(r *nes.Run) nes.Transition { return nes.Executing(r, at(5)) },
		func(r *nes.Run) nes.Transition { return nes.Saving(r, json.RawMessage(`{"v":1}`), "", at(6)) },
	}
	steps := map[nes.Stage]int{nes.StageQueued: 0, nes.StageFetching: 1, nes.StageScheduling: 3, nes.StageStarting: 4, nes.StageExecuting: 5, nes.StageSaving: 6, nes.StageWaiting: 6, nes.StageEnded: 6}
	way := start[:steps[to]]
	switch to {
	case nes.StageWaiting:
		way = append(way, func(r *nes.Run) nes.Transition {
			return nes.RetryLater(r, nes.Outcome{Reason: nes.ReasonNodeLost}, at(60), at(7))
		})
	case nes.StageEnded:
		way = append(way, func(r *nes.Run) nes.Transition {
			return nes.End(r, nes.ReasonCompleted, "", &nes.Outcome{}, at(7))
		})
	}
	return way
}

// reach brings a new run to a stage.
func reach(t *testing.T, l *ledger.Ledger, to nes.Stage) nes.Run {
	t.Helper()
	run := submit(t, l, nes.Spec{})
	for _, step := range path(to) {
		run = apply(t, l, step(&run))
	}
	require.Equal(t, to, run.Stage)
	return run
}

// snapshot is all that the ledger knows of a run.
type snapshot struct {
	run      nes.Run
	attempts []nes.Attempt
	events   []nes.Event
}

func look(t *testing.T, l *ledger.Ledger, id nes.RunID) snapshot {
	t.Helper()
	run, err := l.Run(t.Context(), id)
	require.NoError(t, err)
	attempts, err := l.Attempts(t.Context(), id)
	require.NoError(t, err)
	events, err := l.Events(t.Context(), 0, id, 1000)
	require.NoError(t, err)
	return snapshot{run, attempts, events}
}

func kinds(events []nes.Event) []string {
	var k []string
	for _, e := range events {
		k = append(k, e.Kind)
	}
	return k
}

func requireCode(t *testing.T, code nes.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, nes.CodeOf(err), "%v", err)
}

// together starts n functions at the same moment and waits for them.
func together(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	start := make(chan struct{})
	for i := range n {
		g.Go(func() error {
			<-start
			return f(ctx, i)
		})
	}
	close(start)
	return g.Wait()
}

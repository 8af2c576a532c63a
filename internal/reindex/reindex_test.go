package reindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// shelf is a ledger that remembers what was put back.
type shelf struct {
	mu    sync.Mutex
	runs  map[nes.RunID]nes.Dossier
	notes map[nes.RunID]string
	err   error
}

func (s *shelf) Restore(_ context.Context, d nes.Dossier) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.runs[d.Run.ID]; known || s.err != nil {
		return false, s.err
	}
	s.runs[d.Run.ID] = d
	return true, nil
}

func (s *shelf) Note(_ context.Context, id nes.RunID, message string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[id] = message
	return nil
}

// bench is a bucket and an empty ledger.
type bench struct {
	storage.Bucket
	ledger *shelf
	lives  map[string]bool
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := file.Open(t.TempDir())
	require.NoError(t, err)
	return &bench{Bucket: b, ledger: &shelf{runs: map[nes.RunID]nes.Dossier{}, notes: map[nes.RunID]string{}}, lives: map[string]bool{}}
}

func (b *bench) put(t *testing.T, key, text string) {
	t.Helper()
	_, err := b.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{})
	require.NoError(t, err)
}

// keep stores a dossier of a run's attempt under a name, as the record does.
func (b *bench) keep(t *testing.T, id nes.RunID, attempt int, name string, stage nes.Stage) {
	t.Helper()
	r := nes.Run{ID: id, Attempt: attempt, Stage: stage, Status: nes.StatusPending, CreatedAt: noon, Version: 3}
	if stage == nes.StageEnded {
		r.Status, r.EndedAt = nes.StatusSucceeded, &noon
	}
	d := nes.Dossier{V: 1, Run: r}
	for n := 1; n <= attempt; n++ {
		d.Attempts = append(d.Attempts, nes.KeptAttempt{Attempt: nes.Attempt{RunID: id, Number: n}})
	}
	text, err := json.Marshal(d)
	require.NoError(t, err)
	b.put(t, storage.AttemptPrefix(&r, attempt)+name, string(text))
}

func (b *bench) reindex(t *testing.T) (Report, error) {
	t.Helper()
	return Run(t.Context(), Options{
		Bucket: b, Ledger: b.ledger, Now: func() time.Time { return noon },
		Lives: func(a nes.KeptAttempt) bool { return b.lives[fmt.Sprint(a.RunID, a.Number)] },
	})
}

// TestTheNewestWordCounts: a verdict before an intent, a later attempt before an earlier one, and tens before units.
func TestTheNewestWordCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "early", 0, "verdict.json", nes.StageEnded)
	for attempt := 1; attempt <= 12; attempt++ {
		b.keep(t, "retried", attempt, "intent.json", nes.StageScheduling)
		b.keep(t, "lost", attempt, "intent.json", nes.StageScheduling)
	}
	b.keep(t, "retried", 12, "verdict.json", nes.StageEnded)
	b.keep(t, "alive", 1, "intent.json", nes.StageScheduling)
	b.lives["alive1"], b.lives["lost11"] = true, true
	b.put(t, "runs/2026-03-04/retried/12/journal/0000.jsonl", "x")
	b.put(t, "notebooks/x.ipynb", "x")
	report, err := b.reindex(t)
	require.NoError(t, err)
	require.Equal(t, Report{Ended: 2, UnderWay: 2}, report)
	require.Equal(t, 0, b.ledger.runs["early"].Run.Attempt)
	require.Equal(t, 12, b.ledger.runs["retried"].Run.Attempt)
	require.True(t, b.ledger.runs["retried"].Run.Stage == nes.StageEnded)
	require.Equal(t, nes.StageScheduling, b.ledger.runs["alive"].Run.Stage)
	require.Contains(t, b.ledger.notes["alive"], "attempt 1 goes on")
	lost := b.ledger.runs["lost"].Run
	require.Equal(t, 12, lost.Attempt)
	require.Equal(t, nes.StageSaving, lost.Stage, "what no backend knows is concluded, never launched again")
	require.Equal(t, nes.StageSaving.Status(), lost.Status)
	require.EqualValues(t, 4, lost.Version)
	require.Contains(t, b.ledger.notes["lost"], "its journal says what came of it")
	require.Len(t, b.ledger.notes, 2)

	report, err = b.reindex(t)
	require.NoError(t, err)
	require.Equal(t, Report{Known: 4}, report, "a second time changes nothing")
}

// TestWhatCannotBeReadIsNamed, and keeps nothing else back.
func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "good", 1, "verdict.json", nes.StageEnded)
	b.keep(t, "unended", 1, "verdict.json", nes.StageExecuting)
	b.keep(t, "odd", 1, "intent.json", nes.StageEnded)
	for id, text := range map[string]string{
		"torn": `{"v":1,"run":{"id":"to`, "newer": `{"v":2,"run":{"id":"newer"}}`, "other": `{"v":1,"run":{"id":"good","stage":"ended"}}`,
		"nothing": `{"v":1}`, "list": `[]`,
	} {
		b.put(t, "runs/2026-03-04/"+id+"/1/verdict.json", text)
	}
	b.put(t, "runs/2026-03-04/bare/1/log.txt", "x")
	report, err := b.reindex(t)
	require.NoError(t, err)
	require.Equal(t, 1, report.Ended)
	require.Len(t, b.ledger.runs, 1)
	want := map[string]string{
		"torn": "cannot be read", "newer": "use a newer NES", "other": `tells of run "good"`, "nothing": `tells of run ""`, "list": "cannot be read",
		"bare": "neither a verdict nor an intent", "unended": "that is executing", "odd": "that is ended",
	}
	require.Len(t, report.Failed, len(want))
	for id, why := range want {
		require.Contains(t, strings.Join(report.Failed, "\n"), "runs/2026-03-04/"+id+": ")
		require.Contains(t, strings.Join(report.Failed, "\n"), why)
	}
}

func TestAnEmptyBucket(t *testing.T) {
	t.Parallel()
	report, err := newBench(t).reindex(t)
	require.NoError(t, err)
	require.Zero(t, report)
}

func TestALedgerThatRefusesEndsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "good", 1, "verdict.json", nes.StageEnded)
	b.ledger.err = errors.New("no room")
	_, err := b.reindex(t)
	require.ErrorIs(t, err, b.ledger.err)
}

// away is a bucket that cannot be read.
type away struct{ storage.Bucket }

func (away) Open(context.Context, string, int64, int64) (storage.Object, io.ReadCloser, error) {
	return storage.Object{}, nil, nes.Errorf(nes.CodeUnavailable, "the store answers 503")
}

// TestABucketThatIsAwayEndsIt: a run is not taken for one without a verdict because nobody could look.
func TestABucketThatIsAwayEndsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "good", 1, "verdict.json", nes.StageEnded)
	b.Bucket = away{b.Bucket}
	report, err := b.reindex(t)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	require.Empty(t, report.Failed)
	require.Empty(t, b.ledger.runs)
}

// TestManyRuns come back through pages of listings.
func TestManyRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 1203 {
		b.keep(t, nes.RunID(fmt.Sprint("run-", i)), 1, "verdict.json", nes.StageEnded)
	}
	report, err := b.reindex(t)
	require.NoError(t, err)
	require.Equal(t, Report{Ended: 1203}, report)
	require.Len(t, b.ledger.runs, 1203)
}

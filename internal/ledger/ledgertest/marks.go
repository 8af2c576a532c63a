package ledgertest

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

func unsettled(t *testing.T, l *ledger.Ledger) []nes.RunID {
	t.Helper()
	runs, err := l.Unsettled(t.Context())
	require.NoError(t, err)
	ids := []nes.RunID{}
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	return ids
}

func publish(t *testing.T, l *ledger.Ledger) {
	first, second := submit(t, l, nes.Spec{}), submit(t, l, nes.Spec{})
	require.Equal(t, []nes.RunID{first.ID, second.ID}, unsettled(t, l))
	requireCode(t, nes.CodeConflict, l.Published(t.Context(), first.ID))
	first = apply(t, l, nes.End(&first, nes.ReasonCancelled, "", nil, noon))
	require.False(t, first.Published)
	require.Equal(t, []nes.RunID{first.ID, second.ID}, unsettled(t, l), "an ended run is unsettled until it is published")
	require.NoError(t, l.Published(t.Context(), first.ID))
	require.NoError(t, l.Published(t.Context(), first.ID))
	require.Equal(t, []nes.RunID{second.ID}, unsettled(t, l))
	seen := look(t, l, first.ID)
	require.True(t, seen.run.Published)
	require.Equal(t, []string{"submitted", "ended", "published"}, kinds(seen.events))
}

func counts(t *testing.T, l *ledger.Ledger) {
	found, err := l.Counts(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
	want := map[nes.Stage]int{}
	for i, stage := range nes.Stages() {
		for range i + 1 {
			reach(t, l, stage)
		}
		if stage != nes.StageEnded {
			want[stage] = i + 1
		}
	}
	found, err = l.Counts(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, found)
}

func lease(t *testing.T, l *ledger.Ledger) {
	run := submit(t, l, nes.Spec{Lease: nes.Duration(time.Minute)})
	asked := func(s int) time.Time {
		t.Helper()
		require.NoError(t, l.Asked(t.Context(), &run, at(s)))
		seen := look(t, l, run.ID)
		require.EqualValues(t, 1, seen.run.Version, "asking is no change")
		require.Len(t, seen.events, 1)
		run = seen.run
		return *run.AskedAt
	}
	require.Nil(t, run.AskedAt)
	require.Equal(t, at(1), asked(1))
	require.Equal(t, at(1), asked(3), "seconds do not matter")
	require.Equal(t, at(10), asked(10))
	stale := run
	stale.AskedAt = nil
	require.NoError(t, l.Asked(t.Context(), &stale, at(2)))
	require.Equal(t, at(10), *look(t, l, run.ID).run.AskedAt, "time does not go back")
	plain := submit(t, l, nes.Spec{})
	require.NoError(t, l.Asked(t.Context(), &plain, at(1)))
	require.Nil(t, look(t, l, plain.ID).run.AskedAt)
}

func holders(t *testing.T, l *ledger.Ledger) {
	var held atomic.Int32
	err := together(t.Context(), 20, func(ctx context.Context, i int) error {
		ok, err := l.Hold(ctx, "control", strconv.Itoa(i), time.Hour)
		if ok {
			held.Add(1)
			ok, err = l.Hold(ctx, "control", strconv.Itoa(i), time.Hour)
			if !ok {
				held.Add(100)
			}
		}
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, held.Load(), "one has it, and may renew it")
	ok, err := l.Hold(t.Context(), "other", "x", time.Hour)
	require.NoError(t, err)
	require.True(t, ok, "another name is another lease")
}

func leaseEnds(t *testing.T, l *ledger.Ledger) {
	hold := func(holder string, term time.Duration) bool {
		t.Helper()
		ok, err := l.Hold(t.Context(), "control", holder, term)
		require.NoError(t, err)
		return ok
	}
	require.True(t, hold("a", time.Hour))
	require.False(t, hold("b", time.Hour))
	require.NoError(t, l.Release(t.Context(), "control", "b"))
	require.False(t, hold("b", time.Hour), "it can be given back by its holder alone")
	require.NoError(t, l.Release(t.Context(), "control", "a"))
	began := time.Now()
	const term = 200 * time.Millisecond
	require.True(t, hold("b", term))
	require.Eventually(t, func() bool { return hold("c", time.Hour) }, time.Minute, 5*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(began), term)
	require.False(t, hold("b", term), "who came too late has lost it")
}

// sharedKey: of many that ask at once one draws, and all get that.
func sharedKey(t *testing.T, l *ledger.Ledger) {
	var drawn atomic.Int32
	got := make([]string, 20)
	var all errgroup.Group
	for i := range got {
		all.Go(func() (err error) {
			got[i], err = l.Key(t.Context(), "attempts", func() string { drawn.Add(1); return strconv.Itoa(i) })
			return err
		})
	}
	require.NoError(t, all.Wait())
	require.NotEmpty(t, got[0])
	for _, k := range got {
		require.Equal(t, got[0], k)
	}
	other, err := l.Key(t.Context(), "other", func() string { return "x" })
	require.NoError(t, err)
	require.Equal(t, "x", other)
	require.EqualValues(t, 1, drawn.Load())
}

func heard(t *testing.T, l *ledger.Ledger) {
	run := reach(t, l, nes.StageExecuting)
	read := func() *time.Time {
		t.Helper()
		a, err := l.Attempt(t.Context(), run.ID, 1)
		require.NoError(t, err)
		return a.HeardAt
	}
	require.Nil(t, read())
	require.NoError(t, l.Heard(t.Context(), run.ID, 1, at(20)))
	require.Equal(t, at(20), *read())
	require.NoError(t, l.Heard(t.Context(), run.ID, 1, at(10)))
	require.Equal(t, at(20), *read(), "time does not go back")
	require.NoError(t, l.Heard(t.Context(), run.ID, 7, at(30)), "what is not there was not heard")
	require.Equal(t, run, look(t, l, run.ID).run, "hearing is no change")
}

func checkpoints(t *testing.T, l *ledger.Ledger) {
	_, err := l.Checkpoint(t.Context(), "data", "orders")
	requireCode(t, nes.CodeNotFound, err)
	end := func(reason nes.Reason, value string) nes.Run {
		run := reach(t, l, nes.StageSaving)
		o := nes.Outcome{Reason: reason, Checkpoints: map[string]json.RawMessage{"orders": json.RawMessage(value)}}
		return apply(t, l, nes.End(&run, reason, "", &o, at(9)))
	}
	first := end(nes.ReasonCompleted, `{"id":"<5>"}`)
	want := nes.Checkpoint{Name: "orders", Value: json.RawMessage(`{"id":"<5>"}`), RunID: first.ID, At: at(9)}
	c, err := l.Checkpoint(t.Context(), "data", "orders")
	require.NoError(t, err)
	require.Equal(t, want, c)
	end(nes.ReasonCellError, "6")
	run := reach(t, l, nes.StageSaving)
	apply(t, l, nes.RetryLater(&run, nes.Outcome{Reason: nes.ReasonNotReady, Checkpoints: map[string]json.RawMessage{"orders": json.RawMessage("7")}}, at(60), at(9)))
	c, err = l.Checkpoint(t.Context(), "data", "orders")
	require.NoError(t, err)
	require.Equal(t, want, c, "a run that does not succeed moves no checkpoint")
	second := end(nes.ReasonSkipped, "8")
	c, err = l.Checkpoint(t.Context(), "data", "orders")
	require.NoError(t, err)
	require.Equal(t, second.ID, c.RunID)
	_, err = l.Checkpoint(t.Context(), "other", "orders")
	requireCode(t, nes.CodeNotFound, err)
	require.NoError(t, l.SetCheckpoint(t.Context(), "data", "orders", json.RawMessage("0"), at(10)))
	c, err = l.Checkpoint(t.Context(), "data", "orders")
	require.NoError(t, err)
	require.Equal(t, nes.Checkpoint{Name: "orders", Value: json.RawMessage("0"), At: at(10)}, c)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// changed: each kind of change closes the channels of its run, and of all runs, and no others.
func changed(t *testing.T, l *ledger.Ledger) {
	other := submit(t, l, nes.Spec{})
	run := submit(t, l, nes.Spec{IdempotencyKey: "k"})
	ctx := t.Context()
	changes := map[string]func() error{
		"apply":   func() (err error) { run, err = l.Apply(ctx, nes.Fetch(&run, noon)); return err },
		"cancel":  func() (err error) { run, err = l.RequestCancel(ctx, run.ID, "bob", noon); return err },
		"note":    func() error { return l.Note(ctx, run.ID, "hello", noon) },
		"end":     func() (err error) { run, err = l.Apply(ctx, nes.End(&run, "", "", nil, noon)); return err },
		"publish": func() error { return l.Published(ctx, run.ID) },
	}
	untouched := l.Changed(other.ID)
	for _, name := range []string{"apply", "cancel", "note", "end", "publish"} {
		one, any := l.Changed(run.ID), l.Changed("")
		require.False(t, isClosed(one) || isClosed(any))
		require.NoError(t, changes[name](), name)
		require.True(t, isClosed(one), name)
		require.True(t, isClosed(any), name)
	}
	any := l.Changed("")
	_, err := l.Apply(ctx, nes.Fetch(&run, noon))
	requireCode(t, nes.CodeConflict, err)
	_, _, err = l.Create(ctx, submission(nes.Spec{IdempotencyKey: "k"}))
	require.NoError(t, err)
	require.False(t, isClosed(any), "what changes nothing wakes nobody")
	submit(t, l, nes.Spec{})
	require.True(t, isClosed(any))
	require.False(t, isClosed(untouched))
}

package ledgertest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

// pairs tries to move a run from each stage to each stage: what the table of
// stages allows happens, and nothing else changes anything.
func pairs(t *testing.T, l *ledger.Ledger) {
	for _, from := range nes.Stages() {
		for _, to := range nes.Stages() {
			run := reach(t, l, from)
			before := look(t, l, run.ID)
			c := move(&run, to)
			after, err := l.Apply(t.Context(), c)
			if !from.CanBecome(to) {
				requireCode(t, nes.CodeConflict, err)
				require.ErrorContains(t, err, string(from))
				require.Equal(t, before, look(t, l, run.ID), "%s to %s", from, to)
				continue
			}
			require.NoError(t, err, "%s to %s", from, to)
			seen := look(t, l, run.ID)
			require.Equal(t, after, seen.run)
			require.Equal(t, before.run.Version+1, after.Version)
			require.Equal(t, to, after.Stage)
			require.Len(t, seen.events, len(before.events)+1)
			event := seen.events[len(before.events)]
			require.Equal(t, nes.Event{
				Seq: event.Seq, RunID: run.ID, At: c.At, Kind: c.Kind, Status: after.Status, Stage: to, Attempt: after.Attempt, Reason: c.Reason, Message: c.Message,
			}, event)
			if to == nes.StageEnded {
				require.Equal(t, c.Reason.Status(), after.Status)
				require.Equal(t, c.At, *after.EndedAt)
			} else {
				require.Equal(t, to.Status(), after.Status)
				require.Nil(t, after.EndedAt)
			}
		}
	}
}

// move is the transition to a stage, whatever stage run is in.
func move(run *nes.Run, to nes.Stage) nes.Transition {
	c := nes.Transition{Run: run.ID, To: to, Attempt: run.Attempt, Kind: "moved", Message: "why", At: at(100)}
	switch to {
	case nes.StageScheduling:
		c.Attempt++
		c.TokenHash = "token"
	case nes.StageEnded:
		c.Reason = nes.ReasonCellError
	}
	return c
}

func reasons(t *testing.T, l *ledger.Ledger) {
	for _, row := range nes.Reasons() {
		run := reach(t, l, nes.StageSaving)
		run = apply(t, l, nes.End(&run, row.Reason, "so it was", &nes.Outcome{Reason: row.Reason, Message: "so it was"}, at(8)))
		require.Equal(t, row.Status, run.Status)
		require.Equal(t, row.Reason, run.Reason)
		require.Equal(t, "so it was", run.Message)
		attempt, err := l.Attempt(t.Context(), run.ID, 1)
		require.NoError(t, err)
		require.Equal(t, row.Status, attempt.Status)
		require.Equal(t, row.Reason, attempt.Reason)
	}
}

// attemptGuard: a change that supposes another attempt is refused, in every stage.
func attemptGuard(t *testing.T, l *ledger.Ledger) {
	for _, from := range nes.Stages() {
		for _, to := range nes.Stages() {
			for _, off := range []int{-1, 1, 2} {
				if !from.CanBecome(to) {
					continue
				}
				run := reach(t, l, from)
				before := look(t, l, run.ID)
				c := move(&run, to)
				c.Attempt += off
				_, err := l.Apply(t.Context(), c)
				requireCode(t, nes.CodeConflict, err)
				require.Equal(t, before, look(t, l, run.ID), "%s to %s, attempt off by %d", from, to, off)
			}
		}
	}
}

func life(t *testing.T, l *ledger.Ledger) {
	run := submit(t, l, nes.Spec{Parameters: map[string]json.RawMessage{"n": json.RawMessage(`"60"`)}})
	run = apply(t, l, nes.Fetch(&run, at(1)))
	run = apply(t, l, nes.FetchDone(&run, fetched, at(2)))
	require.Equal(t, fetched.Source, *run.Source)
	require.Equal(t, fetched.Parameters, run.Parameters)
	require.Equal(t, fetched.Conversions, run.Conversions)
	run = apply(t, l, nes.Launch(&run, "token", at(3)).In("a machine"))
	require.Equal(t, 1, run.Attempt)
	launched, err := l.Attempt(t.Context(), run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "a machine", launched.Place)
	run = apply(t, l, nes.Starting(&run, at(4)))
	require.Nil(t, run.StartedAt)
	run = apply(t, l, nes.Executing(&run, at(5)))
	require.Equal(t, at(5), *run.StartedAt)
	run = apply(t, l, nes.Saving(&run, json.RawMessage(`{"v":1,"reason":""}`), "exited", at(6)))
	require.Equal(t, "exited", run.Message)
	done := at(6)
	outcome := nes.Outcome{
		Notebook: "notebooks/x.ipynb", Index: "i", Log: "l", Files: []nes.File{{Name: "a.csv", Size: 3, SHA256: "bb"}},
		Result: json.RawMessage(`{"rows":3}`), Progress: nes.Progress{Total: 2, Done: 2, Current: -1, CurrentSince: &done}, Versions: nes.Versions{Python: "3.12"},
	}
	run = apply(t, l, nes.End(&run, nes.ReasonCompleted, "", &outcome, at(7)))
	require.Equal(t, &outcome, run.Outcome)
	require.Equal(t, nes.StatusSucceeded, run.Status)
	require.Equal(t, fetched.Source, *run.Source, "an ended run keeps everything")
	require.Equal(t, at(5), *run.StartedAt)

	seen := look(t, l, run.ID)
	started, ended := at(5), at(6)
	require.Equal(t, []nes.Attempt{{
		RunID: run.ID, Number: 1, Status: nes.StatusSucceeded, Place: "a machine", LaunchedAt: at(3), StartedAt: &started, EndedAt: &ended,
		TokenHash: "token", Exit: json.RawMessage(`{"v":1,"reason":""}`), Outcome: &outcome,
	}}, seen.attempts)
	require.Equal(t, []string{"submitted", "fetching", "fetched", "launched", "starting", "started", "saving", "ended"}, kinds(seen.events))
}

func retry(t *testing.T, l *ledger.Ledger) {
	run := reach(t, l, nes.StageWaiting)
	require.Equal(t, nes.StatusPending, run.Status)
	require.Empty(t, run.Reason, "a run has a reason when it has ended")
	require.Equal(t, at(60), *run.NotBefore)
	run = apply(t, l, nes.Requeue(&run, "the wait is over", at(61)))
	require.Nil(t, run.NotBefore)
	run = apply(t, l, nes.Launch(&run, "token 2", at(62)))
	require.Equal(t, 2, run.Attempt)
	require.Nil(t, run.StartedAt, "the newest attempt has not started")
	require.Equal(t, nes.ReasonNodeLost, run.Outcome.Reason)

	before := look(t, l, run.ID)
	late := run
	late.Attempt = 1
	for _, c := range []nes.Transition{
		nes.Starting(&late, at(63)), nes.Executing(&late, at(63)), nes.Saving(&late, nil, "", at(63)),
	} {
		_, err := l.Apply(t.Context(), c)
		requireCode(t, nes.CodeConflict, err)
		require.ErrorContains(t, err, "at attempt 2")
	}
	require.Equal(t, before, look(t, l, run.ID), "a superseded attempt changes nothing")

	run = apply(t, l, nes.Saving(&run, nil, "never started", at(64)))
	run = apply(t, l, nes.RetryLater(&run, nes.Outcome{Reason: nes.ReasonEvicted, Message: "moved"}, at(70), at(65)))
	run = apply(t, l, nes.End(&run, nes.ReasonCancelled, "enough", nil, at(66)))
	attempts := look(t, l, run.ID).attempts
	require.Len(t, attempts, 2)
	require.Equal(t, nes.ReasonNodeLost, attempts[0].Reason)
	require.Equal(t, nes.ReasonEvicted, attempts[1].Reason, "how the run ended does not change how its attempt did")
	require.Equal(t, nes.StatusError, attempts[1].Status)
	require.Equal(t, at(64), *attempts[1].EndedAt)
	require.Nil(t, attempts[1].Exit)
	require.Equal(t, nes.StatusFailed, run.Status)
}

func endsEarly(t *testing.T, l *ledger.Ledger) {
	for _, from := range []nes.Stage{nes.StageQueued, nes.StageFetching} {
		run := reach(t, l, from)
		run = apply(t, l, nes.End(&run, nes.ReasonSourceNotFound, "no such branch", nil, at(9)))
		require.Equal(t, nes.StatusFailed, run.Status)
		require.Nil(t, run.Outcome)
		require.Empty(t, look(t, l, run.ID).attempts)
	}
	run := reach(t, l, nes.StageSaving)
	run = apply(t, l, nes.End(&run, nes.ReasonAgentLost, "silent", nil, at(9)))
	attempt, err := l.Attempt(t.Context(), run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, nes.ReasonAgentLost, attempt.Reason, "without an outcome, the attempt ended as the run did")
	require.Equal(t, "silent", attempt.Message)
	require.Equal(t, nes.StatusError, attempt.Status)
}

func launches(t *testing.T, l *ledger.Ledger) {
	run := submit(t, l, nes.Spec{})
	var mu sync.Mutex
	won := 0
	err := together(t.Context(), 20, func(ctx context.Context, _ int) error {
		_, err := l.Apply(ctx, nes.Launch(&run, "token", noon))
		if nes.CodeOf(err) == nes.CodeConflict {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		won++
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, won)
	require.Len(t, look(t, l, run.ID).attempts, 1)
}

// hostileText: a message may quote anything, and is kept as far as text can be.
func hostileText(t *testing.T, l *ledger.Ledger) {
	run := reach(t, l, nes.StageSaving)
	const message = "a\x00b\xff' -- \u202e한글"
	require.NoError(t, l.Note(t.Context(), run.ID, message, noon))
	run = apply(t, l, nes.End(&run, nes.ReasonCellError, message, &nes.Outcome{Reason: nes.ReasonCellError, Message: message}, noon))
	const want = "ab\uFFFD' -- \u202e한글"
	seen := look(t, l, run.ID)
	require.Equal(t, want, seen.run.Message)
	require.Equal(t, want, seen.attempts[0].Message)
	for _, e := range seen.events[len(seen.events)-2:] {
		require.Equal(t, want, e.Message)
	}
}

func cancel(t *testing.T, l *ledger.Ledger) {
	for _, stage := range nes.Stages() {
		run := reach(t, l, stage)
		before := look(t, l, run.ID)
		after, err := l.RequestCancel(t.Context(), run.ID, "bob", at(50))
		if stage == nes.StageEnded {
			requireCode(t, nes.CodeConflict, err)
			require.Equal(t, before, look(t, l, run.ID))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, at(50), *after.CancelRequestedAt)
		require.Equal(t, "bob", after.CancelRequestedBy)
		require.Equal(t, stage, after.Stage, "a request stops nothing by itself")
		require.Equal(t, before.run.Version+1, after.Version)
		again, err := l.RequestCancel(t.Context(), run.ID, "carol", at(51))
		require.NoError(t, err)
		require.Equal(t, after, again, "asked again, nothing changes")
		seen := look(t, l, run.ID)
		require.Len(t, seen.events, len(before.events)+1)
		last := seen.events[len(before.events)]
		require.Equal(t, "cancel_requested", last.Kind)
		require.Equal(t, "bob", last.Actor)
	}
}

// cancelAgainstEnd: whichever comes first, all that can be asked agrees on it.
func cancelAgainstEnd(t *testing.T, l *ledger.Ledger) {
	for range 60 {
		run := reach(t, l, nes.StageSaving)
		var cancelErr error
		err := together(t.Context(), 2, func(ctx context.Context, i int) error {
			if i == 0 {
				_, cancelErr = l.RequestCancel(ctx, run.ID, "bob", at(50))
				return nil
			}
			_, err := l.Apply(ctx, nes.End(&run, nes.ReasonCompleted, "", &nes.Outcome{}, at(50)))
			return err
		})
		require.NoError(t, err)
		seen := look(t, l, run.ID)
		require.Equal(t, nes.StatusSucceeded, seen.run.Status)
		last := kinds(seen.events)[len(seen.events)-2:]
		if cancelErr == nil {
			require.Equal(t, []string{"cancel_requested", "ended"}, last)
			require.NotNil(t, seen.run.CancelRequestedAt)
			require.Equal(t, run.Version+2, seen.run.Version)
		} else {
			requireCode(t, nes.CodeConflict, cancelErr)
			require.Equal(t, []string{"saving", "ended"}, last)
			require.Nil(t, seen.run.CancelRequestedAt)
			require.Equal(t, run.Version+1, seen.run.Version)
		}
	}
}

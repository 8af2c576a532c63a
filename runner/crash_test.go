package runner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

// life takes a run whose node is lost once through its two attempts to its end, and starts the server again
// whenever it crashes.
func (s *site) life() nes.Run {
	s.t.Helper()
	id := s.submit(nes.Spec{Retry: &nes.Retry{Limit: 1}}).ID
	for range 60 {
		run := s.run(id)
		switch {
		case run.Ended() && run.Published:
			return run
		case run.Stage == nes.StageWaiting:
			s.now = now.Add(time.Minute) // in every life the same, whatever the jitter
		}
		if _, err := s.step(id, 0); err != nil {
			s.restart()
			continue
		}
		run = s.run(id)
		if _, launched := s.yard.jobs[Ref{id, run.Attempt}]; !launched || !takesPlace(run.Stage) {
			continue
		}
		exit := journal.Exit{}
		if run.Attempt == 1 {
			exit.Reason, exit.Message = string(nes.ReasonNodeLost), "the node is lost"
		}
		if err := s.report(&run, oneCellSaid, exit); err != nil {
			s.restart()
		}
	}
	require.FailNow(s.t, "the run does not end", "%+v", s.run(id))
	return nes.Run{}
}

// story is everything that a run's life left for people, without what differs between two runs anyway.
func (s *site) story(r nes.Run) string {
	s.t.Helper()
	var b strings.Builder
	for attempt := 1; attempt <= r.Attempt; attempt++ {
		b.WriteString(s.object(storage.NotebookKey(&r, attempt)))
		b.WriteString(s.object(storage.AttemptPrefix(&r, attempt) + "log.txt"))
	}
	attempts, err := s.ledger.Attempts(s.t.Context(), r.ID)
	require.NoError(s.t, err)
	for _, a := range attempts {
		fmt.Fprintf(&b, "%d %s %q %s\n", a.Number, a.Status, a.Reason, a.Message)
	}
	fmt.Fprintf(&b, "%s %q %d %+v", r.Status, r.Reason, r.Attempt, r.Outcome.Progress)
	return strings.ReplaceAll(b.String(), string(r.ID), "RUN")
}

// TestACrashAnywhereChangesNothing kills the server after every change that it makes in ledger, bucket
// and backend in a run's whole life. What people see at the end is the same each time.
func TestACrashAnywhereChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	calm := s.life()
	want, changes := s.story(calm), s.faults.calls
	require.Equal(t, nes.StatusSucceeded, calm.Status)
	require.Greater(t, changes, 20)
	for at := 1; at <= changes; at++ {
		s.now = now
		s.faults.calls, s.faults.at = 0, at
		run := s.life()
		require.Equal(t, want, s.story(run), at)
		kinds, _ := s.events(run.ID)
		for kind, n := range map[string]int{"launched": 2, "saving": 2, "waiting": 1, "ended": 1, "published": 1} {
			require.Equal(t, n, kinds[kind], "%d: %s", at, kind)
		}
		require.Contains(t, s.object(storage.AttemptPrefix(&run, 2)+"verdict.json"), string(run.ID))
		require.NotContains(t, s.yard.seen, Ref{run.ID, 2}, "nothing of the last attempt is left")
		require.Len(t, s.yard.jobs, 2*(at+1), "no attempt is launched twice")
	}
	require.Empty(t, s.yard.changed, "an attempt that is taken up again is told the same")
}

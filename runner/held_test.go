package runner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// An attempt that waits its turn in the cluster is not given up by the clock of its start, which begins when its turn comes.
func TestAnAttemptThatTheBackendHoldsBack(t *testing.T) {
	t.Parallel()
	pending := func(mod func(*Observation)) Facts {
		f := Facts{Seen: Observation{Phase: PhasePending}, LaunchedAt: ago(time.Hour), Since: ago(2 * time.Hour)}
		mod(&f.Seen)
		return f
	}
	r := run(nes.StageScheduling)
	for name, c := range map[string]struct {
		seen func(*Observation)
		want Action
		says string
	}{
		"held for an hour":          {func(o *Observation) { o.Held, o.Message = true, "waits in the queue" }, ActWait, "waits in the queue"},
		"its turn came a while ago": {func(o *Observation) { o.Since = ago(9 * time.Minute) }, ActWait, ""},
		"its turn came long ago":    {func(o *Observation) { o.Since = ago(11 * time.Minute) }, ActSave, "did not report within 10m0s"},
		"nobody held it":            {func(o *Observation) {}, ActSave, "did not report within 10m0s"},
		"given up by the backend":   {func(o *Observation) { o.Reason, o.Message = nes.ReasonUnschedulable, "no place" }, ActSave, "no place"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Decide(&r, pending(c.seen), now)
			require.Equal(t, c.want, d.Do)
			require.Contains(t, d.Message, c.says)
			if d.Do == ActWait {
				require.True(t, d.At.After(now), "else it would be looked at without end")
			} else {
				require.True(t, d.Exit.Unstarted)
			}
		})
	}
}

func TestSilenceWhoseReasonTheBackendKnows(t *testing.T) {
	t.Parallel()
	r := run(nes.StageExecuting)
	f := alive(PhaseRunning).heard(2*time.Minute).saw(nes.ReasonNodeLost, "the node does not answer")
	d := Decide(&r, f, now)
	require.Equal(t, ActSave, d.Do)
	require.Equal(t, string(nes.ReasonNodeLost), d.Exit.Reason)
	require.Contains(t, d.Exit.Message, "nothing was heard of the attempt for 1m0s: the node does not answer")
	f.HeardAt = ago(time.Second)
	require.Equal(t, ActWait, Decide(&r, f, now).Do, "an agent that calls lives, whatever its node says")
}

func TestWhatAnAttemptWaitsForIsToldOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.launched(nes.Spec{})
	see := func(message string) {
		s.yard.seen[Ref{Run: r.ID, Attempt: 1}] = Observation{Phase: PhasePending, Message: message}
		s.stepped(r.ID)
	}
	for range 3 {
		see("no node has a place")
	}
	see("the image is being pulled")
	see("")
	kinds, said := s.events(r.ID)
	require.Equal(t, 2, kinds["note"], said)
	require.Contains(t, said, "no node has a place")
	require.Contains(t, said, "the image is being pulled")
	require.Equal(t, nes.StageScheduling, s.run(r.ID).Stage)
}

func TestAnEndThatNobodyHereAskedFor(t *testing.T) {
	t.Parallel()
	marker := journal.Exit{Reason: string(nes.ReasonCancelled), Message: "the run was cancelled", Code: 1}
	for name, c := range map[string]struct {
		seen   Observation
		cancel bool
		want   nes.Reason
		says   string
	}{
		"the cluster evicted it":        {Observation{Phase: PhaseRunning, Started: true, Reason: nes.ReasonEvicted, Message: "drained"}, false, nes.ReasonEvicted, "drained"},
		"nobody knows who":              {Observation{Phase: PhaseRunning, Started: true}, false, nes.ReasonCancelled, "the run was cancelled"},
		"it was cancelled, and drained": {Observation{Phase: PhaseRunning, Started: true, Reason: nes.ReasonEvicted, Message: "drained"}, true, nes.ReasonCancelled, "the run was cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			r := s.launched(nes.Spec{})
			s.yard.seen[Ref{Run: r.ID, Attempt: 1}] = c.seen
			if c.cancel {
				_, err := s.ledger.RequestCancel(t.Context(), r.ID, "kim", s.now)
				require.NoError(t, err)
			}
			require.NoError(t, s.report(&r, oneCellSaid, marker))
			run := s.stepped(r.ID)
			require.Equal(t, c.want, run.Reason)
			require.Contains(t, run.Message, c.says)
		})
	}
}

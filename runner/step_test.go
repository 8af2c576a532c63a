package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

var errDown = nes.Errorf(nes.CodeUnavailable, "it is down")

// launched takes a new run to its first attempt.
func (s *site) launched(spec nes.Spec) nes.Run {
	s.t.Helper()
	run := s.stepped(s.submit(spec).ID)
	require.Equal(s.t, nes.StageScheduling, run.Stage)
	return run
}

// TestAFetchThatFails: what is final ends the run at once; what may pass is tried again, but not for ever.
func TestAFetchThatFails(t *testing.T) {
	t.Parallel()
	found := nes.Fetched{Source: nes.Source{Repository: "git.example.com/a/b", Path: "n.ipynb"}}
	for name, tt := range map[string]struct {
		err    error
		before int
		stage  nes.Stage
		want   nes.Reason
	}{
		"not there":                   {nes.Fail(nes.ReasonSourceNotFound, "no such branch"), 0, nes.StageEnded, nes.ReasonSourceNotFound},
		"a bad parameter":             {nes.Fail(nes.ReasonParameterError, "no such name"), 0, nes.StageEnded, nes.ReasonParameterError},
		"unavailable":                 {errDown, 0, nes.StageFetching, ""},
		"unavailable, the fifth time": {errDown, 4, nes.StageFetching, ""},
		"unavailable, the sixth time": {&nes.Error{Code: nes.CodeUnavailable, Reason: nes.ReasonSourceUnavailable, Message: "down"}, 5, nes.StageEnded, nes.ReasonSourceUnavailable},
		"a fault of our own":          {errors.New("oops"), 0, nes.StageFetching, ""},
		"the fault does not go away":  {errors.New("oops"), 5, nes.StageEnded, nes.ReasonInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.yard.fetch = func(context.Context) (nes.Fetched, error) { return found, tt.err }
			id := s.submit(nes.Spec{}).ID
			_, err := s.step(id, tt.before)
			run := s.run(id)
			require.Equal(t, tt.stage, run.Stage)
			require.Equal(t, tt.want, run.Reason)
			require.Equal(t, run.Ended(), run.Published)
			if !run.Ended() {
				require.ErrorIs(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, found.Source.Repository, run.Source.Repository, "what was found out stays in the record")
			require.Zero(t, run.Attempt)
		})
	}
}

// TestACancelledFetchEndsAtOnce: the fetch would take for ever.
func TestACancelledFetchEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.submit(nes.Spec{}).ID
	s.yard.fetch = func(ctx context.Context) (nes.Fetched, error) {
		if _, err := s.ledger.RequestCancel(context.Background(), id, "kim", s.now); err != nil {
			return nes.Fetched{}, err
		}
		<-ctx.Done()
		return nes.Fetched{}, ctx.Err()
	}
	run := s.stepped(id)
	require.Equal(t, nes.ReasonCancelled, run.Reason)
	require.Contains(t, run.Message, "kim")
	require.Empty(t, s.yard.jobs)
}

// TestAnEndBeforeAnyAttempt: nothing was started, and nothing will be.
func TestAnEndBeforeAnyAttempt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec nes.Spec
		late time.Duration
		want nes.Reason
	}{
		"its deadline":       {nes.Spec{Deadline: nes.Duration(time.Minute)}, time.Minute, nes.ReasonDeadlineExceeded},
		"nobody asks for it": {nes.Spec{Lease: nes.Duration(time.Minute)}, time.Minute, nes.ReasonCancelled},
	} {
		s := newSite(t)
		run := s.submit(tt.spec)
		s.now = s.now.Add(tt.late)
		run = s.stepped(run.ID)
		require.Equal(t, tt.want, run.Reason, name)
		require.True(t, run.Published, name)
		require.Empty(t, s.yard.jobs, name)
	}
}

// TestABackendThatCannotLaunch for good ends the run; one that is only down is asked again for the same attempt.
func TestABackendThatCannotLaunch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.faults.set("launch", errDown)
	id := s.submit(nes.Spec{}).ID
	for range 3 {
		_, err := s.step(id, 0)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, nes.StageScheduling, s.run(id).Stage)
	}
	s.faults.set("", nil)
	require.Equal(t, 1, s.stepped(id).Attempt)
	require.Len(t, s.yard.jobs, 1)

	s.faults.set("launch", nes.Fail(nes.ReasonImageNotFound, "there is no image %q", "x"))
	run := s.stepped(s.submit(nes.Spec{}).ID)
	require.Equal(t, nes.ReasonImageNotFound, run.Reason)
	require.Contains(t, run.Message, "there is no image")
	require.Equal(t, 1, run.Attempt, "what can never start is not tried again")
}

// TestAttemptsThatNeverStarted are made again without asking, with growing pauses, and not for ever.
func TestAttemptsThatNeverStarted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.submit(nes.Spec{}).ID
	var pauses []time.Duration
	for s.stepped(id).Stage != nes.StageEnded {
		run := s.run(id)
		if run.Stage == nes.StageWaiting {
			pauses = append(pauses, run.NotBefore.Sub(s.now))
			s.now = *run.NotBefore
			continue
		}
		s.yard.shows(Ref{id, run.Attempt}, Observation{Phase: PhaseGone, Reason: nes.ReasonEvicted, Message: "the node was full"})
	}
	run := s.run(id)
	require.Equal(t, nes.ReasonEvicted, run.Reason)
	require.Equal(t, 4, run.Attempt)
	require.Equal(t, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}, pauses)
	require.Empty(t, s.yard.seen, "no attempt is left behind")
}

// TestANotebookThatIsNotReady comes back at its own pace until its own time is over.
func TestANotebookThatIsNotReady(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	run := s.launched(nes.Spec{NotReady: &nes.NotReady{Every: nes.Duration(time.Minute), Until: nes.Duration(150 * time.Second)}})
	word := oneCellSaid + `{"v":1,"seq":4,"t":4,"k":"word","cell":0,"word":"not_ready","value":"no data yet"}` + "\n"
	for n := 1; ; n++ {
		require.NoError(t, s.report(&run, word, journal.Exit{}))
		if run = s.stepped(run.ID); run.Ended() {
			require.Equal(t, 3, n, "at once, after one and after two minutes")
			break
		}
		require.Equal(t, s.now.Add(time.Minute), run.NotBefore.UTC())
		require.Equal(t, nes.StageWaiting, s.stepped(run.ID).Stage, "not a moment before")
		s.now = *run.NotBefore
		run = s.stepped(run.ID)
	}
	require.Equal(t, nes.ReasonNotReady, run.Reason)
	require.Contains(t, run.Message, "no data yet")
	require.Contains(t, run.Message, "still not ready")
}

// TestAHardStop: an attempt that was told to end and does not is ended by its backend, which may take more than one word.
func TestAHardStop(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		diesAt, stops int
		stage         nes.Stage
	}{
		"at once":             {1, 1, nes.StageEnded},
		"at the third word":   {3, 3, nes.StageEnded},
		"not in this step":    {9, 3, nes.StageScheduling},
		"the backend is down": {0, 0, nes.StageScheduling},
	} {
		s := newSite(t)
		run := s.launched(nes.Spec{})
		ref := Ref{run.ID, 1}
		s.yard.onStop = func(ref Ref) {
			if len(s.yard.stops) == tt.diesAt {
				s.yard.seen[ref] = Observation{Phase: PhaseGone, Started: true}
			}
		}
		if tt.diesAt == 0 {
			s.faults.set("stop", errDown)
		}
		_, err := s.ledger.RequestCancel(t.Context(), run.ID, "kim", s.now)
		require.NoError(t, err)
		_, err = s.step(run.ID, 0)
		require.Equal(t, tt.stage != nes.StageEnded, err != nil, "%s: %v", name, err)
		run = s.run(run.ID)
		require.Equal(t, tt.stage, run.Stage, name)
		if run.Ended() {
			require.Equal(t, nes.ReasonCancelled, run.Reason, name)
			tt.stops++ // once more, before the record is made: nobody said that nothing lives
		}
		require.Len(t, s.yard.stops, tt.stops, name)
		require.Equal(t, ref, Ref{run.ID, run.Attempt})
	}
}

// TestARecordThatCannotBeStored is tried for an hour. Then the run ends and says so; its journal stays.
func TestARecordThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	run := s.launched(nes.Spec{Retry: &nes.Retry{Limit: 3}})
	require.NoError(t, s.report(&run, oneCellSaid, journal.Exit{}))
	s.faults.set("put", errDown)
	for _, after := range []time.Duration{0, maxSaving - time.Second} {
		s.now = now.Add(after)
		_, err := s.step(run.ID, 0)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, nes.StageSaving, s.run(run.ID).Stage)
	}
	s.now = now.Add(maxSaving)
	_, err := s.step(run.ID, 0)
	require.ErrorIs(t, err, errDown, "nor can it be published")
	run = s.run(run.ID)
	require.Equal(t, nes.ReasonStorageUnavailable, run.Reason)
	require.False(t, run.Published)
	s.faults.set("", nil)
	require.True(t, s.stepped(run.ID).Published)
}

// TestSomebodyElseMovesTheRun: a step that is overtaken looks again and goes on from there.
func TestSomebodyElseMovesTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stale := s.submit(nes.Spec{})
	run := s.stepped(stale.ID)
	st := &step{c: s.c, run: stale, admitted: true} // as another server saw it before
	require.NoError(t, st.guarded(t.Context()))
	s.c.steps.Wait()
	require.Equal(t, run, s.run(run.ID))
	require.Equal(t, run.Version, st.run.Version)
	require.Len(t, s.yard.jobs, 1)

	s.faults.set("apply fetching", nes.Errorf(nes.CodeConflict, "moved"))
	_, err := s.step(s.submit(nes.Spec{}).ID, 0)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err), "a conflict that never ends is a failure")
}

// TestAFailedLookKeepsTheRun: the next try is paced, and its failure told, by the run that the step had.
func TestAFailedLookKeepsTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stale := s.submit(nes.Spec{})
	s.stepped(stale.ID)
	s.faults.set("run", errDown)
	st := &step{c: s.c, run: stale, admitted: true}
	require.ErrorIs(t, st.guarded(t.Context()), errDown)
	require.Equal(t, stale, st.run)

	run := s.run(stale.ID)
	_, err := s.ledger.RequestCancel(t.Context(), run.ID, "kim", s.now)
	require.NoError(t, err)
	st, err = s.step(run.ID, 0)
	require.ErrorIs(t, err, errDown, "its state after a stop")
	require.Equal(t, run.ID, st.run.ID)
}

// TestFailuresAreToldOnce and pause what failed alone, for longer each time.
func TestFailuresAreToldOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	run := s.launched(nes.Spec{})
	s.faults.set("observe", errDown)
	k := s.c.track(run.ID)
	for n := 1; n <= 12; n++ {
		st, err := s.step(run.ID, k.failures)
		require.ErrorIs(t, err, errDown)
		s.c.end(t.Context(), k, st, err)
		require.Equal(t, n, k.failures)
		require.Equal(t, min(100*time.Millisecond<<(n-1), 30*time.Second), k.due.Sub(s.now))
		require.False(t, s.c.needsStep(k, &run, true, k.due.Add(-1)), "it is left alone until then")
		require.True(t, s.c.needsStep(k, &run, false, k.due))
		kinds, messages := s.events(run.ID)
		require.Equal(t, min(1, n/3), kinds["note"], "people are told the third time, and not again")
		if n == 3 {
			require.Contains(t, messages, errDown.Error())
		}
	}
	require.LessOrEqual(t, pause(1000), 30*time.Second)
	s.faults.set("", nil)
	st, err := s.step(run.ID, k.failures)
	s.c.end(t.Context(), k, st, err)
	require.Zero(t, k.failures)
	require.False(t, k.due.After(s.now.Add(s.c.o.Policy.MaxLook)))
}

// TestAPanicIsOneRunsFailure: the others go on.
func TestAPanicIsOneRunsFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.yard.fetch = func(context.Context) (nes.Fetched, error) { panic("at the disco") }
	_, err := s.step(s.submit(nes.Spec{}).ID, 0)
	require.ErrorContains(t, err, "at the disco")
	require.Equal(t, nes.CodeInternal, nes.CodeOf(err))
	s.yard.fetch = nil
	s.launched(nes.Spec{})
}

// TestAStepEndsWithItsContext at whatever stage, and leaves a run that the next server takes up.
func TestAStepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.submit(nes.Spec{}).ID
	ctx, cancel := context.WithCancel(t.Context())
	s.yard.fetch = func(fetching context.Context) (nes.Fetched, error) {
		cancel()
		<-fetching.Done()
		return nes.Fetched{}, errDown
	}
	st := &step{c: s.c, run: s.run(id), failures: maxFetchFailures}
	require.ErrorIs(t, st.guarded(ctx), context.Canceled, "the server's end is not the source's fault")
	s.c.steps.Wait()
	require.Equal(t, nes.StageFetching, s.run(id).Stage)
	s.yard.fetch = nil
	s.restart()
	require.Equal(t, nes.StageScheduling, s.stepped(id).Stage)
}

func TestOver(t *testing.T) {
	t.Parallel()
	for stage, want := range map[nes.Stage]bool{
		nes.StageQueued: true, nes.StageWaiting: true, nes.StageEnded: true,
		nes.StageScheduling: false, nes.StageStarting: false, nes.StageExecuting: false, nes.StageSaving: false,
	} {
		r := nes.Run{Stage: stage, Attempt: 2}
		require.True(t, over(&r, 1), "an attempt that was superseded")
		require.Equal(t, want, over(&r, 2), stage)
		require.False(t, over(&r, 3), "an attempt from the future is somebody else's")
	}
}

// TestTidyRemovesWhatNobodyNeeds, and leaves alone what it cannot be sure of.
func TestTidyRemovesWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lives := Ref{s.launched(nes.Spec{}).ID, 1}
	stranger, old := Ref{"nobody", 1}, Ref{lives.Run, 0}
	for _, ref := range []Ref{stranger, old} {
		s.yard.shows(ref, Observation{Phase: PhaseGone})
	}
	s.faults.set("run", errDown)
	s.c.tidy(t.Context())
	require.Len(t, s.yard.seen, 3, "who cannot ask removes nothing")
	s.faults.set("", nil)
	s.c.tidy(t.Context())
	require.Len(t, s.yard.seen, 1)
	require.Contains(t, s.yard.seen, lives)
}

// TestALaunchOrderIsTheWholeRequest compares it with what is written down here.
func TestALaunchOrderIsTheWholeRequest(t *testing.T) {
	t.Parallel()
	r := nes.Run{
		ID: "0193-run", Attempt: 2, CreatedAt: now, Source: &nes.Source{Repository: "git.example.com/a/b", Path: "d/n.ipynb"},
		Spec: nes.Spec{
			InputURL: "https://x/n.ipynb", KernelName: "ir", StartTimeout: nes.Duration(time.Minute), CellTimeout: nes.Duration(2 * time.Second),
			SilenceTimeout: nes.Duration(1500 * time.Millisecond), Parameters: map[string]json.RawMessage{"n": json.RawMessage("1.0")},
		},
	}
	raw, err := json.Marshal(LaunchOrder(&r, Policy{Timeout: time.Hour}))
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"v":1,"run_id":"0193-run","attempt":2,"notebook":"d/n.ipynb","parameters":{"n":1.0},"kernel_name":"ir",
		"start_timeout":60,"cell_timeout":2,"timeout":3600,"silence_timeout":1.5,"grace":10,"input_path":"https://x/n.ipynb",
		"output_path":"notebooks/git.example.com/a/b/d/n/%s/0193-run.2.ipynb","env":{"NES_RUN_ID":"0193-run","NES_ATTEMPT":"2"},"limits":{}}`, "2026-11-21"), string(raw))
	require.Contains(t, string(raw), "1.0", "a float stays one")

	r.Spec.Timeout, r.Parameters = nes.Duration(time.Minute), map[string]json.RawMessage{"n": json.RawMessage("1")}
	l := LaunchOrder(&r, Policy{Timeout: time.Hour, Grace: time.Second})
	require.EqualValues(t, 60, l.RunTimeout, "the run's own comes first")
	require.EqualValues(t, 1, l.Grace)
	require.Equal(t, map[string]any{"n": json.RawMessage("1")}, l.Parameters, "what was converted is what is given")
	require.Equal(t, "nes-0193-run-2", Ref{r.ID, r.Attempt}.Name())
}

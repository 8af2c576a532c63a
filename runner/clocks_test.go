package runner

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// anyRun makes up a run with clocks.
func anyRun(rng *rand.Rand) nes.Run {
	some := func() nes.Duration {
		if rng.IntN(2) == 0 {
			return 0
		}
		return nes.Duration(time.Duration(1+rng.IntN(100)) * time.Minute)
	}
	moment := func() *time.Time {
		if rng.IntN(2) == 0 {
			return nil
		}
		at := now.Add(time.Duration(rng.IntN(200)-100) * time.Minute)
		return &at
	}
	r := run(nes.StageExecuting)
	r.CreatedAt = now.Add(-time.Duration(rng.IntN(100)) * time.Minute)
	r.Spec.Deadline, r.Spec.Lease, r.Spec.Timeout = some(), some(), some()
	r.AskedAt, r.StartedAt, r.CancelRequestedAt = moment(), moment(), moment()
	return r
}

// TestAnOrderOnceGivenStands: a run that is to end is to end for the same reason ever after, and nobody has to look
// between two clocks. A property, minute by minute.
func TestAnOrderOnceGivenStands(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 1))
	for range 80 {
		r, p := anyRun(rng), Policy{Timeout: 30 * time.Minute}.WithDefaults()
		var first Order
		ordered := false
		next := nextClock(&r, p, now.Add(-time.Hour))
		for at := now.Add(-time.Hour); at.Before(now.Add(4 * time.Hour)); at = at.Add(time.Minute) {
			order, ok := OrderOf(&r, p, at)
			if ordered {
				require.True(t, ok)
				require.Equal(t, first, order, "the earliest stays the earliest")
				continue
			}
			if ok {
				first, ordered = order, true
				require.NotEmpty(t, order.Reason)
				require.NotEmpty(t, order.Why)
				require.False(t, order.Since.After(at))
				foreseen := order.Since.After(now.Add(-time.Hour)) && (r.CancelRequestedAt == nil || order.Since.Before(*r.CancelRequestedAt))
				if foreseen {
					require.False(t, next.IsZero())
					require.False(t, next.After(at), "a clock that ends the run was foreseen")
				}
			}
		}
		if next.IsZero() && r.CancelRequestedAt == nil {
			require.False(t, ordered && first.Since.After(now.Add(-time.Hour)), "no clock, no end")
		}
	}
}

// TestClocksGoOffOnTime, and not a moment before.
func TestClocksGoOffOnTime(t *testing.T) {
	t.Parallel()
	started, asked := ago(time.Hour), ago(time.Minute)
	for name, tt := range map[string]struct {
		mod  func(r *nes.Run)
		at   time.Time
		want nes.Reason
	}{
		"deadline":                 {func(r *nes.Run) { r.Spec.Deadline = nes.Duration(time.Hour) }, now, nes.ReasonDeadlineExceeded},
		"lease, never asked about": {func(r *nes.Run) { r.Spec.Lease = nes.Duration(time.Hour) }, now, nes.ReasonCancelled},
		"lease, asked about":       {func(r *nes.Run) { r.Spec.Lease, r.AskedAt = nes.Duration(time.Minute), &asked }, now, nes.ReasonCancelled},
		"timeout, with its slack":  {func(r *nes.Run) { r.Spec.Timeout, r.StartedAt = nes.Duration(time.Hour), &started }, now.Add(slack), nes.ReasonRunTimeout},
		"the earliest of several":  {func(r *nes.Run) { r.Spec.Deadline, r.Spec.Lease = nes.Duration(2*time.Hour), nes.Duration(time.Hour) }, now, nes.ReasonCancelled},
		"an asking before it began": {func(r *nes.Run) {
			early := r.CreatedAt.Add(-time.Hour)
			r.Spec.Lease, r.AskedAt = nes.Duration(time.Hour), &early
		}, now, nes.ReasonCancelled},
	} {
		r := run(nes.StageExecuting)
		r.CreatedAt, r.StartedAt, r.AskedAt = ago(time.Hour), nil, nil
		tt.mod(&r)
		_, early := OrderOf(&r, Policy{}, tt.at.Add(-time.Nanosecond))
		require.False(t, early, name)
		require.Equal(t, tt.at, nextClock(&r, Policy{}, tt.at.Add(-time.Nanosecond)), name)
		order, ok := OrderOf(&r, Policy{}, tt.at)
		require.True(t, ok, name)
		require.Equal(t, tt.want, order.Reason, name)
		require.Equal(t, tt.at, order.Since, name)
	}
	r := run(nes.StageQueued)
	r.Spec.Timeout, r.StartedAt = nes.Duration(time.Second), &started
	_, ok := OrderOf(&r, Policy{}, now)
	require.False(t, ok, "a run that waits for another attempt does not run out of its executing time")
}

// TestAdmissionKeepsEveryLimitAndWastesNoPlace: a property over queues that are made up.
func TestAdmissionKeepsEveryLimitAndWastesNoPlace(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	names := []string{"", "a", "b"}
	for range 500 {
		var runs []nes.Run
		for i := range rng.IntN(20) {
			stage := []nes.Stage{nes.StageQueued, nes.StageQueued, nes.StageExecuting, nes.StageScheduling, nes.StageSaving, nes.StageWaiting}[rng.IntN(6)]
			r := run(stage)
			r.ID, r.CreatedAt = nes.RunID(fmt.Sprintf("r%02d", i)), now.Add(time.Duration(rng.IntN(5))*time.Second)
			r.Spec.Priority, r.Spec.Profile, r.Spec.Group = rng.IntN(3), names[rng.IntN(3)], names[rng.IntN(3)]
			if rng.IntN(5) == 0 {
				r.Source = nil
			}
			runs = append(runs, r)
		}
		l := Limits{Total: rng.IntN(8), Profiles: map[string]int{"a": rng.IntN(4)}, Groups: map[string]int{"b": rng.IntN(4)}}
		got := map[nes.RunID]bool{}
		for _, id := range Admit(runs, l) {
			require.False(t, got[id], "nobody has two places")
			got[id] = true
		}
		requireAdmission(t, runs, l, got)
	}
}

func requireAdmission(t *testing.T, runs []nes.Run, l Limits, got map[nes.RunID]bool) {
	t.Helper()
	places := func(counts func(r *nes.Run) bool) (n, admitted int) {
		for i := range runs {
			r := &runs[i]
			if counts(r) && (takesPlace(r.Stage) || got[r.ID]) {
				n++
				if got[r.ID] {
					admitted++
				}
			}
		}
		return n, admitted
	}
	full := func(r *nes.Run) bool {
		total, _ := places(func(*nes.Run) bool { return true })
		profile, _ := places(func(o *nes.Run) bool { return o.Spec.Profile == r.Spec.Profile })
		group, _ := places(func(o *nes.Run) bool { return o.Spec.Group == r.Spec.Group })
		p, g := l.Profiles[r.Spec.Profile], l.Groups[r.Spec.Group]
		return l.Total > 0 && total >= l.Total || p > 0 && profile >= p || g > 0 && group >= g
	}
	for i := range runs {
		r := &runs[i]
		if got[r.ID] {
			require.True(t, launchable(r))
			continue
		}
		require.True(t, !launchable(r) || full(r), "a place is free, and %s waits", r.ID)
		for j := range runs { // of the same profile and group the one that is first in order goes first
			o := &runs[j]
			if launchable(r) && got[o.ID] && o.Spec.Profile == r.Spec.Profile && o.Spec.Group == r.Spec.Group {
				require.Negative(t, inOrder(*o, *r), "%s went before %s", o.ID, r.ID)
			}
		}
	}
	if n, admitted := places(func(*nes.Run) bool { return true }); l.Total > 0 && admitted > 0 {
		require.LessOrEqual(t, n, l.Total)
	}
}

// TestBackoffDoublesAndScatters: between four and six fifths of what doubling says, the same for the same run every time.
func TestBackoffDoublesAndScatters(t *testing.T) {
	t.Parallel()
	policy := &nes.Retry{Backoff: nes.Duration(time.Second)}
	seen := map[time.Duration]bool{}
	for i := range 50 {
		id := nes.RunID(fmt.Sprint("run-", i))
		want := time.Second
		for tried := 1; tried < 20; tried++ {
			got := backoff(id, policy, Policy{}, tried)
			require.GreaterOrEqual(t, got, want*4/5)
			require.LessOrEqual(t, got, want*6/5+time.Millisecond)
			require.Equal(t, got, backoff(id, policy, Policy{}, tried), "a restarted server waits for the same moment")
			seen[got] = true
			want = min(2*want, maxBackoff)
		}
	}
	require.Greater(t, len(seen), 500, "runs that failed together do not come back together")
	require.InDelta(t, 7*time.Second, backoff("r", &nes.Retry{}, Policy{RetryBackoff: 7 * time.Second}, 1), float64(2*time.Second), "the policy's own")
	last := time.Duration(0)
	for n := 1; n < 80; n++ {
		require.GreaterOrEqual(t, pause(n), last, n)
		require.LessOrEqual(t, pause(n), 30*time.Second)
		last = pause(n)
	}
	require.Equal(t, 100*time.Millisecond, pause(1))
	require.Equal(t, 30*time.Second, last)
}

// TestWhatComesAfterTheExitIsRefused: neither journal nor files, by the agent that said it was done; only the exit itself may be said again.
func TestWhatComesAfterTheExitIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.launched(nes.Spec{})
	require.NoError(t, s.report(&r, oneCellSaid, journal.Exit{}))
	desk, who := s.c.Reception(), s.caller(&r)
	late := `{"v":1,"seq":4,"t":4,"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"late\n"}}` + "\n"
	for name, call := range map[string]func() error{
		"journal": func() error {
			_, err := desk.Journal(t.Context(), who, int64(len(oneCellSaid)), readerOf(late))
			return err
		},
		"heartbeat": func() error { _, err := desk.Journal(t.Context(), who, 0, readerOf("")); return err },
		"file":      func() error { return desk.PutFile(t.Context(), who, "outputs/x", HashToken("late"), readerOf("late")) },
		"launch":    func() error { _, err := desk.Launch(t.Context(), who); return err },
		"bundle":    func() error { _, err := desk.Bundle(t.Context(), who); return err },
	} {
		require.Equal(t, nes.CodeConflict, nes.CodeOf(call()), name)
	}
	require.NoError(t, desk.Exit(t.Context(), who, journal.Exit{V: 1, Reason: "CellError", Message: "another story"}))
	stranger := who
	stranger.Token += "x"
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(desk.Exit(t.Context(), stranger, journal.Exit{V: 1})), "also of what is over")
	require.Zero(t, s.c.desk.count(), "whose attempt is over keeps no seat")

	ended := s.stepped(r.ID)
	require.Equal(t, nes.StageEnded, ended.Stage)
	require.Equal(t, nes.StatusSucceeded, ended.Status, "the first word counts")
	require.NotContains(t, s.object(ended.Outcome.Log), "late")
	require.Contains(t, s.object(ended.Outcome.Log), "hello")
	require.Empty(t, ended.Outcome.Files)
}

// TestTheClockOfAnotherMachineIsKeptWithinWhatIsPossible.
func TestTheClockOfAnotherMachine(t *testing.T) {
	t.Parallel()
	low, high := now, now.Add(time.Minute)
	for d, want := range map[time.Duration]time.Time{-time.Hour: low, 0: low, time.Second: now.Add(time.Second), time.Minute: high, time.Hour: high} {
		require.Equal(t, want, between(low, now.Add(d), high))
	}
	s := &seat{}
	require.False(t, s.hear(now, 0), "a server that is alone tells nobody")
	require.True(t, s.hear(now, time.Second))
	require.False(t, s.hear(now.Add(time.Second-1), time.Second))
	require.True(t, s.hear(now.Add(time.Second), time.Second))
	s.hear(ago(time.Hour), 0)
	require.Equal(t, now.Add(time.Second), s.heardAt(), "what was heard later is not forgotten")
}

// TestManyCallsOfOneAgentTakeOneSeat, however they race.
func TestManyCallsOfOneAgentTakeOneSeat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.launched(nes.Spec{})
	desk, who := s.c.Reception(), s.caller(&r)
	require.NoError(t, desk.PutFile(t.Context(), who, "input.ipynb", HashToken(oneCell), readerOf(oneCell)))
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			_, err := desk.Journal(t.Context(), who, 0, readerOf(oneCellSaid))
			errs <- err
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 1, s.c.desk.count())
	require.Equal(t, nes.StageExecuting, s.run(r.ID).Stage)
	kinds, _ := s.events(r.ID)
	require.Equal(t, 1, kinds["started"], "it began once: %v", kinds)
	for _, other := range []agentapi.Caller{{Run: who.Run, Attempt: 2, Token: who.Token}, {Run: "another", Attempt: 1, Token: who.Token}, {Run: who.Run, Attempt: 1}} {
		_, err := desk.Journal(t.Context(), other, 0, readerOf("x\n"))
		require.Error(t, err)
	}
	require.Equal(t, 1, s.c.desk.count(), "strangers take none")
}

func readerOf(text string) *strings.Reader { return strings.NewReader(text) }

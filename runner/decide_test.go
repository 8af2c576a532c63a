package runner

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// run in a stage, submitted an hour ago; mods change it.
func run(stage nes.Stage, mods ...func(*nes.Run)) nes.Run {
	r := nes.Run{ID: "r", Stage: stage, CreatedAt: ago(time.Hour), Source: &nes.Source{}}
	if takesPlace(stage) || stage == nes.StageSaving {
		r.Attempt = 1
	}
	if stage == nes.StageExecuting {
		at := ago(10 * time.Minute)
		r.StartedAt = &at
	}
	for _, m := range mods {
		m(&r)
	}
	return r
}

func cancelled(d time.Duration) func(*nes.Run) {
	return func(r *nes.Run) { at := ago(d); r.CancelRequestedAt, r.CancelRequestedBy = &at, "kim" }
}

func noSource(r *nes.Run) { r.Source = nil }

func deadline(d time.Duration) func(*nes.Run) {
	return func(r *nes.Run) { r.Spec.Deadline = nes.Duration(d) }
}

func timeout(d time.Duration) func(*nes.Run) {
	return func(r *nes.Run) { r.Spec.Timeout = nes.Duration(d) }
}

func lease(d, asked time.Duration) func(*nes.Run) {
	return func(r *nes.Run) { at := ago(asked); r.Spec.Lease, r.AskedAt = nes.Duration(d), &at }
}

func notBefore(d time.Duration) func(*nes.Run) {
	return func(r *nes.Run) { at := now.Add(d); r.NotBefore = &at }
}

// alive are the facts of an attempt that does well.
func alive(phase Phase) Facts {
	return Facts{Seen: Observation{Phase: phase, Started: phase != PhasePending}, LaunchedAt: ago(11 * time.Minute), HeardAt: ago(time.Second), Since: ago(time.Hour)}
}

func (f Facts) heard(d time.Duration) Facts { f.HeardAt = ago(d); return f }
func (f Facts) unheard(launched time.Duration) Facts {
	f.HeardAt, f.LaunchedAt = time.Time{}, ago(launched)
	return f
}
func (f Facts) since(d time.Duration) Facts { f.Since = ago(d); return f }
func (f Facts) saw(r nes.Reason, m string) Facts {
	f.Seen.Reason, f.Seen.Message = r, m
	return f
}
func (f Facts) marked(e journal.Exit) Facts { f.Seen.Exit = &e; return f }

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		run   nes.Run
		facts Facts
		want  Action
		why   nes.Reason    // of the decision or of the exit that is saved
		in    time.Duration // of Decision.At, from now; 0 is none
	}{
		"ended and told":     {run(nes.StageEnded, func(r *nes.Run) { r.Published = true }), Facts{}, ActNothing, "", 0},
		"ended":              {run(nes.StageEnded), Facts{}, ActPublish, "", 0},
		"saving":             {run(nes.StageSaving), Facts{}, ActCommit, "", 0},
		"saving, cancelled":  {run(nes.StageSaving, cancelled(0)), Facts{}, ActCommit, "", 0},
		"fetch interrupted":  {run(nes.StageFetching, noSource), Facts{}, ActRequeue, "", 0},
		"fetching cancelled": {run(nes.StageFetching, noSource, cancelled(0)), Facts{}, ActEnd, nes.ReasonCancelled, 0},

		"new":                        {run(nes.StageQueued, noSource), Facts{}, ActFetch, "", 0},
		"new, a place is free":       {run(nes.StageQueued, noSource), Facts{Admitted: true}, ActFetch, "", 0},
		"queued":                     {run(nes.StageQueued), Facts{}, ActWait, "", 0},
		"queued with a deadline":     {run(nes.StageQueued, deadline(2*time.Hour)), Facts{}, ActWait, "", time.Hour},
		"queued, admitted":           {run(nes.StageQueued), Facts{Admitted: true}, ActLaunch, "", 0},
		"queued, cancelled":          {run(nes.StageQueued, cancelled(0)), Facts{Admitted: true}, ActEnd, nes.ReasonCancelled, 0},
		"queued past its deadline":   {run(nes.StageQueued, deadline(time.Minute)), Facts{Admitted: true}, ActEnd, nes.ReasonDeadlineExceeded, 0},
		"queued, nobody asks":        {run(nes.StageQueued, lease(time.Minute, 2*time.Minute)), Facts{}, ActEnd, nes.ReasonCancelled, 0},
		"queued, somebody asks":      {run(nes.StageQueued, lease(time.Minute, 20*time.Second)), Facts{}, ActWait, "", 40 * time.Second},
		"a timeout waits for cells":  {run(nes.StageQueued, timeout(time.Second)), Facts{}, ActWait, "", 0},
		"backing off":                {run(nes.StageWaiting, notBefore(time.Minute)), Facts{}, ActWait, "", time.Minute},
		"backing off to a deadline":  {run(nes.StageWaiting, notBefore(2*time.Hour), deadline(90*time.Minute)), Facts{}, ActWait, "", 30 * time.Minute},
		"the wait is over":           {run(nes.StageWaiting, notBefore(0)), Facts{}, ActRequeue, "", 0},
		"waiting for nothing":        {run(nes.StageWaiting), Facts{}, ActRequeue, "", 0},
		"cancelled while it waits":   {run(nes.StageWaiting, notBefore(time.Hour), cancelled(0)), Facts{}, ActEnd, nes.ReasonCancelled, 0},
		"deadline while it waits":    {run(nes.StageWaiting, notBefore(time.Hour), deadline(time.Minute)), Facts{}, ActEnd, nes.ReasonDeadlineExceeded, 0},
		"an order comes before wait": {run(nes.StageWaiting, notBefore(0), cancelled(0)), Facts{}, ActEnd, nes.ReasonCancelled, 0},

		"intent without launch":          {run(nes.StageScheduling), alive(PhaseAbsent).unheard(time.Second), ActAdopt, "", 0},
		"intent, cancelled":              {run(nes.StageScheduling, cancelled(0)), alive(PhaseAbsent).unheard(time.Second), ActSave, nes.ReasonCancelled, 0},
		"removed from outside":           {run(nes.StageExecuting), alive(PhaseAbsent), ActSave, nes.ReasonPodDeleted, 0},
		"removed before its first cell":  {run(nes.StageStarting), alive(PhaseAbsent), ActSave, nes.ReasonPodDeleted, 0},
		"heard, then removed":            {run(nes.StageScheduling), alive(PhaseAbsent), ActSave, nes.ReasonPodDeleted, 0},
		"cancelled and removed":          {run(nes.StageExecuting, cancelled(time.Minute)), alive(PhaseAbsent), ActSave, nes.ReasonCancelled, 0},
		"being placed":                   {run(nes.StageScheduling), alive(PhasePending).unheard(time.Minute), ActWait, "", 5 * time.Second},
		"no place in time":               {run(nes.StageScheduling), alive(PhasePending).unheard(11 * time.Minute), ActSave, nes.ReasonAgentLost, 0},
		"it can never start":             {run(nes.StageScheduling), alive(PhasePending).unheard(time.Second).saw(nes.ReasonImageNotFound, "no such image"), ActSave, nes.ReasonImageNotFound, 0},
		"cancelled before it reported":   {run(nes.StageScheduling, cancelled(0)), alive(PhasePending).unheard(time.Second), ActStop, "", 0},
		"starting":                       {run(nes.StageStarting), alive(PhaseRunning), ActWait, "", 5 * time.Second},
		"executing":                      {run(nes.StageExecuting), alive(PhaseRunning), ActWait, "", 5 * time.Second},
		"nearly silent":                  {run(nes.StageExecuting), alive(PhaseRunning).heard(58 * time.Second), ActWait, "", 2 * time.Second},
		"silent":                         {run(nes.StageExecuting), alive(PhaseRunning).heard(61 * time.Second), ActSave, nes.ReasonAgentLost, 0},
		"silent while it exits":          {run(nes.StageExecuting), alive(PhaseExited).heard(61 * time.Second), ActSave, nes.ReasonAgentLost, 0},
		"silence from before we listen":  {run(nes.StageExecuting), alive(PhaseRunning).heard(time.Hour).since(10 * time.Second), ActWait, "", 5 * time.Second},
		"not heard by this process":      {run(nes.StageExecuting), alive(PhaseRunning).unheard(time.Hour).since(57 * time.Second), ActWait, "", 3 * time.Second},
		"not heard by it for too long":   {run(nes.StageExecuting), alive(PhaseRunning).unheard(time.Hour).since(61 * time.Second), ActSave, nes.ReasonAgentLost, 0},
		"exec is gone, the agent sends":  {run(nes.StageExecuting), alive(PhaseExited), ActWait, "", 5 * time.Second},
		"a marker, the agent sends":      {run(nes.StageExecuting), alive(PhaseExited).marked(journal.Exit{V: 1}), ActWait, "", 5 * time.Second},
		"gone with a marker":             {run(nes.StageExecuting), alive(PhaseGone).marked(journal.Exit{V: 1, Reason: "CellError"}), ActSave, nes.ReasonCellError, 0},
		"a marker beats what was seen":   {run(nes.StageExecuting), alive(PhaseGone).marked(journal.Exit{V: 1}).saw(nes.ReasonEvicted, ""), ActSave, "", 0},
		"a marker beats a cancel":        {run(nes.StageExecuting, cancelled(time.Second)), alive(PhaseGone).marked(journal.Exit{V: 1}), ActSave, "", 0},
		"gone, the backend knows why":    {run(nes.StageExecuting), alive(PhaseGone).saw(nes.ReasonOutOfMemory, "limit 1Gi"), ActSave, nes.ReasonOutOfMemory, 0},
		"gone, nobody knows why":         {run(nes.StageExecuting), alive(PhaseGone), ActSave, "", 0},
		"gone, and told to end":          {run(nes.StageExecuting, cancelled(time.Minute)), alive(PhaseGone).saw(nes.ReasonPodDeleted, ""), ActSave, nes.ReasonCancelled, 0},
		"cancelled while starting":       {run(nes.StageStarting, cancelled(0)), alive(PhaseRunning), ActCancel, nes.ReasonCancelled, 30 * time.Second},
		"cancelled while executing":      {run(nes.StageExecuting, cancelled(10*time.Second)), alive(PhaseRunning), ActCancel, nes.ReasonCancelled, 20 * time.Second},
		"cancelled, it does not end":     {run(nes.StageExecuting, cancelled(31*time.Second)), alive(PhaseRunning), ActStop, "", 0},
		"cancelled, silent":              {run(nes.StageExecuting, cancelled(5*time.Second)), alive(PhaseRunning).heard(61 * time.Second), ActStop, "", 0},
		"cancelled, restarted, unheard":  {run(nes.StageExecuting, cancelled(5*time.Second)), alive(PhaseRunning).unheard(time.Hour).since(0), ActCancel, nes.ReasonCancelled, 25 * time.Second},
		"past its deadline":              {run(nes.StageExecuting, deadline(time.Hour)), alive(PhaseRunning), ActCancel, nes.ReasonDeadlineExceeded, 30 * time.Second},
		"the driver minds the timeout":   {run(nes.StageExecuting, timeout(10*time.Minute)), alive(PhaseRunning), ActWait, "", 5 * time.Second},
		"the driver missed the timeout":  {run(nes.StageExecuting, timeout(9*time.Minute+50*time.Second)), alive(PhaseRunning), ActCancel, nes.ReasonRunTimeout, 25 * time.Second},
		"it does not end at its timeout": {run(nes.StageExecuting, timeout(time.Minute)), alive(PhaseRunning), ActStop, "", 0},
		"the first order counts":         {run(nes.StageExecuting, deadline(time.Hour), cancelled(10*time.Second)), alive(PhaseRunning), ActCancel, nes.ReasonCancelled, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Decide(&tt.run, tt.facts, now)
			require.Equal(t, tt.want, d.Do, "%+v", d)
			why := d.Reason
			if d.Exit != nil {
				why = nes.Reason(d.Exit.Reason)
			}
			require.Equal(t, tt.why, why)
			if tt.in == 0 {
				require.True(t, d.At.IsZero(), d.At)
				return
			}
			require.Equal(t, tt.in, d.At.Sub(now))
		})
	}
}

// TestDecideNeverLeavesTheTable tries everything against everything: a decision that changes
// the stage must be one that the table of stages allows, and a run that is not over is never left alone for ever.
func TestDecideNeverLeavesTheTable(t *testing.T) {
	t.Parallel()
	to := map[Action]nes.Stage{ActFetch: nes.StageFetching, ActRequeue: nes.StageQueued, ActLaunch: nes.StageScheduling, ActSave: nes.StageSaving, ActEnd: nes.StageEnded}
	mods := []func(*nes.Run){func(*nes.Run) {}, noSource, cancelled(0), cancelled(time.Hour), deadline(time.Minute), timeout(time.Minute), lease(time.Minute, time.Hour), notBefore(0), notBefore(time.Hour)}
	for _, stage := range nes.Stages() {
		for _, mod := range mods {
			for _, phase := range []Phase{PhaseAbsent, PhasePending, PhaseRunning, PhaseExited, PhaseGone} {
				for _, heard := range []time.Time{{}, ago(time.Second), ago(time.Hour)} {
					for _, admitted := range []bool{false, true} {
						r, f := run(stage, mod), alive(phase)
						f.HeardAt, f.Admitted = heard, admitted
						d := Decide(&r, f, now)
						if next, moves := to[d.Do]; moves {
							require.True(t, stage.CanBecome(next), "%s: %s", stage, d.Do)
						}
						if d.Do == ActWait && takesPlace(stage) {
							require.True(t, d.At.After(now), "%s %s waits for ever", stage, phase)
						}
						require.Equal(t, d.Do == ActSave, d.Exit != nil)
					}
				}
			}
		}
	}
}

func TestConcludeTellsWhatNeverStarted(t *testing.T) {
	t.Parallel()
	e := Conclude(Observation{Phase: PhaseGone}, Order{}, now)
	require.True(t, e.Inferred)
	require.True(t, e.Unstarted)
	require.Equal(t, string(nes.ReasonAgentLost), e.Reason)

	reported := journal.Exit{V: 1, Code: -1, Inferred: true, Journal: 17}
	e = Conclude(Observation{Phase: PhaseExited, Started: true, Exit: &reported}, Order{}, now)
	require.Equal(t, reported, e, "the agent's report stands where nobody knows more")
	e = Conclude(Observation{Phase: PhaseExited, Started: true, Exit: &reported, Reason: nes.ReasonOutOfMemory}, Order{}, now)
	require.Equal(t, string(nes.ReasonOutOfMemory), e.Reason)
	require.EqualValues(t, 17, e.Journal)
}

func TestSettle(t *testing.T) {
	t.Parallel()
	attempt := func(r nes.Reason, unstarted bool) nes.Attempt {
		raw, _ := json.Marshal(journal.Exit{Unstarted: unstarted})
		return nes.Attempt{Reason: r, Exit: raw}
	}
	ran, never := attempt("", false), attempt("", true)
	spec := func(s nes.Spec) nes.Run {
		return nes.Run{ID: "r", Stage: nes.StageSaving, CreatedAt: ago(time.Hour), Spec: s}
	}
	retry := func(limit int, on ...nes.Reason) nes.Run {
		return spec(nes.Spec{Retry: &nes.Retry{Limit: limit, Backoff: nes.Duration(time.Minute), On: on}})
	}
	notReady := func(every, until time.Duration) nes.Run {
		return spec(nes.Spec{NotReady: &nes.NotReady{Every: nes.Duration(every), Until: nes.Duration(until)}})
	}
	late := retry(3)
	late.Spec.Deadline = nes.Duration(time.Hour + 10*time.Second)
	stopped := retry(3)
	stopped.CancelRequestedAt = &now
	for name, tt := range map[string]struct {
		run      nes.Run
		reason   nes.Reason
		attempts []nes.Attempt
		want     Action
		min, max time.Duration
	}{
		"success":                        {retry(3), nes.ReasonCompleted, []nes.Attempt{ran}, ActEnd, 0, 0},
		"skipped":                        {retry(3), nes.ReasonSkipped, []nes.Attempt{ran}, ActEnd, 0, 0},
		"no policy":                      {spec(nes.Spec{}), nes.ReasonNodeLost, []nes.Attempt{ran}, ActEnd, 0, 0},
		"cell error is not retried":      {retry(3), nes.ReasonCellError, []nes.Attempt{ran}, ActEnd, 0, 0},
		"unless it is named":             {retry(3, nes.ReasonCellError), nes.ReasonCellError, []nes.Attempt{ran}, ActRetry, 48 * time.Second, 72 * time.Second},
		"what is not named":              {retry(3, nes.ReasonCellError), nes.ReasonNodeLost, []nes.Attempt{ran}, ActEnd, 0, 0},
		"what cannot be retried":         {retry(3, nes.ReasonParameterError), nes.ReasonParameterError, []nes.Attempt{ran}, ActEnd, 0, 0},
		"error":                          {retry(3), nes.ReasonNodeLost, []nes.Attempt{ran}, ActRetry, 48 * time.Second, 72 * time.Second},
		"error again":                    {retry(3), nes.ReasonNodeLost, []nes.Attempt{ran, ran}, ActRetry, 96 * time.Second, 144 * time.Second},
		"error for the last time":        {retry(2), nes.ReasonNodeLost, []nes.Attempt{ran, ran, ran}, ActEnd, 0, 0},
		"unstarted ones do not count":    {retry(1), nes.ReasonNodeLost, []nes.Attempt{never, never, ran}, ActRetry, 48 * time.Second, 72 * time.Second},
		"no time left":                   {late, nes.ReasonNodeLost, []nes.Attempt{ran}, ActEnd, 0, 0},
		"cancelled":                      {stopped, nes.ReasonNodeLost, []nes.Attempt{ran}, ActEnd, 0, 0},
		"never started":                  {spec(nes.Spec{}), nes.ReasonEvicted, []nes.Attempt{never}, ActRetry, 500 * time.Millisecond, 500 * time.Millisecond},
		"never started, the third time":  {spec(nes.Spec{}), nes.ReasonEvicted, []nes.Attempt{never, never, never}, ActRetry, 2 * time.Second, 2 * time.Second},
		"never started, the fourth time": {spec(nes.Spec{}), nes.ReasonEvicted, []nes.Attempt{never, never, never, never}, ActEnd, 0, 0},
		"never will":                     {spec(nes.Spec{}), nes.ReasonImageNotFound, []nes.Attempt{never}, ActEnd, 0, 0},
		"not ready, without a policy":    {spec(nes.Spec{}), nes.ReasonNotReady, []nes.Attempt{ran}, ActEnd, 0, 0},
		"not ready":                      {notReady(5*time.Minute, 2*time.Hour), nes.ReasonNotReady, []nes.Attempt{ran}, ActRetry, 5 * time.Minute, 5 * time.Minute},
		"not ready, and out of time":     {notReady(5*time.Minute, time.Hour), nes.ReasonNotReady, []nes.Attempt{ran}, ActEnd, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Settle(&tt.run, nes.Outcome{Reason: tt.reason}, tt.attempts, Policy{}, now)
			require.Equal(t, tt.want, d.Do, "%+v", d)
			require.Equal(t, tt.reason, d.Reason)
			if d.Do == ActRetry {
				require.GreaterOrEqual(t, d.At.Sub(now), tt.min)
				require.LessOrEqual(t, d.At.Sub(now), tt.max)
			}
		})
	}
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	queued := func(id string, priority int, age time.Duration) nes.Run {
		return nes.Run{ID: nes.RunID(id), Stage: nes.StageQueued, Source: &nes.Source{}, CreatedAt: ago(age), Spec: nes.Spec{Priority: priority}}
	}
	in := func(r nes.Run, profile, group string) nes.Run {
		r.Spec.Profile, r.Spec.Group = profile, group
		return r
	}
	busy := run(nes.StageExecuting)
	unfetched := queued("u", 100, 0)
	unfetched.Source = nil
	stopped := queued("c", 100, 0)
	stopped.CancelRequestedAt = &now
	old, young, urgent := queued("old", 0, time.Hour), queued("young", 0, time.Minute), queued("urgent", 1, 0)
	for name, tt := range map[string]struct {
		runs   []nes.Run
		limits Limits
		want   []nes.RunID
	}{
		"no limit":                      {[]nes.Run{young, old}, Limits{}, []nes.RunID{"old", "young"}},
		"priority, then age":            {[]nes.Run{young, old, urgent}, Limits{Total: 2}, []nes.RunID{"urgent", "old"}},
		"places are taken":              {[]nes.Run{busy, run(nes.StageScheduling), run(nes.StageStarting), old}, Limits{Total: 3}, nil},
		"saving takes none":             {[]nes.Run{run(nes.StageSaving), run(nes.StageWaiting), run(nes.StageEnded), old}, Limits{Total: 1}, []nes.RunID{"old"}},
		"more than allowed":             {[]nes.Run{busy, busy, old}, Limits{Total: 1}, nil},
		"not launchable":                {[]nes.Run{unfetched, stopped, old}, Limits{Total: 1}, []nes.RunID{"old"}},
		"a profile holds back its own":  {[]nes.Run{in(busy, "gpu", ""), in(urgent, "gpu", ""), old}, Limits{Total: 5, Profiles: map[string]int{"gpu": 1}}, []nes.RunID{"old"}},
		"a group too":                   {[]nes.Run{in(old, "", "sweep"), in(young, "", "sweep"), queued("other", 0, 0)}, Limits{Groups: map[string]int{"sweep": 1}}, []nes.RunID{"old", "other"}},
		"of the same age the lesser id": {[]nes.Run{queued("b", 0, 0), queued("a", 0, 0)}, Limits{Total: 1}, []nes.RunID{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Admit(tt.runs, tt.limits))
		})
	}
}

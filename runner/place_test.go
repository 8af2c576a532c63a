package runner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// elsewhere makes facts those of an attempt that another server's machine runs.
func (f Facts) elsewhere() Facts { f.Foreign, f.Seen = true, Observation{}; return f }

// TestDecideElsewhere: what runs on another server's machine is left to the controller there as long as that may live.
func TestDecideElsewhere(t *testing.T) {
	t.Parallel()
	ended := func(d time.Duration) nes.Run {
		r := run(nes.StageEnded)
		at := ago(d)
		r.EndedAt, r.Attempt = &at, 1
		return r
	}
	for name, tt := range map[string]struct {
		run   nes.Run
		facts Facts
		want  Action
		in    time.Duration
	}{
		"heard of lately":             {run(nes.StageExecuting), alive("").heard(9 * time.Minute).elsewhere(), ActWait, 5 * time.Second},
		"soon to be given up":         {run(nes.StageExecuting), alive("").heard(10*time.Minute - time.Second).elsewhere(), ActWait, time.Second},
		"silent for too long":         {run(nes.StageExecuting), alive("").heard(11 * time.Minute).elsewhere(), ActSave, 0},
		"this server has just begun":  {run(nes.StageExecuting), alive("").heard(time.Hour).since(time.Minute).elsewhere(), ActWait, 5 * time.Second},
		"cancelled, and heard of":     {run(nes.StageExecuting, cancelled(time.Minute)), alive("").elsewhere(), ActWait, 5 * time.Second},
		"an intent of another server": {run(nes.StageScheduling), alive("").unheard(time.Minute).elsewhere(), ActWait, 5 * time.Second},
		"being saved there":           {run(nes.StageSaving), alive("").elsewhere(), ActWait, 5 * time.Second},
		"saved by nobody":             {run(nes.StageSaving), alive("").heard(time.Hour).elsewhere(), ActCommit, 0},
		"to be published there":       {ended(time.Minute), alive("").elsewhere(), ActWait, 5 * time.Second},
		"published by nobody":         {ended(time.Hour), alive("").heard(time.Hour).elsewhere(), ActPublish, 0},
		"another controller leads":    {run(nes.StageExecuting), Facts{Follows: true}, ActWait, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Decide(&tt.run, tt.facts, now)
			require.Equal(t, tt.want, d.Do, "%+v", d)
			if tt.want == ActSave {
				require.Equal(t, string(nes.ReasonNodeLost), d.Exit.Reason)
				require.False(t, d.Exit.Unstarted, "it may have run: only a policy starts it again")
			}
			if tt.in == 0 {
				require.True(t, d.At.IsZero())
			} else {
				require.Equal(t, now.Add(tt.in), d.At)
			}
		})
	}
}

// TestControllersOfTwoMachines: each takes up what it may, and leaves the other's attempts alone.
func TestControllersOfTwoMachines(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	at := func(place string, leads bool) *Controller {
		o := s.c.o
		o.Place = place
		c := NewController(o)
		c.Lead(leads)
		c.desk.open(s.now)
		return c
	}
	first, second := at("first", true), at("second", true)
	s.c = first
	r := s.submit(nes.Spec{})
	for s.run(r.ID).Stage != nes.StageScheduling {
		s.stepped(r.ID)
	}
	r = s.run(r.ID)
	require.NoError(t, s.report(&r, oneCellSaid, journal.Exit{}))

	s.c = second
	require.Equal(t, nes.StageSaving, s.stepped(r.ID).Stage, "the leader leaves it to the machine that has it")
	waiting := s.submit(nes.Spec{})
	s.c = at("first", false)
	require.Equal(t, nes.StageEnded, s.stepped(r.ID).Stage, "who follows ends what is its own")
	_ = s.c.runOnce(t.Context())
	s.c.steps.Wait()
	require.Equal(t, nes.StageQueued, s.run(waiting.ID).Stage, "and begins nothing")
}

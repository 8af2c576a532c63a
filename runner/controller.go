package runner

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/nes-run/nes"
)

// Controller takes every run that is not settled to its end. It is level-triggered: what
// it does follows from what the ledger and the backend say now, never from what it remembers, so that it
// may be killed at any point and goes on when it is started again. Signals only make it look sooner.
type Controller struct {
	o    Options
	desk *desk
	// follows says that another controller leads: this one cares for the attempts of its own place alone.
	follows atomic.Bool

	wake  chan struct{} // holds one: look again
	steps conc.WaitGroup

	mu       sync.Mutex
	tracks   map[nes.RunID]*track
	fetching int
	stop     context.CancelFunc
	stopped  chan struct{}
}

// track is what the controller remembers of a run, all of it for speed alone.
type track struct {
	seen     int64     // version of the run after the last step
	due      time.Time // of the next look, whatever happens; zero is none
	nudged   bool      // look now
	busy     bool      // a step is under way
	admitted bool      // the step under way may launch
	fetches  bool      // the step under way may fetch
	failures int       // steps in a row
}

// NewController makes a controller. It starts nothing.
func NewController(o Options) *Controller {
	o = o.withDefaults()
	return &Controller{
		o: o, wake: make(chan struct{}, 1), tracks: map[nes.RunID]*track{},
		desk: &desk{seats: map[Ref]*seat{}},
	}
}

// Lead says whether this controller takes up runs (as a new one does), or cares only for the attempts of its own
// place while another one leads. It is for a controller that is stopped.
func (c *Controller) Lead(leads bool) { c.follows.Store(!leads) }

// Start begins to control, and returns. What an earlier controller left is taken up.
func (c *Controller) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		return nes.Errorf(nes.CodeConflict, "the controller was started before")
	}
	if n, ok := c.o.Backend.(Notifier); ok {
		n.Notify(func(ref Ref) { c.nudge(ref.Run) })
	}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.stopped = make(chan struct{})
	c.desk.open(c.o.Now())
	go c.loop(ctx, c.stopped)
	return nil
}

// Stop ends controlling and waits for the steps under way. Attempts run on. It may be called
// again, and after it Start as well; the two are not for use at the same time.
func (c *Controller) Stop() {
	c.mu.Lock()
	stop, stopped := c.stop, c.stopped
	c.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	<-stopped
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop, c.tracks = nil, map[nes.RunID]*track{} // others may control meanwhile
}

// Kick makes the controller look now.
func (c *Controller) Kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// nudge makes the controller look at one run now.
func (c *Controller) nudge(id nes.RunID) {
	c.mu.Lock()
	if t, ok := c.tracks[id]; ok {
		t.nudged = true
	}
	c.mu.Unlock()
	c.Kick()
}

// idle is the longest time between two looks at the ledger.
const idle = 10 * time.Second

func (c *Controller) loop(ctx context.Context, stopped chan<- struct{}) {
	defer close(stopped)
	defer c.steps.Wait()
	c.steps.Go(func() { c.tidy(ctx) })
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for ctx.Err() == nil {
		changed := c.o.Ledger.Changed("")
		began := time.Now()
		next := c.runOnce(ctx)
		took := time.Since(began)
		timer.Reset(min(idle, max(next.Sub(c.o.Now()), time.Millisecond)))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-c.wake:
		case <-timer.C:
		}
		c.breathe(ctx, took)
	}
}

// breathe keeps looking from taking more than half of the time when there are very many runs.
func (c *Controller) breathe(ctx context.Context, took time.Duration) {
	if took < 5*time.Millisecond {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(took):
	}
}

// runOnce looks at every run that is not settled, starts a step for each that needs one, and returns when to look next.
func (c *Controller) runOnce(ctx context.Context) time.Time {
	now := c.o.Now()
	runs, err := c.o.Ledger.Unsettled(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.o.Log.Error("the ledger cannot be read", "error", err)
		}
		return now.Add(time.Second)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetSettled(runs)
	var admitted map[nes.RunID]bool
	if c.follows.Load() {
		runs = slices.DeleteFunc(runs, func(r nes.Run) bool { return !attempted(&r) })
	} else {
		admitted = c.admit(runs)
	}
	next := now.Add(idle)
	for i := range runs {
		if at := c.leftover(&runs[i]); at.After(now) {
			next = earlier(next, at)
			continue
		}
		t := c.track(runs[i].ID)
		if !t.busy && c.needsStep(t, &runs[i], admitted[runs[i].ID], now) {
			c.begin(ctx, t, runs[i], admitted[runs[i].ID])
		}
		if !t.busy && !t.due.IsZero() {
			next = earlier(next, t.due)
		}
	}
	return next
}

// calm is how long a new controller leaves alone what only has to be cleared away: somebody may have
// started it to run a notebook, and waits for that.
const calm = 250 * time.Millisecond

// attempted reports whether what comes next concerns an attempt, which has a place.
func attempted(r *nes.Run) bool {
	return takesPlace(r.Stage) || r.Stage == nes.StageSaving || (r.Ended() && r.Attempt > 0)
}

// leftover is when to look at a run that ended before this controller began; zero is at once.
func (c *Controller) leftover(r *nes.Run) time.Time {
	opened := c.desk.openedAt()
	if r.EndedAt == nil || !r.EndedAt.Before(opened) {
		return time.Time{}
	}
	return opened.Add(calm)
}

func (c *Controller) track(id nes.RunID) *track {
	t, ok := c.tracks[id]
	if !ok {
		t = &track{}
		c.tracks[id] = t
	}
	return t
}

func (c *Controller) forgetSettled(runs []nes.Run) {
	if len(c.tracks) == 0 {
		return
	}
	open := make(map[nes.RunID]bool, len(runs))
	for i := range runs {
		open[runs[i].ID] = true
	}
	for id, t := range c.tracks {
		if !open[id] && !t.busy {
			delete(c.tracks, id)
		}
	}
}

// admit chooses runs for the free places. A run whose step may be launching it right now has its place.
func (c *Controller) admit(runs []nes.Run) map[nes.RunID]bool {
	view := make([]nes.Run, len(runs))
	copy(view, runs)
	for i := range view {
		t := c.track(view[i].ID)
		switch {
		case t.busy && t.admitted && view[i].Stage == nes.StageQueued:
			view[i].Stage = nes.StageScheduling
		case t.due.After(c.o.Now()) && t.failures > 0 && view[i].Stage == nes.StageQueued:
			view[i].Source = nil // backs off, and keeps nobody waiting meanwhile
		}
	}
	chosen := map[nes.RunID]bool{}
	for _, id := range Admit(view, c.o.Limits) {
		chosen[id] = true
	}
	return chosen
}

func (c *Controller) needsStep(t *track, r *nes.Run, admitted bool, now time.Time) bool {
	if wantsFetch(r) && c.fetching >= c.o.MaxFetches && r.CancelRequestedAt == nil {
		return false
	}
	if t.failures > 0 && t.seen == r.Version {
		return t.nudged || !t.due.After(now)
	}
	return t.seen != r.Version || admitted || t.nudged || (!t.due.IsZero() && !t.due.After(now))
}

func wantsFetch(r *nes.Run) bool {
	return r.Source == nil && (r.Stage == nes.StageQueued || r.Stage == nes.StageFetching)
}

// begin starts a step. The lock is held.
func (c *Controller) begin(ctx context.Context, t *track, r nes.Run, admitted bool) {
	t.busy, t.nudged, t.admitted, t.fetches = true, false, admitted, wantsFetch(&r)
	if t.fetches {
		c.fetching++
	}
	failures := t.failures
	c.steps.Go(func() {
		s := &step{c: c, run: r, admitted: admitted, failures: failures}
		err := s.guarded(ctx)
		c.end(ctx, t, s, err)
	})
}

// end takes down what came of a step, and makes the loop look again.
func (c *Controller) end(ctx context.Context, t *track, s *step, err error) {
	defer c.Kick()
	if err != nil && ctx.Err() == nil {
		c.failed(ctx, s, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.fetches {
		c.fetching--
	}
	t.busy, t.admitted, t.fetches = false, false, false
	t.seen, t.due = s.run.Version, s.due
	if err == nil {
		t.failures = 0
		return
	}
	t.failures++
	t.due = c.o.Now().Add(pause(t.failures))
}

// pause after n failures in a row.
func pause(n int) time.Duration {
	return min(100*time.Millisecond<<min(n-1, 10), 30*time.Second)
}

// failed logs each failure, and tells people of the first that is not over at once.
func (c *Controller) failed(ctx context.Context, s *step, err error) {
	c.o.Log.Error("a step failed; it will be tried again", "run", s.run.ID, "stage", s.run.Stage, "failures", s.failures+1, "error", err)
	if s.failures != 2 {
		return
	}
	note := fmt.Sprintf("%s does not succeed, and is tried again: %v", s.doing, err)
	if err := c.o.Ledger.Note(ctx, s.run.ID, note, c.o.Now()); err != nil {
		c.o.Log.Warn("note was not taken", "run", s.run.ID, "error", err)
	}
}

// guarded runs the step; a panic in one run's step does not touch the others.
func (s *step) guarded(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = nes.Errorf(nes.CodeInternal, "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.do(ctx)
}

// tidy removes what the backend has of attempts that are over, or that nobody knows.
func (c *Controller) tidy(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(calm):
	}
	refs, err := c.o.Backend.List(ctx)
	if err != nil {
		c.o.Log.Warn("attempts cannot be listed", "error", err)
		return
	}
	for _, ref := range refs {
		run, err := c.o.Ledger.Run(ctx, ref.Run)
		if nes.CodeOf(err) != nes.CodeNotFound && (err != nil || !over(&run, ref.Attempt)) {
			continue
		}
		if err := c.o.Backend.Remove(ctx, ref); err != nil {
			c.o.Log.Warn("attempt cannot be removed", "attempt", ref.Name(), "error", err)
		}
	}
}

// over reports whether nothing of the attempt is needed any more.
func over(r *nes.Run, attempt int) bool {
	if attempt != r.Attempt {
		return attempt < r.Attempt
	}
	return r.Ended() || r.Stage == nes.StageWaiting || r.Stage == nes.StageQueued
}

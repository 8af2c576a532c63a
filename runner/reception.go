package runner

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// Reception answers the agents: it lets in the agent of a run's newest attempt alone, takes
// what it brings, and tells it when the run is to end. It writes to the ledger when a run comes into
// another stage, never because of a heartbeat.
type Reception struct{ c *Controller }

// Reception returns the agents' side of the controller.
func (c *Controller) Reception() *Reception { return &Reception{c} }

var _ agentapi.Service = (*Reception)(nil)

// visit is a caller who was let in.
type visit struct {
	run  nes.Run
	seat *seat
}

// identify checks the caller's token.
func (r *Reception) identify(ctx context.Context, caller agentapi.Caller) (visit, error) {
	ref := Ref{Run: caller.Run, Attempt: caller.Attempt}
	run, err := r.c.o.Ledger.Run(ctx, caller.Run)
	if err != nil {
		return visit{}, err
	}
	if run.Attempt != caller.Attempt || !takesPlace(run.Stage) {
		defer r.c.desk.leave(ref) // whose attempt is over is heard, and keeps no seat
	}
	s, err := r.c.desk.seat(ctx, r.c.o.Ledger, ref)
	if err != nil {
		return visit{}, err
	}
	if !tokenFits(caller.Token, s.tokenHash) {
		return visit{}, nes.Errorf(nes.CodeUnauthorized, "this is not the token of attempt %d", caller.Attempt)
	}
	return visit{run, s}, nil
}

// admit lets in the agent of an attempt that is under way.
func (r *Reception) admit(ctx context.Context, caller agentapi.Caller) (visit, error) {
	v, err := r.identify(ctx, caller)
	if err != nil {
		return visit{}, err
	}
	if v.run.Attempt != caller.Attempt || !takesPlace(v.run.Stage) {
		return visit{}, nes.Errorf(nes.CodeConflict, "attempt %d of run %s is over", caller.Attempt, caller.Run)
	}
	now := r.c.o.Now()
	if v.seat.hear(now, r.c.o.HeardEvery) {
		if err := r.c.o.Ledger.Heard(ctx, caller.Run, caller.Attempt, now); err != nil {
			r.c.o.Log.Warn("other servers do not hear of an agent", "run", caller.Run, "error", err)
		}
	}
	return v, nil
}

// Launch implements agentapi.Service.
func (r *Reception) Launch(ctx context.Context, caller agentapi.Caller) (journal.Launch, error) {
	v, err := r.admit(ctx, caller)
	if err != nil {
		return journal.Launch{}, err
	}
	return LaunchOrder(&v.run, r.c.o.Policy), nil
}

// Bundle implements agentapi.Service.
func (r *Reception) Bundle(ctx context.Context, caller agentapi.Caller) (io.ReadCloser, error) {
	v, err := r.admit(ctx, caller)
	if err != nil {
		return nil, err
	}
	if v.run.Source == nil {
		return nil, nes.Errorf(nes.CodeInternal, "run %s was launched without a source", v.run.ID)
	}
	return r.c.o.Sources.OpenBundle(ctx, *v.run.Source)
}

// Journal implements agentapi.Service.
func (r *Reception) Journal(ctx context.Context, caller agentapi.Caller, offset int64, body io.Reader) (agentapi.Pace, error) {
	v, err := r.admit(ctx, caller)
	if err != nil {
		return agentapi.Pace{}, err
	}
	accepted, err := r.c.o.Journals.AppendJournal(ctx, &v.run, caller.Attempt, offset, body)
	if err != nil {
		return agentapi.Pace{}, err
	}
	if err := r.advance(ctx, &v); err != nil {
		return agentapi.Pace{}, err
	}
	pace := agentapi.Pace{Offset: accepted, EveryMS: r.pace(v.seat)}
	if order, ok := OrderOf(&v.run, r.c.o.Policy, r.c.o.Now()); ok {
		pace.Cancel, pace.Reason, pace.Why = true, string(order.Reason), order.Why
	}
	return pace, nil
}

// advance moves the run's stage along with what its agent has shown.
func (r *Reception) advance(ctx context.Context, v *visit) error {
	now := r.c.o.Now()
	if v.run.Stage == nes.StageExecuting {
		return nil
	}
	change := nes.Starting(&v.run, now)
	if at, ok := r.c.o.Journals.FirstCell(&v.run, v.run.Attempt); ok {
		change = nes.Executing(&v.run, between(v.seat.launchedAt, at, now))
	} else if v.run.Stage == nes.StageStarting {
		return nil
	}
	run, err := r.c.o.Ledger.Apply(ctx, change)
	if nes.CodeOf(err) == nes.CodeConflict { // two calls of one agent, or its end was quicker
		return nil
	}
	if err == nil {
		v.run = run
	}
	return err
}

// between keeps the clock of another machine within what is possible.
func between(low, t, high time.Time) time.Time {
	if t.Before(low) {
		return low
	}
	if t.After(high) {
		return high
	}
	return t
}

const (
	youth     = 5 * time.Second        // of an attempt, while people may be watching it begin
	youngPace = 200 * time.Millisecond // of a young attempt's agent
	usualPace = time.Second
	maxPace   = 10 * time.Second
	perSecond = 50 // calls of all agents together that are easily served
)

// pace slows agents down when there are many.
func (r *Reception) pace(s *seat) int {
	pace := usualPace
	if r.c.o.Now().Sub(s.launchedAt) < youth {
		pace = youngPace
	}
	crowd := time.Duration(r.c.desk.count()) * time.Second / perSecond
	return int(min(max(pace, crowd), maxPace).Milliseconds())
}

// PutFile implements agentapi.Service.
func (r *Reception) PutFile(ctx context.Context, caller agentapi.Caller, name, sha256 string, body io.Reader) error {
	v, err := r.admit(ctx, caller)
	if err != nil {
		return err
	}
	return r.c.o.Journals.PutFile(ctx, &v.run, caller.Attempt, name, sha256, body)
}

// Exit implements agentapi.Service. It returns when the end is in the ledger, and may be repeated.
func (r *Reception) Exit(ctx context.Context, caller agentapi.Caller, e journal.Exit) error {
	v, err := r.identify(ctx, caller)
	if err != nil {
		return err
	}
	if v.run.Attempt == caller.Attempt && !takesPlace(v.run.Stage) {
		return nil // recorded before
	}
	if v, err = r.admit(ctx, caller); err != nil {
		return err
	}
	if err := r.advance(ctx, &v); err != nil {
		return err
	}
	fault.At(fault.ExitReporting)
	if e = r.conclude(ctx, &v, e); ctx.Err() != nil {
		return ctx.Err()
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = r.c.o.Ledger.Apply(ctx, nes.Saving(&v.run, raw, e.Message, r.c.o.Now()))
	if nes.CodeOf(err) == nes.CodeConflict {
		return r.Exit(ctx, caller, e) // moved meanwhile: look again; a stage is left once, so this ends
	}
	r.c.nudge(caller.Run)
	return err
}

// conclude adds what the server knows to the report of an agent that found no marker, and to a marker that says
// that somebody ended the notebook whom the server did not ask to: the backend may know who.
func (r *Reception) conclude(ctx context.Context, v *visit, e journal.Exit) journal.Exit {
	order, ordered := OrderOf(&v.run, r.c.o.Policy, r.c.o.Now())
	if !e.Inferred && (ordered || e.Reason != string(nes.ReasonCancelled)) {
		return e
	}
	// The agent learns of the death at once, the backend a moment later.
	seen := r.observe(ctx, v, func(o Observation) bool { return e.Unstarted || !e.Inferred || o.Phase != PhaseRunning })
	if seen.Exit == nil || !e.Inferred {
		seen.Exit = &e
	}
	return Conclude(seen, order, r.c.o.Now())
}

const (
	observeFor   = 5 * time.Second
	observeEvery = 50 * time.Millisecond
)

// observe asks the backend until enough is known, for a while at most.
func (r *Reception) observe(ctx context.Context, v *visit, enough func(Observation) bool) Observation {
	for end := time.Now().Add(observeFor); ; {
		seen, err := r.c.o.Backend.Observe(ctx, Ref{Run: v.run.ID, Attempt: v.run.Attempt})
		if err != nil {
			r.c.o.Log.Warn("attempt cannot be observed at its end", "run", v.run.ID, "error", err)
		}
		if err == nil && enough(seen) || time.Now().After(end) || ctx.Err() != nil {
			return seen
		}
		select {
		case <-ctx.Done():
		case <-time.After(observeEvery):
		}
	}
}

// desk remembers the agents that called.
type desk struct {
	mu     sync.Mutex
	opened time.Time
	seats  map[Ref]*seat
}

// seat of one attempt's agent.
type seat struct {
	tokenHash  string
	place      string
	launchedAt time.Time

	mu    sync.Mutex
	heard time.Time
	told  time.Time // when other servers were last told
	notes map[string]bool
}

// maxNotes of one attempt: more are no news.
const maxNotes = 10

// news reports whether a note is told for the first time.
func (s *seat) news(note string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notes[note] || len(s.notes) >= maxNotes {
		return false
	}
	if s.notes == nil {
		s.notes = map[string]bool{}
	}
	s.notes[note] = true
	return true
}

func (d *desk) open(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened = now
}

func (d *desk) openedAt() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened
}

// seat finds the attempt's, and reads what never changes of it from the ledger the first time.
func (d *desk) seat(ctx context.Context, ledger Runs, ref Ref) (*seat, error) {
	d.mu.Lock()
	s, ok := d.seats[ref]
	d.mu.Unlock()
	if ok {
		return s, nil
	}
	a, err := ledger.Attempt(ctx, ref.Run, ref.Attempt)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.seats[ref]; ok {
		return s, nil
	}
	s = &seat{tokenHash: a.TokenHash, place: a.Place, launchedAt: a.LaunchedAt}
	if a.HeardAt != nil {
		s.heard = *a.HeardAt
	}
	d.seats[ref] = s
	return s, nil
}

func (d *desk) leave(ref Ref) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seats, ref)
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.seats)
}

// hear notes a call, and reports whether other servers are to be told of it.
func (s *seat) hear(now time.Time, every time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.heard) {
		s.heard = now
	}
	if every == 0 || now.Sub(s.told) < every {
		return false
	}
	s.told = now
	return true
}

// catchUp learns of calls that other servers took, when none came to this one for a while.
func (s *seat) catchUp(ctx context.Context, ledger Runs, ref Ref, now time.Time, every time.Duration) error {
	if every == 0 || now.Sub(s.heardAt()) < every {
		return nil
	}
	a, err := ledger.Attempt(ctx, ref.Run, ref.Attempt)
	if err == nil && a.HeardAt != nil {
		s.hear(*a.HeardAt, 0)
	}
	return err
}

func (s *seat) heardAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/journal"
)

// step takes one run as far as it goes without waiting.
type step struct {
	c        *Controller
	run      nes.Run
	admitted bool
	failures int // of steps before this one
	stops    int // hard stops in this step
	doing    Action
	due      time.Time
}

// maxConflicts bounds how often a step begins again because somebody else moved the run.
const maxConflicts = 10

// do decides and performs until there is nothing to do but to wait.
func (s *step) do(ctx context.Context) error {
	conflicts := 0
	for ctx.Err() == nil {
		d, err := s.decide(ctx)
		if err != nil {
			return err
		}
		s.doing = d.Do
		waits, err := s.perform(ctx, d)
		if nes.CodeOf(err) == nes.CodeConflict && conflicts < maxConflicts {
			conflicts++
			if err = s.lookAgain(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if waits {
			s.due = d.At
			return s.tell(ctx, d)
		}
	}
	return ctx.Err()
}

// tell notes, once, what an attempt waits for that does not start.
func (s *step) tell(ctx context.Context, d Decision) error {
	if d.Do != ActWait || d.Message == "" {
		return nil
	}
	seat, err := s.c.desk.seat(ctx, s.c.o.Ledger, s.ref())
	if err != nil || !seat.news(d.Message) {
		return err
	}
	return s.c.o.Ledger.Note(ctx, s.run.ID, d.Message, s.now())
}

func (s *step) ref() Ref { return Ref{Run: s.run.ID, Attempt: s.run.Attempt} }

func (s *step) now() time.Time { return s.c.o.Now() }

// decide gathers the facts and asks Decide.
func (s *step) decide(ctx context.Context) (Decision, error) {
	f := Facts{Policy: s.c.o.Policy, Admitted: s.admitted, Since: s.c.desk.openedAt()}
	if attempted(&s.run) {
		if err := s.observe(ctx, &f); err != nil {
			return Decision{}, err
		}
	}
	return Decide(&s.run, f, s.now()), nil
}

// observe looks at the newest attempt, as far as it can be seen from here.
func (s *step) observe(ctx context.Context, f *Facts) error {
	seat, err := s.c.desk.seat(ctx, s.c.o.Ledger, s.ref())
	if err != nil {
		return err
	}
	f.Foreign = seat.place != "" && seat.place != s.c.o.Place
	f.Follows = s.c.follows.Load() && (f.Foreign || seat.place == "")
	if !takesPlace(s.run.Stage) && !f.Foreign {
		return nil
	}
	if err := seat.catchUp(ctx, s.c.o.Ledger, s.ref(), s.now(), s.c.o.HeardEvery); err != nil {
		return err
	}
	f.LaunchedAt, f.HeardAt = seat.launchedAt, seat.heardAt()
	if f.Foreign {
		s.c.desk.leave(s.ref()) // its agent calls another server
		return nil
	}
	if f.Seen, err = s.c.o.Backend.Observe(ctx, s.ref()); err != nil {
		return fmt.Errorf("observe %s: %w", s.ref().Name(), err)
	}
	return nil
}

// perform does what was decided, and reports whether there is nothing more to do for now.
func (s *step) perform(ctx context.Context, d Decision) (waits bool, err error) {
	switch d.Do {
	case ActFetch:
		return false, s.fetch(ctx)
	case ActRequeue:
		return false, s.apply(ctx, nes.Requeue(&s.run, d.Message, s.now()))
	case ActLaunch:
		return false, s.launch(ctx)
	case ActAdopt:
		return false, s.create(ctx)
	case ActStop:
		return s.stop(ctx)
	case ActSave:
		return false, s.save(ctx, *d.Exit)
	case ActCommit:
		return false, s.commit(ctx)
	case ActEnd:
		return false, s.apply(ctx, nes.End(&s.run, d.Reason, d.Message, nil, s.now()))
	case ActPublish:
		return true, s.publish(ctx)
	default:
		return true, nil
	}
}

func (s *step) apply(ctx context.Context, t nes.Transition) error {
	run, err := s.c.o.Ledger.Apply(ctx, t)
	if err == nil {
		s.run = run
	}
	return err
}

// lookAgain reads the run. When that fails, the step keeps the one it had: its version paces the next try.
func (s *step) lookAgain(ctx context.Context) error {
	run, err := s.c.o.Ledger.Run(ctx, s.run.ID)
	if err == nil {
		s.run = run
	}
	return err
}

// maxFetchFailures of a source that is unavailable, before the run ends because of it.
const maxFetchFailures = 6

// fetch resolves and checks the source. It ends early when the run is not wanted any more.
func (s *step) fetch(ctx context.Context) error {
	if err := s.apply(ctx, nes.Fetch(&s.run, s.now())); err != nil {
		return err
	}
	watched, cancel := s.untilOrdered(ctx)
	defer cancel()
	fetched, err := s.c.o.Sources.Fetch(watched, &s.run)
	switch {
	case err == nil:
		return s.apply(ctx, nes.FetchDone(&s.run, fetched, s.now()))
	case ctx.Err() != nil:
		return ctx.Err()
	case watched.Err() != nil: // an order came: Decide reads it from the run
		return s.lookAgain(ctx)
	}
	final := nes.CodeOf(err) != nes.CodeUnavailable && nes.CodeOf(err) != nes.CodeInternal
	if final || s.failures+1 >= maxFetchFailures {
		s.c.o.Log.Info("source refused", "run", s.run.ID, "error", err)
		return s.apply(ctx, refused(&s.run, fetched, err, s.now()))
	}
	return err
}

// refused ends a run that its source does not allow. What was found out of the source stays in the record.
func refused(r *nes.Run, found nes.Fetched, err error, at time.Time) nes.Transition {
	end := nes.End(r, nes.ReasonOf(err), err.Error(), nil, at)
	if found.Source.Path != "" {
		end.Fetched = &found
	}
	return end
}

// untilOrdered returns a context that ends when the run is to end.
func (s *step) untilOrdered(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	id := s.run.ID
	s.c.steps.Go(func() {
		for ctx.Err() == nil {
			changed := s.c.o.Ledger.Changed(id)
			run, err := s.c.o.Ledger.Run(ctx, id)
			if err == nil {
				if _, ordered := OrderOf(&run, s.c.o.Policy, s.now()); ordered {
					cancel()
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-changed:
			case <-time.After(idle): // for the clocks
			}
		}
	})
	return ctx, cancel
}

// launch records the intent, then creates what was intended.
func (s *step) launch(ctx context.Context) error {
	s.admitted = false
	next := Ref{Run: s.run.ID, Attempt: s.run.Attempt + 1}
	if err := s.apply(ctx, nes.Launch(&s.run, HashToken(s.c.o.Key.Token(next)), s.now()).In(s.c.o.Place)); err != nil {
		return err
	}
	return s.create(ctx)
}

// create makes the backend start the attempt, or take up what it has of it. It is done again
// after a crash between intent and creation; token and order are the same then.
func (s *step) create(ctx context.Context) error {
	if err := s.c.o.Records.Intend(ctx, &s.run); err != nil {
		return fmt.Errorf("store the intent to launch %s: %w", s.ref().Name(), err)
	}
	factor, err := s.memoryFactor(ctx)
	if err != nil {
		return err
	}
	fault.At(fault.Launching)
	err = s.c.o.Backend.Launch(ctx, Job{
		Ref: s.ref(), Token: s.c.o.Key.Token(s.ref()), Launch: LaunchOrder(&s.run, s.c.o.Policy),
		Runtime: s.run.Spec.Runtime, Profile: s.run.Spec.Profile, Resources: resources(&s.run), MemoryFactor: factor, HostNetwork: s.run.Spec.HostNetwork, Labels: s.run.Spec.Labels,
		Secrets: s.run.Spec.Secrets,
	})
	if e, ok := errors.AsType[*nes.Error](err); ok && e.Reason != "" {
		o := Observation{Phase: PhaseGone, Reason: e.Reason, Message: e.Message}
		return s.save(ctx, Conclude(o, Order{}, s.now()))
	}
	return err
}

func resources(r *nes.Run) nes.Resources {
	if r.Spec.Resources == nil {
		return nes.Resources{}
	}
	return *r.Spec.Resources
}

// stop ends the attempt hard, and gives it a second when that is not enough at once.
func (s *step) stop(ctx context.Context) (waits bool, err error) {
	if s.stops++; s.stops > 3 {
		return false, nes.Errorf(nes.CodeUnavailable, "%s still lives after it was stopped", s.ref().Name())
	}
	if err := s.c.o.Backend.Stop(ctx, s.ref()); err != nil {
		return false, fmt.Errorf("stop %s: %w", s.ref().Name(), err)
	}
	return false, s.lookAgain(ctx) // its agent may have reported the end meanwhile
}

func (s *step) save(ctx context.Context, exit journal.Exit) error {
	raw, err := json.Marshal(exit)
	if err != nil {
		return err
	}
	return s.apply(ctx, nes.Saving(&s.run, raw, exit.Message, s.now()))
}

// maxSaving is how long storing is tried before a run ends without its record.
const maxSaving = time.Hour

// commit makes the record, and then ends the run or queues it for another attempt. A crash
// before the last change makes all of it happen again, without harm.
func (s *step) commit(ctx context.Context) error {
	attempts, err := s.c.o.Ledger.Attempts(ctx, s.run.ID)
	if err != nil {
		return err
	}
	a := attempts[len(attempts)-1]
	exit := recorded(a)
	if exit.Inferred { // nobody said that nothing of it lives
		if err := s.c.o.Backend.Stop(ctx, s.ref()); err != nil {
			return fmt.Errorf("stop %s: %w", s.ref().Name(), err)
		}
	}
	outcome, err := s.c.o.Records.Commit(ctx, &s.run, a, exit)
	if err != nil {
		if a.EndedAt == nil || s.now().Sub(*a.EndedAt) < maxSaving {
			return fmt.Errorf("store the record of %s: %w", s.ref().Name(), err)
		}
		outcome = nes.Outcome{Reason: nes.ReasonStorageUnavailable, Message: "the record could not be stored: its journal is kept"}
		return s.apply(ctx, nes.End(&s.run, outcome.Reason, outcome.Message, &outcome, s.now()))
	}
	d := Settle(&s.run, outcome, attempts, s.c.o.Policy, s.now())
	if d.Do == ActRetry {
		return s.retry(ctx, outcome, d)
	}
	outcome.Message = d.Message
	if err := s.apply(ctx, nes.End(&s.run, d.Reason, d.Message, &outcome, s.now())); err != nil {
		return err
	}
	s.forget(s.ref())
	return nil
}

// recorded is how the attempt ended, as the ledger has it.
func recorded(a nes.Attempt) journal.Exit {
	var e journal.Exit
	if len(a.Exit) == 0 || json.Unmarshal(a.Exit, &e) != nil {
		return journal.Exit{V: journal.Version, Code: -1, Inferred: true}
	}
	return e
}

func (s *step) retry(ctx context.Context, o nes.Outcome, d Decision) error {
	old := s.ref()
	if err := s.apply(ctx, nes.RetryLater(&s.run, o, d.At, s.now())); err != nil {
		return err
	}
	s.forget(old)
	if err := s.c.o.Backend.Remove(ctx, old); err != nil {
		s.c.o.Log.Warn("attempt cannot be removed", "attempt", old.Name(), "error", err)
	}
	return nil
}

func (s *step) forget(ref Ref) {
	s.c.desk.leave(ref)
	s.c.o.Records.Forget(ref.Run, ref.Attempt)
}

// publish tells the world, and cleans up.
func (s *step) publish(ctx context.Context) error {
	if s.run.Attempt > 0 {
		fault.At(fault.Removing)
		if err := s.c.o.Backend.Remove(ctx, s.ref()); err != nil {
			return fmt.Errorf("remove %s: %w", s.ref().Name(), err)
		}
		s.forget(s.ref())
	}
	fault.At(fault.Publishing)
	if err := s.c.o.Records.Publish(ctx, &s.run); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	fault.At(fault.Published)
	return s.c.o.Ledger.Published(ctx, s.run.ID)
}

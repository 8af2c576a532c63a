package runner

import (
	"fmt"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// Action is what the controller does next with a run.
type Action string

// The actions; there are no others.
const (
	ActNothing Action = "nothing" // it is over
	ActWait    Action = "wait"    // until something is heard of it, at the latest until At (zero: for ever)
	ActFetch   Action = "fetch"   // its source
	ActRequeue Action = "requeue" // put it back into the queue
	ActLaunch  Action = "launch"  // record the intent of a new attempt, and launch it
	ActAdopt   Action = "adopt"   // launch again what was intended: the backend takes up what it has
	ActCancel  Action = "cancel"  // the agent is told with its next answer; look again at At
	ActStop    Action = "stop"    // end the attempt hard
	ActSave    Action = "save"    // the attempt is over, as Exit says
	ActCommit  Action = "commit"  // reduce and store, then end the run or queue it again
	ActEnd     Action = "end"     // end a run that has nothing to be saved
	ActRetry   Action = "retry"   // another attempt, not before At
	ActPublish Action = "publish" // tell the world
)

// Decision is the next step of a run.
type Decision struct {
	Do      Action
	Reason  nes.Reason    // for ActCancel, ActEnd and ActRetry
	Message string        // of ActWait: what the attempt waits for, for people
	Exit    *journal.Exit // for ActSave
	At      time.Time
}

// Facts are what is known of a run beside its record.
type Facts struct {
	Policy   Policy
	Admitted bool // a place is free, and it is this run's
	Foreign  bool // the attempt runs where only another server reaches it
	Follows  bool // another controller cares for it

	// Of the newest attempt, in the stages from scheduling to executing.
	Seen       Observation
	LaunchedAt time.Time
	HeardAt    time.Time // when its agent last called; zero if it never did
	// Since is when this process began to listen: silence before it proves nothing.
	Since time.Time
}

// Decide says what comes next for a run. It is a pure function, and the only place
// where that is decided.
func Decide(r *nes.Run, f Facts, now time.Time) Decision {
	f.Policy = f.Policy.WithDefaults()
	switch {
	case f.Follows:
		return Decision{Do: ActWait}
	case f.Foreign && !r.Published:
		if at := abandonedAt(r, f); at.After(now) {
			return Decision{Do: ActWait, At: earlier(at, now.Add(f.Policy.MaxLook))}
		}
	}
	switch r.Stage {
	case nes.StageEnded:
		return decideEnded(r)
	case nes.StageSaving:
		return Decision{Do: ActCommit}
	case nes.StageScheduling, nes.StageStarting, nes.StageExecuting:
		return decideAttempt(r, f, now)
	}
	if order, ok := OrderOf(r, f.Policy, now); ok {
		return Decision{Do: ActEnd, Reason: order.Reason, Message: order.Why}
	}
	switch r.Stage {
	case nes.StageFetching: // nobody fetches: whoever did has died
		return Decision{Do: ActRequeue, Message: "the fetch was interrupted"}
	case nes.StageWaiting:
		return decideWaiting(r, f, now)
	default:
		return decideQueued(r, f, now)
	}
}

func decideEnded(r *nes.Run) Decision {
	if r.Published {
		return Decision{Do: ActNothing}
	}
	return Decision{Do: ActPublish}
}

func decideQueued(r *nes.Run, f Facts, now time.Time) Decision {
	switch {
	case r.Source == nil:
		return Decision{Do: ActFetch}
	case f.Admitted:
		return Decision{Do: ActLaunch}
	}
	return Decision{Do: ActWait, At: nextClock(r, f.Policy, now)}
}

func decideWaiting(r *nes.Run, f Facts, now time.Time) Decision {
	if r.NotBefore == nil || !r.NotBefore.After(now) {
		return Decision{Do: ActRequeue, Message: "the wait is over"}
	}
	return Decision{Do: ActWait, At: earlier(*r.NotBefore, nextClock(r, f.Policy, now))}
}

// abandonedAt is when an attempt of another server's machine is nobody's any more. Its agent calls the server there: as long
// as that is heard of, or was lately, it takes the attempt to its end itself.
func abandonedAt(r *nes.Run, f Facts) time.Time {
	last := f.Since
	for _, t := range []*time.Time{&f.LaunchedAt, &f.HeardAt, r.EndedAt} {
		if t != nil && t.After(last) {
			last = *t
		}
	}
	return last.Add(f.Policy.PlaceSilence)
}

// decideAttempt trusts, in this order: the exit marker, what the backend saw, and at last silence.
func decideAttempt(r *nes.Run, f Facts, now time.Time) Decision {
	if f.HeardAt.IsZero() && r.Stage != nes.StageScheduling {
		f.HeardAt = f.LaunchedAt // it was heard, else the run were not here; only this process knows of no call
	}
	order, ordered := OrderOf(r, f.Policy, now)
	switch {
	case f.Foreign:
		lost := Observation{Started: true, Reason: nes.ReasonNodeLost}
		lost.Message = fmt.Sprintf("nothing was heard of the machine that ran it for %s", f.Policy.PlaceSilence)
		return save(Conclude(lost, order, now))
	case f.Seen.Phase == PhaseGone:
		return save(Conclude(f.Seen, order, now))
	case f.Seen.Phase == PhaseAbsent:
		return decideAbsent(r, f, now)
	case ordered:
		return decideOrdered(f, order, now)
	case f.Seen.Phase == PhasePending && f.Seen.Reason != "":
		return save(Conclude(f.Seen, Order{}, now))
	}
	if lost, ok := decideSilent(f, now); ok {
		return lost
	}
	wait := Decision{Do: ActWait, At: earlier(now.Add(f.Policy.MaxLook), nextClock(r, f.Policy, now))}
	if f.Seen.Phase == PhasePending {
		wait.Message = f.Seen.Message
	}
	if !f.Seen.Held {
		wait.At = earlier(wait.At, silentAt(f))
	}
	return wait
}

// decideAbsent: an intent whose launch never came to be is launched, unless it is not wanted
// any more; an attempt that was heard of and is not there any more was taken away.
func decideAbsent(r *nes.Run, f Facts, now time.Time) Decision {
	order, ordered := OrderOf(r, f.Policy, now)
	begun := r.Stage != nes.StageScheduling || !f.HeardAt.IsZero()
	switch {
	case begun && !ordered:
		f.Seen.Started, f.Seen.Reason = true, nes.ReasonPodDeleted
		f.Seen.Message = "the attempt was removed from outside while it ran"
	case begun:
		f.Seen.Started = true
	case !ordered:
		return Decision{Do: ActAdopt}
	}
	return save(Conclude(f.Seen, order, now))
}

func decideOrdered(f Facts, order Order, now time.Time) Decision {
	hardAt := order.Since.Add(f.Policy.patience())
	if f.HeardAt.IsZero() {
		return Decision{Do: ActStop} // there is no agent yet that could be told
	}
	hardAt = earlier(hardAt, silentAt(f))
	if !hardAt.After(now) {
		return Decision{Do: ActStop}
	}
	return Decision{Do: ActCancel, Reason: order.Reason, Message: order.Why, At: hardAt}
}

// decideSilent gives an attempt up of which nothing is heard, and one that never got a place.
func decideSilent(f Facts, now time.Time) (Decision, bool) {
	if silentAt(f).After(now) || f.Seen.Held {
		return Decision{}, false
	}
	seen := f.Seen
	seen.Exit = nil
	if seen.Reason == "" { // else the backend knows why
		seen.Reason = nes.ReasonAgentLost
	}
	seen.Message = fmt.Sprintf("nothing was heard of the attempt for %s", f.Policy.AgentSilence)
	if f.HeardAt.IsZero() {
		seen.Message = fmt.Sprintf("the attempt did not report within %s", f.Policy.Placing)
	}
	if f.Seen.Message != "" {
		seen.Message += ": " + f.Seen.Message
	}
	return save(Conclude(seen, Order{}, now)), true
}

// silentAt is when the agent's silence becomes proof that it is lost.
func silentAt(f Facts) time.Time {
	last, patience := f.HeardAt, f.Policy.AgentSilence
	if last.IsZero() {
		last, patience = f.LaunchedAt, f.Policy.Placing
		if f.Seen.Since.After(last) { // it had to wait its turn
			last = f.Seen.Since
		}
	}
	if f.Since.After(last) {
		last = f.Since
	}
	return last.Add(patience)
}

func save(e journal.Exit) Decision { return Decision{Do: ActSave, Exit: &e, Message: e.Message} }

// Conclude says how an attempt ended of which nothing lives any more. A marker that exec
// left is believed before all else: a notebook that was done before its cancel arrived has
// succeeded. Without a marker it is the order to end, and then what the backend knows.
func Conclude(o Observation, order Order, now time.Time) journal.Exit {
	if o.Exit != nil && !o.Exit.Inferred {
		e := *o.Exit
		if e.Reason == string(nes.ReasonCancelled) && order.Reason == "" && o.Reason != "" {
			e.Reason, e.Message = string(o.Reason), o.Message // somebody else ended it, and the backend knows who
		}
		return e
	}
	e := journal.Exit{V: journal.Version, Code: -1, At: seconds(now), Inferred: true, Unstarted: !o.Started}
	if o.Exit != nil {
		e = *o.Exit
	}
	switch {
	case order.Reason != "":
		e.Reason, e.Message = string(order.Reason), order.Why
	case o.Reason != "":
		e.Reason, e.Message = string(o.Reason), o.Message
	case e.Reason == "" && e.Unstarted:
		e.Reason, e.Message = string(nes.ReasonAgentLost), "the attempt ended before the notebook was started"
	}
	return e
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

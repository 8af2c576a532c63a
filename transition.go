package nes

import (
	"encoding/json"
	"strings"
	"time"
)

// Transition is one guarded change of a run: "move to To if the run is still in a
// stage from which To may follow, and still at this attempt". Transitions are
// made by the constructors below alone; the ledger applies one in one transaction
// together with its event, or answers CodeConflict and changes nothing.
type Transition struct {
	Run RunID
	To  Stage
	// Attempt that the caller believes to be the newest; the guard against the
	// writes of a superseded one. [Launch] alone sets the next number.
	Attempt int
	Kind    string // of the event
	Reason  Reason // for To == StageEnded
	Message string
	At      time.Time

	Fetched   *Fetched        // what the fetch found out
	TokenHash string          // of the attempt that is launched
	Place     string          // where it is launched, if only one server reaches it there
	Exit      json.RawMessage // what the agent reported
	Outcome   *Outcome        // what the attempt came to
	NotBefore *time.Time      // earliest next launch
}

// Fetched is what is known of a run once its source is fetched and checked.
type Fetched struct {
	Source      Source
	Parameters  map[string]json.RawMessage
	Conversions []Conversion
	// Notes say what the bundle lacks of the tree, such as submodules, for people.
	Notes []string
}

// Fetch moves a queued run whose source is not known yet to fetching.
func Fetch(r *Run, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageFetching, Attempt: r.Attempt, Kind: "fetching", At: at}
}

// FetchDone puts the run back into the queue with its source, ready to be launched. The event carries the notes.
func FetchDone(r *Run, f Fetched, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageQueued, Attempt: r.Attempt, Kind: "fetched", Message: strings.Join(f.Notes, "; "), Fetched: &f, At: at}
}

// Requeue puts a run back into the queue: a fetch that a crash interrupted, or a
// wait that is over.
func Requeue(r *Run, why string, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageQueued, Attempt: r.Attempt, Kind: "requeued", Message: why, At: at}
}

// Launch records the intent to launch attempt r.Attempt+1, before anything is created.
func Launch(r *Run, tokenHash string, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageScheduling, Attempt: r.Attempt + 1, Kind: "launched", TokenHash: tokenHash, At: at}
}

// In says where a launch happens, if one server alone reaches attempts there.
func (t Transition) In(place string) Transition {
	t.Place = place
	return t
}

// Starting records that the attempt's agent has reported for the first time.
func Starting(r *Run, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageStarting, Attempt: r.Attempt, Kind: "starting", At: at}
}

// Executing records that the first cell has started.
func Executing(r *Run, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageExecuting, Attempt: r.Attempt, Kind: "started", At: at}
}

// Saving records that the attempt is over; exit is the agent's report, nil when
// it left none. From here on the attempt's agent is no longer listened to.
func Saving(r *Run, exit json.RawMessage, why string, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageSaving, Attempt: r.Attempt, Kind: "saving", Exit: exit, Message: why, At: at}
}

// End is the commit of a run: the one change after which nothing changes any more.
// o is nil for a run that ended before any attempt.
func End(r *Run, reason Reason, message string, o *Outcome, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageEnded, Attempt: r.Attempt, Kind: "ended", Reason: reason, Message: message, Outcome: o, At: at}
}

// RetryLater ends the attempt with its outcome and queues the run for another one, not before notBefore.
func RetryLater(r *Run, o Outcome, notBefore, at time.Time) Transition {
	return Transition{Run: r.ID, To: StageWaiting, Attempt: r.Attempt, Kind: "waiting", Reason: o.Reason, Message: o.Message, Outcome: &o, NotBefore: &notBefore, At: at}
}

package nes

import "slices"

// Status is the public state of a run. There are five words, for ever: the
// clients of the original service poll until one of the last three and would
// hang on any other. What is going on in detail is told by [Stage] and [Reason].
type Status string

// The five statuses.
const (
	// StatusPending: accepted, no cell has started yet.
	StatusPending Status = "Pending"
	// StatusRunning: cells are being executed, or their result is being saved.
	StatusRunning Status = "Running"
	// StatusSucceeded: every cell that should run ran, or the notebook asked to be skipped.
	StatusSucceeded Status = "Succeeded"
	// StatusFailed: ended in a way that the submitter can mend.
	StatusFailed Status = "Failed"
	// StatusError: ended by a fault of NES, of the cluster or of the storage.
	StatusError Status = "Error"
)

// Statuses lists every status, in the order in which a run may meet them.
func Statuses() []Status {
	return []Status{StatusPending, StatusRunning, StatusSucceeded, StatusFailed, StatusError}
}

// Ended reports whether s is one of the three final statuses.
func (s Status) Ended() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusError
}

// Stage says what a run that is under way is doing. An ended run has the stage [StageEnded].
type Stage string

// The stages of a run, in their usual order.
const (
	// StageQueued: waits for the controller, first for its source to be fetched,
	// then for a place among the runs that may execute at once.
	StageQueued Stage = "queued"
	// StageFetching: the source is being resolved, fetched, bundled and checked.
	StageFetching Stage = "fetching"
	// StageWaiting: the notebook said that it is not ready, or a retry backs off; holds no process or pod.
	StageWaiting Stage = "waiting"
	// StageScheduling: the intent to launch an attempt is recorded; its process or pod is being placed.
	StageScheduling Stage = "scheduling"
	// StageStarting: the agent has reported; the kernel is starting.
	StageStarting Stage = "starting"
	// StageExecuting: the first cell has started.
	StageExecuting Stage = "executing"
	// StageSaving: the attempt is over and its record is being reduced and stored.
	StageSaving Stage = "saving"
	// StageEnded: nothing will change any more.
	StageEnded Stage = "ended"
)

// Stages lists every stage in its usual order.
func Stages() []Stage {
	return []Stage{
		StageQueued, StageFetching, StageWaiting, StageScheduling,
		StageStarting, StageExecuting, StageSaving, StageEnded,
	}
}

// Status returns the public status of a run that is under way in stage s. The
// status of an ended run comes from its [Reason] instead; for [StageEnded] the
// result is empty.
func (s Stage) Status() Status {
	switch s {
	case StageExecuting, StageSaving:
		return StatusRunning
	case StageEnded:
		return ""
	default:
		return StatusPending
	}
}

// nextStages is the one table of moves between stages. Everything that changes a
// run (the ledger's guarded updates, the controller's decisions, the picture in
// docs/state-machine.md) is held to it by tests.
var nextStages = map[Stage][]Stage{
	StageQueued:     {StageFetching, StageScheduling, StageEnded},
	StageFetching:   {StageQueued, StageEnded},
	StageWaiting:    {StageQueued, StageEnded},
	StageScheduling: {StageStarting, StageExecuting, StageSaving},
	StageStarting:   {StageExecuting, StageSaving},
	StageExecuting:  {StageSaving},
	StageSaving:     {StageEnded, StageQueued, StageWaiting},
	StageEnded:      {},
}

// CanBecome reports whether a run in stage s may move to stage to.
func (s Stage) CanBecome(to Stage) bool { return slices.Contains(nextStages[s], to) }

// Sources lists the stages from which a run may move to s.
func (s Stage) Sources() []Stage {
	var from []Stage
	for _, f := range Stages() {
		if f.CanBecome(s) {
			from = append(from, f)
		}
	}
	return from
}

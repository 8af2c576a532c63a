package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// Ref names an attempt.
type Ref struct {
	Run     nes.RunID
	Attempt int
}

// Name is the name of the attempt's Job or directory; a pure function of the reference.
func (r Ref) Name() string { return fmt.Sprintf("nes-%s-%d", r.Run, r.Attempt) }

// Backend runs attempts somewhere. It places and watches; it does not read journals
// and decides nothing. All methods are idempotent and may be called concurrently. Every implementation
// passes runner/runnertest.
type Backend interface {
	// Launch starts an attempt, or adopts the one of that name if it is of the same
	// run and token. It returns when the intent is safe with the backend, not when the notebook runs.
	// A *nes.Error with a Reason means that it can never start; any other error, that it may be tried again.
	Launch(ctx context.Context, j Job) error
	// Observe says what has become of an attempt.
	Observe(ctx context.Context, ref Ref) (Observation, error)
	// Stop ends an attempt hard, if it still lives. Gentle ends go through the journal's answer.
	Stop(ctx context.Context, ref Ref) error
	// Remove deletes everything of an attempt that is over.
	Remove(ctx context.Context, ref Ref) error
	// List names every attempt that the backend knows of.
	List(ctx context.Context) ([]Ref, error)
}

// Job is what a backend needs to start an attempt.
type Job struct {
	Ref
	Token     string // for the agent alone
	Launch    journal.Launch
	Runtime   string
	Profile   string
	Resources nes.Resources
	// MemoryFactor multiplies the memory that the run gets, because an earlier attempt ran out of it; 0 and 1 change nothing.
	MemoryFactor float64
	// HostNetwork asks for the network of the machine; only a profile that allows it gives it.
	HostNetwork bool
	Labels      map[string]string
	// Secrets by variable of the notebook: references, which the backend resolves when it launches.
	Secrets map[string]nes.Secret
}

// Phase of an attempt, as far as its backend sees.
type Phase string

// The phases.
const (
	PhaseAbsent  Phase = "absent"  // the backend knows nothing of it
	PhasePending Phase = "pending" // accepted, not yet running
	PhaseRunning Phase = "running" // exec or agent lives
	PhaseExited  Phase = "exited"  // exec is gone; the agent may still be sending
	PhaseGone    Phase = "gone"    // nothing of it lives any more
)

// Observation is what a backend sees of an attempt.
type Observation struct {
	Phase Phase
	// Started says that exec was started, so that the notebook's code may have run. An
	// attempt of which this is surely false may be launched again without asking.
	Started bool
	// Held says of a pending attempt that it waits its turn in the backend's own queue: no clock of its start runs.
	Held bool
	Exit *journal.Exit // the exit marker, where the backend can read it
	// Reason says why it does not run, where the backend knows. It gives a pending attempt up; of one that runs
	// it says why its end is near.
	Reason nes.Reason
	// Message is a sentence for people.
	Message string
	Since   time.Time // when it came into this phase, as far as known
}

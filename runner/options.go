package runner

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// Runs is how the controller reads the ledger.
type Runs interface {
	Run(ctx context.Context, id nes.RunID) (nes.Run, error)
	Unsettled(ctx context.Context) ([]nes.Run, error)
	Attempt(ctx context.Context, id nes.RunID, number int) (nes.Attempt, error)
	Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error)
	Changed(run nes.RunID) <-chan struct{}
}

// Changes is how the controller writes to the ledger.
type Changes interface {
	Apply(ctx context.Context, t nes.Transition) (nes.Run, error)
	Published(ctx context.Context, id nes.RunID) error
	Note(ctx context.Context, id nes.RunID, message string, at time.Time) error
	// Heard tells other servers that the agent of an attempt called.
	Heard(ctx context.Context, id nes.RunID, attempt int, at time.Time) error
}

// Ledger is the database of runs.
type Ledger interface {
	Runs
	Changes
}

// Sources fetches what is to be run.
type Sources interface {
	// Fetch resolves and checks the run's source. A *nes.Error with a Reason whose code is not unavailable ends the
	// run; what was found out before may come with it.
	Fetch(ctx context.Context, run *nes.Run) (nes.Fetched, error)
	OpenBundle(ctx context.Context, s nes.Source) (io.ReadCloser, error)
}

// Journals takes what agents send.
type Journals interface {
	AppendJournal(ctx context.Context, run *nes.Run, attempt int, offset int64, body io.Reader) (int64, error)
	PutFile(ctx context.Context, run *nes.Run, attempt int, name, sha256 string, body io.Reader) error
	// FirstCell tells when the attempt's first cell started, and whether one has.
	FirstCell(run *nes.Run, attempt int) (time.Time, bool)
}

// Records makes the record of an attempt that is over.
type Records interface {
	Commit(ctx context.Context, run *nes.Run, a nes.Attempt, exit journal.Exit) (nes.Outcome, error)
	Forget(run nes.RunID, attempt int)
	// Intend stores what is known of a run before its newest attempt is launched. It may be repeated.
	Intend(ctx context.Context, run *nes.Run) error
	// Publish tells the world of an ended run. It may be repeated.
	Publish(ctx context.Context, run *nes.Run) error
}

// Notifier is a backend that says when something has become of an attempt. It is a hint: the controller looks by itself too.
type Notifier interface {
	Notify(func(Ref))
}

// Options of a [Controller]. Fields without a default in their comment are required.
type Options struct {
	Ledger   Ledger
	Sources  Sources
	Journals Journals
	Records  Records
	Backend  Backend
	Key      Key
	Log      *slog.Logger

	// Limits of concurrent attempts; a Total of 0 is the number of cores.
	Limits Limits
	// MaxFetches at once; 0 is 8.
	MaxFetches int
	Policy     Policy
	// Place names what Backend runs attempts on, where this server alone reaches it, such as one machine. Attempts of
	// another place are left to the controller there. Empty is a backend that every server reaches.
	Place string
	// HeardEvery is how often the ledger is told that an agent lives, so that the server that controls knows
	// of agents that call another one; 0 is never, for a server that is alone.
	HeardEvery time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.Policy = o.Policy.WithDefaults()
	if o.Limits.Total == 0 {
		o.Limits.Total = runtime.NumCPU()
	}
	if o.MaxFetches == 0 {
		o.MaxFetches = 8
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

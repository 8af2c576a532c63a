package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// Ledger is what the API needs of the ledger.
type Ledger interface {
	Runs
	History
	Leases
}

// Runs accepts, shows and cancels runs.
type Runs interface {
	Create(ctx context.Context, s ledger.Submission) (run nes.Run, created bool, err error)
	Run(ctx context.Context, id nes.RunID) (nes.Run, error)
	Runs(ctx context.Context, f ledger.Filter) (ledger.Page, error)
	RequestCancel(ctx context.Context, id nes.RunID, by string, at time.Time) (nes.Run, error)
	// Changed returns a channel that is closed at the next change of the run, or of any run for "".
	Changed(id nes.RunID) <-chan struct{}
}

// History tells what happened and how things stand.
type History interface {
	Events(ctx context.Context, after int64, run nes.RunID, limit int) ([]nes.Event, error)
	// LastEvent returns the number of the newest event, 0 when there is none.
	LastEvent(ctx context.Context) (int64, error)
	Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error)
	// Counts returns how many runs that have not ended are in each stage.
	Counts(ctx context.Context) (map[nes.Stage]int, error)
	Ping(ctx context.Context) error
}

// Leases learns that somebody asked about a run.
type Leases interface {
	Asked(ctx context.Context, run *nes.Run, at time.Time) error
}

// Records are what attempts write, while they run and afterwards.
type Records interface {
	Artifacts
	Live
}

// Artifacts are what an attempt leaves behind.
type Artifacts interface {
	// WriteNotebook writes the executed notebook, or what there is of it; not_found before it writes anything when there is nothing.
	WriteNotebook(ctx context.Context, run *nes.Run, attempt int, w io.Writer) error
	Files(ctx context.Context, run *nes.Run, attempt int) ([]nes.File, error)
	OpenFile(ctx context.Context, run *nes.Run, attempt int, name string) (nes.File, io.ReadCloser, error)
}

// Live is how attempts that run are followed.
type Live interface {
	Log(ctx context.Context, run *nes.Run, attempt int, cursor int64, limit int) (nes.LogPage, error)
	// Progress is nil where nothing is known.
	Progress(run *nes.Run) *nes.Progress
	// Changed returns a channel that is closed when the run's newest attempt has written something.
	Changed(id nes.RunID) <-chan struct{}
}

// Intake looks into notebooks and takes working trees.
type Intake interface {
	Inspect(ctx context.Context, team, inputURL string) (intake.Inspection, error)
	Upload(ctx context.Context, r io.Reader) (sha256 string, err error)
}

// Options of a [Server]. Fields without a default in their comment are required.
type Options struct {
	Ledger  Ledger
	Records Records
	Intake  Intake
	Gate    *access.Gate
	Log     *slog.Logger

	// Metrics is the registry that /metrics shows and the server's own figures are added to; nil is a new one.
	Metrics *prometheus.Registry
	// Pages serves everything that is not the API's, such as the viewer; nil is nothing.
	// It is called with the principal in the context.
	Pages http.Handler
	// Kick is called after a run was accepted or a cancel was recorded, so that the controller looks at once; nil is nothing.
	Kick func()
	// Refuse lists what a submission asks for that the server behind the API does not do, so that nothing is taken and
	// then not done; nil is nothing. It is told a submission in which single fields may be wrong by themselves.
	Refuse func(spec *nes.Spec) []nes.Problem
	// Original says what images and sizes of the original service's clients mean here.
	Original Original
	// Ready tells what is not ready beside the ledger; nil is always ready.
	Ready func(ctx context.Context) error
	// PublicURL is where the server is reached from outside; empty is the address of each request.
	PublicURL string
	// Version of the program.
	Version string

	// TempDir is where a notebook is kept, without a name, while a page is made of it; empty is the system's temporary directory.
	TempDir string
	// MaxQueued is how many runs may wait for a place before further ones are refused; 0 is 10,000.
	MaxQueued int
	// MaxBody is the size of a request's body but a bundle's, in bytes; 0 is 2 MiB.
	MaxBody int64
	// MaxBundle is the size of a working tree that is sent, in bytes; 0 is 1 GiB.
	MaxBundle int64
	// MaxStreams is how many long polls and streams may be open at once; 0 is 4,096.
	MaxStreams int
	// Heartbeat is the pause between signs of life on a quiet stream; 0 is 15 s.
	Heartbeat time.Duration
	// Idle is how long a body may stand still, in either direction; 0 is 30 s.
	Idle time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// or returns v, or what stands for its zero value.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (o Options) withDefaults() Options {
	o.MaxQueued = or(o.MaxQueued, 10_000)
	o.MaxBody = or(o.MaxBody, 2<<20)
	o.MaxBundle = or(o.MaxBundle, 1<<30)
	o.MaxStreams = or(o.MaxStreams, 4096)
	o.Heartbeat = or(o.Heartbeat, 15*time.Second)
	o.Idle = or(o.Idle, 30*time.Second)
	o.Metrics = or(o.Metrics, prometheus.NewRegistry())
	o.Log = or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Kick == nil {
		o.Kick = func() {}
	}
	if o.Refuse == nil {
		o.Refuse = func(*nes.Spec) []nes.Problem { return nil }
	}
	return o
}

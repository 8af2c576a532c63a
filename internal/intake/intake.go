package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
	"github.com/nes-run/nes/storage"
)

// Git resolves addresses and fetches trees: *gitsource.Client.
type Git interface {
	// For returns the address as a team reaches it.
	For(team string, a gitsource.Address) gitsource.Address
	Resolve(ctx context.Context, a gitsource.Address) (gitsource.Resolved, error)
	Fetch(ctx context.Context, r gitsource.Resolved) (*gitsource.Tree, error)
}

// Options of an [Intake]. Bucket and Git are required.
type Options struct {
	Bucket storage.Bucket // where bundles are kept
	Git    Git
	// Objects are the buckets that gs:// and s3:// inputs may be read from, by scheme and name: "gs://reports".
	Objects map[string]storage.Bucket
	Limits  Limits
	TempDir string // for uploads while they are checked; empty is the system's
	Log     *slog.Logger
}

// Limits of what is taken in. A zero field means its default, in parentheses.
type Limits struct {
	Notebook int64         // bytes of a notebook (64 MiB)
	Upload   int64         // bytes of a sent archive (512 MiB)
	Bundle   bundle.Limits // of what is in a sent archive (100,000 files, 256 MiB each, 1 GiB together, 64 levels)
	Cache    int64         // bytes of notebooks kept in memory (32 MiB)
}

// Intake does the work. Its methods may be called concurrently.
type Intake struct {
	bucket  storage.Bucket
	git     Git
	objects map[string]storage.Bucket
	limits  Limits
	tempDir string
	log     *slog.Logger
	flights flights
	cache   cache
}

// New makes an intake.
func New(o Options) *Intake {
	l := o.Limits
	orDefault(&l.Notebook, 64<<20)
	orDefault(&l.Upload, 512<<20)
	orDefault(&l.Cache, 32<<20)
	orDefault(&l.Bundle.Files, 100_000)
	orDefault(&l.Bundle.FileSize, 256<<20)
	orDefault(&l.Bundle.TreeSize, 1<<30)
	orDefault(&l.Bundle.Depth, 64)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Intake{
		bucket: o.Bucket, git: o.Git, objects: o.Objects, limits: l, tempDir: o.TempDir, log: o.Log,
		flights: flights{m: map[string]*flight{}}, cache: newCache(l.Cache),
	}
}

func orDefault[T int | int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Fetch finds the source of a run, makes sure that its bundle is in the bucket, and fits the
// run's parameters to the notebook. Every error is a *nes.Error with a reason. Where only the
// parameters do not fit, the source comes with the error.
func (in *Intake) Fetch(ctx context.Context, run *nes.Run) (nes.Fetched, error) {
	found, nb, err := in.open(ctx, run.Team, run.Spec.InputURL)
	if err != nil {
		return nes.Fetched{}, withReason(err, nes.ReasonSourceNotFound)
	}
	values, conversions, err := parameters.Fit(parameters.Inspect(nb), run.Spec.Parameters)
	if err != nil {
		return nes.Fetched{Source: found.source, Parameters: run.Spec.Parameters, Notes: found.notes}, withReason(err, nes.ReasonParameterError)
	}
	return nes.Fetched{Source: found.source, Parameters: values, Conversions: conversions, Notes: found.notes}, nil
}

// CheckAddress says what is wrong with an input address as far as its spelling shows. It needs no
// server, so the API asks it at submission: no credential that stands in an address is ever stored.
func CheckAddress(inputURL string) []nes.Problem {
	_, err := gitsource.Parse(inputURL)
	if e, ok := errors.AsType[*nes.Error](err); ok {
		return e.Problems
	}
	return nil
}

// Inspection is what a notebook says of itself.
type Inspection struct {
	Source     nes.Source        `json:"source"`
	Schema     parameters.Schema `json:"schema"`
	KernelName string            `json:"kernel_name,omitempty"`
	Language   string            `json:"language,omitempty"`
	Cells      int               `json:"cells"`
	CodeCells  int               `json:"code_cells"`
	// Notes say what the bundle lacks of the tree, such as submodules, for people.
	Notes []string `json:"notes,omitempty"`
}

// Inspect looks, for a team, at the notebook at an address without running anything. Errors are *nes.Error.
func (in *Intake) Inspect(ctx context.Context, team, inputURL string) (Inspection, error) {
	found, nb, err := in.open(ctx, team, inputURL)
	if err != nil {
		return Inspection{}, err
	}
	i := Inspection{
		Source: found.source, Schema: parameters.Inspect(nb), KernelName: nb.KernelName(), Language: nb.Language(),
		Cells: len(nb.Cells), Notes: found.notes,
	}
	for _, c := range nb.Cells {
		if c.Type == "code" {
			i.CodeCells++
		}
	}
	return i, nil
}

// OpenBundle opens the archive of a source that was fetched before.
func (in *Intake) OpenBundle(ctx context.Context, s nes.Source) (io.ReadCloser, error) {
	_, r, err := in.bucket.Open(ctx, s.Bundle, 0, -1)
	if err != nil {
		return nil, storageError(err)
	}
	return r, nil
}

// Notebook returns the source notebook, byte for byte as it was fetched.
func (in *Intake) Notebook(ctx context.Context, s nes.Source) ([]byte, error) {
	l, err := in.look(ctx, s)
	return l.notebook, err
}

// finding is an address that was followed to its end.
type finding struct {
	source nes.Source
	notes  []string
}

// open follows an address and reads the notebook there.
func (in *Intake) open(ctx context.Context, team, inputURL string) (finding, *nbformat.Notebook, error) {
	a, err := gitsource.Parse(inputURL)
	if err != nil {
		return finding{}, nil, err
	}
	source, err := in.locate(ctx, team, a)
	if err != nil {
		return finding{}, nil, err
	}
	seen, err := in.look(ctx, source)
	if err != nil {
		return finding{}, nil, err
	}
	nb, err := nbformat.Read(strings.NewReader(string(seen.notebook)), in.limits.Notebook)
	if err != nil {
		return finding{}, nil, named(source.Path, err)
	}
	source.BundleSHA256, source.KernelName, source.Language = seen.sha256, nb.KernelName(), nb.Language()
	return finding{source, seen.notes}, nb, nil
}

// locate finds the bundle of an address; it is in the bucket afterwards.
func (in *Intake) locate(ctx context.Context, team string, a gitsource.Address) (nes.Source, error) {
	switch a.Kind {
	case gitsource.KindUpload:
		return nes.Source{
			Repository: a.Repository, CloneURL: a.CloneURL, Commit: a.Base, Path: a.Path, Dirty: a.Dirty,
			Bundle: storage.UploadKey(a.SHA256),
		}, nil
	case gitsource.KindObject:
		return in.locateObject(ctx, a)
	default:
		return in.locateCommit(ctx, in.git.For(team, a))
	}
}

// named says which notebook an error is about.
func named(file string, err error) error {
	e, ok := errors.AsType[*nes.Error](err)
	if !ok {
		return err
	}
	about := *e
	about.Message = file + ": " + e.Message
	return &about
}

// withReason makes sure that an error can end a run.
func withReason(err error, reason nes.Reason) error {
	e, ok := errors.AsType[*nes.Error](err)
	switch {
	case !ok:
		return &nes.Error{Code: nes.CodeInternal, Reason: nes.ReasonInternal, Message: "the source could not be taken in", Err: err}
	case e.Reason != "":
		return e
	}
	ended := *e
	switch e.Code {
	case nes.CodeInvalid, nes.CodeUnprocessable, nes.CodeNotFound, nes.CodeTooLarge:
		ended.Reason = reason
	default:
		ended.Reason = nes.ReasonInternal
	}
	return &ended
}

// storageError says that the fault is the bucket's.
func storageError(err error) error {
	code := nes.CodeOf(err)
	if code == nes.CodeNotFound {
		return &nes.Error{Code: code, Reason: nes.ReasonSourceNotFound, Message: "the source's archive is no longer there: submit it again", Err: err}
	}
	return &nes.Error{Code: nes.CodeUnavailable, Reason: nes.ReasonStorageUnavailable, Message: "the storage could not be reached: try again later", Err: err}
}

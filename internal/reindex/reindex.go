// Package reindex makes a lost ledger again out of what the bucket keeps of every run.
package reindex

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Ledger is what is filled.
type Ledger interface {
	// Restore puts a run back; false where the ledger has it.
	Restore(ctx context.Context, d nes.Dossier) (bool, error)
	Note(ctx context.Context, id nes.RunID, message string, at time.Time) error
}

// Options of [Run]. All are required.
type Options struct {
	Bucket storage.Bucket
	Ledger Ledger
	// Lives says whether a backend still knows of an attempt, and its agent would be let in.
	Lives func(a nes.KeptAttempt) bool
	Now   func() time.Time
}

// Report is what came of it.
type Report struct {
	Ended    int      // runs that are back as they ended
	UnderWay int      // runs that go on
	Known    int      // runs that the ledger had
	Failed   []string // what could not be read, and why, one line for each run
}

// readers of runs at once.
const readers = 16

// maxDossier is more than any run's has.
const maxDossier = 256 << 20

// Run puts back every run that the bucket tells of. It may be repeated, and goes on where it was interrupted.
// Its error is of a bucket that cannot be listed or a ledger that cannot be written; what is wrong with a single run is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	w := &work{Options: o}
	p := pool.New().WithContext(ctx).WithMaxGoroutines(readers).WithCancelOnError().WithFirstError()
	err := w.folders(ctx, "runs/", func(day string) error {
		return w.folders(ctx, day, func(run string) error {
			p.Go(func(ctx context.Context) error { return w.run(ctx, run) })
			return ctx.Err()
		})
	})
	if perr := p.Wait(); perr != nil {
		err = perr
	}
	slices.Sort(w.report.Failed)
	return w.report, err
}

type work struct {
	Options
	mu     sync.Mutex
	report Report
}

// folders calls f with each prefix below another one.
func (w *work) folders(ctx context.Context, prefix string, f func(string) error) error {
	for after := ""; ; {
		page, err := w.Bucket.List(ctx, storage.ListOptions{Prefix: prefix, Delimiter: "/", After: after})
		if err != nil {
			return err
		}
		for _, p := range page.Prefixes {
			if err := f(p); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// run puts one run back, by the newest that is known of it.
func (w *work) run(ctx context.Context, prefix string) error {
	d, err := w.newest(ctx, prefix)
	if err != nil {
		if ctx.Err() != nil || nes.CodeOf(err) == nes.CodeUnavailable {
			return err
		}
		w.count(func(r *Report) { r.Failed = append(r.Failed, strings.TrimSuffix(prefix, "/")+": "+err.Error()) })
		return nil
	}
	resumed := !d.Run.Ended() && !slices.ContainsFunc(d.Attempts, func(a nes.KeptAttempt) bool { return a.Number == d.Run.Attempt && w.Lives(a) })
	if resumed {
		save(&d)
	}
	restored, err := w.Ledger.Restore(ctx, d)
	if err != nil {
		return err
	}
	switch {
	case !restored:
		w.count(func(r *Report) { r.Known++ })
		return nil
	case d.Run.Ended():
		w.count(func(r *Report) { r.Ended++ })
		return nil
	}
	w.count(func(r *Report) { r.UnderWay++ })
	note := "the ledger was lost and made again: attempt %d goes on"
	if resumed {
		note = "the ledger was lost and made again, and nothing of attempt %d lives: its journal says what came of it"
	}
	return w.Ledger.Note(ctx, d.Run.ID, fmt.Sprintf(note, d.Run.Attempt), w.Now())
}

func (w *work) count(f func(*Report)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.report)
}

// save makes the controller conclude the attempt from its journal instead of launching it a second time.
func save(d *nes.Dossier) {
	d.Run.Stage, d.Run.Status = nes.StageSaving, nes.StageSaving.Status()
	d.Run.Version++
}

// newest is the verdict of the last attempt that has one, else what was known before the last launch.
func (w *work) newest(ctx context.Context, prefix string) (nes.Dossier, error) {
	attempts, err := w.attempts(ctx, prefix)
	if err != nil {
		return nes.Dossier{}, err
	}
	for _, name := range []string{"verdict.json", "intent.json"} {
		for _, n := range attempts {
			d, err := w.read(ctx, prefix+strconv.Itoa(n)+"/"+name)
			if nes.CodeOf(err) == nes.CodeNotFound {
				continue
			}
			if err == nil {
				err = sound(d, prefix, name == "verdict.json")
			}
			return d, err
		}
	}
	return nes.Dossier{}, nes.Errorf(nes.CodeNotFound, "there is neither a verdict nor an intent: it was not launched, or by a NES older than this")
}

// attempts lists the numbers of the attempts, the newest first.
func (w *work) attempts(ctx context.Context, prefix string) ([]int, error) {
	var numbers []int
	err := w.folders(ctx, prefix, func(p string) error {
		if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(p, prefix), "/")); err == nil && n >= 0 {
			numbers = append(numbers, n)
		}
		return nil
	})
	slices.Sort(numbers)
	slices.Reverse(numbers)
	return numbers, err
}

func (w *work) read(ctx context.Context, key string) (d nes.Dossier, err error) {
	o, r, err := w.Bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return d, err
	}
	defer r.Close()
	if o.Size > maxDossier {
		return d, nes.Errorf(nes.CodeInvalid, "%s has %d bytes, more than a run can have", key, o.Size)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, nes.Errorf(nes.CodeInvalid, "%s cannot be read: %w", key, err)
	}
	return d, nil
}

// sound refuses a dossier that is not of the run that lies there.
func sound(d nes.Dossier, prefix string, ended bool) error {
	switch {
	case d.V != 1:
		return nes.Errorf(nes.CodeInvalid, "it is of version %d and this program knows 1: use a newer NES", d.V)
	case !strings.HasSuffix(prefix, "/"+string(d.Run.ID)+"/") || d.Run.ID == "":
		return nes.Errorf(nes.CodeInvalid, "it tells of run %q", d.Run.ID)
	case d.Run.Ended() != ended || ended == (d.Run.EndedAt == nil):
		return nes.Errorf(nes.CodeInvalid, "it tells of a run that is %s", d.Run.Stage)
	}
	return nil
}

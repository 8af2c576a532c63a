package app

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/internal/reindex"
	"github.com/nes-run/nes/runner"
)

// nobody is where agents are told that the server is while there is none; the next server tells them its address.
const nobody = "127.0.0.1:0"

// Reindex makes the ledger again out of the bucket. No server uses the ledger meanwhile.
func Reindex(ctx context.Context, o Options) (reindex.Report, error) {
	a := New(o)
	defer a.Stop()
	if err := a.own(); err != nil {
		return reindex.Report{}, err
	}
	bucket, err := a.bucket(ctx)
	if err != nil {
		return reindex.Report{}, err
	}
	led, err := ledger.Open(ctx, o.Config.Ledger, a.log)
	if err != nil {
		return reindex.Report{}, err
	}
	a.later("ledger", func(context.Context) error { return led.Close() })
	if err := a.aloneIn(ctx, led); err != nil {
		return reindex.Report{}, err
	}
	lives, err := a.living(ctx, led)
	if err != nil {
		return reindex.Report{}, err
	}
	return reindex.Run(ctx, reindex.Options{Bucket: bucket, Ledger: led, Lives: lives, Now: time.Now})
}

// reindexTerm is longer than any reindexing takes.
const reindexTerm = 24 * time.Hour

// aloneIn keeps other servers of a shared ledger from controlling.
func (a *App) aloneIn(ctx context.Context, led *ledger.Ledger) error {
	if !led.Shared() {
		return nil
	}
	self := rand.Text()
	held, err := led.Hold(ctx, controlLease, self, reindexTerm)
	if err != nil {
		return err
	}
	if !held {
		return nes.Errorf(nes.CodeConflict, "a server controls the runs of this ledger: stop every server, wait %s, and try again", leaseTerm)
	}
	a.later("lease", func(ctx context.Context) error { return led.Release(ctx, controlLease, self) })
	return nil
}

// living asks the backend which attempts it knows of. One whose token came of a key that is lost cannot go on.
func (a *App) living(ctx context.Context, led *ledger.Ledger) (func(nes.KeptAttempt) bool, error) {
	key, err := a.tokenKey(ctx, led)
	if err != nil {
		return nil, err
	}
	backend, err := a.backend(nobody, key)
	if err != nil {
		return nil, err
	}
	refs, err := backend.List(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[runner.Ref]bool, len(refs))
	for _, ref := range refs {
		known[ref] = true
	}
	return func(t nes.KeptAttempt) bool {
		ref := runner.Ref{Run: t.RunID, Attempt: t.Number}
		return known[ref] && runner.HashToken(key.Token(ref)) == t.TokenHash
	}, nil
}

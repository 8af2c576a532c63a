// Package record owns what an attempt leaves behind: it takes the journal and the side
// files into the bucket, keeps a live notebook and log of every attempt that runs, and makes the
// executed notebook when it is over.
package record

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Options of a [Store]. Fields without a default in their comment are required.
type Options struct {
	Bucket storage.Bucket
	// Source reads the notebook as it was fetched; it stands in where an attempt never wrote its parameterised one.
	Source func(ctx context.Context, s nes.Source) ([]byte, error)
	// Index makes the index of a stored notebook under another key; nil makes none.
	Index func(ctx context.Context, notebook, index string) error
	// Dossier is all that the ledger knows of a run; nil keeps the run alone in its verdict, and nothing before its end.
	Dossier func(ctx context.Context, run nes.RunID) (nes.Dossier, error)
	// Version of NES, for the notebook's metadata.
	Version string
	Log     *slog.Logger

	// TempDir is where logs and partial notebooks are spooled; empty is the system's.
	TempDir string
	// MaxLive is how many attempts are kept ready in memory; 0 is 256. Others are made again from the bucket.
	MaxLive int
	// MaxLog is the size of a text log; 0 is 256 MiB.
	MaxLog int64
	// MaxFiles is the size of all side files of an attempt together; 0 is 1 GiB.
	MaxFiles int64
	// Shared says that other servers store journals in the same bucket, so that what is read here may be behind.
	Shared bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store keeps records. Its methods may be called concurrently.
type Store struct {
	o   Options
	hub hub

	mu   sync.Mutex
	live map[place]*live
}

// place names an attempt.
type place struct {
	run     nes.RunID
	attempt int
}

// New makes a store. It reads nothing.
func New(o Options) *Store {
	if o.MaxLive == 0 {
		o.MaxLive = 256
	}
	if o.MaxLog == 0 {
		o.MaxLog = 256 << 20
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 1 << 30
	}
	if o.TempDir == "" {
		o.TempDir = os.TempDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{o: o, live: map[place]*live{}}
}

// Changed returns a channel that is closed when the run's journal has grown or was
// committed. Take the channel, read, then wait.
func (s *Store) Changed(run nes.RunID) <-chan struct{} { return s.hub.wait(run) }

// under reports whether an attempt is under way, so that its record is still being made.
func under(run *nes.Run, attempt int) bool {
	if attempt != run.Attempt {
		return false
	}
	switch run.Stage {
	case nes.StageScheduling, nes.StageStarting, nes.StageExecuting, nes.StageSaving:
		return true
	}
	return false
}

// with calls f with the attempt's live record, made from the bucket where it is not at hand, under its lock.
func (s *Store) with(ctx context.Context, run *nes.Run, attempt int, f func(*live) error) error {
	l := s.find(run, attempt)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = s.o.Now()
	if err := l.load(ctx); err != nil {
		return err
	}
	return f(l)
}

// freshFor is how long what other servers may have stored is not looked for.
const freshFor = time.Second

// read calls f with the attempt's live record, which others may read at the same time, and somebody may be storing.
func (s *Store) read(ctx context.Context, run *nes.Run, attempt int, f func(*live) error) error {
	l := s.find(run, attempt)
	if err := s.refresh(ctx, l); err != nil {
		return err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !l.loaded {
		return nes.Errorf(nes.CodeUnavailable, "attempt %d of run %s has just ended: look again", attempt, run.ID)
	}
	return f(l)
}

// refresh makes the record where it is not at hand, and takes in what other servers stored meanwhile. Where somebody is at
// work on it, it is good enough as it is.
func (s *Store) refresh(ctx context.Context, l *live) error {
	l.mu.RLock()
	made, stale := l.loaded, s.o.Shared && s.o.Now().Sub(l.caughtUp) >= freshFor
	l.mu.RUnlock()
	switch {
	case !made:
		l.mu.Lock()
	case !stale || !l.mu.TryLock():
		return nil
	}
	defer l.mu.Unlock()
	l.used = s.o.Now()
	if !made || !l.loaded {
		return l.load(ctx)
	}
	look := l.catchUp
	if l.state == nil {
		look = l.takeInput
	}
	err := look(ctx)
	if err != nil && l.loaded { // what is known can be read all the same
		s.o.Log.Warn("a journal cannot be looked at", "run", l.run, "attempt", l.attempt, "error", err)
		return nil
	}
	return err
}

func (s *Store) find(run *nes.Run, attempt int) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{run.ID, attempt}
	l, ok := s.live[at]
	if !ok {
		s.makeRoom()
		l = newLive(s, run, attempt)
		s.live[at] = l
	}
	return l
}

// makeRoom forgets the record that was not used for the longest time, if there are too many.
func (s *Store) makeRoom() {
	if len(s.live) < s.o.MaxLive {
		return
	}
	var oldest *live
	for _, l := range s.live {
		if !l.mu.TryLock() {
			continue // in use
		}
		if oldest != nil && oldest.used.Before(l.used) {
			l.mu.Unlock()
			continue
		}
		if oldest != nil {
			oldest.mu.Unlock()
		}
		oldest = l
	}
	if oldest != nil {
		delete(s.live, place{oldest.run, oldest.attempt})
		oldest.close()
		oldest.mu.Unlock()
	}
}

// forget drops an attempt's live record, because it is over.
func (s *Store) forget(run nes.RunID, attempt int) {
	s.mu.Lock()
	l := s.live[place{run, attempt}]
	delete(s.live, place{run, attempt})
	s.mu.Unlock()
	if l != nil {
		l.mu.Lock()
		l.close()
		l.mu.Unlock()
	}
	s.hub.changed(run)
}

// peek returns the attempt's live record if it is at hand.
func (s *Store) peek(run nes.RunID, attempt int) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[place{run, attempt}]
}

// Progress counts the cells of the run's newest attempt; nil when nothing is known.
func (s *Store) Progress(run *nes.Run) *nes.Progress {
	l := s.peek(run.ID, run.Attempt)
	if l == nil {
		if o := run.Outcome; o != nil {
			p := o.Progress
			return &p
		}
		return nil
	}
	// Nobody who only looks at a run waits for the bucket: while somebody stores, the last count is told.
	if l.mu.TryRLock() {
		defer l.mu.RUnlock()
		if l.state != nil {
			p := l.state.Progress()
			l.progress.Store(&p)
		}
	}
	if p := l.progress.Load(); p != nil {
		told := *p
		return &told
	}
	return nil
}

// FirstCell returns when the attempt's first cell started, as its driver's clock said, and whether one has.
func (s *Store) FirstCell(run *nes.Run, attempt int) (time.Time, bool) {
	l := s.peek(run.ID, attempt)
	if l == nil {
		return time.Time{}, false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.state == nil || !l.state.Started() {
		return time.Time{}, false
	}
	return l.state.StartedAt(), true
}

// hub wakes who waits for a run.
type hub struct {
	mu      sync.Mutex
	waiting map[nes.RunID]chan struct{}
}

func (h *hub) wait(run nes.RunID) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch, ok := h.waiting[run]
	if !ok {
		if h.waiting == nil {
			h.waiting = map[nes.RunID]chan struct{}{}
		}
		ch = make(chan struct{})
		h.waiting[run] = ch
	}
	return ch
}

func (h *hub) changed(run nes.RunID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch, ok := h.waiting[run]; ok {
		close(ch)
		delete(h.waiting, run)
	}
}

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// Watch relays an attempt from its work volume to the server, until exec has died, everything
// is sent and the end is reported. An agent that came back goes on where the server is. It returns
// agentapi.ErrSuperseded when the attempt is not wanted any more; the notebook was told to end then.
func Watch(ctx context.Context, c Config) error {
	v, err := OpenVolume(c.Dir)
	if err != nil {
		return err
	}
	defer v.Close()
	w := &watcher{c: c, v: v, sent: map[string]bool{}, disk: make(chan journal.Control, 1)}
	died, quit := make(chan struct{}), make(chan struct{})
	defer close(quit)
	looking, enough := context.WithCancel(ctx)
	defer enough()
	go w.watchDisk(looking)
	go func() {
		defer close(died)
		v.waitDeath(quit)
	}()
	err = w.follow(ctx, died)
	if err == nil {
		err = w.finish(ctx)
	}
	if errors.Is(err, agentapi.ErrSuperseded) {
		w.dismiss(ctx, died)
	}
	return err
}

type watcher struct {
	c      Config
	v      *Volume
	offset int64 // up to which the server has the journal
	sent   map[string]bool
	told   journal.Control // what exec was told
	full   bool            // the server takes no more of the journal
	disk   chan journal.Control
	pace   time.Duration
}

// firstPace is kept until the server has named one.
const firstPace = 100 * time.Millisecond

// follow sends what is new at the server's pace, until exec has died.
func (w *watcher) follow(ctx context.Context, died <-chan struct{}) error {
	w.pace = firstPace
	for {
		if err := w.send(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-died:
			return nil
		case <-w.c.Died:
			return nil
		case <-w.c.Finish:
			return nil
		case order := <-w.disk:
			if err := w.tell(order); err != nil {
				return err
			}
		case <-time.After(w.pace):
		}
	}
}

// send sends everything that the journal says by now: what its lines refer to goes first. At
// least one call is made, which is the sign of life.
func (w *watcher) send(ctx context.Context) error {
	size := w.v.size(journal.JournalFile)
	if size > 0 {
		if err := w.sendInput(ctx); err != nil {
			return err
		}
		if err := w.sendBlobs(ctx); err != nil {
			return err
		}
	}
	for first := true; first || (w.offset < size && !w.full); first = false {
		chunk, err := w.chunk(size)
		if err != nil {
			return err
		}
		before := w.offset
		fault.At(fault.AgentPosting)
		if err := w.post(ctx, chunk); err != nil {
			return err
		}
		fault.At(fault.AgentPosted)
		if w.offset == before {
			break // the journal was taken away or cut off meanwhile: the next look is soon enough
		}
	}
	return nil
}

// chunk reads the next bytes of the journal, up to size. A journal that is shorter than what
// the server has was tampered with: there is nothing to add to it.
func (w *watcher) chunk(size int64) ([]byte, error) {
	if w.full || w.offset >= size {
		return nil, nil
	}
	f, _, err := w.v.open(journal.JournalFile)
	if err != nil {
		return nil, nil // taken away: the same
	}
	defer f.Close()
	chunk := make([]byte, min(size-w.offset, journal.MaxChunk))
	n, err := f.ReadAt(chunk, w.offset)
	if errors.Is(err, io.EOF) { // it was cut off meanwhile: send what is there
		err = nil
	}
	return chunk[:n], err
}

// post makes one journal call and does what the answer says.
func (w *watcher) post(ctx context.Context, chunk []byte) error {
	pace, err := w.c.Client.Journal(ctx, w.offset, chunk)
	if nes.CodeOf(err) == nes.CodeTooLarge {
		w.full = true
		return w.tell(journal.Control{Reason: string(nes.ReasonOutputTooLarge), Why: err.Error()})
	}
	if err != nil {
		return err
	}
	w.offset = pace.Offset
	w.pace = time.Duration(min(max(pace.EveryMS, 10), 10_000)) * time.Millisecond
	if pace.Cancel {
		return w.tell(journal.Control{Reason: pace.Reason, Why: pace.Why})
	}
	return nil
}

// tell passes a cancel on to exec, once.
func (w *watcher) tell(c journal.Control) error {
	c.V, c.Cancel = journal.Version, true
	if w.told.Cancel {
		return nil
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := w.v.replace(journal.ControlFile, raw); err != nil {
		w.c.Log.Error("exec cannot be told to end", "error", err)
		return nil // the server ends it hard when its patience is over
	}
	w.told = c
	return nil
}

// dismiss ends the notebook of an attempt that is not wanted any more, and waits until it is
// gone: the agent is what others take for the attempt's life.
func (w *watcher) dismiss(ctx context.Context, died <-chan struct{}) {
	w.c.Log.Warn("the attempt is superseded")
	_ = w.tell(journal.Control{Why: "the attempt is superseded"})
	if !w.v.Begun() {
		return
	}
	select {
	case <-ctx.Done():
	case <-died:
	case <-w.c.Died:
	case <-w.c.Finish:
	}
}

// finish sends the rest and reports the end.
func (w *watcher) finish(ctx context.Context) error {
	exit, marked := w.v.Exit()
	if !marked {
		w.settle(ctx)
		exit = journal.Exit{
			V: journal.Version, Code: -1, At: float64(time.Now().UnixMicro()) / 1e6,
			Inferred: true, Unstarted: !w.v.Begun(), Journal: w.v.size(journal.JournalFile),
			LogTail: string(w.v.tail(journal.LogFile, maxText)),
		}
	}
	for _, step := range []func(context.Context) error{w.send, w.sendOutputs, w.sendLog} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fault.At(fault.AgentEnding)
	err := w.c.Client.Exit(ctx, exit)
	fault.At(fault.AgentEnded)
	return err
}

const (
	quiet    = 300 * time.Millisecond // without a new byte: the driver has written all that it will
	longTail = 3 * time.Second
)

// settle gives the driver, which notices that exec has died and ends by itself, the time to write its last lines.
func (w *watcher) settle(ctx context.Context) {
	if !w.v.Begun() {
		return
	}
	end := time.Now().Add(longTail)
	size, since := w.v.size(journal.JournalFile), time.Now()
	for time.Now().Before(end) && time.Since(since) < quiet && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		if now := w.v.size(journal.JournalFile); now != size {
			size, since = now, time.Now()
		}
	}
}

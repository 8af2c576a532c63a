package record

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/reduce"
	"github.com/nes-run/nes/storage"
)

// maxResult is the size of a result that the ledger keeps.
const maxResult = 64 << 10

// Commit makes and stores the executed notebook, its index and the log of an attempt that is
// over, as exit says, and returns what the attempt came to. It may be repeated: names hold run and attempt,
// and the same journal gives the same notebook. Nothing of it counts before the ledger says so.
func (s *Store) Commit(ctx context.Context, run *nes.Run, a nes.Attempt, exit journal.Exit) (nes.Outcome, error) {
	var o nes.Outcome
	err := s.with(ctx, run, a.Number, func(l *live) error {
		if err := l.catchUp(ctx); err != nil {
			return err
		}
		if err := l.takeInput(ctx); err != nil { // which another server may have stored
			return err
		}
		if err := l.complete(ctx, run); err != nil {
			return err
		}
		if err := l.completeLog(ctx); err != nil {
			return err
		}
		o = s.outcome(l, exit)
		return nil
	})
	if err != nil {
		return o, err
	}
	fault.At(fault.RecordStoring)
	err = s.read(ctx, run, a.Number, func(l *live) error { return s.store(ctx, l, run, a, exit, &o) })
	fault.At(fault.RecordStored)
	return o, err
}

// Forget drops what is kept in memory of an attempt, once the ledger has its outcome.
func (s *Store) Forget(run nes.RunID, attempt int) { s.forget(run, attempt) }

// complete takes the notebook as it was fetched where the attempt never wrote its own.
func (l *live) complete(ctx context.Context, run *nes.Run) error {
	if l.state != nil {
		return nil
	}
	if run.Source == nil {
		return nes.Errorf(nes.CodeInternal, "run %s has an attempt and no source", run.ID)
	}
	source, err := l.store.o.Source(ctx, *run.Source)
	if err != nil {
		return err
	}
	state, err := reduce.New(source)
	if err != nil {
		return err
	}
	if err := l.again(ctx, state.Feed); err != nil {
		return err
	}
	l.state = state
	return nil
}

// completeLog makes the log again, where its spool failed under way.
func (l *live) completeLog(ctx context.Context) error {
	if l.text.err == nil {
		return nil
	}
	l.text.close()
	l.log, l.text = reduce.NewLog(), newSpool(l.store.o.TempDir, l.store.o.MaxLog)
	feed := func(_ int64, data []byte) error { l.text.append(l.log.Feed(data)); return nil }
	if err := l.again(ctx, feed); err != nil {
		return err
	}
	if l.text.err != nil {
		return nes.Errorf(nes.CodeUnavailable, "make room for the log: %w", l.text.err)
	}
	return nil
}

// again reads the whole journal once more.
func (l *live) again(ctx context.Context, feed func(offset int64, data []byte) error) error {
	in := io.NewSectionReader(l.reader(ctx), 0, l.size())
	buf := make([]byte, min(l.size(), readAhead))
	for at := int64(0); at < l.size(); {
		n, err := in.Read(buf)
		if err != nil {
			return err
		}
		if err := feed(at, buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// outcome is what the journal and the exit say together.
func (s *Store) outcome(l *live, exit journal.Exit) nes.Outcome {
	words := l.state.Words()
	reason, message := Verdict(exit, l.state, l.size())
	o := nes.Outcome{
		Reason: reason, Message: message,
		Error:       l.state.CellError(),
		Progress:    l.state.Progress(),
		Versions:    versions(l.state.Versions(), s.o.Version),
		Result:      words.Result,
		Checkpoints: words.Checkpoints,
	}
	o.Progress.Current, o.Progress.CurrentSince = -1, nil
	if n := len(words.Result); n > maxResult {
		o.Result = nil
		o.Message = join(message, fmt.Sprintf("The result has %d bytes, more than the %d that are kept: it was dropped.", n, maxResult))
	}
	return o
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

func versions(v map[string]string, own string) nes.Versions {
	return nes.Versions{NES: own, Papermill: v["papermill"], Python: v["python"], Kernel: v["kernel"], Language: v["language"]}
}

// Said is what a journal says of the end. A *reduce.State is one.
type Said interface {
	Exit() *journal.Line
	Words() reduce.Words
	Started() bool
}

// Verdict is the reason for which an attempt ended. A marker that exec left is believed; where it
// says success, the notebook's own word comes next. Where somebody had to conclude the end without knowing a
// reason, the driver's last line is believed. have is how many bytes of journal are stored.
func Verdict(exit journal.Exit, said Said, have int64) (nes.Reason, string) {
	reason, message := nes.Reason(exit.Reason), exit.Message
	if exit.Inferred && reason == "" {
		last := said.Exit()
		switch {
		case last != nil:
			reason, message = nes.Reason(last.Reason), last.Message
		case said.Started():
			return nes.ReasonKernelDied, orElse(message, "the process that ran the notebook was killed")
		default:
			return nes.ReasonAgentLost, orElse(message, "the notebook's process ended without leaving word")
		}
	}
	if reason != "" {
		return reason, message
	}
	if exit.Journal > have {
		return nes.ReasonAgentLost, fmt.Sprintf("the notebook ended well, but the last %d bytes of its journal were lost", exit.Journal-have)
	}
	words := said.Words()
	switch {
	case words.Skip != nil:
		return nes.ReasonSkipped, *words.Skip
	case words.NotReady != nil:
		return nes.ReasonNotReady, *words.NotReady
	}
	return reason, message
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// store writes the objects, side by side, and their keys into o.
func (s *Store) store(ctx context.Context, l *live, run *nes.Run, a nes.Attempt, exit journal.Exit, o *nes.Outcome) error {
	notebook, log, index := storage.NotebookKey(run, a.Number), l.prefix+"log.txt", l.prefix+indexFile
	at := endOf(a, exit)
	stamp := reduce.Stamp{NES: provenance(run, a, *o, at), End: &reduce.End{Reason: o.Reason, Message: o.Message, At: at}}
	p := pool.New().WithContext(ctx).WithFirstError()
	p.Go(func(ctx context.Context) error {
		err := s.put(ctx, notebook, "application/x-ipynb+json", func(w io.Writer) error {
			return l.state.Write(w, l.reader(ctx), stamp)
		})
		fault.At(fault.NotebookStored)
		if err == nil && s.o.Index != nil {
			err = s.o.Index(ctx, notebook, index)
			o.Index = index
		}
		return err
	})
	p.Go(func(ctx context.Context) error {
		return s.put(ctx, log, "text/plain; charset=utf-8", func(w io.Writer) error { return l.writeLog(ctx, w) })
	})
	p.Go(func(ctx context.Context) (err error) {
		o.Files, err = s.listFiles(ctx, l.prefix+outputs, l.shelf.known())
		return err
	})
	if err := p.Wait(); err != nil {
		return err
	}
	o.Notebook, o.Log = notebook, log
	return nil
}

// maxTime is the end of the last year that a record can say, in seconds since 1970.
const maxTime = 253402300799

// endOf is when the attempt ended: what was recorded, so that a repeated commit writes the same. The notebook may have
// forged the marker: what is beyond any calendar is not believed.
func endOf(a nes.Attempt, exit journal.Exit) time.Time {
	if exit.At > 0 && exit.At <= maxTime {
		return time.UnixMicro(int64(exit.At * 1e6)).UTC()
	}
	if a.EndedAt != nil {
		return a.EndedAt.UTC()
	}
	return a.LaunchedAt.UTC()
}

// put stores what write writes. What lies under the key already is of an earlier try to commit
// the same attempt, and is replaced; whoever replaces it at the same time wins and is of the same attempt too.
func (s *Store) put(ctx context.Context, key, contentType string, write func(io.Writer) error) error {
	o := storage.PutOptions{ContentType: contentType, IfGeneration: storage.CreateOnly()}
	err := s.pipe(ctx, key, o, write)
	if nes.CodeOf(err) != nes.CodeConflict {
		return err
	}
	o.IfGeneration = nil
	return s.pipe(ctx, key, o, write)
}

func (s *Store) pipe(ctx context.Context, key string, o storage.PutOptions, write func(io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	_, err := s.o.Bucket.Put(ctx, key, r, o)
	r.CloseWithError(err)
	if werr := <-written; err == nil {
		err = werr
	}
	return err
}

// writeLog writes the log for people: what the journal says, then what driver and exec had to say.
func (l *live) writeLog(ctx context.Context, w io.Writer) error {
	if _, err := io.Copy(w, l.text.reader()); err != nil {
		return err
	}
	_, r, err := l.bucket().Open(ctx, l.prefix+driverLog, 0, -1)
	if nes.CodeOf(err) == nes.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	tail, err := io.ReadAll(r)
	if err != nil || len(tail) == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "--- what the driver wrote ---\n%s", tail)
	return err
}

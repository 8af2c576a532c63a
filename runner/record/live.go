package record

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/reduce"
	"github.com/nes-run/nes/storage"
)

// live is the record of an attempt while it grows. Everything in it but the digests can be
// made again from the bucket.
type live struct {
	store   *Store
	run     nes.RunID
	attempt int
	prefix  string // of keys

	progress atomic.Pointer[nes.Progress] // as last told

	mu       sync.RWMutex
	used     time.Time
	loaded   bool
	caughtUp time.Time // when the bucket was last asked for what is not known here
	chunks   []chunk
	state    *reduce.State // nil until the parameterised notebook has arrived
	log      *reduce.Log
	text     *spool
	shelf    *shelf // nil until a side file arrives
}

// chunk is one stored piece of the journal.
type chunk struct {
	key          string
	offset, size int64
}

func (c chunk) end() int64 { return c.offset + c.size }

func newLive(s *Store, run *nes.Run, attempt int) *live {
	return &live{store: s, run: run.ID, attempt: attempt, prefix: storage.AttemptPrefix(run, attempt)}
}

func (l *live) bucket() storage.Bucket { return l.store.o.Bucket }

// size of the journal, all of it stored.
func (l *live) size() int64 {
	if len(l.chunks) == 0 {
		return 0
	}
	return l.chunks[len(l.chunks)-1].end()
}

// load makes the record from the bucket, once.
func (l *live) load(ctx context.Context) error {
	if l.loaded {
		return nil
	}
	l.close()
	l.log, l.text = reduce.NewLog(), newSpool(l.store.o.TempDir, l.store.o.MaxLog)
	if err := l.startState(ctx); err != nil && nes.CodeOf(err) != nes.CodeNotFound {
		return err
	}
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	l.loaded = true
	return nil
}

// close forgets the journal.
func (l *live) close() {
	if l.text != nil {
		l.text.close()
	}
	l.loaded, l.chunks, l.state, l.log, l.text = false, nil, nil, nil, nil
}

// startState reads the parameterised notebook; not_found while there is none. One that is no notebook, because the code that
// runs wrote over it, is as good as none: it must not keep the attempt from being recorded.
func (l *live) startState(ctx context.Context) error {
	input, err := l.read(ctx, l.prefix+path.Base(journal.InputFile), journal.MaxInput)
	if err != nil {
		return err
	}
	state, err := reduce.New(input)
	if err != nil {
		l.store.o.Log.Warn("an attempt's own notebook is left aside", "run", l.run, "attempt", l.attempt, "error", err)
		return nil
	}
	l.state = state
	return nil
}

func (l *live) read(ctx context.Context, key string, limit int64) ([]byte, error) {
	_, r, err := l.bucket().Open(ctx, key, 0, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// catchUp takes in the stored chunks that are not known here: all of them after a restart,
// and what another server stored.
func (l *live) catchUp(ctx context.Context) error {
	l.caughtUp = l.store.o.Now()
	found, err := l.list(ctx)
	if err != nil {
		return err
	}
	for _, c := range found {
		if c.offset < l.size() {
			continue
		}
		if c.offset > l.size() {
			break // what is behind a gap was never accepted
		}
		if err := l.replay(ctx, c); err != nil {
			return err
		}
		l.chunks = append(l.chunks, c)
	}
	return nil
}

func (l *live) list(ctx context.Context) ([]chunk, error) {
	var found []chunk
	err := l.each(ctx, "journal/", func(name string, o storage.Object) {
		if offset, err := strconv.ParseInt(strings.TrimSuffix(name, ".jsonl"), 10, 64); err == nil {
			found = append(found, chunk{o.Key, offset, o.Size})
		}
	})
	return found, err
}

// replay feeds a stored chunk.
func (l *live) replay(ctx context.Context, c chunk) error {
	_, r, err := l.bucket().Open(ctx, c.key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	buf, at := make([]byte, min(c.size, 1<<20)), c.offset
	for at < c.end() {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), c.end()-at)])
		if err != nil {
			return fmt.Errorf("read %s: %w", c.key, err)
		}
		l.feed(at, buf[:n])
		at += int64(n)
	}
	return nil
}

// feed takes in bytes of the journal that are stored.
func (l *live) feed(offset int64, data []byte) {
	l.text.append(l.log.Feed(data))
	if l.state == nil {
		return
	}
	if err := l.state.Feed(offset, data); err != nil {
		l.store.o.Log.Error("journal does not fit together", "run", l.run, "attempt", l.attempt, "offset", offset, "error", err)
	}
}

// takeInput starts the live notebook, whose parameterised form has just been stored, with the journal so far.
func (l *live) takeInput(ctx context.Context) error {
	if l.state != nil {
		return nil
	}
	l.close()
	return l.load(ctx)
}

// driverLog is the name under which what driver and exec wrote is kept; log.txt is the log for people.
const driverLog = "driver.txt"

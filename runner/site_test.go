package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

// site is what outlives a server, the real ledger and bucket among it, with a clock and a
// backend that the test moves. Steps are taken one by one in the test's own goroutine.
type site struct {
	t      *testing.T
	ledger *ledger.Ledger
	bucket storage.Bucket
	yard   *yard
	faults *faults
	policy Policy
	log    *slog.Logger
	now    time.Time
	temp   string

	c       *Controller // of the server that lives now
	records *record.Store
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := memoryDir(t)
	s := &site{t: t, faults: &faults{}, now: now, temp: dir, log: slog.New(slog.DiscardHandler)}
	var err error
	s.ledger, err = ledger.Open(t.Context(), filepath.Join(dir, "ledger.db"), s.log)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.ledger.Close() })
	s.bucket, err = file.Open(filepath.Join(dir, "bucket"))
	require.NoError(t, err)
	s.yard = &yard{site: s, seen: map[Ref]Observation{}, jobs: map[Ref]Job{}}
	s.restart()
	return s
}

// memoryDir is a directory in memory where the system has one: the machine does not crash here, and disks are slow.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "nes-test-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// restart begins a server that knows nothing but what is stored.
func (s *site) restart() {
	s.faults.revive()
	s.records = record.New(record.Options{
		Bucket: faultyBucket{s.bucket, s.faults}, Version: "test", Log: s.log, TempDir: s.temp, Now: func() time.Time { return s.now },
		Source: func(context.Context, nes.Source) ([]byte, error) { return []byte(oneCell), nil },
	})
	s.c = NewController(Options{
		Ledger: faultyLedger{s.ledger, s.faults}, Sources: s.yard, Journals: s.records, Records: s.records, Backend: s.yard,
		Key: make(Key, keySize), Log: s.log, Policy: s.policy, Now: func() time.Time { return s.now }, Limits: Limits{Total: 4},
	})
	s.c.desk.open(s.now)
}

func (s *site) submit(spec nes.Spec) nes.Run {
	s.t.Helper()
	spec.InputURL = "https://git.example.com/a/b/blob/main/n.ipynb"
	run, _, err := s.ledger.Create(context.Background(), ledger.Submission{Spec: spec, Owner: "o", Team: "t", At: s.now})
	require.NoError(s.t, err)
	return run
}

func (s *site) run(id nes.RunID) nes.Run {
	s.t.Helper()
	run, err := s.ledger.Run(context.Background(), id)
	require.NoError(s.t, err)
	return run
}

// step takes one, as the controller's loop does.
func (s *site) step(id nes.RunID, failures int) (*step, error) {
	st := &step{c: s.c, run: s.run(id), admitted: true, failures: failures}
	err := st.guarded(context.Background())
	s.c.steps.Wait()
	return st, err
}

// stepped takes one that succeeds.
func (s *site) stepped(id nes.RunID) nes.Run {
	s.t.Helper()
	_, err := s.step(id, 0)
	require.NoError(s.t, err)
	return s.run(id)
}

// events counts what happened to a run, by kind.
func (s *site) events(id nes.RunID) (kinds map[string]int, messages string) {
	s.t.Helper()
	events, err := s.ledger.Events(context.Background(), 0, id, 1000)
	require.NoError(s.t, err)
	kinds = map[string]int{}
	for _, e := range events {
		kinds[e.Kind]++
		messages += e.Message + "\n"
	}
	return kinds, messages
}

func (s *site) object(key string) string {
	s.t.Helper()
	_, r, err := s.bucket.Open(context.Background(), key, 0, -1)
	require.NoError(s.t, err, key)
	defer r.Close()
	raw, err := io.ReadAll(r)
	require.NoError(s.t, err)
	return string(raw)
}

const oneCell = `{"cells":[{"cell_type":"code","id":"a","metadata":{},"outputs":[],"execution_count":null,"source":"print(1)"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`

const oneCellSaid = `{"v":1,"seq":1,"t":1,"k":"start","notebook":{"sha256":"","cells":1,"code":1},"kernel":{"name":"python3","language":"python"}}
{"v":1,"seq":2,"t":2,"k":"cell_start","cell":0}
{"v":1,"seq":3,"t":3,"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"hello\n"}}
`

// caller is the agent of the run's newest attempt.
func (s *site) caller(r *nes.Run) agentapi.Caller {
	return agentapi.Caller{Run: r.ID, Attempt: r.Attempt, Token: s.c.o.Key.Token(Ref{Run: r.ID, Attempt: r.Attempt})}
}

// report is the agent's whole work: it sends what the notebook said, and how it ended.
func (s *site) report(r *nes.Run, said string, exit journal.Exit) error {
	ctx, desk, who := context.Background(), s.c.Reception(), s.caller(r)
	sum := sha256.Sum256([]byte(oneCell))
	if err := desk.PutFile(ctx, who, "input.ipynb", hex.EncodeToString(sum[:]), strings.NewReader(oneCell)); err != nil {
		return err
	}
	pace, err := desk.Journal(ctx, who, 0, strings.NewReader(said))
	if err != nil {
		return err
	}
	exit.V, exit.At, exit.Journal = 1, seconds(s.now), pace.Offset
	return desk.Exit(ctx, who, exit)
}

// yard is a backend where nothing happens but what the test says, and where runs come from.
type yard struct {
	site *site

	mu      sync.Mutex
	seen    map[Ref]Observation
	jobs    map[Ref]Job
	stops   []Ref
	changed []string // where a second launch differed from the first
	fetch   func(ctx context.Context) (nes.Fetched, error)
	onStop  func(Ref)
}

func (y *yard) Fetch(ctx context.Context, _ *nes.Run) (f nes.Fetched, err error) {
	err = y.site.faults.do("fetch", func() (err error) {
		if y.fetch != nil {
			f, err = y.fetch(ctx)
			return err
		}
		f = nes.Fetched{Source: nes.Source{Repository: "git.example.com/a/b", Commit: strings.Repeat("a", 40), Path: "n.ipynb"}}
		return nil
	})
	return f, err
}

func (y *yard) OpenBundle(context.Context, nes.Source) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("bundle")), nil
}

func (y *yard) Launch(_ context.Context, j Job) error {
	return y.site.faults.do("launch", func() error {
		y.mu.Lock()
		defer y.mu.Unlock()
		if old, ok := y.jobs[j.Ref]; ok {
			was, _ := json.Marshal(old)
			is, _ := json.Marshal(j)
			if !bytes.Equal(was, is) {
				y.changed = append(y.changed, string(was)+" became "+string(is))
			}
			return nil
		}
		y.jobs[j.Ref], y.seen[j.Ref] = j, Observation{Phase: PhaseRunning, Started: true}
		return nil
	})
}

func (y *yard) Observe(_ context.Context, ref Ref) (o Observation, err error) {
	err = y.site.faults.do("observe", func() error {
		y.mu.Lock()
		defer y.mu.Unlock()
		o = y.seen[ref]
		if o.Phase == "" {
			o.Phase = PhaseAbsent
		}
		return nil
	})
	return o, err
}

func (y *yard) Stop(_ context.Context, ref Ref) error {
	return y.site.faults.do("stop", func() error {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.stops = append(y.stops, ref)
		if y.onStop != nil {
			y.onStop(ref)
		}
		return nil
	})
}

func (y *yard) Remove(_ context.Context, ref Ref) error {
	return y.site.faults.do("remove", func() error {
		y.mu.Lock()
		defer y.mu.Unlock()
		delete(y.seen, ref)
		return nil
	})
}

func (y *yard) List(context.Context) (refs []Ref, err error) {
	err = y.site.faults.do("list", func() error {
		y.mu.Lock()
		defer y.mu.Unlock()
		for ref := range y.seen {
			refs = append(refs, ref)
		}
		return nil
	})
	return refs, err
}

func (y *yard) shows(ref Ref, o Observation) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.seen[ref] = o
}

var errCrash = errors.New("the server crashed here")

// reads change nothing: a crash at one of them leaves what a crash after the last change leaves.
var reads = []string{"run", "attempt", "attempts", "observe", "list", "page", "open"}

// faults make calls fail: one kind of them as long as the test wants, or everything once the n-th
// change is made, as in a process that died before it had the answer.
type faults struct {
	mu    sync.Mutex
	fail  map[string]error
	calls int
	at    int
	dead  bool
}

func (f *faults) set(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = map[string]error{op: err}
}

func (f *faults) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		f.dead, f.at = false, 0
	}
}

func (f *faults) before(op string) (last bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return false, errCrash
	}
	if !slices.Contains(reads, op) {
		f.calls++
		last = f.calls == f.at
	}
	return last, f.fail[op]
}

func (f *faults) do(op string, act func() error) error {
	last, err := f.before(op)
	if err != nil {
		return err
	}
	err = act()
	if last {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.dead = true
		return errCrash
	}
	return err
}

// try is do for a call with a result.
func try[T any](f *faults, op string, act func() (T, error)) (v T, err error) {
	err = f.do(op, func() (err error) { v, err = act(); return err })
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

type faultyLedger struct {
	*ledger.Ledger
	f *faults
}

func (l faultyLedger) Run(ctx context.Context, id nes.RunID) (nes.Run, error) {
	return try(l.f, "run", func() (nes.Run, error) { return l.Ledger.Run(ctx, id) })
}

func (l faultyLedger) Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error) {
	return try(l.f, "attempts", func() ([]nes.Attempt, error) { return l.Ledger.Attempts(ctx, id) })
}

func (l faultyLedger) Attempt(ctx context.Context, id nes.RunID, n int) (nes.Attempt, error) {
	return try(l.f, "attempt", func() (nes.Attempt, error) { return l.Ledger.Attempt(ctx, id, n) })
}

func (l faultyLedger) Apply(ctx context.Context, c nes.Transition) (nes.Run, error) {
	return try(l.f, "apply "+string(c.To), func() (nes.Run, error) { return l.Ledger.Apply(ctx, c) })
}

func (l faultyLedger) Published(ctx context.Context, id nes.RunID) error {
	return l.f.do("published", func() error { return l.Ledger.Published(ctx, id) })
}

type faultyBucket struct {
	storage.Bucket
	f *faults
}

func (b faultyBucket) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	return try(b.f, "put", func() (storage.Object, error) { return b.Bucket.Put(ctx, key, r, o) })
}

func (b faultyBucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	return try(b.f, "page", func() (storage.Page, error) { return b.Bucket.List(ctx, o) })
}

func (b faultyBucket) Open(ctx context.Context, key string, offset, length int64) (o storage.Object, r io.ReadCloser, err error) {
	err = b.f.do("open", func() (err error) { o, r, err = b.Bucket.Open(ctx, key, offset, length); return err })
	if err != nil && r != nil {
		r.Close()
	}
	return o, r, err
}

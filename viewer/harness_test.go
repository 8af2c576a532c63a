package viewer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/viewer"
)

// What the program gives the viewer.
var (
	_ viewer.Runs      = (*ledger.Ledger)(nil)
	_ viewer.Catalogue = (*ledger.Ledger)(nil)
	_ viewer.Records   = (*record.Store)(nil)
)

// house is a viewer on a real ledger and a real server. Its records are notebooks that the test writes.
type house struct {
	t       *testing.T
	ledger  *ledger.Ledger
	records *records
	server  *httptest.Server
	prefix  string
	caller  access.Principal
}

func newHouse(t *testing.T, change ...func(*viewer.Options)) *house {
	t.Helper()
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "nes.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	h := &house{t: t, ledger: l, records: newRecords(), caller: access.Local()}
	o := viewer.Options{Runs: l, Catalogue: l, Records: h.records, PublicURL: "https://nes.example", SpoolDir: t.TempDir(), MaxWait: 2 * time.Second, Pace: time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	h.prefix = o.Prefix
	pages := viewer.New(o)
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(w, r.WithContext(access.With(r.Context(), h.caller)))
	}))
	t.Cleanup(h.server.Close)
	return h
}

// submit creates a run whose source is known.
func (h *house) submit(spec nes.Spec) nes.Run {
	h.t.Helper()
	at := time.Now().UTC().Add(-time.Minute)
	run, created, err := h.ledger.Create(h.t.Context(), ledger.Submission{Spec: spec, Owner: "ada", Team: "local", At: at})
	require.NoError(h.t, err)
	require.True(h.t, created)
	return run
}

func (h *house) apply(c nes.Transition) nes.Run {
	h.t.Helper()
	run, err := h.ledger.Apply(h.t.Context(), c)
	require.NoError(h.t, err)
	return run
}

// start brings a run to its first cell.
func (h *house) start(spec nes.Spec, src nes.Source) nes.Run {
	h.t.Helper()
	run := h.submit(spec)
	at := run.CreatedAt.Add(time.Second)
	run = h.apply(nes.Fetch(&run, at))
	run = h.apply(nes.FetchDone(&run, nes.Fetched{
		Source: src, Parameters: spec.Parameters,
		Conversions: []nes.Conversion{{Name: "year", From: json.RawMessage(`"2026"`), To: json.RawMessage(`2026`), Type: "int"}},
	}, at))
	run = h.apply(nes.Launch(&run, strings.Repeat("0", 64), at))
	return h.apply(nes.Executing(&run, at.Add(500*time.Millisecond)))
}

func (h *house) end(run nes.Run, reason nes.Reason, message string, o nes.Outcome) nes.Run {
	h.t.Helper()
	at := run.CreatedAt.Add(14 * time.Second)
	o.Reason, o.Message = reason, message
	run = h.apply(nes.Saving(&run, nil, "", at))
	return h.apply(nes.End(&run, reason, message, &o, at))
}

// get returns a page of the application.
func (h *house) get(path string) (status int, header http.Header, body string) {
	h.t.Helper()
	return h.getContext(h.t.Context(), path)
}

func (h *house) getContext(ctx context.Context, path string) (status int, header http.Header, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+h.prefix+path, nil)
	require.NoError(h.t, err)
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return resp.StatusCode, resp.Header, string(raw)
}

// ok returns a page that must be there.
func (h *house) ok(path string) string {
	h.t.Helper()
	status, _, body := h.get(path)
	require.Equal(h.t, http.StatusOK, status, body)
	return body
}

// records holds notebooks and logs by run, and tells who waits when one grows.
type records struct {
	mu        sync.Mutex
	notebooks map[nes.RunID][]byte
	logs      map[nes.RunID]string
	progress  map[nes.RunID]*nes.Progress
	changed   map[nes.RunID]chan struct{}
	fault     error
	reads     atomic.Int64
}

func newRecords() *records {
	return &records{notebooks: map[nes.RunID][]byte{}, logs: map[nes.RunID]string{}, progress: map[nes.RunID]*nes.Progress{}, changed: map[nes.RunID]chan struct{}{}}
}

func (r *records) set(id nes.RunID, notebook string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notebooks[id] = []byte(notebook)
	if c := r.changed[id]; c != nil {
		close(c)
		delete(r.changed, id)
	}
}

func (r *records) WriteNotebook(_ context.Context, run *nes.Run, _ int, w io.Writer) error {
	r.reads.Add(1)
	r.mu.Lock()
	raw, fault := r.notebooks[run.ID], r.fault
	r.mu.Unlock()
	if fault != nil {
		return fault
	}
	if raw == nil {
		return nes.Errorf(nes.CodeNotFound, "nothing yet")
	}
	_, err := io.Copy(w, bytes.NewReader(raw))
	return err
}

func (r *records) Log(_ context.Context, run *nes.Run, attempt int, cursor int64, limit int) (nes.LogPage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.logs[run.ID]
	cursor = min(cursor, int64(len(text)))
	end := min(cursor+int64(limit), int64(len(text)))
	return nes.LogPage{Attempt: attempt, Text: text[cursor:end], Next: end, Ended: run.Ended() && end == int64(len(text))}, nil
}

func (r *records) Progress(run *nes.Run) *nes.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress[run.ID]
}

func (r *records) Changed(id nes.RunID) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed[id] == nil {
		r.changed[id] = make(chan struct{})
	}
	return r.changed[id]
}

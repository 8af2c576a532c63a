package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/internal/parameters"
	"github.com/nes-run/nes/runner/record"
)

// bundle is a whole API on a real ledger and a real listener, with what attempts write kept in memory.
type bundle struct {
	t       *testing.T
	ledger  *ledger.Ledger
	shelf   *shelf
	desk    *desk
	server  *api.Server
	address string
	url     string
	log     *safeBuffer
	kicks   chan struct{}
}

// setup starts a server on loopback. change may set further options.
func setup(t *testing.T, change ...func(*api.Options)) *bundle {
	t.Helper()
	log := &safeBuffer{}
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	b := &bundle{t: t, ledger: l, shelf: newShelf(), desk: &desk{}, log: log, kicks: make(chan struct{}, 1000)}
	b.serve("127.0.0.1:0", change...)
	return b
}

// serve starts a server of the bundle on addr, as a restart does.
func (b *bundle) serve(addr string, change ...func(*api.Options)) {
	o := api.Options{
		Ledger: b.ledger, Records: b.shelf, Intake: b.desk,
		Gate:    access.NewGate(access.GateOptions{}),
		Log:     slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Kick:    func() { b.kicks <- struct{}{} },
		Version: "1.2.3",
	}
	for _, f := range change {
		f(&o)
	}
	b.server = api.New(o)
	l, err := net.Listen("tcp", addr)
	require.NoError(b.t, err)
	b.address, b.url = l.Addr().String(), "http://"+l.Addr().String()
	server, done := b.server, make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		require.NoError(b.t, <-done)
	})
}

// tokens makes a gate that knows some tokens: <role>-<team>-token-0123456789.
func tokens(t *testing.T) *access.Gate {
	t.Helper()
	var list []access.Token
	for _, team := range []string{"red", "blue"} {
		for _, role := range access.Roles() {
			list = append(list, access.Token{Name: string(role) + "-" + team, Team: team, Token: tokenOf(string(role), team), Roles: []access.Role{role}})
		}
	}
	known, err := access.NewTokens(list)
	require.NoError(t, err)
	return access.NewGate(access.GateOptions{Tokens: known})
}

func tokenOf(role, team string) string { return role + "-" + team + "-token-0123456789" }

func signedIn(t *testing.T) func(*api.Options) {
	return func(o *api.Options) { o.Gate = tokens(t) }
}

// client is a client of the bundle with a token, which may be empty.
func (b *bundle) client(token string) *client.Client {
	c := client.New(b.url, client.Options{Token: token, Backoff: time.Millisecond})
	b.t.Cleanup(c.Close)
	return c
}

// response is an answer with its body read.
type response struct {
	*http.Response
	body string
}

func (r response) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &m), r.body)
	return m
}

// call sends one request and holds it and its answer to the contract. headers are "Name: value".
func (b *bundle) call(method, path, body string, headers ...string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, check(req, []byte(body), res, text))
	return response{res, string(text)}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// submit makes a run and returns it as the ledger has it.
func (b *bundle) submit(headers ...string) nes.Run {
	b.t.Helper()
	res := b.call("POST", "/v1/runs", `{"input_url":"https://github.com/acme/reports/blob/main/daily.ipynb","parameters":{"day":"2026-01-31"}}`, headers...)
	require.Equal(b.t, 201, res.StatusCode, res.body)
	return b.run(nes.RunID(res.json(b.t)["id"].(string)))
}

func (b *bundle) run(id nes.RunID) nes.Run {
	b.t.Helper()
	run, err := b.ledger.Run(context.Background(), id)
	require.NoError(b.t, err)
	return run
}

func (b *bundle) apply(c nes.Transition) nes.Run {
	b.t.Helper()
	run, err := b.ledger.Apply(context.Background(), c)
	require.NoError(b.t, err)
	return run
}

var source = nes.Source{
	Repository: "github.com/acme/reports", CloneURL: "https://github.com/acme/reports.git", Ref: "main",
	Commit: "0123456789abcdef0123456789abcdef01234567", Path: "보고서/daily 1.ipynb", Bundle: "sources/x/y.tar.zst", BundleSHA256: strings.Repeat("a", 64),
}

// fetched takes a queued run to where its source is known.
func (b *bundle) fetched(run nes.Run) nes.Run {
	b.t.Helper()
	run = b.apply(nes.Fetch(&run, time.Now()))
	return b.apply(nes.FetchDone(&run, nes.Fetched{Source: source, Parameters: run.Spec.Parameters}, time.Now()))
}

// executing takes a queued run to where its first cell runs.
func (b *bundle) executing(run nes.Run) nes.Run {
	b.t.Helper()
	run = b.fetched(run)
	run = b.apply(nes.Launch(&run, "hash", time.Now()))
	run = b.apply(nes.Starting(&run, time.Now()))
	return b.apply(nes.Executing(&run, time.Now()))
}

// ended takes an executing run to its end.
func (b *bundle) ended(run nes.Run, reason nes.Reason) nes.Run {
	b.t.Helper()
	run = b.apply(nes.Saving(&run, nil, "", time.Now()))
	o := nes.Outcome{Reason: reason, Result: json.RawMessage(`{"rows": 12345678901234567890}`), Progress: nes.Progress{Total: 3, Done: 3, Current: -1}}
	return b.apply(nes.End(&run, reason, "", &o, time.Now()))
}

// shelf keeps what attempts write, in memory, with the signals of the real one.
type shelf struct {
	mu       sync.Mutex
	text     map[string]string // log by "run/attempt"
	over     map[string]bool
	notebook map[string]string
	files    map[string]string
	progress *nes.Progress
	waiting  map[nes.RunID]chan struct{}
	fail     error
}

func newShelf() *shelf {
	return &shelf{text: map[string]string{}, over: map[string]bool{}, notebook: map[string]string{}, files: map[string]string{}, waiting: map[nes.RunID]chan struct{}{}}
}

func place(run *nes.Run, attempt int) string { return string(run.ID) + "/" + string(rune('0'+attempt)) }

// change changes something of a run and tells who waits.
func (s *shelf) change(run nes.RunID, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	if c, ok := s.waiting[run]; ok {
		close(c)
		delete(s.waiting, run)
	}
}

func (s *shelf) print(run *nes.Run, attempt int, text string, over bool) {
	s.change(run.ID, func() {
		s.text[place(run, attempt)] += text
		s.over[place(run, attempt)] = over
	})
}

func (s *shelf) Changed(run nes.RunID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[run] == nil {
		s.waiting[run] = make(chan struct{})
	}
	return s.waiting[run]
}

func (s *shelf) Progress(*nes.Run) *nes.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

func (s *shelf) Log(_ context.Context, run *nes.Run, attempt int, cursor int64, limit int) (nes.LogPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.text[place(run, attempt)]
	if !ok {
		return nes.LogPage{}, nes.Errorf(nes.CodeNotFound, "no log")
	}
	text = text[min(cursor, int64(len(text))):]
	text = text[:min(limit, len(text), 8)] // small pieces, so that paging is tested too
	next := cursor + int64(len(text))
	return nes.LogPage{Text: text, Next: next, Ended: s.over[place(run, attempt)] && next == int64(len(s.text[place(run, attempt)]))}, nil
}

func (s *shelf) WriteNotebook(_ context.Context, run *nes.Run, attempt int, w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.notebook[place(run, attempt)]
	if !ok {
		return nes.Errorf(nes.CodeNotFound, "attempt %d has no notebook yet", attempt)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return s.fail
}

func (s *shelf) Files(_ context.Context, run *nes.Run, attempt int) ([]nes.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []nes.File
	for name, body := range s.files {
		list = append(list, describe(name, body))
	}
	return list, nil
}

func describe(name, body string) nes.File {
	sum := sha256.Sum256([]byte(body))
	return nes.File{Name: name, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Type: "text/html"}
}

func (s *shelf) OpenFile(_ context.Context, _ *nes.Run, _ int, name string) (nes.File, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, ok := s.files[name]
	if !ok {
		return nes.File{}, nil, nes.Errorf(nes.CodeNotFound, "there is no file %q", name)
	}
	return describe(name, body), io.NopCloser(strings.NewReader(body)), nil
}

// desk stands for the intake, which has tests of its own.
type desk struct{}

func (*desk) Inspect(_ context.Context, _, url string) (intake.Inspection, error) {
	if strings.Contains(url, "missing") {
		return intake.Inspection{}, nes.Fail(nes.ReasonSourceNotFound, "there is no notebook at %s", url)
	}
	schema := parameters.Schema{Language: "python", Declared: true, Parameters: []parameters.Parameter{
		{Name: "day", Type: "str", Source: `"2026-01-01"`, Default: json.RawMessage(`"2026-01-01"`), Help: "the day"},
	}}
	return intake.Inspection{Source: source, Schema: schema, KernelName: "python3", Language: "python", Cells: 5, CodeCells: 3}, nil
}

func (*desk) Upload(_ context.Context, r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", &nes.Error{Code: nes.CodeInternal, Message: "copy", Err: err}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// safeBuffer is a log that many write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// What the API is wired to.
var (
	_ api.Ledger  = (*ledger.Ledger)(nil)
	_ api.Records = (*record.Store)(nil)
	_ api.Intake  = (*intake.Intake)(nil)
)

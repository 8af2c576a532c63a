package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage/file"
)

func TestClientKnowsEveryCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(""), limit(t)
	version, err := c.Health(ctx)
	require.NoError(t, err)
	require.Equal(t, "1.2.3", version)

	sent, created, err := c.Submit(ctx, nes.Spec{InputURL: "https://github.com/a/b/blob/main/c.ipynb", Timeout: nes.Duration(time.Minute), IdempotencyKey: "k"})
	require.NoError(t, err)
	require.True(t, created)
	again, created, err := c.Submit(ctx, nes.Spec{InputURL: "https://github.com/a/b/blob/main/c.ipynb", Timeout: nes.Duration(time.Minute), IdempotencyKey: "k"})
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, sent.ID, again.ID)

	_, err = c.Notebook(ctx, sent.ID, 0)
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	run := b.executing(b.run(sent.ID))
	b.shelf.notebook[place(&run, 1)], b.shelf.files["보고서/a b.csv"] = `{"cells":[]}`, "1,2"
	require.Equal(t, `{"cells":[]}`, content(t)(c.Notebook(ctx, run.ID, 0)))
	files, err := c.Files(ctx, run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "보고서/a b.csv", files[0].Name)
	require.Equal(t, "1,2", content(t)(c.File(ctx, run.ID, 0, files[0].Name)))
	_, err = c.Result(ctx, run.ID)
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	b.ended(run, nes.ReasonCompleted)
	result, err := c.Result(ctx, run.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"rows": 12345678901234567890}`, string(result))
	attempts, err := c.Attempts(ctx, run.ID)
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	page, err := c.Runs(ctx, url.Values{"status": {"Succeeded"}})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	latest, err := c.Latest(ctx, url.Values{"limit": nil})
	require.NoError(t, err)
	require.Equal(t, run.ID, latest.ID)
	ended, err := c.Cancel(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, nes.StatusSucceeded, ended.Status)
}

func TestClientLooksIntoNotebooksAndSendsTrees(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBundle = 1 << 20 })
	c, ctx := b.client(""), limit(t)
	found, err := c.Inspect(ctx, "https://github.com/a/b/blob/main/c.ipynb")
	require.NoError(t, err)
	require.Equal(t, "day", found.Schema.Parameters[0].Name)
	require.Equal(t, 3, found.CodeCells)
	_, err = c.Inspect(ctx, "https://github.com/a/b/blob/main/missing.ipynb")
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
	require.Equal(t, nes.CodeUnprocessable, nes.CodeOf(err))
	_, err = c.Inspect(ctx, "")
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))

	tree := bytes.Repeat([]byte("x"), 1<<20)
	sum, err := c.Upload(ctx, bytes.NewReader(tree))
	require.NoError(t, err)
	want := sha256.Sum256(tree)
	require.Equal(t, hex.EncodeToString(want[:]), sum)
	_, err = c.Upload(ctx, io.MultiReader(bytes.NewReader(tree), strings.NewReader("one more")))
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
}

func content(t *testing.T) func(io.ReadCloser, error) string {
	return func(r io.ReadCloser, err error) string {
		t.Helper()
		require.NoError(t, err)
		defer r.Close()
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		return string(b)
	}
}

// A submission whose answer is lost is sent again, and is one run.
func TestClientRepeatsWhatIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var calls atomic.Int32
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		if n == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		out := http.ResponseWriter(w)
		if n == 2 {
			out = httptest.NewRecorder() // the run is made, but nobody hears of it
		}
		r.Host = "localhost"
		b.server.Handler().ServeHTTP(out, r)
		if n == 2 {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(flaky.Close)
	c := client.New(flaky.URL, client.Options{Backoff: time.Millisecond})
	run, created, err := c.Submit(limit(t), nes.Spec{InputURL: "https://github.com/a/b/blob/main/c.ipynb"})
	require.NoError(t, err)
	require.False(t, created, "the second call had made it")
	require.Equal(t, int32(3), calls.Load())
	page, err := c.Runs(limit(t), nil)
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	require.Equal(t, run.ID, page.Runs[0].ID)
}

func TestClientDoesNotRepeatRefusals(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(refusing.Close)
	_, _, err := client.New(refusing.URL, client.Options{}).Submit(limit(t), nes.Spec{})
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.Equal(t, int32(1), calls.Load())

	gone := client.New("http://127.0.0.1:1", client.Options{Retries: -1})
	_, err = gone.Run(limit(t), "x", 0, 0)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
}

func TestClientOverASocket(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := filepath.Join(t.TempDir(), "nes.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	served := &http.Server{Handler: b.server.Handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = served.Serve(l) }()
	t.Cleanup(func() { _ = served.Close() })
	version, err := client.New("unix://"+path, client.Options{}).Health(limit(t))
	require.NoError(t, err)
	require.Equal(t, "1.2.3", version)
}

// The real store of records behind the real ledger: what a journal says is what the API shows.
func TestRealRecords(t *testing.T) {
	t.Parallel()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	store := record.New(record.Options{Bucket: bucket, TempDir: t.TempDir()})
	b := setup(t, func(o *api.Options) { o.Records = store })
	run := b.executing(b.submit())
	journal, err := os.ReadFile("../runner/journal/testdata/two_cells.jsonl")
	require.NoError(t, err)
	notebook := []byte(`{"cells":[{"cell_type":"code","id":"a","metadata":{},"execution_count":null,"outputs":[],"source":"print('x')"},
		{"cell_type":"code","id":"b","metadata":{},"execution_count":null,"outputs":[],"source":"1+1"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
	sum := sha256.Sum256(notebook)
	ctx := limit(t)
	require.NoError(t, store.PutFile(ctx, &run, 1, "input.ipynb", hex.EncodeToString(sum[:]), bytes.NewReader(notebook)))

	var w lines
	done := make(chan error, 1)
	follow, stop := context.WithCancel(ctx)
	defer stop()
	go func() { done <- b.client("").FollowLog(follow, run.ID, &w) }()
	half := bytes.IndexByte(journal[len(journal)/2:], '\n') + len(journal)/2 + 1
	at, err := store.AppendJournal(ctx, &run, 1, 0, bytes.NewReader(journal[:half]))
	require.NoError(t, err)
	_, err = store.AppendJournal(ctx, &run, 1, at, bytes.NewReader(journal[half:]))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.String() != "" }, 20*time.Second, time.Millisecond)
	stop()
	require.ErrorIs(t, <-done, context.Canceled)

	var nb struct{ Cells []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(content(t)(b.client("").Notebook(ctx, run.ID, 0))), &nb))
	require.Len(t, nb.Cells, 2)
	res := b.call("GET", "/v1/runs/"+string(run.ID)+"/log", "")
	require.Equal(t, 200, res.StatusCode)
	require.Contains(t, res.body, w.String())
}

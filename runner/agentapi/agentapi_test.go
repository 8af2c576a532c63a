package agentapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// recorder is a service that takes everything, and fails as it is told.
type recorder struct {
	mu      sync.Mutex
	callers []agentapi.Caller
	journal []byte
	files   map[string]string
	exits   []journal.Exit
	fail    []error // of the next calls; nil is none
}

func (r *recorder) next(c agentapi.Caller) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callers = append(r.callers, c)
	if len(r.fail) == 0 {
		return nil
	}
	err := r.fail[0]
	r.fail = r.fail[1:]
	return err
}

func (r *recorder) Launch(_ context.Context, c agentapi.Caller) (journal.Launch, error) {
	return journal.Launch{V: 1, Notebook: "a/b.ipynb", Parameters: map[string]any{"big": json.RawMessage("12345678901234567890"), "f": json.RawMessage("1.0")}}, r.next(c)
}

func (r *recorder) Bundle(_ context.Context, c agentapi.Caller) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("bundle"), &breaking{r})), r.next(c)
}

// breaking fails in the middle of a body when a failure is due.
type breaking struct{ r *recorder }

func (b *breaking) Read([]byte) (int, error) {
	if err := b.r.next(agentapi.Caller{}); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

func (r *recorder) Journal(_ context.Context, c agentapi.Caller, offset int64, body io.Reader) (agentapi.Pace, error) {
	if err := r.next(c); err != nil {
		return agentapi.Pace{}, err
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return agentapi.Pace{}, err
	}
	r.journal = append(r.journal[:offset], raw...)
	return agentapi.Pace{Offset: int64(len(r.journal)), EveryMS: 250, Cancel: true, Why: "so"}, nil
}

func (r *recorder) PutFile(_ context.Context, c agentapi.Caller, name, sum string, body io.Reader) error {
	raw, err := io.ReadAll(body)
	r.files = map[string]string{name: sum + " " + string(raw)}
	return errors.Join(err, r.next(c))
}

func (r *recorder) Exit(_ context.Context, c agentapi.Caller, e journal.Exit) error {
	r.exits = append(r.exits, e)
	return r.next(c)
}

var quietly = slog.New(slog.DiscardHandler)

func setup(t *testing.T, fail ...error) (*recorder, *agentapi.Client) {
	t.Helper()
	r := &recorder{fail: fail}
	server := httptest.NewServer(agentapi.NewHandler(r, quietly))
	t.Cleanup(server.Close)
	return r, client(t, func() (string, error) { return server.URL + "/", nil })
}

func client(t *testing.T, server func() (string, error)) *agentapi.Client {
	t.Helper()
	c := agentapi.NewClient(agentapi.Options{
		Server: server, Run: "0193-run", Attempt: 2, Token: "secret", Log: quietly,
		MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond,
	})
	t.Cleanup(c.Close)
	return c
}

func TestEveryCallArrives(t *testing.T) {
	t.Parallel()
	r, c := setup(t)
	ctx := context.Background()
	l, err := c.Launch(ctx)
	require.NoError(t, err)
	raw, err := json.Marshal(l.Parameters)
	require.NoError(t, err)
	require.JSONEq(t, `{"big":12345678901234567890,"f":1.0}`, string(raw))
	require.Contains(t, string(raw), "12345678901234567890", "no digit is lost")
	require.Contains(t, string(raw), "1.0", "a float stays one")

	var got bytes.Buffer
	require.NoError(t, c.Bundle(ctx, func(r io.Reader) error { _, err := io.Copy(&got, r); return err }))
	require.Equal(t, "bundle", got.String())

	for _, chunk := range []string{"", "one\n", "two\n"} {
		p, err := c.Journal(ctx, int64(len(r.journal)), []byte(chunk))
		require.NoError(t, err)
		require.Equal(t, agentapi.Pace{Offset: int64(len(r.journal)), EveryMS: 250, Cancel: true, Why: "so"}, p)
	}
	require.Equal(t, "one\ntwo\n", string(r.journal))

	for name, body := range map[string]string{"outputs/한글 100%/a b?#.csv": "text", "outputs/empty": ""} {
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		require.NoError(t, c.PutFile(ctx, name, "digest", int64(len(body)), open))
		require.Equal(t, map[string]string{name: "digest " + body}, r.files)
	}
	require.NoError(t, c.Exit(ctx, journal.Exit{V: 1, Reason: "CellError", Message: "한"}))
	require.Equal(t, "CellError", r.exits[0].Reason)
	require.Equal(t, agentapi.Caller{Run: "0193-run", Attempt: 2, Token: "secret"}, r.callers[0])
}

func TestTransientErrorsAreOutlasted(t *testing.T) {
	t.Parallel()
	down := nes.Errorf(nes.CodeUnavailable, "down")
	r, c := setup(t, down, errors.New("a fault"), nes.Errorf(nes.CodeBusy, "busy"))
	_, err := c.Journal(context.Background(), 0, []byte("line\n"))
	require.NoError(t, err)
	require.Equal(t, "line\n", string(r.journal))
}

func TestABrokenBundleIsFetchedAgain(t *testing.T) {
	t.Parallel()
	r, c := setup(t, nil, errors.New("the disk is on fire"))
	var got []byte
	err := c.Bundle(context.Background(), func(body io.Reader) (err error) {
		got, err = io.ReadAll(body)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, "bundle", string(got))
	require.Len(t, r.callers, 4, "half a bundle is not taken for a whole one")
}

func TestFinalAnswers(t *testing.T) {
	t.Parallel()
	for code, superseded := range map[nes.Code]bool{
		nes.CodeConflict: true, nes.CodeUnauthorized: true, nes.CodeNotFound: true, nes.CodeForbidden: true,
		nes.CodeInvalid: false, nes.CodeTooLarge: false, nes.CodeUnprocessable: false,
	} {
		_, c := setup(t, nes.Errorf(code, "no"))
		_, err := c.Journal(context.Background(), 0, nil)
		require.Equal(t, code, nes.CodeOf(err))
		require.Equal(t, superseded, errors.Is(err, agentapi.ErrSuperseded), code)
	}
}

// TestAStrangerAtTheAddressIsNotBelieved: the server went away, and something else listens there.
func TestAStrangerAtTheAddressIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	real := httptest.NewServer(agentapi.NewHandler(r, quietly))
	defer real.Close()
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	var asked atomic.Int32
	c := client(t, func() (string, error) {
		switch asked.Add(1) {
		case 1:
			return "", errors.New("not written yet")
		case 2:
			return dead.URL, nil
		case 3:
			return stranger.URL, nil
		}
		return real.URL, nil
	})
	require.NoError(t, c.Exit(context.Background(), journal.Exit{V: 1}))
	require.EqualValues(t, 4, asked.Load())
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	c := client(t, func() (string, error) { return "", errors.New("nowhere") })
	require.ErrorIs(t, c.Exit(ctx, journal.Exit{}), context.DeadlineExceeded)
}

func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	h := agentapi.NewHandler(r, quietly)
	const base = "/agent/v1/runs/r/attempts/1/"
	for name, tt := range map[string]struct {
		method, path, token string
		body                io.Reader
		want                int
	}{
		"no token":         {"GET", base + "launch", "", nil, 401},
		"other scheme":     {"GET", base + "launch", "Basic x", nil, 401},
		"attempt zero":     {"GET", "/agent/v1/runs/r/attempts/0/launch", "Bearer x", nil, 404},
		"attempt text":     {"GET", "/agent/v1/runs/r/attempts/x/launch", "Bearer x", nil, 404},
		"no offset":        {"POST", base + "journal", "Bearer x", nil, 400},
		"negative offset":  {"POST", base + "journal?offset=-1", "Bearer x", nil, 400},
		"long chunk":       {"POST", base + "journal?offset=0", "Bearer x", bytes.NewReader(make([]byte, journal.MaxChunk+1)), 413},
		"exit is no JSON":  {"POST", base + "exit", "Bearer x", strings.NewReader("{"), 400},
		"exit is too long": {"POST", base + "exit", "Bearer x", strings.NewReader(`{"message":"` + strings.Repeat("x", journal.MaxExit)), 400},
		"unknown call":     {"GET", base + "secrets", "Bearer x", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequest(tt.method, tt.path, tt.body)
			if tt.token != "" {
				req.Header.Set("Authorization", tt.token)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			require.Equal(t, tt.want, w.Code, w.Body.String())
		})
	}
}

package agentapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// answering gives a client of a server that answers its first calls as told, and all later ones as the real one.
func answering(t *testing.T, first ...http.HandlerFunc) (*recorder, *agentapi.Client) {
	t.Helper()
	r := &recorder{}
	real := agentapi.NewHandler(r, quietly)
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if n := int(calls.Add(1)); n <= len(first) {
			first[n-1](w, req)
			return
		}
		real.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return r, client(t, func() (string, error) { return server.URL, nil })
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestOnlyOurOwnAnswersCount: proxies, pages to sign in at, and other services that speak of problems in their own
// words are waited out. None of them may make an agent believe that the end is recorded, or that its attempt is not wanted any more.
func TestOnlyOurOwnAnswersCount(t *testing.T) {
	t.Parallel()
	redirect := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }
	for name, answer := range map[string]http.HandlerFunc{
		"a page instead of an answer":        says(200, "text/html", "<h1>Welcome</h1>"),
		"an empty page":                      says(200, "text/plain", ""),
		"accepted":                           says(202, "application/json", "{}"),
		"a redirect to a page":               redirect,
		"a page that is not found":           says(404, "text/html", "nginx"),
		"a gateway without its server":       says(502, "text/html", "bad gateway"),
		"a problem of another service":       says(404, problem.ContentType, `{"type":"about:blank","title":"Not Found","status":404}`),
		"a forbidden call, said by a proxy":  says(403, problem.ContentType, `{"detail":"blocked"}`),
		"a problem that breaks off":          says(409, problem.ContentType, `{"code":"conf`),
		"a problem that is no JSON":          says(401, problem.ContentType, `unauthorized`),
		"our word for it, as something else": says(409, "application/json", `{"code":"conflict"}`),
		"a problem without end":              says(409, problem.ContentType, `{"title":"`+strings.Repeat("x", problem.MaxSize)+`","code":"conflict"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, c := answering(t, answer)
			require.NoError(t, c.Exit(t.Context(), journal.Exit{V: 1, Reason: "CellError"}))
			require.Len(t, r.exits, 1, "the real server has it in the end")
			r, c = answering(t, answer)
			require.NoError(t, c.PutFile(t.Context(), "outputs/x", "sum", 4, bodyOf("text")))
			require.Equal(t, map[string]string{"outputs/x": "sum text"}, r.files)
		})
	}
}

func bodyOf(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// TestAnAnswerThatBreaksOffIsAskedForAgain: half a pace or launch order is none.
func TestAnAnswerThatBreaksOffIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, half := range []string{"", "{", `{"offset":5`, `{"offset":"x"}`, `[]`, "nul"} {
		r, c := answering(t, says(200, "application/json", half))
		p, err := c.Journal(t.Context(), 0, []byte("line\n"))
		require.NoError(t, err, half)
		require.EqualValues(t, 5, p.Offset)
		require.Equal(t, "line\n", string(r.journal))
	}
	_, c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"notebook":"half`)
	})
	l, err := c.Launch(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a/b.ipynb", l.Notebook)
}

// opened counts how often a body was opened, and how often closed.
type opened struct {
	text          string
	opens, closes atomic.Int32
	fail          func(n int32) error
	wrap          func(n int32, r io.Reader) io.Reader
}

func (o *opened) open() (io.ReadCloser, error) {
	n := o.opens.Add(1)
	if o.fail != nil {
		if err := o.fail(n); err != nil {
			o.closes.Add(1)
			return nil, err
		}
	}
	var r io.Reader = strings.NewReader(o.text)
	if o.wrap != nil {
		r = o.wrap(n, r)
	}
	return &body{r, o}, nil
}

type body struct {
	io.Reader
	o *opened
}

func (b *body) Close() error { b.o.closes.Add(1); return nil }

// TestABodyIsOpenedAnewForEveryTry, sent whole each time, and never left open.
func TestABodyIsOpenedAnewForEveryTry(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 20_000)
	down := says(503, "text/plain", "later")
	early := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) } // which reads nothing
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	r, c := answering(t, down, early, cut, down)
	o := &opened{text: text}
	require.NoError(t, c.PutFile(t.Context(), "outputs/x", "sum", int64(len(text)), o.open))
	require.Equal(t, map[string]string{"outputs/x": "sum " + text}, r.files)
	require.EqualValues(t, 5, o.opens.Load())
	require.Eventually(t, func() bool { return o.closes.Load() == 5 }, 10*time.Second, time.Millisecond)
}

// TestABodyThatCannotBeOpenedIsFinal: nothing that the server does will help, and the agent goes on with the next file.
func TestABodyThatCannotBeOpenedIsFinal(t *testing.T) {
	t.Parallel()
	gone := errors.New("the notebook took it away")
	r, c := answering(t, says(503, "text/plain", ""))
	o := &opened{text: "text", fail: func(n int32) error {
		if n == 2 {
			return gone
		}
		return nil
	}}
	err := c.PutFile(t.Context(), "outputs/x", "sum", 4, o.open)
	require.ErrorIs(t, err, gone)
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.NotErrorIs(t, err, agentapi.ErrSuperseded)
	require.EqualValues(t, 2, o.opens.Load())
	require.Empty(t, r.files)
}

// TestABodyThatFailsIsNeverTakenForAWhole: it broke off, or it is shorter or longer than it was said to be.
func TestABodyThatFailsIsNeverTakenForAWhole(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(int32, io.Reader) io.Reader{
		"broken": func(n int32, r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(io.ErrNoProgress))
		},
		"shorter": func(n int32, r io.Reader) io.Reader { return io.LimitReader(r, 3) },
	} {
		r, c := answering(t)
		o := &opened{text: "text", wrap: func(n int32, r io.Reader) io.Reader {
			if n == 1 {
				return wrap(n, r)
			}
			return r
		}}
		require.NoError(t, c.PutFile(t.Context(), "outputs/x", "sum", 4, o.open), name)
		require.Equal(t, map[string]string{"outputs/x": "sum text"}, r.files, name)
		require.EqualValues(t, 2, o.opens.Load(), name)
	}
}

// TestAnAddressThatIsNoneIsAskedForAgain, and costs no open file each time.
func TestAnAddressThatIsNoneIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	server := httptest.NewServer(agentapi.NewHandler(r, quietly))
	defer server.Close()
	bad := []string{"", "\x7f", "http://[::1", "not an address", "ftp://x", "http://" + strings.Repeat("x", 300) + ".invalid", ":0"}
	asked := 0
	c := client(t, func() (string, error) {
		if asked++; asked <= len(bad) {
			return bad[asked-1], nil
		}
		return server.URL + "///", nil
	})
	o := &opened{text: "text"}
	require.NoError(t, c.PutFile(t.Context(), "outputs/x", "sum", 4, o.open))
	require.Equal(t, map[string]string{"outputs/x": "sum text"}, r.files)
	require.Equal(t, len(bad)+1, asked, "it is asked before every try")
	require.Eventually(t, func() bool { return o.opens.Load() == o.closes.Load() }, 10*time.Second, time.Millisecond)
}

// TestThePausesBetweenTriesDouble from the smallest to the largest, each up to half of it shorter by chance, and one warning is logged.
func TestThePausesBetweenTriesDouble(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ low, high, wantLow, wantHigh time.Duration }{
		"by default": {0, 0, 20 * time.Millisecond, 5 * time.Second},
		"as told":    {time.Second, 3 * time.Second, time.Second, 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var logged bytes.Buffer
			var at []time.Time
			ctx, cancel := context.WithCancel(t.Context())
			c := agentapi.NewClient(agentapi.Options{
				Server: func() (string, error) {
					if at = append(at, time.Now()); len(at) == 20 {
						cancel()
					}
					return "", errors.New("not written yet")
				},
				MinBackoff: tt.low, MaxBackoff: tt.high, Log: slog.New(slog.NewTextHandler(&logged, nil)),
			})
			err := c.Exit(ctx, journal.Exit{V: 1})
			require.ErrorIs(t, err, context.Canceled)
			want, varied := tt.wantLow, false
			for i := 1; i < len(at); i++ {
				pause := at[i].Sub(at[i-1])
				require.LessOrEqual(t, pause, want, "%s, pause %d", name, i)
				require.GreaterOrEqual(t, pause, want/2, "%s, pause %d", name, i)
				varied = varied || pause != want
				want = min(2*want, tt.wantHigh)
			}
			require.True(t, varied, "agents that failed together do not come back together")
			require.Equal(t, 1, strings.Count(logged.String(), "does not answer"), logged.String())
			require.Contains(t, logged.String(), "not written yet")
		})
	}
}

// TestAPauseEndsWithItsContext, at once, and with what kept it from its answer.
func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := agentapi.NewClient(agentapi.Options{Server: func() (string, error) { return "", errors.New("no") }, MinBackoff: time.Hour, MaxBackoff: time.Hour, Log: quietly})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Launch(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Journal(over, 0, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestTakingABundle: our own refusal of it is final, whatever else goes wrong begins again, and who took it is asked for nothing more.
func TestTakingABundle(t *testing.T) {
	t.Parallel()
	_, c := setup(t)
	tries := 0
	err := c.Bundle(t.Context(), func(io.Reader) error {
		tries++
		return fmt.Errorf("unpack: %w", nes.Fail(nes.ReasonSourceTooLarge, "no room"))
	})
	require.Equal(t, nes.ReasonSourceTooLarge, nes.ReasonOf(err))
	require.Equal(t, 1, tries)
	err = c.Bundle(t.Context(), func(r io.Reader) error {
		if tries++; tries < 4 {
			return errors.New("the disk grumbles")
		}
		raw, err := io.ReadAll(r)
		require.Equal(t, "bundle", string(raw), "from its beginning")
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 4, tries)
}

// TestTheTokenGoesWithEveryCallAndNowhereElse: not in addresses, and not to where a redirect leads.
func TestTheTokenGoesWithEveryCallAndNowhereElse(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	lead := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}
	for _, call := range []func(c *agentapi.Client) error{
		func(c *agentapi.Client) error { _, err := c.Launch(t.Context()); return err },
		func(c *agentapi.Client) error { return c.Bundle(t.Context(), func(io.Reader) error { return nil }) },
		func(c *agentapi.Client) error { _, err := c.Journal(t.Context(), 0, []byte("x\n")); return err },
		func(c *agentapi.Client) error { return c.PutFile(t.Context(), "outputs/x", "s", 1, bodyOf("x")) },
		func(c *agentapi.Client) error { return c.Exit(t.Context(), journal.Exit{V: 1}) },
	} {
		check := func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
			require.NotContains(t, r.URL.String(), "secret")
			lead(w, r)
		}
		r, c := answering(t, check)
		require.NoError(t, call(c))
		require.Equal(t, "secret", r.callers[0].Token)
	}
	require.Zero(t, elsewhere.Load())
}

// TestTheHandlerKeepsFaultsToItself: what is logged is not told, and refusals are told in full.
func TestTheHandlerKeepsFaultsToItself(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail   error
		status int
		told   string
		logged bool
	}{
		"a fault":        {errors.New("dial tcp 10.0.0.1:5432: refused"), 500, "", true},
		"an unknown one": {nes.Errorf(nes.CodeInternal, "table runs is broken"), 500, "", true},
		"a refusal":      {nes.Errorf(nes.CodeConflict, "attempt 2 is over"), 409, "attempt 2 is over", false},
		"a limit":        {&nes.Error{Code: nes.CodeTooLarge, Reason: nes.ReasonOutputTooLarge, Message: "full"}, 413, string(nes.ReasonOutputTooLarge), false},
		"later":          {nes.Errorf(nes.CodeUnavailable, "the ledger is down"), 503, "the ledger is down", true},
	} {
		var logged bytes.Buffer
		h := agentapi.NewHandler(&recorder{fail: []error{tt.fail}}, slog.New(slog.NewTextHandler(&logged, nil)))
		req := httptest.NewRequest("POST", "/agent/v1/runs/r/attempts/1/journal?offset=0", nil)
		req.Header.Set("Authorization", "Bearer token-of-it")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(t, tt.status, w.Code, name)
		require.Equal(t, problem.ContentType, w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), tt.told, name)
		require.Equal(t, tt.logged, logged.Len() > 0, name)
		if tt.status == 500 {
			require.NotContains(t, w.Body.String(), tt.fail.Error(), name)
			require.Contains(t, logged.String(), tt.fail.Error(), name)
		}
		require.NotContains(t, logged.String(), "token-of-it", name)
	}
}

// TestAnExitMarkerMustSaySomething: an empty one would say that all went well.
func TestAnExitMarkerMustSaySomething(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{`{"v":1}`: 204, `{"v":1,"reason":"Later","unknown":{}}`: 204, `{}`: 400, `null`: 400, ``: 400, `[]`: 400, `{"v":2}`: 400, `{"v":"1"}`: 400, `{"v":1,"at":"now"}`: 400, `{"v":1,"code":1.5}`: 400} {
		r := &recorder{}
		req := httptest.NewRequest("POST", "/agent/v1/runs/r/attempts/1/exit", strings.NewReader(text))
		req.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		agentapi.NewHandler(r, quietly).ServeHTTP(w, req)
		require.Equal(t, want, w.Code, text)
		require.Equal(t, want == 204, len(r.exits) == 1, "nothing is recorded of what is refused")
	}
}

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

// frames of a stream of events; the connection is cut behind the last of them.
func frames(text string) http.HandlerFunc { return broken("text/event-stream", text) }

// collect reads what Events tells, by kind and number.
func collect(ctx context.Context, c *client.Client, id nes.RunID, after int64) (told []string, err error) {
	for e, failed := range c.Events(ctx, id, after) {
		if failed != nil {
			return told, failed
		}
		told = append(told, fmt.Sprintf("%s %d", e.Kind, e.Seq))
	}
	return told, nil
}

const endOfStream = "event: end\ndata: {}\n\n"

// TestEventsAreReadAsTheStandardSays: in every form that server-sent events may have on the wire.
func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	t.Parallel()
	one := event(1, "submitted")
	for name, c := range map[string]struct {
		wire string
		want []string
	}{
		"plain":                   {one, []string{"submitted 1"}},
		"CRLF":                    {strings.ReplaceAll(one, "\n", "\r\n"), []string{"submitted 1"}},
		"without blanks":          {strings.ReplaceAll(one, ": ", ":"), []string{"submitted 1"}},
		"comments between":        {": alive\n\n:\n\n" + one + ": alive\n\n", []string{"submitted 1"}},
		"comments inside":         {": first\n" + strings.Replace(one, "\n", "\n: in between\n", 1), []string{"submitted 1"}},
		"fields that are unknown": {"retry: 1000\nnonsense: x\nalone\n\n" + one, []string{"submitted 1"}},
		"data on two lines":       {"id: 4\nevent: x\ndata: {\"seq\":4,\ndata: \"kind\":\"x\"}\n\n", []string{"x 4"}},
		"empty blocks":            {"\n\n\n" + one + "\n\n", []string{"submitted 1"}},
		"progress has no number":  {"event: progress\ndata: {\"total\":3}\n\n" + one, []string{"progress 0", "submitted 1"}},
		"two at once":             {one + event(2, "fetching"), []string{"submitted 1", "fetching 2"}},
		"nothing":                 {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eol := ""
			if name == "CRLF" {
				eol = "\r\n"
			}
			c2, _ := play(t, frames(c.wire+eol+endOfStream))
			told, err := collect(limit(t), c2, "x", 0)
			require.NoError(t, err)
			require.Equal(t, c.want, told)
		})
	}
}

// TestEventsReconnect: cut anywhere, a stream goes on behind the last whole event, and nothing is told twice.
func TestEventsReconnect(t *testing.T) {
	t.Parallel()
	whole := event(1, "a") + event(2, "b") + event(3, "c")
	for at := 0; at <= len(whole); at += 3 {
		told := strings.Count(whole[:at], "\n\n")
		rest := ""
		for n := told + 1; n <= 3; n++ {
			rest += event(int64(n), string(rune('a'+n-1)))
		}
		c, s := play(t, frames(whole[:at]), status(503), frames(rest+endOfStream))
		got, err := collect(limit(t), c, "x", 0)
		require.NoError(t, err)
		require.Equal(t, []string{"a 1", "b 2", "c 3"}, got, "cut after %d bytes", at)
		last := s.seen()[2].header.Get("Last-Event-Id")
		if told == 0 {
			require.Empty(t, last)
			continue
		}
		require.Equal(t, fmt.Sprint(told), last)
	}
}

func TestEventsStopWhenNobodyListens(t *testing.T) {
	t.Parallel()
	c, s := play(t, frames(event(1, "a")+event(2, "b")+endOfStream))
	for e, err := range c.Events(limit(t), "x", 0) {
		require.NoError(t, err)
		require.EqualValues(t, 1, e.Seq)
		break
	}
	require.Len(t, s.seen(), 1, "and nothing connects again")
	for _, bad := range []string{"event: a\ndata: {\n\n", "event: a\ndata: []\n\n", "event: progress\ndata: 7\n\n"} {
		c, s := play(t, frames(bad))
		_, err := collect(limit(t), c, "x", 0)
		require.Equal(t, nes.CodeInternal, rebuilt(t, err).Code, "what cannot be read does not pass by waiting")
		require.Len(t, s.seen(), 1)
	}
	c, _ = play(t, status(204))
	told, err := collect(limit(t), c, "x", 5)
	require.NoError(t, err)
	require.Empty(t, told, "204 says that nothing more will come")
}

// TestEveryDownloadThatBreaksOffIsNoticed, by its length where it is known, else by its chunks.
func TestEveryDownloadThatBreaksOffIsNoticed(t *testing.T) {
	t.Parallel()
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, part := range map[string]http.HandlerFunc{"chunks": broken("text/csv", "a,b\n1,"), "length": short} {
		for call, open := range map[string]func(*client.Client) (io.ReadCloser, error){
			"notebook": func(c *client.Client) (io.ReadCloser, error) { return c.Notebook(t.Context(), "x", 0) },
			"file":     func(c *client.Client) (io.ReadCloser, error) { return c.File(t.Context(), "x", 1, "a/b c.csv") },
		} {
			c, _ := play(t, part)
			body, err := open(c)
			require.NoError(t, err)
			got, err := io.ReadAll(body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s of a %s", name, call)
			require.NotEmpty(t, got)
			require.NoError(t, body.Close())
		}
	}
	for _, cut := range []string{`{"runs":[`, `{"runs":[{"id":"x"}`, `{"runs":[]`} {
		c, _ := play(t, broken("application/json", cut))
		_, err := c.Runs(limit(t), nil)
		require.Equal(t, nes.CodeUnavailable, rebuilt(t, err).Code, "half a list is no list: %s", cut)
	}
}

// TestLogPagesAreFollowedToTheByte: a log that comes in pieces, over attempts and refusals, is written once.
func TestLogPagesAreFollowedToTheByte(t *testing.T) {
	t.Parallel()
	run := func(attempt int, status nes.Status) http.HandlerFunc {
		stage := nes.StageExecuting
		if status.Ended() {
			stage = nes.StageEnded
		}
		return answer(200, nes.Run{ID: "x", Version: int64(attempt) + 5, Attempt: attempt, Status: status, Stage: stage})
	}
	log := func(text string, next int64, ended bool) http.HandlerFunc {
		return answer(200, nes.LogPage{Text: text, Next: next, Ended: ended})
	}
	c, s := play(t,
		run(1, nes.StatusRunning), log("one\n", 4, false), status(503), log("two\n", 8, false), cut, log("", 8, true),
		run(2, nes.StatusRunning), log("three\n", 6, true), log("", 6, true), run(2, nes.StatusSucceeded))
	var out strings.Builder
	require.NoError(t, c.FollowLog(limit(t), "x", &out))
	require.Equal(t, "one\ntwo\nthree\n", out.String())
	var asked []string
	for _, a := range s.seen() {
		asked = append(asked, strings.TrimPrefix(a.uri, "/v1/runs/x"))
	}
	require.Equal(t, []string{
		"", "/log?attempt=1&cursor=0&wait=25s", "/log?attempt=1&cursor=4&wait=25s", "/log?attempt=1&cursor=4&wait=25s", "/log?attempt=1&cursor=8&wait=25s", "/log?attempt=1&cursor=8&wait=25s",
		"?version=6&wait=25s", "/log?attempt=2&cursor=0&wait=25s", "/log?attempt=2&cursor=6&wait=25s", "?version=7&wait=25s",
	}, asked)
	full := errors.New("the disk is full")
	c, s = play(t, run(1, nes.StatusRunning), log("one\n", 4, false))
	require.ErrorIs(t, c.FollowLog(limit(t), "x", writer(func([]byte) (int, error) { return 0, full })), full)
	require.Len(t, s.seen(), 2, "what cannot be written is not asked for again")
}

// TestParametersGoOutAsGiven: no number is rounded and no text is changed on the way.
func TestParametersGoOutAsGiven(t *testing.T) {
	t.Parallel()
	given := map[string]json.RawMessage{"n": []byte("12345678901234567890.10"), "s": []byte(`"한글 <b> &\u0000"`), "deep": []byte(`{"a":[1,2.0,null]}`)}
	c, s := play(t, answer(201, nes.Run{ID: "x"}))
	_, created, err := c.Submit(limit(t), nes.Spec{InputURL: "u", Parameters: given})
	require.NoError(t, err)
	require.True(t, created)
	_, err = c.Rerun(limit(t), "x", client.Rerun{Parameters: given, Remove: []string{"old"}})
	require.NoError(t, err)
	for _, a := range s.seen() {
		var body struct {
			Parameters map[string]json.RawMessage
			Remove     []string
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &body))
		require.Equal(t, "12345678901234567890.10", string(body.Parameters["n"]))
		require.JSONEq(t, string(given["s"]), string(body.Parameters["s"]))
		require.JSONEq(t, string(given["deep"]), string(body.Parameters["deep"]))
	}
	_, _, err = c.Submit(limit(t), nes.Spec{Parameters: map[string]json.RawMessage{"bad": []byte("{")}})
	require.Error(t, err)
	require.Len(t, s.seen(), 2, "what is no JSON does not go out")
}

// TestOneClientServesMany goroutines, each with its own answer.
func TestOneClientServesMany(t *testing.T) {
	t.Parallel()
	c, _ := play(t, func(w http.ResponseWriter, r *http.Request) {
		answer(200, nes.Run{ID: nes.RunID(strings.TrimPrefix(r.URL.Path, "/v1/runs/")), Status: nes.StatusSucceeded, Stage: nes.StageEnded})(w, r)
	})
	var all sync.WaitGroup
	errs := make(chan error, 40)
	for i := range cap(errs) {
		all.Go(func() {
			id := nes.RunID(fmt.Sprint("run-", i))
			run, err := c.Wait(limit(t), id)
			if err == nil && run.ID != id {
				err = fmt.Errorf("asked for %s and got %s", id, run.ID)
			}
			errs <- err
		})
	}
	all.Wait()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}

// TestADeadlineIsKept also while the server asks to stay away for long.
func TestADeadlineIsKept(t *testing.T) {
	t.Parallel()
	c, _ := play(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err := c.Submit(ctx, nes.Spec{})
	require.Equal(t, nes.CodeBusy, rebuilt(t, err).Code, "why it did not work, not that time is over")
	require.Less(t, time.Since(began), 10*time.Second)
}

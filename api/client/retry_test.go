package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		part  http.HandlerFunc
		code  nes.Code
		calls int // of a call that may be repeated
	}{
		"busy":                    {status(429), nes.CodeBusy, 5},
		"unavailable":             {status(503), nes.CodeUnavailable, 5},
		"bad gateway":             {page(502), nes.CodeUnavailable, 5},
		"gateway timeout":         {page(504), nes.CodeUnavailable, 5},
		"no answer":               {cut, nes.CodeUnavailable, 5},
		"a problem that may pass": {refuse(nes.Errorf(nes.CodeBusy, "the queue is full")), nes.CodeBusy, 5},
		"invalid":                 {status(400), nes.CodeInvalid, 1},
		"unauthorized":            {status(401), nes.CodeUnauthorized, 1},
		"forbidden":               {page(403), nes.CodeForbidden, 1},
		"not found":               {page(404), nes.CodeNotFound, 1},
		"conflict":                {status(409), nes.CodeConflict, 1},
		"too large":               {page(413), nes.CodeTooLarge, 1},
		"unprocessable":           {status(422), nes.CodeUnprocessable, 1},
		"a fault":                 {page(500), nes.CodeInternal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for call, do := range map[string]func(context.Context, *client.Client) error{
				"submit": func(ctx context.Context, c *client.Client) error { _, _, err := c.Submit(ctx, nes.Spec{}); return err },
				"run":    func(ctx context.Context, c *client.Client) error { _, err := c.Run(ctx, "x", 0, 0); return err },
				"cancel": func(ctx context.Context, c *client.Client) error { _, err := c.Cancel(ctx, "x"); return err },
				"rerun": func(ctx context.Context, c *client.Client) error {
					_, err := c.Rerun(ctx, "x", client.Rerun{})
					return err
				},
				"notebook": func(ctx context.Context, c *client.Client) error { _, err := c.Notebook(ctx, "x", 0); return err },
			} {
				c, s := play(t, tt.part)
				require.Equal(t, tt.code, rebuilt(t, do(limit(t), c)).Code, call)
				require.Len(t, s.seen(), tt.calls, call)
			}
			c, s := play(t, tt.part)
			_, err := c.Upload(limit(t), strings.NewReader("a tree"))
			require.Equal(t, tt.code, rebuilt(t, err).Code)
			require.Len(t, s.seen(), 1, "a reader cannot be read again")
			c, s = play(t, tt.part)
			_, err = c.Health(limit(t))
			require.Equal(t, tt.code, rebuilt(t, err).Code)
			require.Len(t, s.seen(), 1, "health is asked for as it is now")
		})
	}
}

func TestOneKeyForAllRepetitions(t *testing.T) {
	t.Parallel()
	spec := nes.Spec{InputURL: "https://git.invalid/a/b/blob/main/x.ipynb"}
	for name, do := range map[string]func(context.Context, *client.Client, string) error{
		"submit": func(ctx context.Context, c *client.Client, key string) error {
			given := spec
			given.IdempotencyKey = key
			_, created, err := c.Submit(ctx, given)
			require.True(t, created)
			return err
		},
		"rerun": func(ctx context.Context, c *client.Client, key string) error {
			_, err := c.Rerun(ctx, "x", client.Rerun{Newest: true, IdempotencyKey: key})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := answer(201, nes.Run{ID: "made"})
			c, s := play(t, status(503), cut, status(429), made, made)
			require.NoError(t, do(limit(t), c, ""))
			require.NoError(t, do(limit(t), c, ""))
			require.NoError(t, do(limit(t), c, "given"))
			all := s.seen()
			require.Len(t, all, 6)
			first := all[0].header.Get("Idempotency-Key")
			require.Greater(t, len(first), 20, "nobody else makes the same one")
			for _, a := range all[:4] {
				require.Equal(t, first, a.header.Get("Idempotency-Key"))
				require.Equal(t, all[0].body, a.body, "the whole body goes out again")
				require.Equal(t, "application/json", a.header.Get("Content-Type"))
			}
			require.NotEmpty(t, all[0].body)
			require.NotEqual(t, first, all[4].header.Get("Idempotency-Key"), "another call is another request")
			require.Equal(t, "given", all[5].header.Get("Idempotency-Key"))
		})
	}
}

// transport answers without a network, so that time can be made to pass.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// away answers 503 to all but the last of n calls, and keeps when each came.
func away(n int, after func() string, came *[]time.Time) *http.Client {
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		*came = append(*came, time.Now())
		res := &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader("{}"))}
		if len(*came) < n {
			res.StatusCode, res.Status = 503, "503 Service Unavailable"
			res.Header.Set("Retry-After", after())
		}
		return res, nil
	})}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	fixed := func(s string) func() string { return func() string { return s } }
	for name, tt := range map[string]struct {
		after       func() string
		least, most time.Duration // of the one pause
	}{
		"seconds":                    {fixed("7"), 7 * time.Second, 7 * time.Second},
		"longer than is good":        {fixed("86400"), time.Minute, time.Minute},
		"beyond all numbers of time": {fixed("99999999999"), time.Minute, time.Minute},
		"a date":                     {func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) }, 19 * time.Second, 20 * time.Second},
		"a date gone by":             {func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 50 * time.Millisecond, 100 * time.Millisecond},
		"nothing":                    {fixed(""), 50 * time.Millisecond, 100 * time.Millisecond},
		"zero":                       {fixed("0"), 50 * time.Millisecond, 100 * time.Millisecond},
		"negative":                   {fixed("-5"), 50 * time.Millisecond, 100 * time.Millisecond},
		"no number":                  {fixed("soon"), 50 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var came []time.Time
				c := client.New("http://nes.invalid", client.Options{HTTP: away(2, tt.after, &came), Backoff: 100 * time.Millisecond})
				_, err := c.Run(t.Context(), "x", 0, 0)
				require.NoError(t, err)
				require.Len(t, came, 2)
				pause := came[1].Sub(came[0])
				require.GreaterOrEqual(t, pause, tt.least)
				require.LessOrEqual(t, pause, tt.most)
			})
		})
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var came []time.Time
		c := client.New("http://nes.invalid", client.Options{HTTP: away(6, func() string { return "" }, &came), Backoff: time.Second, Retries: 5})
		_, err := c.Run(t.Context(), "x", 0, 0)
		require.NoError(t, err)
		for i, most := range []time.Duration{1, 2, 4, 8, 16} {
			pause := came[i+1].Sub(came[i])
			require.GreaterOrEqual(t, pause, most*time.Second/2)
			require.LessOrEqual(t, pause, most*time.Second)
		}
	})
}

func TestRetriesCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	var came []time.Time
	c := client.New("http://nes.invalid", client.Options{HTTP: away(2, func() string { return "" }, &came), Retries: -1})
	_, err := c.Run(t.Context(), "x", 0, 0)
	require.Equal(t, nes.CodeUnavailable, rebuilt(t, err).Code)
	require.Len(t, came, 1)
}

func TestCancellationEndsEveryKindOfWaiting(t *testing.T) {
	t.Parallel()
	t.Run("a pause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var came []time.Time
			c := client.New("http://nes.invalid", client.Options{HTTP: away(1000, func() string { return "60" }, &came)})
			for name, wait := range map[string]func(context.Context) error{
				"run":  func(ctx context.Context) error { _, err := c.Run(ctx, "x", 0, 0); return err },
				"wait": func(ctx context.Context) error { _, err := c.Wait(ctx, "x"); return err },
				"log":  func(ctx context.Context) error { return c.FollowLog(ctx, "x", io.Discard) },
				"events": func(ctx context.Context) (err error) {
					for _, err = range c.Events(ctx, "x", 0) {
					}
					return err
				},
			} {
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				err := wait(ctx)
				cancel()
				require.Error(t, err, name)
				require.Equal(t, 5*time.Second, time.Since(begun), name)
				if name != "run" { // which tells what it waited for
					require.ErrorIs(t, err, context.DeadlineExceeded, name)
				}
			}
		})
	})
	for name, part := range map[string]string{"an answer": "", "the rest of an answer": `{"id":`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(limit(t))
			c, s := play(t, func(w http.ResponseWriter, r *http.Request) {
				if part != "" {
					fmt.Fprint(w, part)
					_ = http.NewResponseController(w).Flush()
				}
				cancel()
				<-r.Context().Done()
			})
			_, err := c.Run(ctx, "x", time.Minute, 0)
			require.ErrorIs(t, err, context.Canceled)
			require.Len(t, s.seen(), 1)
		})
	}
}

func TestErrorsAreRebuilt(t *testing.T) {
	t.Parallel()
	sent := &nes.Error{
		Code: nes.CodeUnprocessable, Reason: nes.ReasonParameterError, Message: "alhpa is no parameter: did you mean \"alpha\"?",
		Problems: []nes.Problem{{Field: "parameters.alhpa", Message: "is no parameter"}, {Field: "timeout", Message: "is too long"}}, Err: errors.New("kept back"),
	}
	c, _ := play(t, refuse(sent))
	_, _, err := c.Submit(limit(t), nes.Spec{})
	require.Equal(t, &nes.Error{Code: sent.Code, Reason: sent.Reason, Message: sent.Message, Problems: sent.Problems}, rebuilt(t, err))
	_, err = c.Notebook(limit(t), "x", 0)
	require.Equal(t, sent.Message, rebuilt(t, err).Message, "also where an answer is no JSON")

	c, _ = play(t, page(403))
	_, err = c.Run(limit(t), "x", 0, 0)
	require.EqualError(t, err, "the server answered 403 Forbidden")
}

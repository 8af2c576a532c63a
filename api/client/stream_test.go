package client_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	c, _ := play(t, broken("application/json", `{"id": "x", "stat`))
	_, err := c.Run(limit(t), "x", 0, 0)
	require.Equal(t, nes.CodeUnavailable, rebuilt(t, err).Code)
	require.ErrorContains(t, err, "broke off")

	c, _ = play(t, broken("application/x-ipynb+json", `{"cells": [`))
	body, err := c.Notebook(limit(t), "x", 0)
	require.NoError(t, err)
	defer body.Close()
	_, err = io.ReadAll(body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "half a notebook must not pass for a whole one")
}

// TestPagesThatAreNotNES: a proxy answers 200 with a page to sign in at. Waiting would not make it go away.
func TestPagesThatAreNotNES(t *testing.T) {
	t.Parallel()
	c, s := play(t, page(200))
	ctx := limit(t)
	_, err := c.Wait(ctx, "x")
	calls := []error{err, c.FollowLog(ctx, "x", io.Discard)}
	_, _, err = c.Submit(ctx, nes.Spec{})
	calls = append(calls, err)
	for _, err := range c.Events(ctx, "", 0) {
		calls = append(calls, err)
	}
	require.Len(t, calls, 4)
	for _, err := range calls {
		require.Equal(t, nes.CodeInvalid, rebuilt(t, err).Code)
		require.ErrorContains(t, err, "did not answer as NES does, but with 200 OK (text/html; charset=utf-8): check the server's address")
	}
	require.Len(t, s.seen(), 4)
	c, _ = play(t, answer(200, []int{1}))
	_, err = c.Wait(ctx, "x")
	require.Equal(t, nes.CodeInvalid, rebuilt(t, err).Code, "JSON of something else is as foreign")
}

func running(version int64) http.HandlerFunc {
	return answer(200, nes.Run{ID: "x", Version: version, Attempt: 1, Status: nes.StatusRunning})
}

func TestWaitLivesThroughRestarts(t *testing.T) {
	t.Parallel()
	ended := answer(200, nes.Run{ID: "x", Version: 9, Status: nes.StatusSucceeded, Stage: nes.StageEnded, Reason: nes.ReasonCompleted})
	down := []http.HandlerFunc{cut, cut, cut, cut, cut, cut, page(502), status(503), status(429)} // more than one call repeats
	parts := append([]http.HandlerFunc{running(3), broken("application/json", `{"id"`)}, down...)
	c, s := play(t, append(parts, running(4), ended)...)
	run, err := c.Wait(limit(t), "x")
	require.NoError(t, err)
	require.Equal(t, nes.StatusSucceeded, run.Status)
	all := s.seen()
	require.Len(t, all, len(parts)+2)
	require.Equal(t, "/v1/runs/x?wait=25s", all[0].uri)
	for _, a := range all[1 : len(all)-1] {
		require.Equal(t, "/v1/runs/x?version=3&wait=25s", a.uri, "what is known already is not waited for again")
	}
	require.Equal(t, "/v1/runs/x?version=4&wait=25s", all[len(all)-1].uri)

	c, s = play(t, running(1), refuse(nes.Errorf(nes.CodeNotFound, "there is no run x")))
	_, err = c.Wait(limit(t), "x")
	require.EqualError(t, err, "there is no run x")
	require.Len(t, s.seen(), 2)
}

func TestFollowLogLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	logs := map[string]nes.LogPage{ // by attempt and cursor
		"1 0": {Text: "one\n", Next: 4}, "1 4": {Text: "two\n", Next: 9}, "1 9": {Next: 9, Ended: true},
		"2 0": {Text: "three\n", Next: 70, Ended: true}, "2 70": {Text: "four\n", Next: 80, Ended: true}, "2 80": {Next: 80, Ended: true},
	}
	runs := []nes.Run{
		{ID: "x", Version: 1, Status: nes.StatusPending}, {ID: "x", Version: 2, Attempt: 1, Status: nes.StatusRunning},
		{ID: "x", Version: 3, Attempt: 2, Status: nes.StatusRunning}, {ID: "x", Version: 4, Attempt: 2, Status: nes.StatusSucceeded, Stage: nes.StageEnded},
	}
	calls, looked := 0, 0
	c, s := play(t, func(w http.ResponseWriter, r *http.Request) { // one call at a time
		q := r.URL.Query()
		switch calls++; {
		case calls%4 == 1:
			cut(w, r)
		case calls%4 == 2:
			broken("application/json", `{"text": "one\ntw`)(w, r)
		case calls%4 == 3:
			status(503)(w, r)
		case strings.HasSuffix(r.URL.Path, "/log"):
			answer(200, logs[q.Get("attempt")+" "+q.Get("cursor")])(w, r)
		default:
			looked++
			answer(200, runs[looked-1])(w, r)
		}
	})
	var w strings.Builder
	require.NoError(t, c.FollowLog(limit(t), "x", &w))
	require.Equal(t, "one\ntwo\nthree\nfour\n", w.String())
	require.Equal(t, len(runs), looked)
	require.Equal(t, 4*(len(runs)+len(logs)), len(s.seen()))

	full := errors.New("no space left")
	c, s = play(t, running(1), answer(200, nes.LogPage{Text: "one", Next: 3}))
	require.ErrorIs(t, c.FollowLog(limit(t), "x", writer(func([]byte) (int, error) { return 0, full })), full)
	require.Len(t, s.seen(), 2, "what cannot be written is not asked for again")
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

func event(seq int64, kind string) string {
	return fmt.Sprintf("id: %d\nevent: %s\ndata: {\"seq\":%d,\"run_id\":\"x\",\"kind\":%q}\n\n", seq, kind, seq, kind)
}

func TestEventsResume(t *testing.T) {
	t.Parallel()
	const kind = "text/event-stream"
	c, s := play(t,
		broken(kind, "retry: 1000\n\n"),
		broken(kind, "retry: 1000\r\n\r\n"+event(3, "Pending")+": alive\n\n"+"event: progress\ndata: {\"done\":2,\n"),
		status(503), cut,
		broken(kind, "id: 3\n\nevent: progress\ndata: {\"done\":2,\ndata: \"total\":5}\n\n"+event(5, "Running")+strings.TrimSuffix(event(6, "Succeeded"), "\n")),
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, event(6, "Succeeded")+"event: end\ndata: {}\n\n"+event(7, "never"))
		},
	)
	var told []string
	for e, err := range c.Events(limit(t), "x", 0) {
		require.NoError(t, err)
		if e.Progress != nil {
			told = append(told, fmt.Sprintf("%d of %d", e.Progress.Done, e.Progress.Total))
			continue
		}
		told = append(told, fmt.Sprint(e.Seq))
	}
	require.Equal(t, []string{"3", "2 of 5", "5", "6"}, told, "what broke off in its middle is told whole, and once")
	var from []string
	for _, a := range s.seen() {
		require.Equal(t, "/v1/runs/x/events", a.uri)
		require.Equal(t, kind, a.header.Get("Accept"))
		from = append(from, a.header.Get("Last-Event-Id"))
	}
	require.Equal(t, []string{"", "", "3", "3", "3", "5"}, from)
}

// TestEventsOfAllBeginOnce: a stream that begins now breaks off before its first event; what happens meanwhile is told.
func TestEventsOfAllBeginOnce(t *testing.T) {
	t.Parallel()
	const kind = "text/event-stream"
	c, s := play(t, broken(kind, "retry: 1000\nid: 41\n\n"), broken(kind, event(42, "Pending")))
	for e, err := range c.Events(limit(t), "", 0) {
		require.NoError(t, err)
		require.EqualValues(t, 42, e.Seq)
		break
	}
	require.Len(t, s.seen(), 2, "who has heard enough is not called again")
	require.Equal(t, "41", s.seen()[1].header.Get("Last-Event-Id"))
}

func TestEventsEnd(t *testing.T) {
	t.Parallel()
	c, s := play(t, status(204))
	for range c.Events(limit(t), "x", 7) {
		require.Fail(t, "there is nothing more")
	}
	require.Equal(t, "7", s.seen()[0].header.Get("Last-Event-Id"))

	for want, part := range map[string]http.HandlerFunc{
		"there is no run x": refuse(nes.Errorf(nes.CodeNotFound, "there is no run x")),
		"an event cannot be read: invalid character 'o' in literal null (expecting 'u')": broken("text/event-stream", "event: Running\ndata: nope\n\n"),
	} {
		c, s = play(t, part)
		var errs []error
		for _, err := range c.Events(limit(t), "x", 0) {
			errs = append(errs, err)
		}
		require.Len(t, errs, 1)
		require.EqualError(t, errs[0], want)
		require.Len(t, s.seen(), 1)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := &script{parts: []http.HandlerFunc{answer(200, map[string]any{})}}
	path := filepath.Join(t.TempDir(), "nes.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	c := client.New("unix://"+path, client.Options{Token: "s3cret", Name: "tests"})
	defer c.Close()
	ctx := limit(t)
	_, err = c.File(ctx, "a/../b", 2, "보고/a b?.csv")
	require.NoError(t, err)
	_, err = c.Log(ctx, "x", 1, 5, 90*time.Second)
	require.NoError(t, err)
	_, err = c.Runs(ctx, url.Values{"label": {"a=b&c", "d=e"}})
	require.NoError(t, err)
	_, created, err := c.SubmitChecked(ctx, nes.Spec{}, 2*time.Second)
	require.NoError(t, err)
	require.False(t, created, "200 says that it was there")
	var uris []string
	for _, a := range s.seen() {
		uris = append(uris, a.method+" "+a.uri)
		require.Equal(t, "Bearer s3cret", a.header.Get("Authorization"))
		require.Equal(t, "tests", a.header.Get("User-Agent"))
	}
	require.Equal(t, []string{
		"GET /v1/runs/a%2F..%2Fb/files/%EB%B3%B4%EA%B3%A0/a%20b%3F.csv?attempt=2", "GET /v1/runs/x/log?attempt=1&cursor=5&wait=1m30s",
		"GET /v1/runs?label=a%3Db%26c&label=d%3De", "POST /v1/runs?validate=2s",
	}, uris)

	c, s = play(t, answer(200, map[string]any{"version": "1.2.3"}))
	_, err = c.Health(ctx)
	require.NoError(t, err)
	require.NotContains(t, s.seen()[0].header, "Authorization")
	require.Equal(t, "nes-go", s.seen()[0].header.Get("User-Agent"))
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "127.0.0.1", "ftp://h", "http://", "unix://", "http://h:port", "://"} {
		c := client.New(base, client.Options{})
		_, err := c.Wait(limit(t), "x")
		require.Equal(t, nes.CodeInvalid, rebuilt(t, err).Code, base)
		require.ErrorContains(t, err, "is not the address of a server: write http://host:port", base)
		c.Close()
	}
	c := client.New("unix://"+filepath.Join(t.TempDir(), "none.sock"), client.Options{Retries: -1})
	_, err := c.Run(limit(t), "x", 0, 0)
	require.Equal(t, nes.CodeUnavailable, rebuilt(t, err).Code)
	require.ErrorContains(t, err, "cannot reach the server")
}

package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/client"
)

// limit bounds what a test waits for; nothing takes as long when it works.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// open starts a request whose body is read as it comes.
func (b *bundle) open(path string, headers ...string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(limit(b.t), "GET", b.url+path, nil)
	require.NoError(b.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// held waits until n calls are being held by the server.
func (b *bundle) held(n string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return strings.Contains(b.call("GET", "/metrics", "").body, "nes_http_streams_open "+n+"\n")
	}, 10*time.Second, time.Millisecond)
}

func TestLongPollReturnsAtTheNextChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	got := make(chan response, 1)
	go func() { got <- b.call("GET", "/v1/runs/"+string(run.ID)+"?wait=60s", "") }()
	b.held("1")
	require.NoError(t, b.ledger.Note(t.Context(), run.ID, "no change of state", time.Now()))
	b.apply(nes.Fetch(&run, time.Now()))
	res := <-got
	require.Equal(t, "fetching", res.json(t)["stage"])
	b.held("0")
}

func TestLongPollMissesNothingBetweenCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	fetching := b.apply(nes.Fetch(&run, time.Now()))
	path := "/v1/runs/" + string(run.ID) + "?wait=60s"
	require.Equal(t, "fetching", b.call("GET", path+"&version=1", "").json(t)["stage"], "it had changed before the call")
	require.Equal(t, 200, b.call("GET", path, "", `If-None-Match: "1"`).StatusCode)

	path = "/v1/runs/" + string(run.ID)
	res := b.call("GET", path+"?wait=1ms", "", `If-None-Match: "2"`)
	require.Equal(t, int64(2), fetching.Version)
	require.Equal(t, 304, res.StatusCode)
	require.Equal(t, `"2"`, res.Header.Get("ETag"))
	require.Equal(t, 200, b.call("GET", path+"?wait=1ms&version=2", "").StatusCode, "the end of the wait")
	require.Equal(t, 304, b.call("GET", path, "", `If-None-Match: "2"`).StatusCode)
}

func TestLongPollOfAnEndedRunReturnsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.ended(b.executing(b.submit()), nes.ReasonCompleted)
	res := b.call("GET", "/v1/runs/"+string(run.ID)+"?wait=60s", "")
	require.Equal(t, "Succeeded", res.json(t)["status"])
}

func TestShutdownEndsWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	bodies := make(chan string, 3)
	for _, path := range []string{"?wait=60s", "/log?follow", "/events"} {
		res := make(chan *http.Response, 1)
		go func() { res <- b.open("/v1/runs/"+string(run.ID)+path, "Accept: text/event-stream") }()
		go func() {
			body, err := io.ReadAll((<-res).Body)
			bodies <- string(body) + errorText(err)
		}()
	}
	b.held("3")
	began := time.Now()
	require.NoError(t, b.server.Shutdown(limit(t)))
	for range 3 {
		require.NotContains(t, <-bodies, "ERROR")
	}
	require.Less(t, time.Since(began), 5*time.Second)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return "ERROR " + err.Error()
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxStreams = 1 })
	run := b.submit()
	b.open("/v1/runs/"+string(run.ID)+"/events", "Accept: text/event-stream")
	res := b.call("GET", "/v1/runs/"+string(run.ID)+"?wait=1s", "")
	require.Equal(t, 503, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
}

// frames reads server-sent events up to and with the first of a kind.
func frames(t *testing.T, r *bufio.Reader, until string) (ids []string, kinds []string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
		case "id":
			ids = append(ids, value)
		case "event":
			kinds = append(kinds, value)
		case "":
			if len(kinds) > 0 && kinds[len(kinds)-1] == until {
				return ids, kinds
			}
		}
	}
}

func TestEventsResumeWhereTheyBroke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	path := "/v1/runs/" + string(run.ID) + "/events"
	first := b.open(path, "Accept: text/event-stream")
	require.Equal(t, "text/event-stream", first.Header.Get("Content-Type"))
	r := bufio.NewReader(first.Body)
	ids, kinds := frames(t, r, "submitted")
	require.Equal(t, []string{"submitted"}, kinds)
	run = b.executing(run)
	more, kinds := frames(t, r, "started")
	require.Equal(t, []string{"fetching", "fetched", "launched", "starting", "started"}, kinds)
	require.NoError(t, first.Body.Close())
	ids = append(ids, more...)

	run = b.ended(run, nes.ReasonCompleted)
	second := b.open(path, "Accept: text/event-stream", "Last-Event-ID: "+ids[2])
	again, kinds := frames(t, bufio.NewReader(second.Body), "end")
	require.Equal(t, []string{"launched", "starting", "started", "saving", "ended", "end"}, kinds)
	require.Equal(t, ids[3:], again[:3])

	last := again[len(again)-1]
	require.Equal(t, 204, b.call("GET", path, "", "Accept: text/event-stream", "Last-Event-ID: "+last).StatusCode)

	// The same as a page of JSON.
	page := b.call("GET", path+"?after="+ids[2]+"&limit=2", "").json(t)
	require.Len(t, page["events"], 2)
	require.Equal(t, again[1], json.Number(marshal(t, page["next"])).String())
}

func TestEventsBeatWhenNothingHappens(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Heartbeat = time.Millisecond })
	run := b.submit()
	r := bufio.NewReader(b.open("/v1/runs/"+string(run.ID)+"/events", "Accept: text/event-stream").Body)
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if line == ": alive\n" {
			return
		}
	}
}

func TestEventsOfAllRunsBeginNowAndKeepToTheTeam(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	red, blue := "Authorization: Bearer "+tokenOf("submit", "red"), "Authorization: Bearer "+tokenOf("submit", "blue")
	b.submit(red)
	r := bufio.NewReader(b.open("/v1/events", "Accept: text/event-stream", red).Body)
	_, err := r.ReadString('\n') // it is open
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "id: 1\n", line, "who loses the connection before the first event comes back to here")
	b.submit(blue)
	mine := b.submit(red)
	ids, _ := frames(t, r, "submitted")
	require.Equal(t, []string{"3"}, ids)

	page := b.call("GET", "/v1/events", "", red).json(t)
	require.Len(t, page["events"], 2)
	require.InDelta(t, 3, page["next"], 0)
	require.Contains(t, marshal(t, page), string(mine.ID))
	all := b.call("GET", "/v1/events", "", "Authorization: Bearer "+tokenOf("admin", "red")).json(t)
	require.Len(t, all["events"], 3)
}

func TestProgressIsToldAsItChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	b.shelf.change(run.ID, func() { b.shelf.progress = &nes.Progress{Total: 4, Done: 1, Current: 2} })
	require.InDelta(t, 1, b.call("GET", "/v1/runs/"+string(run.ID), "").json(t)["progress"].(map[string]any)["done"], 0)
	var seen []int
	for e, err := range b.client("").Events(limit(t), run.ID, 0) {
		require.NoError(t, err)
		if e.Progress == nil {
			continue
		}
		seen = append(seen, e.Progress.Done)
		if e.Progress.Done == 1 {
			b.shelf.change(run.ID, func() { b.shelf.progress = &nes.Progress{Total: 4, Done: 2, Current: 3} })
			continue
		}
		b.ended(run, nes.ReasonCompleted)
	}
	require.Equal(t, []int{1, 2}, seen)
}

func TestLogIsFollowedThroughAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	var w lines
	done := make(chan error, 1)
	go func() { done <- b.client("").FollowLog(limit(t), run.ID, &w) }()
	text := make(chan string, 1)
	go func() {
		body, err := io.ReadAll(b.open("/v1/runs/" + string(run.ID) + "/log?follow").Body)
		text <- string(body) + errorText(err)
	}()
	run = b.executing(run)
	b.shelf.print(&run, 1, "one\n", false)
	b.shelf.print(&run, 1, "a longer line of the first attempt\n", false)
	w.waitFor(t, "attempt\n")
	b.shelf.print(&run, 1, "last words", true)
	run = b.apply(nes.Saving(&run, nil, "", time.Now()))
	run = b.apply(nes.RetryLater(&run, nes.Outcome{Reason: nes.ReasonEvicted}, time.Now(), time.Now()))
	run = b.apply(nes.Requeue(&run, "", time.Now()))
	run = b.apply(nes.Launch(&run, "hash", time.Now()))
	run = b.apply(nes.Executing(&run, time.Now()))
	b.shelf.print(&run, 2, "|second\n", true)
	b.ended(run, nes.ReasonCompleted)
	const want = "one\na longer line of the first attempt\nlast words|second\n"
	require.NoError(t, <-done)
	require.Equal(t, want, w.String())
	require.Equal(t, want, <-text)

	path := "/v1/runs/" + string(run.ID) + "/log"
	require.Equal(t, "|second\n", b.call("GET", path, "").body)
	require.Equal(t, "last words", b.call("GET", path+"?attempt=1&cursor=39&follow=true", "").body)
	page := b.call("GET", path+"?attempt=1&cursor=0", "").json(t)
	require.Equal(t, map[string]any{"attempt": 1.0, "text": "one\na lo", "next": 8.0, "ended": false}, page)
	require.Equal(t, 404, b.call("GET", path+"?attempt=9", "").StatusCode)
}

// lines is a writer that can be waited on.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) waitFor(t *testing.T, end string) {
	t.Helper()
	ctx := limit(t)
	for {
		l.mu.Lock()
		if strings.HasSuffix(l.text.String(), end) {
			l.mu.Unlock()
			return
		}
		more := make(chan struct{})
		l.more = more
		l.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			require.FailNow(t, "nothing more is written")
		}
	}
}

func TestClientLivesThroughRestarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	c := b.client("")
	waited := make(chan nes.Run, 1)
	failed := make(chan error, 2)
	go func() {
		run, err := c.Wait(limit(t), run.ID)
		failed <- err
		waited <- run
	}()
	var kinds []string
	go func() {
		for e, err := range c.Events(limit(t), run.ID, 0) {
			if err != nil {
				failed <- err
				return
			}
			kinds = append(kinds, e.Kind)
		}
		failed <- nil
	}()
	b.held("2")
	require.NoError(t, b.server.Shutdown(limit(t)))
	b.ended(run, nes.ReasonCompleted)
	b.serve(b.address)
	require.NoError(t, <-failed)
	require.NoError(t, <-failed)
	require.Equal(t, nes.StatusSucceeded, (<-waited).Status)
	require.Equal(t, []string{"submitted", "fetching", "fetched", "launched", "starting", "started", "saving", "ended"}, kinds)
}

func TestClientGivesUpWhenTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := b.client("").Wait(ctx, run.ID); done <- err }()
	b.held("1")
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	_, err := b.client("").Wait(limit(t), "0190b6b8-0000-7000-8000-000000000000")
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	c := client.New("ftp://nowhere", client.Options{})
	_, err = c.Run(t.Context(), run.ID, 0, 0)
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	_, ok := errors.AsType[*nes.Error](err)
	require.True(t, ok)
}

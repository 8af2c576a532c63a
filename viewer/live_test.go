package viewer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer"
)

var (
	genOf   = regexp.MustCompile(`data-gen="(\d+)"`)
	stateOf = regexp.MustCompile(`data-state="([0-9a-f]+)"`)
	cellOf  = regexp.MustCompile(`<article class="[^"]*" id="cell-(\d+)"`)
)

// watcher asks for what changed, as the page's script does.
type watcher struct {
	h          *house
	id         nes.RunID
	gen, state string
}

func watch(h *house, id nes.RunID) *watcher {
	w := &watcher{h: h, id: id}
	w.learn(h.ok("/runs/" + string(id)))
	return w
}

func (w *watcher) learn(page string) {
	w.gen, w.state = genOf.FindStringSubmatch(page)[1], stateOf.FindStringSubmatch(page)[1]
}

// next waits for a change and returns the numbers of the cells that came with it.
func (w *watcher) next() (cells []string, body string) {
	w.h.t.Helper()
	status, _, body := w.h.get(fmt.Sprintf("/runs/%s/cells?since=%s&state=%s", w.id, w.gen, w.state))
	if status == http.StatusNoContent {
		return nil, ""
	}
	require.Equal(w.h.t, http.StatusOK, status, body)
	w.learn(body)
	for _, m := range cellOf.FindAllStringSubmatch(body, -1) {
		cells = append(cells, m[1])
	}
	return cells, body
}

func TestAWatcherGetsWhatChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.submit(spec())
	w := watch(h, run.ID)
	require.Equal(t, "0", w.gen)

	got := make(chan []string)
	go func() { cells, _ := w.next(); got <- cells }()
	at := time.Now()
	run = h.apply(nes.Fetch(&run, at))
	require.Empty(t, <-got)

	run = h.apply(nes.FetchDone(&run, nes.Fetched{Source: source}, at))
	run = h.apply(nes.Launch(&run, strings.Repeat("0", 64), at))
	run = h.apply(nes.Executing(&run, at))
	h.records.set(run.ID, cells("one", "", ""))
	cellsNow, body := w.next()
	require.Equal(t, []string{"0", "1", "2"}, cellsNow)
	require.Contains(t, body, "Running")

	h.records.set(run.ID, cells("one", "two", ""))
	cellsNow, body = w.next()
	require.Equal(t, []string{"1"}, cellsNow)
	require.Contains(t, body, "two")

	go func() { cells, _ := w.next(); got <- cells }()
	h.records.set(run.ID, cells("one", "two, and more", ""))
	require.Equal(t, []string{"1"}, <-got)

	h.end(run, "", "", nes.Outcome{})
	cellsNow, body = w.next()
	for len(cellsNow) == 0 && !strings.Contains(body, `data-ended="true"`) {
		cellsNow, body = w.next()
	}
	require.Equal(t, []string{"2"}, cellsNow, "of the cells, the end changes the one that will not run")
	require.Contains(t, body, `data-ended="true"`)
	require.Contains(t, body, "Succeeded")
	cellsNow, _ = w.next()
	require.Empty(t, cellsNow, "an ended run does not keep its watchers waiting")
}

// TestAWatcherOfBeforeARestart gets everything once, and only what changes from then on.
func TestAWatcherOfBeforeARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", ""))
	w := watch(h, run.ID)
	again := newHouse(t, func(o *viewer.Options) { o.Runs, o.Records = h.ledger, h.records })
	w.h = again
	now, _ := w.next()
	require.Equal(t, []string{"0", "1"}, now)
	h.records.set(run.ID, cells("one", "two"))
	now, _ = w.next()
	require.Equal(t, []string{"1"}, now)
}

func TestWithoutAChangeTheAnswerIsEmptyInTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *viewer.Options) { o.MaxWait = 30 * time.Millisecond })
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one"))
	w := watch(h, run.ID)
	now, body := w.next()
	require.Empty(t, now)
	require.Empty(t, body)
}

// TestManyWatchersCostOneReading: a running notebook is read once per change, not once per watcher.
func TestManyWatchersCostOneReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", ""))
	const many = 20
	watchers := make([]*watcher, many)
	for i := range watchers {
		watchers[i] = watch(h, run.ID)
	}
	require.EqualValues(t, 1, h.records.reads.Load())
	for round := range 3 {
		var all sync.WaitGroup
		for _, w := range watchers {
			all.Go(func() { _, _ = w.next() })
		}
		h.records.set(run.ID, cells("one", fmt.Sprint("round", round)))
		all.Wait()
		for _, w := range watchers {
			require.Contains(t, h.ok("/runs/"+string(w.id)), fmt.Sprint("round", round))
		}
	}
	require.LessOrEqual(t, h.records.reads.Load(), int64(1+3*2))
}

func TestTheListFollowsRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.submit(spec())
	version := regexp.MustCompile(`data-version="([0-9a-f]+)"`).FindStringSubmatch(h.ok("/"))[1]
	changed := make(chan string)
	go func() { changed <- h.ok("/?part=runs&version=" + version) }()
	run = h.apply(nes.Fetch(&run, time.Now()))
	rows := <-changed
	require.Contains(t, rows, "Fetching")
	require.NotContains(t, rows, "<html")
	require.Equal(t, rows, h.ok("/?part=runs&version=other"), "at once, when the page is older than that")
}

func TestTheLogIsShownInPieces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	require.Contains(t, h.ok("/runs/"+string(run.ID)+"/log"), "Nothing has been written yet.")
	h.records.logs[run.ID] = "\x1b[31mred <b>\x1b[0m\n"
	page := h.ok("/runs/" + string(run.ID) + "/log")
	require.Contains(t, page, `<span class="an an-f1">red &lt;b&gt;</span>`)
	next := len(h.records.logs[run.ID])
	require.Contains(t, page, fmt.Sprintf(`data-next="%d"`, next))
	h.records.logs[run.ID] += "more\n"
	piece := h.ok(fmt.Sprintf("/runs/%s/log?part=text&cursor=%d", run.ID, next))
	require.Contains(t, piece, "more")
	require.NotContains(t, piece, "red")
	require.NotContains(t, piece, "<html")
}

// rich is a notebook with a large image, a document with a script, a drawing, and a long text.
func rich(t *testing.T) (file string, picture []byte) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 200, 200))
	_, _ = rand.NewChaCha8([32]byte{}).Read(m.Pix)
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, m))
	display := func(data map[string]any) any {
		return map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": data}
	}
	raw, err := json.Marshal(map[string]any{"nbformat": 4, "cells": []any{map[string]any{"cell_type": "code", "source": "x", "outputs": []any{
		display(map[string]any{"image/png": base64.StdEncoding.EncodeToString(buf.Bytes())}),
		display(map[string]any{"text/html": "<p id=hello>hi</p><script>draw()</script>"}),
		display(map[string]any{"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script>" + strings.Repeat("<g/>", 8000) + "</svg>"}),
		map[string]any{"output_type": "stream", "name": "stdout", "text": strings.Repeat("<script>alert(1)</script>\n", 30_000)},
	}}}})
	require.NoError(t, err)
	return string(raw), buf.Bytes()
}

// TestBytesOfANotebookAreServedInASandbox, however they are addressed.
func TestBytesOfANotebookAreServedInASandbox(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	file, picture := rich(t)
	h.records.set(run.ID, file)
	h.end(run, "", "", nes.Outcome{})
	page := h.ok("/runs/" + string(run.ID))
	require.Less(t, len(page), 700<<10)
	links := regexp.MustCompile(`(?:src|href)="(/runs/[^"]+/(?:body|frame)/1/[0-9a-f]{64})"`).FindAllStringSubmatch(page, -1)
	require.Len(t, links, 4)
	types := map[string]string{}
	for _, l := range links {
		status, header, body := h.get(l[1])
		require.Equal(t, http.StatusOK, status)
		csp := header.Get("Content-Security-Policy")
		require.True(t, strings.HasPrefix(csp, "sandbox"), csp)
		require.NotContains(t, csp, "allow-same-origin")
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Contains(t, header.Get("Cache-Control"), "immutable")
		require.Empty(t, header.Values("Set-Cookie"))
		types[header.Get("Content-Type")] = body
		if strings.Contains(l[1], "/frame/") {
			require.Contains(t, csp, "sandbox allow-scripts;")
			require.Contains(t, csp, "connect-src 'none'")
			require.Contains(t, csp, "frame-ancestors 'self'")
		} else {
			require.NotContains(t, csp, "allow-scripts")
		}
	}
	require.Equal(t, string(picture), types["image/png"])
	require.Contains(t, types["text/html; charset=utf-8"], "<p id=hello>hi</p><script>draw()</script>")
	require.Contains(t, types["image/svg+xml"], "<svg")
	require.Equal(t, strings.Repeat("<script>alert(1)</script>\n", 30_000), types["text/plain; charset=utf-8"])

	frame := regexp.MustCompile(`/frame/1/([0-9a-f]{64})`).FindStringSubmatch(page)[1]
	_, header, _ := h.get("/runs/" + string(run.ID) + "/body/1/" + frame)
	require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"), "HTML is text everywhere but in a frame")
	png := regexp.MustCompile(`/body/1/([0-9a-f]{64})`).FindStringSubmatch(page)[1]
	status, _, _ := h.get("/runs/" + string(run.ID) + "/frame/1/" + png)
	require.Equal(t, http.StatusNotFound, status, "only HTML is framed")
}

// TestAChangeRightAfterAReadingIsNotLost: the reading that is kept for a moment must not hide it.
func TestAChangeRightAfterAReadingIsNotLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *viewer.Options) { o.Pace = 200 * time.Millisecond })
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", ""))
	w := watch(h, run.ID)
	h.records.set(run.ID, cells("one", "two"))
	now, _ := w.next()
	require.Equal(t, []string{"1"}, now)
}

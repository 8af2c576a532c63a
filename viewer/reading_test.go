package viewer_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// tagged is a notebook whose cells ask to be folded or left out, with headings and declared parameters.
const tagged = `{"nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}}, "cells": [
 {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Top\n\n` + "```" + `\n# no heading\n` + "```" + `\n## The [first](https://x.example) **part** ##\n    # code\n#hash"},
 {"cell_type": "code", "id": "b", "metadata": {"tags": ["parameters"]}, "source": "year: int = 2025  # of the books\nwho = \"all\"\nlimit = 10", "outputs": [], "execution_count": null},
 {"cell_type": "code", "id": "c", "metadata": {"jupyter": {"source_hidden": true}}, "source": "folded()", "outputs": [], "execution_count": null},
 {"cell_type": "code", "id": "d", "metadata": {"tags": ["remove_cell"]}, "source": "secret()", "outputs": [], "execution_count": null},
 {"cell_type": "code", "id": "e", "metadata": {"tags": ["remove-input", "remove-output"]}, "source": "gone()", "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}], "execution_count": null},
 {"cell_type": "heading", "metadata": {}, "level": 3, "source": "Old"}
]}`

func TestAReaderChoosesWhatToSee(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, tagged)
	run = h.end(run, "", "", nes.Outcome{})
	at := "/runs/" + string(run.ID)

	page := h.ok(at)
	for _, want := range []string{
		`<main id="main" class="run" data-view="code"`, `<details class="hidden"><summary>Code`, `class="cell code no-cell"`, `class="cell code no-input no-output"`,
		`href="` + at + `?view=report" data-key="view"`, `href="` + at + `?contents=0"`, `href="` + at + `?wrap=1"`, `href="` + at + `?wide=1"`,
		`<li class="l1"><a href="#cell-0">Top</a></li><li class="l2"><a href="#cell-0">The first part</a></li><li class="l3"><a href="#cell-5">Old</a></li></ol>`,
	} {
		require.Contains(t, page, want)
	}
	page = h.ok(at + "?view=everything&wrap=1&wide=1&contents=0")
	require.Contains(t, page, `class="run wide wrap plain" data-view="everything"`)
	require.Contains(t, page, `<details class="hidden" open><summary>Code`)
	require.Contains(t, page, `href="`+at+`?contents=0&amp;view=report&amp;wide=1&amp;wrap=1"`, "one switch leaves the others as they are")
	require.Contains(t, h.ok(at+"?view=nonsense"), `data-view="code"`)
}

func TestParametersStandBesideDefaultsAndTheRunBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	earlier := spec()
	earlier.Parameters = map[string]json.RawMessage{"year": json.RawMessage(`2024`), "limit": json.RawMessage(`10`), "old": json.RawMessage(`1`)}
	first := h.start(earlier, source)
	h.records.set(first.ID, tagged)
	h.end(first, "", "", nes.Outcome{})
	other := source
	other.Path = "another.ipynb"
	h.start(spec(), other) // in between, of another notebook

	run := h.start(spec(), source)
	h.records.set(run.ID, tagged)
	page := h.ok("/runs/" + string(run.ID))
	before := `<a href="/runs/` + string(first.ID) + `">in the run before</a>`
	for _, want := range []string{
		`title="of the books">year</th><td><code>2026</code><span class="quiet">default <code>2025</code></span>`,
		`<span class="changed">was <code>2024</code> ` + before,
		`<span class="changed">was <code>&#34;all&#34;</code> ` + before,
		`<tr class="default"><th scope="row">limit</th><td><code>10</code><span class="quiet">the notebook’s default</span></td></tr>`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, h.ok("/runs/"+string(first.ID)), "in the run before", "the first has none before it")
	require.NotContains(t, h.ok("/runs/"+string(first.ID)), "default <code>10</code>", "what is given as the default is no change")
}

func TestARunSaysHowToSendItFromElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := spec()
	s.Parameters = map[string]json.RawMessage{
		"it's": json.RawMessage(`"a \"b\""`), "number": json.RawMessage(`"60"`), "list": json.RawMessage(`[1, true, null, {"k": false}]`), "path": json.RawMessage(`"a\/b"`),
	}
	s.Runtime, s.Profile = "python-3.12", "nightly"
	page := h.ok("/runs/" + string(h.submit(s).ID))
	for _, want := range []string{
		`curl -sS https://nes.example/v1/runs \` + "\n", `-d &#39;{&#34;input_url&#34;:&#34;https://git.example/acme/reports/blob/main/daily/sales.ipynb&#34;`,
		`&#34;runtime&#34;:&#34;python-3.12&#34;,&#34;profile&#34;:&#34;nightly&#34;}&#39;`,
		`NES_SERVER=https://nes.example nes run https://git.example/acme/reports/blob/main/daily/sales.ipynb \`,
		`-p &#39;it&#39;\&#39;&#39;s&#39; &#39;a &#34;b&#34;&#39; \`, `-p number &#39;&#34;60&#34;&#39;`, `-p path a/b`,
		`task_id=&#34;sales&#34;,`, `&#34;list&#34;: [1, True, None, {&#34;k&#34;: False}],`, `&#34;path&#34;: &#34;a/b&#34;,`, `profile=&#34;nightly&#34;,`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "Authorization", "nobody signs in here")
	h.caller = access.Principal{Name: "ada", Team: "local", Roles: []access.Role{access.RoleOperate}}
	require.Contains(t, h.ok("/runs/"+string(h.submit(s).ID)), `-H &#34;Authorization: Bearer $NES_TOKEN&#34;`)
	s.InputURL = "bundle://" + strings.Repeat("a", 64) + "/x.ipynb"
	require.NotContains(t, h.ok("/runs/"+string(h.submit(s).ID)), "curl -sS", "a tree that was sent has no address for others")
}

func TestTheCodeIsAScript(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, tagged)
	status, header, body := h.get("/runs/" + string(run.ID) + "/script")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
	require.Equal(t, "attachment; filename*=UTF-8''sales.py", header.Get("Content-Disposition"))
	require.Contains(t, header.Get("Content-Security-Policy"), "sandbox")
	require.True(t, strings.HasPrefix(body, "# %% [markdown]\n# # Top\n#\n"), body)
	require.Contains(t, body, "# %%\nyear: int = 2025  # of the books\nwho = \"all\"\n")
	status, _, _ = h.get("/runs/" + string(h.submit(spec()).ID) + "/script")
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = h.get("/runs/" + string(run.ID) + "/script?attempt=7")
	require.Equal(t, http.StatusNotFound, status)
}

func TestAFormForAnotherRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, tagged)
	page := h.ok("/runs/" + string(run.ID) + "/again")
	for _, want := range []string{
		`data-rerun="/v1/runs/` + string(run.ID) + `/rerun"`, `data-name="year" data-was="2026" value="2026"`, `data-name="limit" data-was="" value=""`, `placeholder="10"`,
		`value="newest"`, "of the books", "&#34;&lt;b&gt;&#34;",
	} {
		require.Contains(t, page, want)
	}
	h.caller = access.Principal{Name: "eve", Team: "local", Roles: []access.Role{access.RoleRead}}
	status, _, _ := h.get("/runs/" + string(run.ID) + "/again")
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, h.ok("/runs/"+string(run.ID)), "/again", "a reader is not offered what is refused")
}

func TestPagesSpeakTheReadersLanguage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.end(run, nes.ReasonOutOfMemory, "killed", nes.Outcome{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/runs/"+string(run.ID), nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Language", "ko-KR,ko;q=0.9")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body strings.Builder
	_, err = bufio.NewReader(resp.Body).WriteTo(&body)
	require.NoError(t, err)
	for _, want := range []string{`<html lang="ko">`, "노트북이 주어진 것보다 많은 메모리를 썼습니다.", "메모리를 더 요청하거나", "다시 실행", "매개변수", `content="실패 · `} {
		require.Contains(t, body.String(), want)
	}
	require.Contains(t, resp.Header.Values("Vary"), "Accept-Language")
}

func TestALinkSaysWhatItLeadsTo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	require.Regexp(t, `<link rel="icon" [^>]*icon-running.svg"`, h.ok("/runs/"+string(run.ID)))
	h.end(run, nes.ReasonCellError, "x", nes.Outcome{})
	page := h.ok("/runs/" + string(run.ID))
	require.Contains(t, page, `<title>sales · NES</title>`)
	require.Contains(t, page, `<meta property="og:title" content="sales">`)
	require.Regexp(t, `<meta property="og:description" content="Failed · [\d.]+ s · who=&#34;&lt;b&gt;&#34; · year=2026 · git.example/acme/reports/daily">`, page)
	require.Regexp(t, `<link rel="icon" [^>]*icon-failed.svg"`, page)
}

// stream reads server-sent events.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

type event struct{ kind, id, data string }

func (h *house) stream(path, last string) *stream {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.server.URL+path, nil)
	require.NoError(h.t, err)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(h.t, http.StatusOK, resp.StatusCode)
	require.Equal(h.t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
	s := &stream{h.t, bufio.NewScanner(resp.Body)}
	s.lines.Buffer(nil, 1<<20)
	return s
}

func (s *stream) next() event {
	s.t.Helper()
	var e event
	for s.lines.Scan() {
		switch name, value, _ := strings.Cut(s.lines.Text(), ": "); name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data += value + "\n"
		case "":
			if e.kind != "" {
				return e
			}
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return e
}

func TestAStreamSaysWhatChangesUntilTheEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", "carriage\rreturn", ""))
	s := h.stream("/runs/"+string(run.ID)+"/stream?since=0&state=", "")
	first := s.next()
	require.Equal(t, "changes", first.kind)
	require.Contains(t, first.data, `id="cell-0"`)
	require.Contains(t, first.data, `id="cell-2"`)

	h.records.set(run.ID, cells("one", "carriage\rreturn", "three"))
	second := s.next()
	require.Contains(t, second.data, `id="cell-2"`)
	require.NotContains(t, second.data, `id="cell-0"`, "only what changed")

	again := h.stream("/runs/"+string(run.ID)+"/stream?since=0&state=", second.id)
	h.end(run, "", "", nes.Outcome{})
	for _, reader := range []*stream{s, again} {
		e := reader.next()
		for ; e.kind == "changes"; e = reader.next() {
			require.NotContains(t, e.data, `id="cell-0"`, "a browser that comes back goes on where it was")
		}
		require.Equal(t, "end", e.kind)
	}
}

func TestAStreamOfNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	for path, want := range map[string]int{"/runs/nothing/stream": http.StatusNotFound, "/runs/" + string(run.ID) + "/stream?attempt=9": http.StatusNotFound} {
		status, header, _ := h.get(path)
		require.Equal(t, want, status)
		require.Contains(t, header.Get("Content-Type"), "text/html")
	}
	ended := h.end(run, "", "", nes.Outcome{})
	page := h.ok("/runs/" + string(ended.ID))
	s := h.stream("/runs/"+string(ended.ID)+"/stream?since="+strings.TrimSpace(genOrZero(page))+"&state="+stateOf.FindStringSubmatch(page)[1], "")
	begin := time.Now()
	require.Equal(t, "end", s.next().kind)
	require.Less(t, time.Since(begin), 5*time.Second)
}

func genOrZero(page string) string {
	if m := genOf.FindStringSubmatch(page); m != nil {
		return m[1]
	}
	return "0"
}

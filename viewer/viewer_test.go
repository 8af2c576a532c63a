package viewer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer"
)

var source = nes.Source{
	Repository: "git.example/acme/reports", Ref: "main", Commit: "4f2a9c1be07d3358a9c0ffee1234567890abcdef",
	Path: "daily/sales.ipynb", Bundle: "b", BundleSHA256: "s", WebURL: "https://git.example/acme/reports/blob/4f2a9c1b/daily/sales.ipynb",
}

func spec() nes.Spec {
	return nes.Spec{InputURL: "https://git.example/acme/reports/blob/main/daily/sales.ipynb", Parameters: map[string]json.RawMessage{
		"year": json.RawMessage(`2026`), "who": json.RawMessage(`"<b>"`)}}
}

// cells makes a notebook: each cell is its source, and printed what it has printed so far.
func cells(printed ...string) string {
	var list []any
	for i, text := range printed {
		status := "completed"
		if text == "" {
			status = "pending"
		}
		c := map[string]any{"cell_type": "code", "id": fmt.Sprintf("c%d", i), "source": fmt.Sprintf("step(%d)", i), "outputs": []any{},
			"metadata": map[string]any{"papermill": map[string]any{"status": status, "duration": float64(i) + 0.5}}}
		if text != "" {
			c["outputs"] = []any{map[string]any{"output_type": "stream", "name": "stdout", "text": text}}
		}
		list = append(list, c)
	}
	raw, _ := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}, "cells": list})
	return string(raw)
}

func TestAFailedRunSaysWhatWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, strings.Replace(cells("one", "two", ""), `"completed"`, `"failed"`, 1))
	h.end(run, nes.ReasonCellError, "KeyError in cell 1", nes.Outcome{
		Error: &nes.CellError{Cell: 0, Name: "KeyError", Value: "<x>"}, Result: json.RawMessage(`{"rows": 3}`),
		Files:    []nes.File{{Name: "out/a b.csv", Size: 2048}},
		Versions: nes.Versions{Kernel: "python3", Python: "3.11.2", Papermill: "2.7.0"},
	})
	page := h.ok("/runs/" + string(run.ID))
	for _, want := range []string{
		"Failed", "A cell raised an error.", "mend the notebook, push, and run it again", "KeyError in cell 1", "KeyError: &lt;x&gt;",
		`href="#cell-0">Jump to the failed cell`, "given as <code>&#34;2026&#34;</code>, made int", `<code>&#34;&lt;b&gt;&#34;</code>`,
		`href="https://git.example/acme/reports/blob/4f2a9c1b/daily/sales.ipynb"`, ">4f2a9c1b</code>", "daily/sales.ipynb", `&#34;rows&#34;: 3`,
		"out/a%20b.csv", "2 kB", "3.11.2", "not run", "Run again", "/v1/runs/" + string(run.ID) + "/notebook", `class="cell code failed"`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, ">Cancel</button>")
}

func TestARunThatWaitsSaysForWhat(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.submit(spec())
	page := h.ok("/runs/" + string(run.ID))
	for _, want := range []string{"Queued", "It waits for its turn.", "The notebook appears here when it starts.", ">Cancel</button>", `data-ended="false"`} {
		require.Contains(t, page, want)
	}
	_, err := h.ledger.RequestCancel(t.Context(), run.ID, "bob", time.Now())
	require.NoError(t, err)
	page = h.ok("/runs/" + string(run.ID))
	require.Contains(t, page, "Cancelling")
	require.Contains(t, page, "by bob")
	require.NotContains(t, page, ">Cancel</button>")
}

func TestARunWithoutARecordIsShownAllTheSame(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lost := h.end(h.start(spec(), source), nes.ReasonAgentLost, "nothing was heard for 60s", nes.Outcome{})
	require.Contains(t, h.ok("/runs/"+string(lost.ID)), "This attempt left no notebook.")
	broken := h.start(spec(), source)
	h.records.set(broken.ID, "<html>not a notebook")
	require.Contains(t, h.ok("/runs/"+string(h.end(broken, "", "", nes.Outcome{}).ID)), "The record cannot be shown")
	cut := h.start(spec(), source)
	h.records.set(cut.ID, cells("one", "two")[:250])
	page := h.ok("/runs/" + string(cut.ID))
	require.Contains(t, page, "The file is damaged")
	require.Contains(t, page, "step(0)")
}

func TestTheListFindsRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	require.Contains(t, h.ok("/"), "No runs here yet")
	good := h.end(h.start(spec(), source), "", "", nes.Outcome{})
	other := spec()
	other.InputURL, other.Group, other.Labels = "https://git.example/acme/other/blob/main/x.ipynb", "backfill <1>", map[string]string{"team": "growth"}
	waiting := h.submit(other)

	has := func(path string, ids ...nes.RunID) {
		t.Helper()
		page := h.ok(path)
		for _, id := range []nes.RunID{good.ID, waiting.ID} {
			want := false
			for _, w := range ids {
				want = want || w == id
			}
			require.Equal(t, want, strings.Contains(page, "/runs/"+string(id)), "%s: %s", path, id)
		}
	}
	has("/", good.ID, waiting.ID)
	has("/?status=Succeeded", good.ID)
	has("/?status=Under+way", waiting.ID)
	has("/?status=Failed")
	has("/?q=other", waiting.ID)
	has("/?group=backfill+%3C1%3E", waiting.ID)
	has("/?label=team%3Dgrowth", waiting.ID)
	has("/?repository=git.example/acme/reports", good.ID)
	require.Contains(t, h.ok("/"), "backfill &lt;1&gt;")
	require.Contains(t, h.ok("/?status=Failed"), "that match")
}

func TestTheListIsPaged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 60 {
		h.submit(spec())
	}
	first := h.ok("/?status=Under+way")
	require.Equal(t, 50, strings.Count(first, `<td class="s">`))
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(first)
	require.NotNil(t, next)
	second := h.ok(html.UnescapeString(next[1]))
	require.Equal(t, 10, strings.Count(second, `<td class="s">`))
	require.Contains(t, second, "Newest")
	require.NotContains(t, second, "data-live")
}

func TestErrorsArePages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	sha := strings.Repeat("a", 64)
	for path, want := range map[string]int{
		"/nowhere": 404, "/runs/" + string(nes.RunID("no-such")): 404, "/runs/0199aaaa-0000-7000-8000-000000000000": 404, "/runs/<script>": 404,
		"/runs/" + string(run.ID) + "?attempt=9": 404, "/runs/" + string(run.ID) + "?attempt=x": 404, "/static/x/no.css": 404, "/static/x/app.css": 200,
		"/runs/" + string(run.ID) + "/frame/1/" + sha: 404, "/runs/" + string(run.ID) + "/body/0/" + sha: 404,
		"/runs/" + string(run.ID) + "/log?attempt=7": 404, "/?cursor=%00": 400, "/runs": 302,
	} {
		status, header, body := h.get(path)
		require.Equal(t, want, status, path)
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.NotContains(t, body, "<script>", path)
	}
	h.records.fault = nes.Errorf(nes.CodeUnavailable, "the storage is away")
	status, header, body := h.get("/runs/" + string(run.ID))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "5", header.Get("Retry-After"))
	require.Contains(t, body, "The storage is away.")
	h.records.fault = fmt.Errorf("secret detail")
	status, _, body = h.get("/runs/" + string(run.ID))
	require.Equal(t, http.StatusInternalServerError, status)
	require.NotContains(t, body, "secret detail")
}

func TestPagesAnswerToTheCaller(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one"))
	h.caller = access.Principal{Name: "eve", Team: "other", Roles: []access.Role{access.RoleRead}}
	for _, path := range []string{"", "/cells?since=0", "/log", "/body/1/" + strings.Repeat("a", 64), "/frame/1/" + strings.Repeat("a", 64)} {
		status, _, body := h.get("/runs/" + string(run.ID) + path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.NotContains(t, body, "step(0)")
	}
	require.NotContains(t, h.ok("/"), string(run.ID))
	h.caller = access.Principal{}
	status, _, _ := h.get("/")
	require.Equal(t, http.StatusForbidden, status)
	h.caller = access.Principal{Name: "reader", Team: "local", Roles: []access.Role{access.RoleRead}}
	page := h.ok("/runs/" + string(run.ID))
	require.NotContains(t, page, "data-post", "a reader is offered nothing to change")
}

// TestPagesHoldTheirOwnPolicy: nothing in a page needs what its policy forbids, and every address has the prefix.
func TestPagesHoldTheirOwnPolicy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *viewer.Options) { o.Prefix = "/nes/" })
	h.prefix = "/nes"
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", ""))
	h.records.progress[run.ID] = &nes.Progress{Total: 2, Done: 1, Current: 1}
	for _, path := range []string{"/", "/runs/" + string(run.ID), "/runs/" + string(run.ID) + "/log", "/nowhere"} {
		_, header, body := h.get(path)
		csp := header.Get("Content-Security-Policy")
		require.Contains(t, csp, "script-src 'self'; style-src 'self'")
		require.NotContains(t, csp, "unsafe")
		require.Contains(t, csp, "frame-ancestors 'none'")
		tree, err := html.Parse(strings.NewReader(body))
		require.NoError(t, err)
		for n := range tree.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			require.NotEqual(t, "style", n.Data)
			if n.Data == "script" {
				require.Nil(t, n.FirstChild, "an inline script")
			}
			for _, a := range n.Attr {
				require.NotEqual(t, "style", a.Key)
				require.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
				if (a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "data-post") && strings.HasPrefix(a.Val, "/") {
					require.True(t, strings.HasPrefix(a.Val, "/nes/"), "%s=%s", a.Key, a.Val)
				}
			}
		}
	}
	asset := regexp.MustCompile(`src="/nes(/static/[^"]+)"`).FindStringSubmatch(h.ok("/"))[1]
	_, header, _ := h.get(asset)
	require.Contains(t, header.Get("Cache-Control"), "immutable")
}

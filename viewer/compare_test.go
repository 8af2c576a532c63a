package viewer_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// notebookOf makes a notebook of code cells: source, what it printed, seconds; a text of "!" makes it fail, one of "png:..." an image.
func notebookOf(list ...[3]string) string {
	var all []any
	for i, c := range list {
		meta := map[string]any{"status": "completed", "duration": json.Number(c[2])}
		outputs := []any{map[string]any{"output_type": "stream", "name": "stdout", "text": c[1]}}
		switch {
		case c[1] == "":
			outputs = []any{}
		case strings.HasPrefix(c[1], "png:"):
			outputs = []any{map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{"image/png": base64.StdEncoding.EncodeToString([]byte(c[1]))}}}
		case strings.HasPrefix(c[1], "!"):
			meta["status"] = "failed"
			outputs = []any{map[string]any{"output_type": "error", "ename": "ValueError", "evalue": c[1][1:], "traceback": []any{"Traceback", c[1][1:]}}}
		}
		all = append(all, map[string]any{"cell_type": "code", "id": fmt.Sprintf("c%d", i), "source": c[0], "outputs": outputs, "metadata": map[string]any{"papermill": meta}})
	}
	raw, _ := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}, "cells": all})
	return string(raw)
}

func TestTwoRunsSideBySide(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := spec()
	first.Parameters = map[string]json.RawMessage{"year": json.RawMessage(`2025`), "same": json.RawMessage(`1`), "gone": json.RawMessage(`true`)}
	a := h.start(first, source)
	h.records.set(a.ID, notebookOf([3]string{"import x", "", "0.1"}, [3]string{"rows = load(path)", "loaded 120 rows", "1.0"}, [3]string{"plot()", "png:one", "0.2"}, [3]string{"check()", "fine", "0.1"}, [3]string{"old()", "", "0.1"}))
	a = h.end(a, "", "", nes.Outcome{Result: json.RawMessage(`{"rows": 120, "kind": "x"}`), Versions: nes.Versions{Python: "3.11.2"}})
	second := spec()
	second.Parameters = map[string]json.RawMessage{"year": json.RawMessage(`2026`), "same": json.RawMessage(`1`)}
	newer := source
	newer.Commit = "ffff" + source.Commit[4:]
	b := h.start(second, newer)
	h.records.set(b.ID, notebookOf([3]string{"import x", "", "0.1"}, [3]string{"rows = load(where)", "loaded 90 rows", "4.0"}, [3]string{"plot()", "png:two", "0.2"}, [3]string{"check()", "!too few", "0.1"}))
	b = h.end(b, nes.ReasonCellError, "too few", nes.Outcome{Result: json.RawMessage(`{"rows": 90, "kind": "x"}`), Versions: nes.Versions{Python: "3.12.1"}})

	status, header, _ := h.get("/runs/" + string(b.ID) + "/compare?with=success")
	require.Equal(t, http.StatusFound, status)
	at := "/compare/" + string(a.ID) + "/" + string(b.ID)
	require.Equal(t, at, header.Get("Location"))
	page := h.ok(at)
	flat := regexp.MustCompile(`<code>|</code>`).ReplaceAllString(strings.ReplaceAll(page, "&#43;", "+"), "")
	for _, want := range []string{
		`<th scope="row">year</th><td>2025</td><td>2026</td>`, `<th scope="row">gone</th><td>true</td><td></td>`, `<th scope="row">rows</th><td>120</td><td>90</td><td class="note">-30 (-25%)</td>`,
		`<td>4f2a9c1b</td><td>ffff9c1b</td>`, `<td>3.11.2</td><td>3.12.1</td>`, `rows = load(<del>path</del><ins>where</ins>)`, `loaded <del>120</del><ins>90</ins> rows`,
		`<a href="#pair-1">cell 1</a></th><td>1.0 s</td><td>4.0 s</td><td class="note">+3 s (+300%)</td>`, `failed on the right`, "ValueError", `<article class="twin removed" id="gone-4">`, "Cells that are the same: 1.",
	} {
		require.Contains(t, flat, want)
	}
	require.Regexp(t, `outputs was"><img[^>]*cG5nOm9uZQ[\s\S]*outputs is"><img[^>]*cG5nOnR3bw`, page, "images stand side by side")
	for _, same := range []string{`<th scope="row">same</th>`, `<th scope="row">kind</th>`, "import x"} {
		require.NotContains(t, flat, same, "only changes by default")
		require.Contains(t, h.ok(at+"?all=1"), same)
	}
	require.Contains(t, h.ok("/runs/"+string(b.ID)), `href="/runs/`+string(b.ID)+`/compare?with=success">Compare with its last success`)
	_, header, _ = h.get("/runs/" + string(b.ID) + "/compare?with=" + string(a.ID))
	require.Equal(t, at, header.Get("Location"))
}

func TestComparisonsThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run, waiting := h.start(spec(), source), h.submit(spec())
	h.records.set(run.ID, cells("<b>one"))
	require.Contains(t, h.ok("/compare/"+string(run.ID)+"/"+string(waiting.ID)), "One of the runs has no notebook.")
	for _, path := range []string{"/compare/x/" + string(run.ID), "/compare/" + string(run.ID) + "/x", "/runs/" + string(run.ID) + "/compare", "/runs/" + string(waiting.ID) + "/compare?with=previous"} {
		status, _, _ := h.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	itself := h.ok("/compare/" + string(run.ID) + "/" + string(run.ID) + "?all=1")
	require.Contains(t, itself, "&lt;b&gt;one")
	require.NotContains(t, itself, "<del>")
	h.caller = access.Principal{Name: "eve", Team: "other", Roles: []access.Role{access.RoleOperate}}
	status, _, _ := h.get("/compare/" + string(run.ID) + "/" + string(run.ID))
	require.Equal(t, http.StatusNotFound, status)
}

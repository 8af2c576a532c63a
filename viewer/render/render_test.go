package render_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/render"
)

var update = flag.Bool("update", false, "write the golden files anew")

// picture is an image of random size whose text is larger than what travels in a page when n is large.
func picture(t testing.TB, n int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, n, n))
	_, _ = rand.NewChaCha8([32]byte{}).Read(m.Pix)
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, m))
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

func timed(cell obj, status string, seconds float64) obj {
	cell["execution_count"] = 1
	cell["metadata"].(obj)["papermill"] = obj{"status": status, "start_time": "2026-11-21T10:00:00", "duration": seconds}
	return cell
}

func tagged(cell obj, tags ...any) obj {
	cell["metadata"].(obj)["tags"] = tags
	return cell
}

const pandas = `<div>
<style scoped>.dataframe tbody tr th:only-of-type { vertical-align: middle; }</style>
<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>a</th></tr></thead>
<tbody><tr><th>0</th><td>1 &lt; 2</td></tr></tbody></table>
<p>1 rows × 1 columns</p>
</div>`

// golden notebooks: what a reader is to see of each kind of cell and output.
func golden(t testing.TB) map[string][]any {
	return map[string][]any{
		"markdown": {
			markdown("# Title\n\nText with *stress*, `code`, ~~gone~~ and <b>HTML</b>.\n\n## Title\n\n- [x] done\n- [ ] open\n\n| a | b |\n|:--|--:|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\nhttps://x.example"),
			markdown("Costs $x^2_i$ and \\\\(a*b*c\\\\):\n\n$$\\sum_{i<n} <x>$$\n\n`$no$`"),
			markdown("[page](https://x.example/a) [here](#h-0-title) [other](other.ipynb) ![remote](https://x.example/i.png) ![local](img/i.png)"),
			obj{"cell_type": "markdown", "metadata": obj{}, "source": "![chart](attachment:a%20b.png) ![none](attachment:none.png)", "attachments": obj{"a b.png": obj{"image/png": picture(t, 2)}}},
		},
		"states": {
			tagged(timed(code("n = 1  # default"), "completed", 0.0123), "parameters"),
			tagged(timed(code("n = 2"), "completed", 0.001), "injected-parameters"),
			timed(code("1 / 0", obj{"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []any{"\x1b[31mZeroDivisionError\x1b[0m: division by zero"}}), "failed", 75),
			timed(code("never()"), "pending", 0), code(""), tagged(markdown("banner"), "papermill-error-cell-tag"),
			obj{"cell_type": "code", "source": "died()", "metadata": obj{"nes": obj{"status": "died", "wall_seconds": 3.2, "cpu_seconds": 1.5, "memory_peak_bytes": 5e8}}},
			obj{"cell_type": "code", "source": "hidden()", "outputs": []any{stream("x")}, "metadata": obj{"jupyter": obj{"source_hidden": true, "outputs_hidden": true}, "tags": []any{"<own>"}}},
		},
		"outputs": {
			code("x", stream("plain <text>\n"), obj{"output_type": "stream", "name": "stderr", "text": "warn\n"}),
			code("x", display(obj{"text/html": pandas, "text/plain": "   a\n0  1"})),
			code("x", display(obj{"text/html": "<script>draw()</script>", "text/plain": "Figure"})),
			code("x", display(obj{"image/png": picture(t, 4), "text/plain": "<Figure>"}), display(obj{"image/png": picture(t, 80)})),
			code("x", display(obj{"image/svg+xml": `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`})),
			code("x", display(obj{"image/png": "@@@"}), display(obj{"text/markdown": "**bold**"}), display(obj{"text/latex": "$\\alpha<1$"})),
			code("x", display(obj{"application/json": obj{"a": []any{1, "<b>"}}}), display(obj{"application/vnd.nes.result+json": obj{"n": 1}})),
			code("x", display(obj{"application/vnd.jupyter.widget-view+json": obj{"model_id": "m"}, "text/plain": "IntSlider()"})),
			code("x", display(obj{"application/javascript": "alert(1)"}), display(obj{}), obj{"output_type": "hologram", "data": obj{"text/plain": "x"}}, 3),
			obj{"cell_type": "raw", "metadata": obj{"raw_mimetype": "text/x-rst"}, "source": "raw *text*"}, obj{"cell_type": "dream", "metadata": obj{}, "source": "zzz"}, 7,
		},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, cells := range golden(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := all(doc(t, cells...))
			requireSafe(t, got)
			path := filepath.Join("testdata", name+".golden.html")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestFormat3IsRendered(t *testing.T) {
	t.Parallel()
	got := all(document(t, `{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": ["Old\n", "title"]},
	 {"cell_type": "code", "input": "1+1", "prompt_number": 7, "outputs": [{"output_type": "pyout", "html": "<b>2</b>", "text": "2"}, {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": []}]},
	 {"cell_type": "html", "source": "<i>x</i>"}]}]}`))
	requireSafe(t, got)
	for _, want := range []string{`<h2 id="h-0-old-title">Old title<a`, `[7]`, `<div class="html"><b>2</b></div>`, `<strong>E</strong>`, `<i>x</i>`} {
		require.Contains(t, got, want)
	}
}

func TestLongOutputIsFoldedAndCut(t *testing.T) {
	t.Parallel()
	got := all(doc(t, code("x", stream(strings.Repeat("line\n", 1000)))))
	require.Contains(t, got, "<summary>920 more lines</summary>")
	require.Equal(t, 1000, strings.Count(got, "line\n")+strings.Count(got, "line</pre>"))

	d := doc(t, code("x", stream("FIRST"+strings.Repeat("0123456789abcdef\n", 1<<17)+"LAST")))
	got = all(d)
	requireSafe(t, got)
	require.Less(t, len(got), 400<<10)
	require.Contains(t, got, "FIRST")
	require.Contains(t, got, "LAST")
	require.Contains(t, got, "MB left out here")
	require.Contains(t, got, `href="/runs/r/body/1/`+d.Index.Cells[0].Outputs[0].Bodies[0].SHA256)
	d.File = nil
	require.Contains(t, all(d), "could not be read")
}

func TestAllOutputTogetherIsBounded(t *testing.T) {
	t.Parallel()
	var outputs []any
	for range 600 {
		outputs = append(outputs, stream(strings.Repeat("x", 60_000)))
	}
	got := all(doc(t, code("x", outputs...)))
	require.Less(t, len(got), 12<<20)
}

// TestHostileTextTakesLittleTime: each of these made some renderer take minutes.
func TestHostileTextTakesLittleTime(t *testing.T) {
	t.Parallel()
	const n = 47 << 10
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	for name, cell := range map[string]any{
		"open brackets": markdown(fill("[")), "images": markdown(fill("![")), "stars": markdown(fill("*a")), "underscores": markdown(fill("_a_")), "backticks": markdown(fill("`` ")),
		"quotes": markdown(fill("> ")), "dollars": markdown(fill("$ a $$ ")), "open math": markdown(fill(`\\(`)), "lists": markdown(fill("- ")), "links": markdown(fill("[a](")),
		"tables": markdown("|a|\n|-|\n" + fill("|x|\n")), "angles": markdown(fill("<a ")), "entities": markdown(fill("&amp")), "headings": markdown(fill("# a\n")), "quotes again": markdown(fill(">\t")), "closed links": markdown(fill("[a](b") + fill(")")[:600]),
		"deep": code("x", display(obj{"text/html": fill("<div>")})), "formatting": code("x", display(obj{"text/html": fill("<b><i>")})), "links in HTML": code("x", display(obj{"text/html": fill("<a href=#>")})),
		"table cells": code("x", display(obj{"text/html": "<table>" + fill("<tr><td>")})), "python": code(fill("'")), "python brackets": code(fill("f(")), "python strings": code(fill(`"""`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			got := all(doc(t, cell))
			require.Less(t, time.Since(start), 8*time.Second)
			requireSafe(t, got)
		})
	}
}

func TestHeadersKeepBytesOfNotebooksInASandbox(t *testing.T) {
	t.Parallel()
	frame := func(kind render.Frames, direct bool) func(http.Header) {
		return func(h http.Header) { render.FrameHeaders(h, kind, direct) }
	}
	tests := map[string]struct {
		set             func(http.Header)
		sandbox, script string
	}{
		"bytes":               {render.SandboxHeaders, "sandbox", ""},
		"a page alone":        {render.PageHeaders, "sandbox allow-scripts", "'unsafe-inline' 'unsafe-eval'"},
		"HTML":                {frame(render.FrameHTML, false), "sandbox allow-scripts", "'unsafe-inline' 'unsafe-eval'"},
		"script":              {frame(render.FrameScript, false), "sandbox allow-scripts", "'unsafe-inline' 'unsafe-eval'"},
		"chart":               {frame(render.FramePlotly, false), "sandbox allow-scripts", "'self'"},
		"other chart":         {frame(render.FrameVega, false), "sandbox allow-scripts", "'self'"},
		"HTML, opened alone":  {frame(render.FrameHTML, true), "sandbox", "'none'"},
		"chart, opened alone": {frame(render.FrameVega, true), "sandbox", "'none'"},
	}
	for name, tt := range tests {
		h := http.Header{}
		tt.set(h)
		policy := map[string]string{}
		for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), "; ") {
			key, value, _ := strings.Cut(part, " ")
			policy[key] = value
		}
		_, allows, _ := strings.Cut(tt.sandbox, " ")
		require.Equal(t, allows, policy["sandbox"], name)
		require.Equal(t, tt.script, policy["script-src"], name)
		require.Equal(t, "'none'", policy["default-src"], name)
		require.Equal(t, "'self'", policy["frame-ancestors"], name)
		require.NotContains(t, h.Get("Content-Security-Policy"), "http", name)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), name)
		require.Equal(t, map[bool]string{true: "(response-origin)", false: "()"}[strings.Contains(name, "chart")], h.Get("Connection-Allowlist"), name)
	}
}

package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nes-run/nes/viewer/render"
)

func pageOf(t testing.TB, d *render.Document) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, render.New().Page(&b, d, "name of the file"))
	return b.String()
}

// requireAlone proves that a page loads nothing: every address in it is within it.
func requireAlone(t testing.TB, page string) {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	policies := 0
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		require.NotContains(t, []string{"link", "base", "object", "embed"}, n.Data)
		for _, a := range n.Attr {
			switch a.Key {
			case "src", "srcset", "data", "poster", "background":
				require.True(t, strings.HasPrefix(a.Val, "data:image/"), "<%s %s=%.60s>", n.Data, a.Key, a.Val)
			case "http-equiv":
				require.Equal(t, "Content-Security-Policy", a.Val)
				policies++
			case "sandbox":
				require.Equal(t, "allow-scripts", a.Val)
			}
			require.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
		}
		if n.Data == "iframe" {
			require.Equal(t, "allow-scripts", attr(n, "sandbox"))
		}
	}
	require.Equal(t, 1, policies)
	require.NotRegexp(t, regexp.MustCompile(`url\((["']?)(https?:)?/`), page)
}

func TestAPageThatStandsAlone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a line of a long text\n", 60_000)
	plotly := obj{"data": []any{obj{"x": []any{1, "</script><script>alert(1)</script>"}}}, "layout": obj{}}
	d := doc(t,
		markdown("# Title $x$"), code("x = 1", display(obj{"image/png": picture(t, 80)})), code("y", stream(long)),
		code("z", display(obj{"application/vnd.plotly.v1+json": plotly, "text/html": "<b>twin</b>"})),
		code("v", display(obj{"application/vnd.vegalite.v5+json": obj{"mark": "bar"}})),
		code("h", display(obj{"text/html": `<script>let a = "quoted"</script>`})), code("j", display(obj{"application/javascript": "element.append('</script>')"})))
	page := pageOf(t, d)
	requireAlone(t, page)
	for _, want := range []string{
		"<title>name of the file</title>", `id="bundle-plotly-frame.js"`, `id="bundle-vega-frame.js"`, `id="bundle-katex.js"`, `id="bundle-katex.css"`,
		`srcdoc="`, `data-srcdoc="`, `element.append(&#39;&lt;\/script&gt;&#39;)`,
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "twin")
	require.NotContains(t, page, "<script>alert(1)")
	require.Equal(t, 60_000, strings.Count(page, "a line of a long text"), "nothing is cut")
	require.Equal(t, 1, strings.Count(page, `id="bundle-plotly-frame.js"`))
}

func TestAPageCarriesOnlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	d := doc(t, markdown("plain"), code("print(1)", stream("1\n")))
	d.Index.Title = "<A title>"
	page := pageOf(t, d)
	requireAlone(t, page)
	require.NotContains(t, page, "application/gzip")
	require.Contains(t, page, "<title>&lt;A title&gt;</title>")
	require.Less(t, len(page), 64<<10)
}

func TestAPageSaysWhatFailed(t *testing.T) {
	t.Parallel()
	banner := obj{"cell_type": "markdown", "metadata": obj{"tags": []any{"papermill-error-cell-tag"}}, "source": "<span>An Exception was encountered</span>"}
	old := code("", display(obj{"text/html": `<span style="color:red; font-family:Helvetica Neue, Helvetica">An Exception was encountered at In [1].</span>`}))
	page := pageOf(t, doc(t, banner, old, timed(code("1/0", obj{"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division \x1b[31mby\x1b[0m <zero>", "traceback": []any{}}), "failed", 1)))
	require.Contains(t, page, "Cell 2 failed.")
	require.Contains(t, page, "ZeroDivisionError: division by &lt;zero&gt;")
	require.Contains(t, page, `href="#cell-2"`)
	require.NotContains(t, page, "An Exception was encountered")
}

func TestAReportLeavesOutTheCode(t *testing.T) {
	t.Parallel()
	d := doc(t, markdown("# Words"), tagged(code("secret_code = 1", stream("kept\n")), "some-tag"), tagged(code("gone", stream("left out\n")), "remove-output"),
		tagged(code("x", stream("whole cell\n")), "remove-cell"), obj{"cell_type": "raw", "metadata": obj{}, "source": "raw text"})
	d.Report = true
	page := pageOf(t, d)
	for _, want := range []string{"Words", "kept"} {
		require.Contains(t, page, want)
	}
	for _, not := range []string{"secret_code", "some-tag", "left out", "whole cell", "raw text"} {
		require.NotContains(t, page, not)
	}
}

func TestAPageThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	err := render.New().Page(full{}, doc(t, code("x", stream(strings.Repeat("long", 50_000)))), "x")
	require.ErrorIs(t, err, errFull)
}

type full struct{}

var errFull = errors.New("the disk is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestFramesHoldWhatTheyShow: data and scripts of a notebook cannot leave their element in the frame's document.
func TestFramesHoldWhatTheyShow(t *testing.T) {
	t.Parallel()
	hostile := `</script><img src=x onerror=alert(1)><!--<script>`
	for mime, value := range map[string]any{
		"application/vnd.plotly.v1+json": obj{"data": []any{hostile}}, "application/vnd.vega.v6+json": obj{hostile: hostile}, "application/vnd.vegalite.v6+json": obj{"title": hostile},
		"application/javascript": `const s = "` + hostile + `"`,
	} {
		d := doc(t, code("x", display(obj{mime: value})))
		b := &d.Index.Cells[0].Outputs[0].Bodies[0]
		var out bytes.Buffer
		require.NoError(t, render.WriteFrame(&out, b, d.File, "/static/s/"))
		tree, err := html.Parse(&out)
		require.NoError(t, err)
		for n := range tree.Descendants() {
			require.NotEqual(t, "img", n.Data, mime)
			if n.Data == "script" && attr(n, "type") == "application/json" {
				var got any
				require.NoError(t, json.Unmarshal([]byte(n.FirstChild.Data), &got))
				want, _ := json.Marshal(value)
				have, _ := json.Marshal(got)
				require.JSONEq(t, string(want), string(have), "the data is what it was")
			}
		}
		if render.FrameOf(mime).Chart() {
			require.Contains(t, func() string {
				var again bytes.Buffer
				_ = render.WriteFrame(&again, b, d.File, "/static/s/")
				return again.String()
			}(), `<script src="/static/s/`+string(render.FrameOf(mime))+`-frame.js"></script>`)
		}
	}
	d := doc(t, code("x", stream("text")))
	d.Index.Cells[0].Outputs[0].Bodies[0].Inline = false
	require.Error(t, render.WriteFrame(io.Discard, &d.Index.Cells[0].Outputs[0].Bodies[0], strings.NewReader(""), ""))
}

func TestWhatIsShownOfManyTypes(t *testing.T) {
	t.Parallel()
	const widget, plotly, js = "application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json", "application/javascript"
	tests := map[string]struct {
		data obj
		want string
		not  string
	}{
		"plotly before its HTML":       {obj{"text/html": "<b>twin</b>", plotly: obj{"data": []any{}}, "image/png": "aGk="}, "/runs/r/frame/1/", "twin"},
		"vega before its image":        {obj{"image/png": "aGk=", "application/vnd.vega.v5+json": obj{}, "text/plain": "<VegaLite>"}, "/runs/r/frame/1/", "<img"},
		"vega-lite with a minor":       {obj{"application/vnd.vegalite.v5.20.1+json": obj{}}, "/runs/r/frame/1/", ""},
		"vega-lite of a version to be": {obj{"application/vnd.vegalite.v6+json": obj{}}, "/runs/r/frame/1/", ""},
		"HTML before an image":         {obj{"image/png": "aGk=", "text/html": "<b>x</b>"}, "<b>x</b>", "<img"},
		"Markdown before an image":     {obj{"image/png": "aGk=", "text/markdown": "**x**"}, "<strong>x</strong>", "<img"},
		"an image before text":         {obj{"text/plain": "text", "image/gif": "aGk="}, "data:image/gif", "text</pre>"},
		"SVG before PNG":               {obj{"image/png": "aGk=", "image/svg+xml": "<svg/>"}, "data:image/svg+xml", "image/png"},
		"bitmap":                       {obj{"image/bmp": "aGk="}, "data:image/bmp", ""},
		"LaTeX before text":            {obj{"text/latex": "$x$", "text/plain": "text"}, `class="math block latex">$x$`, "text</pre>"},
		"HTML before JavaScript":       {obj{js: "alert(1)", "text/html": "<b>x</b>"}, "<b>x</b>", "frame"},
		"JavaScript before text":       {obj{js: "alert(1)", "text/plain": "text"}, "run it in a frame", "text</pre>"},
		"a widget as text":             {obj{widget: obj{"model_id": "m"}, "text/plain": "IntSlider()"}, "Widget, as text", "model_id"},
		"a widget without text":        {obj{widget: obj{"model_id": "m"}}, "A widget, of which the notebook keeps no text", "model_id"},
		"a widget with HTML":           {obj{widget: obj{"model_id": "m"}, "text/html": "<b>x</b>"}, "<b>x</b>", "Widget"},
		"JSON before text":             {obj{"application/json": obj{"a": 1}, "text/plain": "text"}, `class="tree"`, "text</pre>"},
		"GeoJSON":                      {obj{"application/geo+json": obj{"type": "Point"}}, "application/geo+json", ""},
		"other text":                   {obj{"text/vnd.mermaid": "graph TD", "image/x": "?"}, "graph TD", ""},
		"PDF":                          {obj{"application/pdf": "JVBERi0="}, "Unsupported: application/pdf", ""},
		"a result for NES":             {obj{"application/vnd.nes.result+json": obj{"rows": 3, "name": "<b>"}}, "<dt>rows</dt><dd><code>3</code>", "<b>"},
		"a scrap":                      {obj{"application/scrapbook.scrap.json+json": obj{"name": "share", "data": []any{1, 2}, "encoder": "json", "version": 1}}, "<dt>share</dt><dd><code>[1,2]</code>", "encoder"},
		"a record of papermill":        {obj{"application/papermill.record+json": obj{"n": 1}}, "Value for papermill", ""},
		"a word that is no object":     {obj{"application/vnd.nes.skip+json": "why"}, "Value for NES: skip", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := all(doc(t, code("x", display(tt.data))))
			requireSafe(t, got)
			require.Contains(t, got, tt.want)
			if tt.not != "" {
				require.NotContains(t, got, tt.not)
			}
		})
	}
}

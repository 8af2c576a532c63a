package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"html/template"
	"io"
	"regexp"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/web"
)

// Frames is what an output needs to be drawn in a document of its own.
type Frames string

// The kinds of frames. Charts are data that our own bundles draw; the others are a notebook's own scripts.
const (
	FrameNone   Frames = ""
	FrameHTML   Frames = "html"
	FrameScript Frames = "script"
	FramePlotly Frames = "plotly"
	FrameVega   Frames = "vega"
)

var vegaType = regexp.MustCompile(`^application/vnd\.vega(lite)?\.v[0-9.]+\+json$`)

// FrameOf returns the kind of frame that a MIME type is shown in.
func FrameOf(mime string) Frames {
	switch {
	case mime == "text/html":
		return FrameHTML
	case mime == "application/javascript" || mime == "text/javascript":
		return FrameScript
	case mime == "application/vnd.plotly.v1+json":
		return FramePlotly
	case vegaType.MatchString(mime):
		return FrameVega
	}
	return FrameNone
}

// Chart reports whether the frame draws data with our own bundle, and runs no script of the notebook.
func (f Frames) Chart() bool { return f == FramePlotly || f == FrameVega }

// height is how tall a frame is until it tells itself.
func (f Frames) height() string {
	switch f {
	case FramePlotly:
		return "466"
	case FrameVega:
		return "360"
	}
	return "240"
}

// Notebooks draw for a white page.
const frameStyle literal = `<style>html{color-scheme:light;background:#fff}body{margin:8px;font:14px/1.5 system-ui,sans-serif;color:#1b1f24;overflow-x:auto}
table{border-collapse:collapse}th,td{padding:.25em .6em;text-align:right}pre{white-space:pre-wrap}</style>`

// noPeers comes before any script of the notebook: connections between browsers are the one way out that policies do not
// close everywhere.
const noPeers literal = `<script>for(const n of["RTCPeerConnection","webkitRTCPeerConnection","RTCDataChannel"])delete globalThis[n]</script>`

// WriteFrame writes the document that shows a body in its frame. assets is the address of the static files, with
// its last slash; where it is empty, the frame asks the page around it for the bundle.
func WriteFrame(w io.Writer, b *notebook.Body, file io.ReaderAt, assets string) error {
	out := bufio.NewWriterSize(w, 32<<10)
	kind := FrameOf(b.MIME)
	var m markup
	m.lit(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Output</title>`, frameStyle)
	if !kind.Chart() {
		m.lit(noPeers)
	}
	m.lit(`</head><body>`, "\n")
	foot := markup{}
	body := io.Writer(out)
	switch kind {
	case FramePlotly, FrameVega:
		m.chartHead(b.MIME, kind)
		foot.chartFoot(kind, assets)
		body = &inScript{w: out, data: true}
	case FrameScript:
		m.lit(`<div id="element"></div><script>const element=document.getElementById("element");`, "\n")
		foot.lit("\n</script>")
		body = &inScript{w: out}
	}
	if !kind.Chart() {
		foot.lit(`<script>`, literal(web.Read("html-frame.js").Plain()), `</script>`)
	}
	foot.lit(`</body></html>`)
	_, _ = out.WriteString(m.b.String())
	if err := b.Copy(body, file); err != nil {
		return err
	}
	_, _ = out.WriteString(foot.b.String())
	return out.Flush()
}

func (m *markup) chartHead(mime string, kind Frames) {
	m.lit(`<div id="chart"`)
	if kind == FrameVega && strings.Contains(mime, "vegalite") {
		m.attr("data-kind", "vega-lite")
	}
	m.lit(`></div><script type="application/json" id="data">`)
}

// bundleLoader waits for the page around to send the bundle that the frame asks for.
const bundleLoader literal = `<script>(()=>{const kind=document.currentScript.dataset.kind,ask=()=>parent.postMessage({nesWants:kind},"*");
const take=(e)=>{if(e.source!==parent||!e.data)return;if(e.data.nesAsk)return ask();if(typeof e.data.nesBundle!=="string")return;removeEventListener("message",take);
const s=document.createElement("script");s.textContent=e.data.nesBundle;document.body.append(s)};addEventListener("message",take);ask()})()`

func (m *markup) chartFoot(kind Frames, assets string) {
	m.lit(`</script>`)
	if assets == "" {
		m.lit(literal(strings.Replace(string(bundleLoader), "<script>", `<script data-kind="`+string(kind)+`">`, 1)), `</script>`)
		return
	}
	m.lit(`<script`)
	m.attr("src", assets+string(kind)+"-frame.js")
	m.lit(`></script>`)
}

// inScript writes text that stands within a script element, so that nothing in it ends the element. Where
// it is JSON, < can only be within a string and is written as an escape; in a script only </script and <!-- are broken up.
type inScript struct {
	w    io.Writer
	data bool
	held bool // a < is not written yet
}

func (s *inScript) Write(p []byte) (int, error) {
	var out bytes.Buffer
	for _, c := range p {
		switch {
		case s.data && c == '<':
			out.WriteString(`\u003c`)
			continue
		case s.held && (c == '/' || c == '!'):
			out.WriteByte('\\')
		}
		s.held = !s.data && c == '<'
		out.WriteByte(c)
	}
	if _, err := s.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// frame shows a body in a document of its own, which cannot reach the page.
func (d *Document) frame(b *notebook.Body, all []notebook.Body) template.HTML {
	kind := FrameOf(b.MIME)
	if d.FrameBase == "" && !d.Alone {
		if text := pick(all, []string{"text/plain"}); text != nil {
			return d.labelled("HTML with scripts or styles, as text", text)
		}
		return boxed("An interactive output is not shown here ("+size(b.Size)+")", "")
	}
	var m markup
	if kind == FrameScript { // on the reader's click
		m.lit(`<details class="hidden script"><summary>JavaScript of this cell: run it in a frame</summary>`)
	}
	m.lit(`<iframe class="rich" sandbox="allow-scripts" loading="lazy" referrerpolicy="no-referrer" title="Output of this cell"`)
	m.attr("height", kind.height())
	now := literal("")
	if kind == FrameScript {
		now = "data-" // the page's script makes it the frame's address
	}
	if d.Alone {
		var doc strings.Builder
		if err := WriteFrame(&doc, b, d.File, ""); err != nil {
			return boxed("An interactive output that could not be read", err.Error())
		}
		m.attr(now+"srcdoc", doc.String())
		d.need(kind)
	} else {
		m.attr(now+"src", d.FrameBase+b.SHA256)
	}
	m.lit(`></iframe>`)
	if kind == FrameScript {
		m.lit(`</details>`)
	}
	return m.html()
}

// chart returns the body of an output that our own bundles draw.
func (d *Document) chart(bodies []notebook.Body) *notebook.Body {
	if d.FrameBase == "" && !d.Alone {
		return nil
	}
	return pickFunc(bodies, func(mime string) bool { return FrameOf(mime).Chart() })
}

// named are the values of a scrap or of a word to NES, by name; nil is JSON of another shape.
func named(mime, text string) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil || len(object) == 0 {
		return nil
	}
	if strings.HasPrefix(mime, "application/scrapbook.scrap.") {
		var name string
		if json.Unmarshal(object["name"], &name) != nil || name == "" {
			return nil
		}
		return map[string]json.RawMessage{name: object["data"]}
	}
	return object
}

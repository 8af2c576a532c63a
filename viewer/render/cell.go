package render

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

// Cell renders cell i of the document as one article with the id "cell-<i>".
func (r *Renderer) Cell(d *Document, i int) template.HTML {
	c := &d.Index.Cells[i]
	state := d.state(c)
	var m markup
	m.lit(`<article`)
	m.attr("class", strings.Join(strings.Fields("cell "+kind(c)+" "+state.class+" "+marks(c)), " "))
	m.attr("id", fmt.Sprintf("cell-%d", i))
	m.attr("data-cell", fmt.Sprint(i))
	m.attr("data-v", c.Fingerprint()+endedMark(d, c))
	m.attr("aria-label", strings.TrimSpace(fmt.Sprintf("Cell %d%s", i, state.suffix())))
	if papermillBanner(c) || d.Report && removed(c) { // the page has a banner of its own
		m.lit(` hidden></article>`)
		return m.html()
	}
	m.lit(`>`)
	m.gutter(c, i, state)
	m.lit(`<div class="body">`)
	if !d.Report {
		m.tags(c)
	}
	if !d.Report || kind(c) == "markdown" {
		r.source(&m, d, c, i)
	}
	if c.Problem != "" {
		m.lit(`<p class="problem">`)
		m.text(c.Problem)
		m.lit(`</p>`)
	}
	r.outputs(&m, d, c)
	m.lit(`</div></article>`)
	return m.html()
}

// papermillBanner knows the cells in which papermill says that a cell failed: tagged since version 2, recognised by their text before.
func papermillBanner(c *notebook.Cell) bool {
	if c.HasTag("papermill-error-cell-tag") {
		return true
	}
	if c.Type != "code" || strings.TrimSpace(c.Source) != "" && !strings.HasPrefix(c.Source, "%%html\n<span style=\"color:red; font-family:Helvetica") || len(c.Outputs) != 1 {
		return false
	}
	b := pick(c.Outputs[0].Bodies, []string{"text/html"})
	return b != nil && strings.HasPrefix(b.Text, "<span style=\"color:red; font-family:Helvetica") && strings.Contains(b.Text, "An Exception was encountered at")
}

// removed reports whether a report leaves the cell out.
func removed(c *notebook.Cell) bool {
	return c.HasTag("remove-cell") || c.HasTag("remove_cell") || c.HasTag("hide-cell")
}

// endedMark tells a pending cell that will run from one that will not.
func endedMark(d *Document, c *notebook.Cell) string {
	if d.Ended && c.Open() {
		return "e"
	}
	return ""
}

// kind is the class of a cell, from the closed list of types that are known.
func kind(c *notebook.Cell) string {
	switch c.Type {
	case "code", "markdown", "raw":
		return c.Type
	case "heading", "html": // nbformat 3
		return "markdown"
	}
	return "unknown"
}

// state is how a cell's run is shown: a class, a sign, and a word, so that colour never stands alone.
type state struct{ class, sign, word string }

func (s state) suffix() string {
	if s.word == "" {
		return ""
	}
	return ", " + s.word
}

func (d *Document) state(c *notebook.Cell) state {
	if c.Type != "code" {
		return state{}
	}
	switch c.Run.Status {
	case notebook.Completed:
		if c.Run.Detail == "allowed" {
			return state{"ok", "✓", "raised an error, as it may"}
		}
		return state{"ok", "✓", ""}
	case notebook.Failed:
		return state{"failed", "✗", failedWord(c.Run.Detail)}
	case notebook.Running:
		if d.Ended {
			return state{"failed", "✗", "was running at the end"}
		}
		return state{"running", "●", "running"}
	case notebook.Pending:
		if d.Ended && strings.TrimSpace(c.Source) != "" {
			return state{"pending", "○", "not run"}
		}
		return state{"pending", "○", ""}
	}
	return state{}
}

func failedWord(detail string) string {
	switch detail {
	case "died":
		return "kernel died"
	case "timeout":
		return "timed out"
	case "stopped":
		return "stopped"
	}
	return "failed"
}

// gutter shows the cell's number, from 0 as in logs, messages and the API, its state and duration.
func (m *markup) gutter(c *notebook.Cell, i int, s state) {
	m.lit(`<div class="gutter">`)
	m.lit(`<a class="n"`)
	m.attr("href", fmt.Sprintf("#cell-%d", i))
	m.attr("title", fmt.Sprintf("Cell %d of the notebook", i))
	m.lit(`><span class="no">`)
	m.int(i)
	m.lit(`</span>`)
	if c.Type == "code" {
		m.count(c)
	}
	m.lit(`</a>`)
	if s.sign != "" {
		m.lit(` <span class="state"><span aria-hidden="true">`)
		m.text(s.sign)
		m.lit(`</span>`)
		if s.word != "" {
			m.lit(` `)
			m.text(s.word)
		}
		m.lit(`</span>`)
	}
	m.time(c)
	m.lit(`</div>`)
}

// count shows the execution count as notebooks do.
func (m *markup) count(c *notebook.Cell) {
	m.lit(`<span class="count">[`)
	switch {
	case c.Count != nil:
		m.int(*c.Count)
	case c.Run.Status == notebook.Running:
		m.lit(`*`)
	default:
		m.lit(` `)
	}
	m.lit(`]</span>`)
}

func (m *markup) time(c *notebook.Cell) {
	switch {
	case c.Run.Status == notebook.Running && c.Run.Start != nil:
		m.lit(` <span class="took"`)
		m.attr("data-since", c.Run.Start.Format("2006-01-02T15:04:05.000Z"))
		m.lit(`></span>`)
	case c.Run.Seconds > 0:
		m.lit(` <span class="took"`)
		m.attr("title", tooltip(c.Run))
		m.lit(`>`)
		m.text(Seconds(c.Run.Seconds))
		m.lit(`</span>`)
	}
}

func tooltip(t notebook.Timing) string {
	text := fmt.Sprintf("%.3f s", t.Seconds)
	if t.CPU > 0 {
		text += fmt.Sprintf(", processor %s", Seconds(t.CPU))
	}
	if t.Memory > 0 {
		text += ", kernel up to " + size(t.Memory)
	}
	if t.Start != nil {
		text += ", from " + t.Start.Format("15:04:05") + " UTC"
	}
	return text
}

// tags shows what the cell is marked with.
func (m *markup) tags(c *notebook.Cell) {
	if len(c.Tags) == 0 {
		return
	}
	m.lit(`<p class="tags">`)
	for i, t := range c.Tags {
		if i == 8 {
			break
		}
		switch t {
		case "parameters":
			m.lit(`<span class="tag own">parameters: the notebook’s defaults</span>`)
		case "injected-parameters":
			m.lit(`<span class="tag own">parameters of this run</span>`)
		default:
			m.lit(`<span class="tag">`)
			m.text(t)
			m.lit(`</span>`)
		}
	}
	m.lit(`</p>`)
}

func (r *Renderer) source(m *markup, d *Document, c *notebook.Cell, i int) {
	switch {
	case kind(c) == "markdown":
		m.lit(`<div class="prose">`)
		m.safe(r.Markdown(d, c, heading(c), fmt.Sprintf("%d-", i)))
		m.lit(`</div>`)
	case strings.TrimSpace(c.Source) == "":
	case c.Type == "code":
		m.code(d, c)
	default:
		m.lit(`<div class="box"><p class="label">`)
		m.text(rawLabel(c))
		m.lit(`</p><pre class="text raw">`)
		m.text(c.Source)
		m.lit(`</pre></div>`)
	}
}

// heading returns the Markdown of a cell; heading cells of nbformat 3 have their level beside the text.
func heading(c *notebook.Cell) string {
	if c.Type == "heading" {
		return strings.Repeat("#", min(max(c.Level, 1), 6)) + " " + strings.ReplaceAll(c.Source, "\n", " ")
	}
	return c.Source
}

func rawLabel(c *notebook.Cell) string {
	if c.Type != "raw" {
		return "Cell of the unknown type “" + c.Type + "”"
	}
	if c.RawMIME != "" {
		return "Raw text, " + c.RawMIME
	}
	return "Raw text"
}

func (m *markup) code(d *Document, c *notebook.Cell) {
	if c.SourceHidden {
		m.lit(`<details class="hidden"><summary>Code, folded by the notebook</summary>`)
	}
	m.lit(`<pre class="source" tabindex="0"><code>`)
	source := strings.TrimRight(c.Source, "\n")
	m.safe(highlight(source, cellLanguage(source, d.Index.Language)))
	m.lit(`</code></pre>`)
	if c.SourceHidden {
		m.lit(`</details>`)
	}
}

func (r *Renderer) outputs(m *markup, d *Document, c *notebook.Cell) {
	if len(c.Outputs) == 0 || d.Report && (c.OutputsHidden || c.HasTag("remove-output") || c.HasTag("remove_output")) {
		return
	}
	if c.OutputsHidden {
		m.lit(`<details class="hidden"><summary>Output, folded by the notebook</summary>`)
	}
	m.lit(`<div class="outputs">`)
	for i := range c.Outputs {
		m.safe(r.output(d, c, &c.Outputs[i]))
	}
	m.lit(`</div>`)
	if c.OutputsHidden {
		m.lit(`</details>`)
	}
}

package render

import (
	"html/template"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

// Of long output these many lines at the beginning and at the end stay open.
const (
	openHead = 60
	openTail = 20
	minFold  = 40 // fewer lines than these are not worth a fold
)

// stream renders what a cell printed.
func (d *Document) stream(o *notebook.Output) template.HTML {
	class := "stdout"
	if o.Name == "stderr" {
		class = "stderr"
	}
	if len(o.Bodies) == 0 {
		return ""
	}
	return d.plain(&o.Bodies[0], class)
}

// plain renders text with its ANSI escapes, long text folded and very long text cut.
func (d *Document) plain(b *notebook.Body, class string) template.HTML {
	budget := d.budget()
	part, err := d.read(b, budget*3/4, budget/4)
	if err != nil {
		return boxed("Text that could not be read", err.Error())
	}
	head, tail, cut := part.parts()
	var m markup
	if cut == 0 {
		m.folded(ansiLines(head), class)
		return m.html()
	}
	m.folded(ansiLines(head), class)
	d.rest(&m, b, cut)
	m.folded(ansiLines(tail), class)
	return m.html()
}

// rest says how much is left out, and where the whole is.
func (d *Document) rest(m *markup, b *notebook.Body, cut int64) {
	if cut == 0 {
		return
	}
	m.lit(`<p class="cut">`)
	m.text(size(cut))
	m.lit(` left out here`)
	if d.BodyBase != "" {
		m.lit(` · <a`)
		m.attr("href", d.BodyBase+b.SHA256)
		m.lit(`>open the whole text</a>`)
	}
	m.lit(`</p>`)
}

// folded writes lines, the middle of many in a fold that works without script.
func (m *markup) folded(lines []template.HTML, class string) {
	if len(lines) < openHead+openTail+minFold {
		m.pre(lines, class)
		return
	}
	hidden := lines[openHead : len(lines)-openTail]
	m.pre(lines[:openHead], class)
	m.lit(`<details class="fold"><summary>`)
	m.text(groups(len(hidden)))
	m.lit(` more lines</summary>`)
	m.pre(hidden, class)
	m.lit(`</details>`)
	m.pre(lines[len(lines)-openTail:], class)
}

func (m *markup) pre(lines []template.HTML, class string) {
	m.lit(`<pre`)
	m.attr("class", "text "+class)
	if class == "traceback" {
		m.attr("tabindex", "0") // its long lines are scrolled, also by the keyboard
	}
	m.lit(">")
	for i, l := range lines {
		if i > 0 {
			m.lit("\n")
		} else if strings.HasPrefix(string(l), "\n") || l == "" {
			m.lit("\n") // a parser drops the first newline of a pre
		}
		m.safe(l)
	}
	m.lit(`</pre>`)
}

// failure renders an error with its traceback.
func failure(e *notebook.Error) template.HTML {
	var m markup
	m.lit(`<div class="failure"><p class="headline"><strong>`)
	m.text(stripped(e.Name))
	m.lit(`</strong>`)
	if value := stripped(e.Value); value != "" {
		m.lit(`<span class="colon">: </span>`)
		m.text(value)
	}
	m.lit(`</p>`)
	if len(e.Traceback) > 0 {
		m.folded(ansiLines(strings.Join(e.Traceback, "\n")), "traceback")
	}
	m.lit(`</div>`)
	return m.html()
}

// stripped returns text without its escapes.
func stripped(text string) string {
	if !strings.Contains(text, "\x1b") {
		return strings.TrimSpace(text)
	}
	t := terminal{rows: []row{nil}} // takes what the escapes do
	var b strings.Builder
	for {
		plain, rest, more := strings.Cut(text, "\x1b")
		b.WriteString(plain)
		if !more {
			return strings.TrimSpace(b.String())
		}
		text = t.escape(rest)
	}
}

// Terminal renders text as a terminal would show it, for a page of its own.
func Terminal(text string) template.HTML {
	var m markup
	if text != "" {
		m.pre(ansiLines(text), "stdout")
	}
	return m.html()
}

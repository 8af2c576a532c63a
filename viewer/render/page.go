package render

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/web"
)

// pagePolicy is the policy that a page carries which stands alone: whatever is in it, and in its frames, reaches no network.
const pagePolicy literal = `default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; ` +
	`media-src data: blob:; worker-src blob:; frame-src about: data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'`

// Page writes the notebook as one file of HTML: images, frames, styles and scripts are within it, and it needs no network.
// name is what the page is called where the notebook has no title. Cells are written one after the other, so that
// memory does not grow with the notebook. The document's addresses are not used.
func (r *Renderer) Page(w io.Writer, d *Document, name string) error {
	d.Alone, d.BodyBase, d.FrameBase, d.TableBase, d.needs = true, "", "", "", nil
	out := bufio.NewWriterSize(w, 64<<10)
	title := d.Index.Title
	if title == "" {
		title = name
	}
	var head markup
	head.pageHead(title)
	head.summary(d)
	_, _ = out.WriteString(head.b.String())
	math := false
	for i := range d.Index.Cells {
		cell := string(r.Cell(d, i))
		math = math || strings.Contains(cell, `class="math`)
		_, _ = out.WriteString(cell)
		if _, err := out.WriteString("\n"); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	var foot markup
	foot.lit("</section></main>\n")
	foot.bundles(d, math)
	foot.lit(`<script>`, literal(web.Read("rich.js").Plain()), "</script>\n</body>\n</html>\n")
	_, _ = out.WriteString(foot.b.String())
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (m *markup) pageHead(title string) {
	m.lit(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="`, pagePolicy, `">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="NES">
<title>`)
	m.text(title)
	m.lit("</title>\n<style>", literal(web.Read("app.css").Plain()), literal(web.Read("rich.css").Plain()), "</style>\n</head>\n<body>\n",
		`<main id="main"><header class="alone"><h1>`)
	m.text(title)
	m.lit("</h1>\n")
}

// summary says in a few lines what the notebook's cells say in many: whether it failed and where, when it ran, with what.
func (m *markup) summary(d *Document) {
	x := d.Index
	if facts := facts(x); len(facts) > 0 {
		m.lit(`<p class="quiet">`)
		m.text(strings.Join(facts, " · "))
		m.lit("</p>\n")
	}
	for i := range x.Cells {
		if e := failed(&x.Cells[i]); e != nil {
			m.lit(`<div class="verdict failed"><p class="what"><strong>`)
			m.text(fmt.Sprintf("Cell %d failed.", i))
			m.lit(`</strong>`)
			m.text(firstWords(stripped(e.Name + ": " + e.Value)))
			m.lit(`</p><p><a class="jump"`)
			m.attr("href", fmt.Sprintf("#cell-%d", i))
			m.lit(`>Jump to the failed cell ↓</a></p></div>`, "\n")
			break
		}
	}
	for _, problem := range x.Problems {
		m.lit(`<p class="problem">`)
		m.text(problem)
		m.lit("</p>\n")
	}
	m.lit(`</header><section class="notebook" id="cells" aria-label="Notebook">`, "\n")
}

func firstWords(text string) string {
	const most = 400
	if short := []rune(text); len(short) > most {
		return string(short[:most]) + "…"
	}
	return text
}

// failed returns the error that ended the notebook at this cell; nil where it is none.
func failed(c *notebook.Cell) *notebook.Error {
	if c.Run.Status != notebook.Failed {
		return nil
	}
	for i := range c.Outputs {
		if e := c.Outputs[i].Error; e != nil {
			return e
		}
	}
	return &notebook.Error{Name: "Ended", Value: failedWord(c.Run.Detail)}
}

func facts(x *notebook.Index) (all []string) {
	if x.KernelName != "" {
		all = append(all, x.KernelName)
	}
	if e := x.Execution; e != nil {
		if e.Start != nil {
			all = append(all, "run on "+e.Start.Format("2006-01-02 15:04 UTC"))
		}
		if e.Seconds > 0 {
			all = append(all, "in "+Seconds(e.Seconds))
		}
	}
	return all
}

// bundles puts in what the page's script needs for what is on the page, compressed as the program holds it.
func (m *markup) bundles(d *Document, math bool) {
	for _, kind := range []Frames{FramePlotly, FrameVega} {
		if d.needs[kind] {
			m.bundle(string(kind)+"-frame.js", web.Read(string(kind)+"-frame.js").Body)
		}
	}
	if math {
		m.bundle("katex.js", web.Read("katex.js").Body)
		m.bundle("katex.css", web.Pack(withFonts(web.Read("katex.css").Plain())))
	}
}

func (m *markup) bundle(name string, packed []byte) {
	m.lit(`<script type="application/gzip" id="bundle-`, literal(name), `">`)
	m.b.WriteString(base64.StdEncoding.EncodeToString(packed))
	m.lit("</script>\n")
}

// withFonts puts fonts into a style sheet in place of their addresses.
func withFonts(css []byte) []byte {
	address := regexp.MustCompile(`url\((KaTeX_[A-Za-z0-9_-]+\.woff2)\)`)
	return address.ReplaceAllFunc(css, func(match []byte) []byte {
		font := web.Read(string(address.FindSubmatch(match)[1]))
		return []byte("url(data:font/woff2;base64," + base64.StdEncoding.EncodeToString(font.Body) + ")")
	})
}

package render

import (
	"fmt"
	"html/template"
	"io"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"

	"github.com/nes-run/nes/viewer/notebook"
)

// Renderer renders notebooks. It may be used by many at once.
type Renderer struct {
	policy   func() *bluemonday.Policy
	markdown func() goldmark.Markdown
}

// New returns a renderer. What is costly to build is built at the first use.
func New() *Renderer {
	return &Renderer{policy: sync.OnceValue(newPolicy), markdown: sync.OnceValue(newMarkdown)}
}

// Document is a notebook to be rendered.
type Document struct {
	Index *notebook.Index
	// File holds the bodies that the index only knows the place of; nil shows a box in their stead.
	File io.ReaderAt
	// BodyBase, FrameBase and TableBase are the addresses, with their last slash, below which bodies are served as they
	// are, as documents for frames, and as the rows of tables, by digest. Where they are empty, images are put into the
	// page, rich HTML is boxed, and long tables stay cut.
	BodyBase, FrameBase, TableBase string
	// Alone says that the HTML will be read without a server: images and frames are within it, and nothing is cut.
	Alone bool
	// Report leaves out the code, and what the notebook marks as not for readers.
	Report bool
	// Ended says that pending cells will not run any more.
	Ended bool

	perOutput int
	needs     map[Frames]bool // bundles that frames within the page ask for
}

// need remembers that a frame within the page asks for a bundle.
func (d *Document) need(kind Frames) {
	if d.needs == nil {
		d.needs = map[Frames]bool{}
	}
	d.needs[kind] = true
}

// Bounds of what an output adds to a page; the rest is one click away.
const (
	maxText     = 256 << 10 // of one output
	maxAllText  = 8 << 20   // of all outputs, shared equally when they are more
	minText     = 4 << 10
	maxMarkdown = 48 << 10
	maxHTML     = 512 << 10 // larger tables are shown in a frame
	maxDataURL  = 12 << 10  // larger images have an address of their own
	maxWhole    = 64 << 20  // of one output on a page that stands alone
)

// budget is the text that each output may show.
func (d *Document) budget() int {
	if d.Alone {
		return maxWhole
	}
	if d.perOutput == 0 {
		var size, n int64
		for i := range d.Index.Cells {
			for _, o := range d.Index.Cells[i].Outputs {
				for _, b := range o.Bodies {
					size += min(b.Size, maxText)
					n++
				}
			}
		}
		d.perOutput = maxText
		if size > maxAllText {
			d.perOutput = int(max(minText, min(maxText, maxAllText/n)))
		}
	}
	return d.perOutput
}

// read returns the first head bytes of a body's text and, where it is longer, the last tail bytes.
func (d *Document) read(b *notebook.Body, head, tail int) (excerpt, error) {
	e := excerpt{headRoom: head, tailRoom: tail}
	if !b.Inline && d.File == nil {
		return e, fmt.Errorf("%s is not at hand", size(b.Size))
	}
	err := b.Copy(&e, d.File)
	return e, err
}

// excerpt keeps the beginning and the end of what is written to it.
type excerpt struct {
	headRoom, tailRoom int
	head, tail         []byte
	cut                int64 // bytes left out between the two
}

func (e *excerpt) Write(p []byte) (int, error) {
	n := len(p)
	take := min(n, e.headRoom-len(e.head))
	e.head = append(e.head, p[:take]...)
	e.tail = append(e.tail, p[take:]...)
	if over := len(e.tail) - e.tailRoom; over > 2*e.tailRoom+4096 {
		e.cut += int64(over)
		e.tail = append(e.tail[:0], e.tail[over:]...)
	}
	return n, nil
}

// parts returns what is kept as valid text, and how much lies between.
func (e *excerpt) parts() (head, tail string, cut int64) {
	if over := len(e.tail) - e.tailRoom; over > 0 {
		e.cut += int64(over)
		e.tail = e.tail[over:]
	}
	if e.cut == 0 {
		return valid(string(e.head) + string(e.tail)), "", 0
	}
	return valid(string(e.head)), valid(string(e.tail)), e.cut
}

// boxed is a labelled box for what is not shown as it is.
func boxed(label, text string) template.HTML {
	var m markup
	m.lit(`<div class="box"><p class="label">`)
	m.text(label)
	m.lit(`</p>`)
	if text != "" {
		m.lit(`<pre>`)
		m.text(text)
		m.lit(`</pre>`)
	}
	m.lit(`</div>`)
	return m.html()
}

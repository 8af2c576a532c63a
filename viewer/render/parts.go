package render

import (
	"html/template"

	"github.com/nes-run/nes/viewer/notebook"
)

// Output renders one output of a cell, for pages that show it outside its notebook.
func (r *Renderer) Output(d *Document, cell, output int) template.HTML {
	c := &d.Index.Cells[cell]
	return r.output(d, c, &c.Outputs[output])
}

// Prose renders a Markdown cell by itself; prefix keeps the ids of its headings apart from others on the page.
func (r *Renderer) Prose(d *Document, cell int, prefix string) template.HTML {
	c := &d.Index.Cells[cell]
	return r.Markdown(d, c, heading(c), prefix)
}

// Words is the text of an output that people would compare by its words: of a stream, an error, or a result that is plain
// text alone. ok is false for any other output, and for one that is not at hand or longer than limit.
func Words(o *notebook.Output, limit int64) (text string, ok bool) {
	if o.Error != nil {
		return stripped(o.Error.Name) + ": " + stripped(o.Error.Value), true
	}
	if len(o.Bodies) != 1 || !o.Bodies[0].Inline || o.Bodies[0].Size > limit {
		return "", false
	}
	b := o.Bodies[0]
	if o.Type != "stream" && b.MIME != "text/plain" {
		return "", false
	}
	return stripped(b.Text), true
}

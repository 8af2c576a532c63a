package viewer

import (
	"html/template"
	"net/url"
	"strings"
)

// The ways to read a notebook.
const (
	viewCode       = "code"       // as the notebook says
	viewReport     = "report"     // without its code
	viewEverything = "everything" // with what it folds or removes
)

// reading is how a reader wants to see a notebook. It is kept in the address.
type reading struct {
	View     string // of the above
	Contents bool   // shown; it is by default
	Wrap     bool   // long lines of code
	Wide     bool   // the whole width
}

func readingOf(q url.Values) reading {
	r := reading{View: viewCode, Contents: q.Get("contents") != "0", Wrap: q.Get("wrap") == "1", Wide: q.Get("wide") == "1"}
	if v := q.Get("view"); v == viewReport || v == viewEverything {
		r.View = v
	}
	return r
}

// query is the part of an address that keeps r; what is by default is left out.
func (r reading) query(q url.Values) url.Values {
	if r.View != viewCode {
		q.Set("view", r.View)
	}
	if !r.Contents {
		q.Set("contents", "0")
	}
	if r.Wrap {
		q.Set("wrap", "1")
	}
	if r.Wide {
		q.Set("wide", "1")
	}
	return q
}

// Switch is a link that changes how the notebook is read.
type Switch struct {
	Key, Value string // of the address
	Word       string
	URL        string
	On         bool
	Group      bool // one of several, of which one is on
}

// switches lists what a reader can change; at is the address of the page, with attempt as its query where that is not the newest.
func (r reading) switches(at string, attempt string) []Switch {
	link := func(change func(*reading)) string {
		c := r
		change(&c)
		q := c.query(url.Values{})
		if attempt != "" {
			q.Set("attempt", attempt)
		}
		if len(q) == 0 {
			return at
		}
		return at + "?" + q.Encode()
	}
	var all []Switch
	for _, v := range []struct{ view, word string }{{viewCode, "Code"}, {viewReport, "Report"}, {viewEverything, "Everything"}} {
		all = append(all, Switch{"view", v.view, v.word, link(func(c *reading) { c.View = v.view }), r.View == v.view, true})
	}
	return append(all,
		Switch{"contents", "0", "Contents", link(func(c *reading) { c.Contents = !c.Contents }), r.Contents, false},
		Switch{"wrap", "1", "Wrap", link(func(c *reading) { c.Wrap = !c.Wrap }), r.Wrap, false},
		Switch{"wide", "1", "Full width", link(func(c *reading) { c.Wide = !c.Wide }), r.Wide, false})
}

// cell opens the notebook's folds for readers of everything.
func (r reading) cell(html template.HTML) template.HTML {
	if r.View != viewEverything {
		return html
	}
	return template.HTML(strings.ReplaceAll(string(html), `<details class="hidden">`, `<details class="hidden" open>`)) //nolint:gosec // of the renderer
}

package reduce

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/nes-run/nes/internal/jsonspan"
	"github.com/nes-run/nes/runner/journal"
)

// record is a line of the journal, read no further than needed: the places of its large parts, in text.
type record struct {
	text  []byte
	at    int64 // of text in the journal
	loose bool  // the text has to be mended when it is copied

	v         int
	t         float64
	kind      string
	cell      int // -1 where the line names none
	typ       string
	content   jsonspan.Span
	transient jsonspan.Span
	blobs     jsonspan.Span
	buffers   jsonspan.Span
	cut       jsonspan.Span
}

// read checks a line and finds its parts; ok is false where it is no line of version 1.
func read(at int64, text []byte) (r record, ok bool) {
	loose, err := jsonspan.Check(text)
	if err != nil {
		return r, false
	}
	r = record{text: text, at: at, loose: loose, cell: -1}
	for key, span := range jsonspan.Fields(text, jsonspan.Span{End: len(text)}) {
		r.field(string(key), span)
	}
	return r, r.v == journal.Version && r.kind != ""
}

func (r *record) field(key string, span jsonspan.Span) {
	switch key {
	case "v":
		r.v = r.int(span, 0)
	case "t":
		r.t = r.float(span)
	case "k":
		r.kind = r.string(span)
	case "cell":
		r.cell = r.int(span, -1)
	case "type":
		r.typ = r.string(span)
	case "content":
		r.content = span
	case "transient":
		r.transient = span
	case "blobs":
		r.blobs = span
	case "buffers":
		r.buffers = span
	case "cut":
		r.cut = span
	}
}

// line decodes the whole line, as far as its fields have the types they should have.
func (r *record) line() (journal.Line, bool) {
	text := r.text
	if r.loose {
		text = jsonspan.Mend(text)
	}
	var l journal.Line
	return l, json.Unmarshal(text, &l) == nil
}

func (r *record) int(s jsonspan.Span, otherwise int) int {
	n, err := strconv.Atoi(string(s.Of(r.text)))
	if err != nil {
		return otherwise
	}
	return n
}

// float is for times and sizes: what is no number, or beyond any calendar, is 0.
func (r *record) float(s jsonspan.Span) float64 {
	f, err := strconv.ParseFloat(string(s.Of(r.text)), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > maxTime {
		return 0
	}
	return f
}

func (r *record) string(s jsonspan.Span) string {
	v, _ := jsonspan.String(r.text, s)
	return v
}

// kindOf is the first byte of the value at s; 0 where there is none.
func (r *record) kindOf(s jsonspan.Span) byte {
	if s.Len() == 0 {
		return 0
	}
	return r.text[s.Start]
}

// field returns the place of one field of the object at in; of several the last.
func (r *record) fieldOf(in jsonspan.Span, name string) (found jsonspan.Span) {
	for key, span := range jsonspan.Fields(r.text, in) {
		if string(key) == name {
			found = span
		}
	}
	return found
}

// place is a piece of the journal; its zero value is none.
type place struct{ at, n int64 }

func (r *record) place(s jsonspan.Span) place {
	return place{r.at + int64(s.Start), int64(s.Len())}
}

// inner is the place of a string, an array or an object without what encloses it.
func (r *record) inner(s jsonspan.Span) place {
	return r.place(jsonspan.Span{Start: s.Start + 1, End: s.End - 1})
}

package reduce

import (
	"encoding/json"
	"strings"

	"github.com/nes-run/nes/internal/jsonspan"
	"github.com/nes-run/nes/runner/journal"
)

// maxID is the longest display id, comm id or stream name that is kept, in bytes.
const maxID = 256

// message applies an IOPub message; it is false where that made no sense.
func (s *State) message(r *record) bool {
	i := r.cell
	if i < 0 {
		i = s.latest // a message that answers no request: of the cell that runs or ran last
	}
	if i < 0 || i >= len(s.cells) || !s.cells[i].ran() || r.kindOf(r.content) != '{' {
		return false
	}
	switch r.typ {
	case "stream":
		return s.streamed(r, i)
	case "display_data", "execute_result", "update_display_data":
		return s.displayed(r, i)
	case "error":
		return s.raised(r, i)
	case "clear_output":
		s.cleared(r, i)
		return true
	case "comm_open", "comm_msg", "comm_close":
		return s.comm(r, i)
	}
	return false
}

// target is where outputs of a cell go: an Output widget that captures them, or the cell.
func (s *State) target(i int) *outputs {
	if w := s.widgets.capturing(i); w != nil {
		w.owned = true
		return w.captured
	}
	return &s.cells[i].outputs
}

func (s *State) streamed(r *record, i int) bool {
	name, text := "stdout", jsonspan.Span{}
	for key, span := range jsonspan.Fields(r.text, r.content) {
		switch string(key) {
		case "name":
			name = streamName(r.string(span))
		case "text":
			text = span
		}
	}
	if r.kindOf(text) != '"' {
		return false
	}
	cut := r.cutOut()
	if cut == nil && text.Len() == 2 {
		return true // nothing was printed
	}
	t := s.write(s.target(i), name, r, place{})
	if cut != nil {
		t.cut(*cut)
	}
	if text.Len() > 2 {
		t.add(r.inner(text))
	}
	return true
}

// cutOut is the line's mark that output was left out, or nil.
func (r *record) cutOut() *journal.Cut {
	var c journal.Cut
	if r.kindOf(r.cut) != '{' || json.Unmarshal(r.cut.Of(r.text), &c) != nil {
		return nil
	}
	return &c
}

func streamName(name string) string {
	switch name {
	case "stdout", "stderr":
		return name // a constant, so that the line is not kept alive
	case "":
		return "stdout"
	}
	return strings.ToValidUTF8(strings.Clone(name[:min(len(name), maxID)]), "")
}

func (s *State) displayed(r *record, i int) bool {
	data, meta, count, transient := jsonspan.Span{}, jsonspan.Span{}, -1, r.transient
	for key, span := range jsonspan.Fields(r.text, r.content) {
		switch string(key) {
		case "data":
			data = span
		case "metadata":
			meta = span
		case "execution_count":
			count = max(r.int(span, -1), -1)
		case "transient":
			transient = span
		}
	}
	if r.kindOf(data) != '{' {
		return false
	}
	v := r.view(data, meta)
	if id := r.string(r.fieldOf(transient, "display_id")); len(id) <= maxID {
		v = s.update(strings.Clone(id), v)
	}
	if r.typ == "update_display_data" {
		return true
	}
	if count >= 0 {
		s.cells[i].count = count
	}
	s.show(s.target(i), &output{view: v, count: count, result: r.typ == "execute_result"})
	return true
}

// update changes what every display with an id shows, and returns the view that the next one shares with them.
func (s *State) update(id string, v *view) *view {
	v.id = id
	known := s.displays[id]
	if id == "" || known == nil {
		return v
	}
	v.shown = known.shown
	*known = *v
	return known
}

// view remembers where a MIME bundle is.
func (r *record) view(data, meta jsonspan.Span) *view {
	v := &view{data: r.inner(data), empty: true, loose: r.loose}
	if r.kindOf(meta) == '{' {
		v.meta = r.place(meta)
	}
	taken := map[string]bool{}
	for key, span := range jsonspan.Fields(r.text, data) {
		v.empty = false
		v.hasText = v.hasText || string(key) == "text/plain"
		v.odd = v.odd || !r.fits(string(key), span)
		if r.blobs.Len() > 0 {
			taken[string(key)] = true
		}
	}
	for key, span := range jsonspan.Fields(r.text, r.blobs) {
		sum := r.string(span)
		if mime := string(key); sum != "" && len(sum) <= maxID && len(mime) <= maxID && !taken[mime] {
			taken[mime] = true
			v.blobs = append(v.blobs, blob{mime, strings.Clone(sum)})
		}
	}
	return v
}

// fits tells whether a notebook may hold a value under a MIME type: JSON types hold
// anything, others text or a list of lines.
func (r *record) fits(mime string, span jsonspan.Span) bool {
	switch {
	case strings.IndexByte(mime, '\\') >= 0:
		return false
	case r.kindOf(span) == '"' || isJSON(mime):
		return true
	case r.kindOf(span) != '[':
		return false
	}
	for e := range jsonspan.Elements(r.text, span) {
		if r.kindOf(e) != '"' {
			return false
		}
	}
	return true
}

func isJSON(mime string) bool {
	return mime == "application/json" || strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")
}

func (s *State) raised(r *record, i int) bool {
	e := &raised{loose: r.loose}
	for key, span := range jsonspan.Fields(r.text, r.content) {
		quoted := r.kindOf(span) == '"'
		switch string(key) {
		case "ename":
			if quoted {
				e.name = r.place(span)
			}
		case "evalue":
			if quoted {
				e.value = r.place(span)
			}
		case "traceback":
			if r.kindOf(span) == '[' && r.fits("text/plain", span) {
				e.trace = r.place(span)
			}
		}
	}
	s.show(s.target(i), &output{raised: e, count: -1})
	return true
}

func (s *State) cleared(r *record, i int) {
	o := s.target(i)
	if truthy(r.fieldOf(r.content, "wait").Of(r.text)) {
		o.clearNext = true
		return
	}
	s.clear(o)
}

// truthy is Python's idea of a JSON value's truth.
func truthy(raw []byte) bool {
	switch string(raw) {
	case "", "null", "false", "0", "0.0", `""`, "[]", "{}":
		return false
	}
	return true
}

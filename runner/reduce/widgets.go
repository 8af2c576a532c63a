package reduce

import (
	"strings"

	"github.com/nes-run/nes/internal/jsonspan"
)

// maxWidgetParts that are remembered: fields of states, and buffers.
const maxWidgetParts = 100_000

// widgets mimics a front end, as far as nbclient does: it keeps the state of Jupyter widgets
// and lets Output widgets capture the outputs of cells.
type widgets struct {
	comms    map[string]*comm
	requests map[string]int  // cells by the id of their request
	hooks    map[int][]*comm // Output widgets that capture a cell's outputs; the last one does
	parts    int
}

// comm is one widget.
type comm struct {
	state    map[string]part // by field, as JSON writes the name
	buffers  []buffer
	captured *outputs // of an Output widget; nil for others
	owned    bool     // the field outputs is what was captured
	hooked   int      // the cell whose outputs it captures, or -1
}

type part struct {
	place
	loose bool
}

// buffer is binary data that belongs to a path within the state.
type buffer struct {
	path string // JSON
	data place  // a JSON string in base64
}

func newWidgets() widgets {
	return widgets{comms: map[string]*comm{}, requests: map[string]int{}, hooks: map[int][]*comm{}}
}

func (w *widgets) capturing(cell int) *comm {
	if h := w.hooks[cell]; len(h) > 0 {
		return h[len(h)-1]
	}
	return nil
}

// comm applies a message between the kernel and a widget.
func (s *State) comm(r *record, i int) bool {
	data := r.fieldOf(r.content, "data")
	state := r.fieldOf(data, "state")
	id := r.string(r.fieldOf(r.content, "comm_id"))
	if r.kindOf(state) != '{' || id == "" || len(id) > maxID {
		return r.kindOf(state) == 0 // a message without state is not for the record
	}
	w := s.widgets.comms[id]
	if w == nil {
		if s.widgets.parts >= maxWidgetParts {
			return false
		}
		w = &comm{state: map[string]part{}, hooked: -1}
		s.widgets.comms[strings.Clone(id)] = w
		s.widgets.parts++
	}
	ok := s.widgets.apply(r, w, state, r.fieldOf(data, "buffer_paths"))
	switch r.typ {
	case "comm_open":
		s.widgets.open(r, w, state)
	case "comm_msg":
		s.widgets.listen(r, w, state, i)
	}
	return ok
}

// apply puts fields and buffers into a widget's state.
func (ws *widgets) apply(r *record, w *comm, state, paths jsonspan.Span) bool {
	ok := true
	for key, span := range jsonspan.Fields(r.text, state) {
		if _, known := w.state[string(key)]; !known {
			if ws.parts >= maxWidgetParts || len(key) > maxID {
				ok = false
				continue
			}
			ws.parts++
		}
		w.state[string(key)] = part{r.place(span), r.loose}
		w.owned = w.owned && string(key) != "outputs"
	}
	var data []jsonspan.Span
	for e := range jsonspan.Elements(r.text, r.buffers) {
		data = append(data, e)
	}
	for path := range jsonspan.Elements(r.text, paths) {
		if len(data) == 0 {
			break
		}
		ok = ws.buffer(r, w, path, data[0]) && ok
		data = data[1:]
	}
	return ok
}

func (ws *widgets) buffer(r *record, w *comm, path, data jsonspan.Span) bool {
	if r.kindOf(path) != '[' || path.Len() > 4*maxID || r.kindOf(data) != '"' || r.loose {
		return false
	}
	b := buffer{string(path.Of(r.text)), r.place(data)}
	for i := range w.buffers {
		if w.buffers[i].path == b.path {
			w.buffers[i] = b
			return true
		}
	}
	if ws.parts >= maxWidgetParts {
		return false
	}
	ws.parts++
	w.buffers = append(w.buffers, b)
	return true
}

// open recognises an Output widget.
func (ws *widgets) open(r *record, w *comm, state jsonspan.Span) {
	if w.captured != nil || r.string(r.fieldOf(state, "_model_module")) != "@jupyter-widgets/output" ||
		r.string(r.fieldOf(state, "_model_name")) != "OutputModel" {
		return
	}
	w.captured = &outputs{}
	if first := r.fieldOf(state, "outputs"); r.kindOf(first) == '[' && first.Len() > 2 && !r.loose {
		w.captured.first = r.inner(first)
	}
}

// listen lets an Output widget capture the outputs of the request that it names, or ends that.
func (ws *widgets) listen(r *record, w *comm, state jsonspan.Span, cell int) {
	msgID := r.fieldOf(state, "msg_id")
	if w.captured == nil || msgID.Len() == 0 {
		return
	}
	if id := r.string(msgID); id != "" {
		if known, ok := ws.requests[id]; ok {
			cell = known
		}
		w.hooked = cell
		if len(ws.hooks[cell]) < maxID {
			ws.hooks[cell] = append(ws.hooks[cell], w)
		}
		return
	}
	h := ws.hooks[w.hooked]
	for i := len(h) - 1; i >= 0; i-- {
		if h[i] == w {
			ws.hooks[w.hooked] = append(h[:i], h[i+1:]...)
			return
		}
	}
}

package reduce

import (
	"encoding/binary"
	"iter"

	"github.com/nes-run/nes/runner/journal"
)

// maxOutputs that a notebook keeps. Beyond it displays are left out, with a note in their cell, and
// stream text goes on in the cell's last stream of its name.
const maxOutputs = 100_000

// maxCuts that one stream is marked with.
const maxCuts = 1000

// output is one output of a cell or of an Output widget: one of its pointers is set.
type output struct {
	stream *stream
	view   *view
	count  int  // execution count of a result; -1 is none
	result bool // execute_result, not display_data
	raised *raised
}

// view is what a display shows. Displays with the same id share it, as an update changes all of them.
type view struct {
	id      string
	shown   int // outputs that show it
	data    place
	meta    place
	empty   bool // data has no fields
	hasText bool // data has text/plain
	loose   bool
	odd     bool // data has values that no notebook may have
	blobs   []blob
}

type blob struct{ mime, sha256 string }

// raised is an error output.
type raised struct {
	name, value, trace place
	loose              bool
}

// stream is the text of adjacent messages of one stream: pieces of JSON strings, packed
// as pairs of the gap to the piece before and the length.
type stream struct {
	name   string
	packed []byte
	last   int64 // where the last piece ends
	pieces int
	cuts   []cut
	loose  bool
}

// cut is output that was left out before a piece.
type cut struct {
	piece int
	journal.Cut
}

func (t *stream) add(p place) {
	t.packed = binary.AppendVarint(t.packed, p.at-t.last)
	t.packed = binary.AppendUvarint(t.packed, uint64(p.n))
	t.last = p.at + p.n
	t.pieces++
}

// cut marks that output was left out behind the last piece.
func (t *stream) cut(c journal.Cut) {
	if n := len(t.cuts); n >= maxCuts {
		t.cuts[n-1].Bytes += c.Bytes
		return
	}
	c.File = short(c.File, maxLabel)
	t.cuts = append(t.cuts, cut{t.pieces, c})
}

// all walks the pieces in order.
func (t *stream) all() iter.Seq2[int, place] {
	return func(yield func(int, place) bool) {
		var last int64
		for i, packed := 0, t.packed; len(packed) > 0; i++ {
			gap, n := binary.Varint(packed)
			length, m := binary.Uvarint(packed[n:])
			packed = packed[n+m:]
			p := place{last + gap, int64(length)}
			last = p.at + p.n
			if !yield(i, p) {
				return
			}
		}
	}
}

// outputs is a list of outputs, of a cell or of an Output widget.
type outputs struct {
	list      []*output
	clearNext bool  // clear_output(wait=True) came: clear before the next output
	dropped   int   // displays left out because there are too many
	first     place // elements that an Output widget was created with
}

// write appends text to the last output, where that is a stream of the same name, or begins a stream.
func (s *State) write(o *outputs, name string, r *record, text place) *stream {
	s.clearIfAsked(o)
	t := o.open(name, s.kept >= maxOutputs)
	if t == nil {
		t = &stream{name: name}
		s.append(o, &output{stream: t})
	}
	t.loose = t.loose || r.loose
	if text.n > 0 {
		t.add(text)
	}
	return t
}

// open returns the stream that text of a name continues; anywhere, the last of that name in the whole list.
func (o *outputs) open(name string, anywhere bool) *stream {
	for i := len(o.list) - 1; i >= 0; i-- {
		if t := o.list[i].stream; t != nil && t.name == name {
			return t
		}
		if !anywhere {
			return nil
		}
	}
	return nil
}

// show appends an output that is no stream.
func (s *State) show(o *outputs, out *output) {
	s.clearIfAsked(o)
	if s.kept >= maxOutputs {
		o.dropped++
		return
	}
	if out.view != nil && out.view.id != "" {
		out.view.shown++
		s.displays[out.view.id] = out.view
	}
	s.append(o, out)
}

func (s *State) append(o *outputs, out *output) {
	o.list = append(o.list, out)
	s.kept++
}

func (s *State) clearIfAsked(o *outputs) {
	if o.clearNext {
		s.clear(o)
	}
}

// clear forgets a list's outputs, and the display ids that only they showed.
func (s *State) clear(o *outputs) {
	for _, out := range o.list {
		if v := out.view; v != nil && v.id != "" {
			if v.shown--; v.shown == 0 {
				delete(s.displays, v.id)
			}
		}
	}
	s.kept -= len(o.list)
	clear(o.list)
	*o = outputs{list: o.list[:0]}
}

package reduce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/jsonspan"
)

// window is how much of the journal is read at a time.
const window = 256 << 10

// copier writes outputs, copying their bodies from the journal and from blobs. It remembers its first error.
type copier struct {
	w      io.Writer
	src    Journal
	buf    []byte
	at     int64 // of buf in the journal
	blobs  map[string]blobState
	failed error
}

func newCopier(src Journal) *copier {
	return &copier{src: src, blobs: map[string]blobState{}}
}

func (c *copier) to(w io.Writer) { c.w = w }

func (c *copier) text(s string) {
	if c.failed == nil {
		_, c.failed = io.WriteString(c.w, s)
	}
}

// place copies a piece of the journal.
func (c *copier) place(p place) { c.copy(c.w, p) }

// mended copies a piece of the journal that may be loose.
func (c *copier) mended(p place, loose bool) {
	if !loose {
		c.place(p)
		return
	}
	m := jsonspan.NewMender(c.w)
	c.copy(m, p)
	c.finish(m)
}

func (c *copier) finish(m *jsonspan.Mender) {
	if err := m.Close(); c.failed == nil {
		c.failed = err
	}
}

func (c *copier) copy(w io.Writer, p place) {
	for p.n > 0 && c.failed == nil {
		if p.at < c.at || p.at >= c.at+int64(len(c.buf)) {
			c.fill(p.at)
			continue
		}
		have := c.buf[p.at-c.at:]
		have = have[:min(int64(len(have)), p.n)]
		_, c.failed = w.Write(have)
		p.at, p.n = p.at+int64(len(have)), p.n-int64(len(have))
	}
}

func (c *copier) fill(at int64) {
	if c.buf == nil {
		c.buf = make([]byte, 0, window)
	}
	n, err := c.src.ReadAt(c.buf[:window], at)
	c.buf, c.at = c.buf[:n], at
	if n > 0 {
		return
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.failed = fmt.Errorf("read the journal at byte %d: %w", at, err)
}

// or copies a place, or writes a value where there is none.
func (c *copier) or(p place, loose bool, otherwise string) {
	if p.n == 0 {
		c.text(otherwise)
		return
	}
	c.mended(p, loose)
}

// cellOutputs writes the outputs of a cell, each on its own line, and what was left out.
func (c *copier) cellOutputs(o *outputs) error {
	sep := "\n    "
	for _, out := range o.list {
		c.text(sep)
		c.output(out)
		sep = ",\n    "
	}
	if o.dropped > 0 {
		c.text(sep)
		c.notice(fmt.Sprintf("[%d outputs are left out here: a notebook holds at most %d]\n", o.dropped, maxOutputs))
	}
	if len(o.list) > 0 || o.dropped > 0 {
		c.text("\n   ")
	}
	return c.failed
}

// notice writes a stream output of ours.
func (c *copier) notice(text string) {
	c.text(`{"output_type": "stream", "name": "stderr", "text": ` + string(encode(text)) + `}`)
}

func (c *copier) output(o *output) {
	switch {
	case o.stream != nil:
		c.stream(o.stream)
	case o.raised != nil:
		c.text(`{"output_type": "error", "ename": `)
		c.or(o.raised.name, o.raised.loose, `""`)
		c.text(`, "evalue": `)
		c.or(o.raised.value, o.raised.loose, `""`)
		c.text(`, "traceback": `)
		c.or(o.raised.trace, o.raised.loose, `[]`)
		c.text(`}`)
	case o.result:
		c.text(`{"output_type": "execute_result", "execution_count": ` + count(o.count) + `, `)
		c.view(o.view)
	default:
		c.text(`{"output_type": "display_data", `)
		c.view(o.view)
	}
}

func count(n int) string {
	if n < 0 {
		return "null"
	}
	return strconv.Itoa(n)
}

// stream joins the pieces of a stream's text to one JSON string.
func (c *copier) stream(t *stream) {
	c.text(`{"output_type": "stream", "name": ` + string(encode(t.name)) + `, "text": `)
	w := c.w
	m := jsonspan.NewMender(w)
	if t.loose {
		c.w = m
	}
	c.text(`"`)
	cuts := t.cuts
	for i, p := range t.all() {
		cuts = c.cuts(cuts, i)
		c.place(p)
	}
	c.cuts(cuts, t.pieces)
	c.text(`"`)
	if t.loose {
		c.finish(m)
	}
	c.w = w
	c.text(`}`)
}

// cuts writes the marks that stand before a piece of a stream's text.
func (c *copier) cuts(cuts []cut, piece int) []cut {
	for len(cuts) > 0 && cuts[0].piece <= piece {
		mark := encode("\n" + cutNotice(&cuts[0].Cut) + "\n")
		c.text(string(mark[1 : len(mark)-1]))
		cuts = cuts[1:]
	}
	return cuts
}

func (c *copier) view(v *view) {
	c.text(`"data": {`)
	if v.odd {
		c.odd(v)
	} else {
		c.mended(v.data, v.loose)
	}
	sep := ", "
	if v.empty {
		sep = ""
	}
	missing := ""
	for _, b := range v.blobs {
		switch state := c.check(b); {
		case state.missing || !state.fits(b.mime):
			missing += fmt.Sprintf("[%s is not here: %s]\n", b.mime, state.why())
		default:
			c.text(sep + string(encode(b.mime)) + `: `)
			c.blob(b, state)
			sep = ", "
		}
	}
	if missing != "" && !v.hasText {
		c.text(sep + `"text/plain": ` + string(encode(missing)))
	}
	c.text(`}, "metadata": `)
	c.or(v.meta, v.loose, `{}`)
	c.text(`}`)
}

// odd writes data whose values no notebook may have: they are shown as the text of their JSON.
func (c *copier) odd(v *view) {
	var text limited
	text.WriteString("{")
	m := jsonspan.NewMender(&text)
	c.copy(m, v.data)
	c.finish(m)
	text.WriteString("}")
	var data fields
	if c.failed != nil || json.Unmarshal(text.Bytes(), &data) != nil {
		return
	}
	for i, mime := range slices.Sorted(maps.Keys(data)) {
		if i > 0 {
			c.text(", ")
		}
		c.text(string(encode(mime)) + `: `)
		c.text(string(plainValue(mime, data[mime])))
	}
}

func plainValue(mime string, raw json.RawMessage) json.RawMessage {
	var lines []*string
	switch {
	case isJSON(mime), len(raw) > 0 && raw[0] == '"':
		return raw
	case json.Unmarshal(raw, &lines) == nil && lines != nil && !slices.Contains(lines, nil):
		return raw
	}
	return encode(string(raw))
}

// blobState is what is known of a blob: it comes from the notebook's volume, and may be anything.
type blobState struct {
	missing bool
	broken  bool
	loose   bool
	kind    byte
}

// fits tells whether a notebook may hold the blob under a MIME type.
func (b blobState) fits(mime string) bool { return !b.broken && (b.kind == '"' || isJSON(mime)) }

func (b blobState) why() string {
	if b.missing {
		return "its body was not stored"
	}
	return "its body is not what it should be"
}

// check reads a blob once to see whether it is JSON; a storage that does not answer is an error.
func (c *copier) check(b blob) blobState {
	state, known := c.blobs[b.sha256]
	if known || c.failed != nil {
		return state
	}
	var checker jsonspan.Checker
	err := c.read(b, &checker)
	switch {
	case errors.Is(err, fs.ErrNotExist) || nes.CodeOf(err) == nes.CodeNotFound:
		state.missing = true
	case checker.Close() != nil && !errors.Is(err, errSource):
		state.broken = true
	case err != nil:
		c.failed = err
	}
	state.loose, state.kind = checker.Loose(), checker.Kind()
	c.blobs[b.sha256] = state
	return state
}

func (c *copier) blob(b blob, state blobState) {
	if c.failed != nil {
		return
	}
	if !state.loose {
		c.failed = c.read(b, c.w)
		return
	}
	m := jsonspan.NewMender(c.w)
	c.failed = c.read(b, m)
	c.finish(m)
}

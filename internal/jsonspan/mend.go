package jsonspan

import (
	"bytes"
	"io"
)

// Mender is a Writer that passes checked JSON text on and repairs it on the way, in pieces of any
// size: NaN and infinities become null, a surrogate escape without its other half becomes \ufffd.
// It also repairs pieces of one string that were cut between the halves of a pair.
type Mender struct {
	w      io.Writer
	out    []byte
	quoted bool
	minus  bool   // a "-" is held back: a number or an infinity follows
	word   int    // letters of a literal to drop
	escape []byte // an escape that is not complete
	high   []byte // a high surrogate's escape, until its other half is seen
}

// NewMender returns a Mender in front of w.
func NewMender(w io.Writer) *Mender { return &Mender{w: w} }

// Mend repairs a whole checked text.
func Mend(text []byte) []byte {
	var b bytes.Buffer
	m := NewMender(&b)
	_, _ = m.Write(text)
	_ = m.Close()
	return b.Bytes()
}

// Write passes the next piece on.
func (m *Mender) Write(p []byte) (int, error) {
	m.out = m.out[:0]
	for _, b := range p {
		switch {
		case m.word > 0:
			m.word--
		case m.quoted:
			m.inString(b)
		default:
			m.outside(b)
		}
	}
	if _, err := m.w.Write(m.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close passes on what was held back.
func (m *Mender) Close() error {
	m.out = m.out[:0]
	m.flushHigh()
	_, err := m.w.Write(m.out)
	return err
}

func (m *Mender) outside(b byte) {
	switch {
	case b == '-':
		m.minus = true
		return
	case b == 'N':
		m.out, m.word = append(m.out, "null"...), len("aN")
		return
	case b == 'I':
		m.out, m.word, m.minus = append(m.out, "null"...), len("nfinity"), false
		return
	case b == '"':
		m.quoted = true
	}
	if m.minus {
		m.out, m.minus = append(m.out, '-'), false
	}
	m.out = append(m.out, b)
}

func (m *Mender) inString(b byte) {
	if len(m.escape) > 0 {
		m.inEscape(b)
		return
	}
	if b == '\\' {
		m.escape = append(m.escape, b)
		return
	}
	m.flushHigh()
	m.quoted = b != '"'
	m.out = append(m.out, b)
}

func (m *Mender) inEscape(b byte) {
	m.escape = append(m.escape, b)
	if m.escape[1] == 'u' && len(m.escape) < len(`\u0000`) {
		return
	}
	unit := rune(0)
	if m.escape[1] == 'u' {
		unit = codeUnit(m.escape)
	}
	switch {
	case unit >= 0xD800 && unit < 0xDC00:
		m.flushHigh()
		m.high = append(m.high, m.escape...)
	case isSurrogate(unit) && len(m.high) > 0:
		m.out = append(append(m.out, m.high...), m.escape...)
		m.high = m.high[:0]
	case isSurrogate(unit):
		m.out = append(m.out, `\ufffd`...)
	default:
		m.flushHigh()
		m.out = append(m.out, m.escape...)
	}
	m.escape = m.escape[:0]
}

// flushHigh replaces a high surrogate whose other half did not come.
func (m *Mender) flushHigh() {
	if len(m.high) > 0 {
		m.out = append(m.out, `\ufffd`...)
		m.high = m.high[:0]
	}
}

package reduce

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// maxScreenLine is the longest line that is held back for what may be written over it.
const maxScreenLine = 64 << 10

// screen is the last line of a terminal, as far as a log needs it: \r writes the line anew, a
// backspace takes a character away, escape sequences vanish. The zero value is an empty line.
type screen struct {
	line   []byte
	begun  bool // the line has had something, be it empty
	redraw bool // \r came: the next character begins the line anew
	skip   skip
}

// skip is where within an escape sequence the text is.
type skip uint8

const (
	skipNothing   skip = iota
	skipEscape         // after ESC
	skipCSI            // ESC [ ... up to a letter
	skipString         // ESC ] or P, X, ^, _ ... up to BEL or ESC \
	skipStringEnd      // ESC within it
)

// write prints UTF-8 text, and passes on the lines that are complete.
func (s *screen) write(out *bytes.Buffer, text []byte) {
	for len(text) > 0 {
		n := s.whole(out, text)
		if n += s.plain(text[n:]); n > 0 {
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		if s.skip != skipNothing && r != '\n' {
			s.sequence(r)
			continue
		}
		switch r {
		case '\n':
			s.begun = true
			s.end(out)
		case '\r':
			s.redraw = true
		case '\b':
			_, n := utf8.DecodeLastRune(s.line)
			s.line = s.line[:len(s.line)-n]
		case '\x1b':
			s.skip = skipEscape
		default:
			s.print(out, r)
		}
	}
}

// whole passes on the complete lines of printable characters that text begins with, and returns their length.
func (s *screen) whole(out *bytes.Buffer, text []byte) int {
	if s.begun || s.redraw || s.skip != skipNothing {
		return 0
	}
	end := 0
	for i, b := range text {
		if b == '\n' {
			end = i + 1
		} else if !printable(b) {
			break
		}
	}
	out.Write(text[:end])
	return end
}

// plain prints the printable characters that text begins with, as far as the line has room, and returns their length.
func (s *screen) plain(text []byte) int {
	if s.skip != skipNothing || s.redraw || len(s.line) >= maxScreenLine {
		return 0
	}
	n := 0
	for most := min(len(text), maxScreenLine-len(s.line)); n < most && printable(text[n]); {
		n++
	}
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n-- // a character that has no room is none that is cut
	}
	if n > 0 {
		s.line, s.begun = append(s.line, text[:n]...), true
	}
	return n
}

// printable tells whether a byte is of a character that is no control character, whatever stands
// beside it. 0xC2 begins some that are and some that are not.
func printable(b byte) bool { return b >= ' ' && b != 0x7f && b != 0xC2 }

func (s *screen) print(out *bytes.Buffer, r rune) {
	if r != '\t' && unicode.IsControl(r) {
		return
	}
	if s.redraw {
		s.line, s.redraw = s.line[:0], false
	}
	if len(s.line) >= maxScreenLine {
		out.Write(s.line)
		s.line = s.line[:0]
	}
	s.line, s.begun = utf8.AppendRune(s.line, r), true
}

// end completes the line, where there is one.
func (s *screen) end(out *bytes.Buffer) {
	if s.begun {
		out.Write(s.line)
		out.WriteByte('\n')
	}
	*s = screen{line: s.line[:0]}
}

func (s *screen) sequence(r rune) {
	switch s.skip {
	case skipEscape:
		s.skip = skipNothing
		switch r {
		case '[':
			s.skip = skipCSI
		case ']', 'P', 'X', '^', '_':
			s.skip = skipString
		}
	case skipCSI:
		if r < ' ' || r >= '@' {
			s.skip = skipNothing
		}
	case skipString:
		if r == '\a' {
			s.skip = skipNothing
		} else if r == '\x1b' {
			s.skip = skipStringEnd
		}
	case skipStringEnd:
		s.skip = skipNothing
	}
}

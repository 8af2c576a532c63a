package reduce

import (
	"strings"
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

// write prints text, and passes on the lines that are complete.
func (s *screen) write(out *strings.Builder, text string) {
	for text != "" {
		if n := s.plain(text); n > 0 {
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
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

// plain prints the printable ASCII that text begins with, as far as the line has room, and returns its length.
func (s *screen) plain(text string) int {
	if s.skip != skipNothing || s.redraw || len(s.line) >= maxScreenLine {
		return 0
	}
	n := 0
	for most := min(len(text), maxScreenLine-len(s.line)); n < most && text[n] >= ' ' && text[n] <= '~'; {
		n++
	}
	if n > 0 {
		s.line, s.begun = append(s.line, text[:n]...), true
	}
	return n
}

func (s *screen) print(out *strings.Builder, r rune) {
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
func (s *screen) end(out *strings.Builder) {
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

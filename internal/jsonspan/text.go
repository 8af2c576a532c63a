package jsonspan

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// textPiece is the size that decoded text is collected to.
const textPiece = 4 << 10

// Text decodes the inside of a checked string, which is what stands between its quotes, piece by piece. A piece holds whole characters
// and is good until the next. Surrogate escapes without their other half become U+FFFD.
func Text(inner []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var room [textPiece]byte
		buf := room[:0]
		for len(inner) > 0 {
			n := bytes.IndexByte(inner, '\\')
			if n < 0 {
				n = len(inner)
			}
			if len(buf) > 0 && len(buf)+n+utf8.UTFMax > textPiece {
				if !yield(buf) {
					return
				}
				buf = buf[:0]
			}
			switch {
			case n+utf8.UTFMax <= textPiece:
				buf = append(buf, inner[:n]...)
			case !yield(inner[:n]):
				return
			}
			if inner = inner[n:]; len(inner) > 0 {
				buf, inner = unescape(buf, inner)
			}
		}
		if len(buf) > 0 {
			yield(buf)
		}
	}
}

// unescape appends the character whose escape text begins with, and returns what follows it.
func unescape(dst, text []byte) (all, rest []byte) {
	switch b := text[1]; b {
	case 'n':
		return append(dst, '\n'), text[2:]
	case 't':
		return append(dst, '\t'), text[2:]
	case 'r':
		return append(dst, '\r'), text[2:]
	case 'b':
		return append(dst, '\b'), text[2:]
	case 'f':
		return append(dst, '\f'), text[2:]
	case 'u':
		r, n := unescapeRune(text)
		return utf8.AppendRune(dst, r), text[n:]
	default: // a quote, a slash, a backslash
		return append(dst, b), text[2:]
	}
}

// unescapeRune decodes the \u escape, or the pair of them, that text begins with, and returns its length.
func unescapeRune(text []byte) (rune, int) {
	const size = len(`\u0000`)
	r := codeUnit(text)
	if !isSurrogate(r) {
		return r, size
	}
	if next := text[size:]; len(next) >= size && next[0] == '\\' && next[1] == 'u' {
		if pair := utf16.DecodeRune(r, codeUnit(next)); pair != utf8.RuneError {
			return pair, 2 * size
		}
	}
	return utf8.RuneError, size
}

// codeUnit is the value of the \u escape that text begins with.
func codeUnit(text []byte) rune {
	unit := rune(0)
	for _, d := range text[2:6] {
		v, _ := hexValue(d)
		unit = unit<<4 | v
	}
	return unit
}

package jsonspan

import (
	"bytes"
	"iter"
	"strings"
)

// Span is a place in a text: the bytes from Start up to End.
type Span struct{ Start, End int }

// Len is the number of bytes.
func (s Span) Len() int { return s.End - s.Start }

// Of returns the bytes at s in text.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End] }

// Fields walks the object at in, which must have been checked: raw keys, without their quotes and with
// their escapes, and the places of their values in text. Anything but an object has no fields.
func Fields(text []byte, in Span) iter.Seq2[[]byte, Span] {
	return func(yield func([]byte, Span) bool) {
		i := skipSpace(text, in.Start)
		if i >= in.End || text[i] != '{' {
			return
		}
		for i = skipSpace(text, i+1); text[i] != '}'; {
			if text[i] == ',' {
				i = skipSpace(text, i+1)
			}
			end := skipString(text, i)
			key := text[i+1 : end-1]
			start := skipSpace(text, skipSpace(text, end)+1)
			i = skipValue(text, start)
			if !yield(key, Span{start, i}) {
				return
			}
			i = skipSpace(text, i)
		}
	}
}

// Elements walks the array at in, which must have been checked. Anything but an array has no elements.
func Elements(text []byte, in Span) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		i := skipSpace(text, in.Start)
		if i >= in.End || text[i] != '[' {
			return
		}
		for i = skipSpace(text, i+1); text[i] != ']'; {
			if text[i] == ',' {
				i = skipSpace(text, i+1)
			}
			start := i
			i = skipValue(text, start)
			if !yield(Span{start, i}) {
				return
			}
			i = skipSpace(text, i)
		}
	}
}

// String decodes the string at s; ok is false for anything else.
func String(text []byte, s Span) (value string, ok bool) {
	raw := s.Of(text)
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	var b strings.Builder
	for piece := range Text(inner) {
		b.Write(piece)
	}
	return b.String(), true
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the place after the string that begins at i.
func skipString(text []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(text[i:], '"')
		slashes := 0
		for text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}

func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipContainer(text, i)
	}
	for i < len(text) {
		switch text[i] {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

func skipContainer(text []byte, i int) int {
	for depth := 0; ; {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
}

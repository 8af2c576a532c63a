// Package diff finds what differs between two lists or two texts.
package diff

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pair is a line of a comparison: the same thing in both lists, or one that only one of them has, where the other's index is -1.
type Pair struct{ A, B int }

// maxCells bounds the table by which two lists are matched; beyond it they count as wholly different.
const maxCells = 2 << 20

// Match lines two lists up, with as much in common as can be, in order.
func Match[T comparable](a, b []T) []Pair {
	var pairs []Pair
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		pairs = append(pairs, Pair{head, head})
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	pairs = append(pairs, between(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for ; tail > 0; tail-- {
		pairs = append(pairs, Pair{len(a) - tail, len(b) - tail})
	}
	return pairs
}

// between matches what lies between a common head and a common tail; both lists begin at the same place, from.
func between[T comparable](a, b []T, from int) (pairs []Pair) {
	i, j := 0, 0
	if len(a) > 0 && len(b) > 0 && len(a) <= maxCells/len(b) {
		longest := lengths(a, b)
		for width := len(b) + 1; i < len(a) && j < len(b); {
			switch {
			case a[i] == b[j]:
				pairs = append(pairs, Pair{from + i, from + j})
				i, j = i+1, j+1
			case longest[(i+1)*width+j] >= longest[i*width+j+1]:
				pairs = append(pairs, Pair{from + i, -1})
				i++
			default:
				pairs = append(pairs, Pair{-1, from + j})
				j++
			}
		}
	}
	for ; i < len(a); i++ {
		pairs = append(pairs, Pair{from + i, -1})
	}
	for ; j < len(b); j++ {
		pairs = append(pairs, Pair{-1, from + j})
	}
	return pairs
}

// lengths is, by row i and column j, how much a from i on and b from j on have in common.
func lengths[T comparable](a, b []T) []int32 {
	width := len(b) + 1
	table := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i*width+j] = table[(i+1)*width+j+1] + 1
			} else {
				table[i*width+j] = max(table[(i+1)*width+j], table[i*width+j+1])
			}
		}
	}
	return table
}

// Op says where a piece of text is.
type Op int8

// Where a piece is.
const (
	Same    Op = iota // in both
	Removed           // in the first alone
	Added             // in the second alone
)

// Span is a piece of text.
type Span struct {
	Op   Op
	Text string
}

// Words compares two texts line by line, and word by word where lines differ.
func Words(a, b string) []Span {
	x, y := lines(a), lines(b)
	var out spans
	var removed, added strings.Builder
	flush := func() {
		out.words(removed.String(), added.String())
		removed.Reset()
		added.Reset()
	}
	for _, p := range Match(x, y) {
		switch {
		case p.B < 0:
			removed.WriteString(x[p.A])
		case p.A < 0:
			added.WriteString(y[p.B])
		default:
			flush()
			out.add(Same, x[p.A])
		}
	}
	flush()
	return out
}

type spans []Span

// add appends a piece, to the one before it where that is of the same kind.
func (s *spans) add(op Op, text string) {
	if text == "" {
		return
	}
	if n := len(*s); n > 0 && (*s)[n-1].Op == op {
		(*s)[n-1].Text += text
		return
	}
	*s = append(*s, Span{op, text})
}

// words compares two blocks of lines that differ.
func (s *spans) words(a, b string) {
	x, y := tokens(a), tokens(b)
	pairs := Match(x, y)
	common, all := 0, 0
	for _, p := range pairs {
		if p.A >= 0 {
			all += len(x[p.A])
		} else {
			all += len(y[p.B])
		}
		if p.A >= 0 && p.B >= 0 {
			common += len(strings.TrimSpace(x[p.A]))
		}
	}
	if common*5 < all { // so little is common that single words would only confuse
		s.add(Removed, a)
		s.add(Added, b)
		return
	}
	for _, p := range pairs {
		switch {
		case p.B < 0:
			s.add(Removed, x[p.A])
		case p.A < 0:
			s.add(Added, y[p.B])
		default:
			s.add(Same, x[p.A])
		}
	}
}

func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		list = append(list, line)
	}
	return list
}

// tokens are words, runs of spaces, and single other signs.
func tokens(text string) (list []string) {
	for len(text) > 0 {
		first, size := utf8.DecodeRuneInString(text)
		n := size
		for kind := kindOf(first); kind != other && n < len(text); {
			c, size := utf8.DecodeRuneInString(text[n:])
			if kindOf(c) != kind {
				break
			}
			n += size
		}
		list = append(list, text[:n])
		text = text[n:]
	}
	return list
}

type kind int8

const (
	other kind = iota
	letter
	space
)

func kindOf(c rune) kind {
	switch {
	case unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_':
		return letter
	case unicode.IsSpace(c):
		return space
	}
	return other
}

package notebook

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON from a stream value by value. Unlike encoding/json's decoder it
// knows the offset of every value and never holds a whole string, so that its memory does
// not grow with the file.
type scanner struct {
	r     *bufio.Reader
	off   int64 // of the next byte
	depth int
	tee   io.Writer // gets every byte that is consumed; nil is nobody
}

// errSyntax is JSON that is none, or that ends too early.
type errSyntax struct {
	off int64
	msg string
}

func (e *errSyntax) Error() string { return fmt.Sprintf("%s at byte %d", e.msg, e.off) }

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, 64<<10)} }

func (s *scanner) fail(format string, args ...any) error {
	return &errSyntax{s.off, fmt.Sprintf(format, args...)}
}

// window returns bytes that are to come, at least one.
func (s *scanner) window() ([]byte, error) {
	if s.r.Buffered() == 0 {
		if _, err := s.r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, s.fail("the file ends in the middle")
			}
			return nil, err
		}
	}
	return s.r.Peek(s.r.Buffered())
}

// take consumes the first n bytes of the last window.
func (s *scanner) take(b []byte) {
	if s.tee != nil {
		_, _ = s.tee.Write(b)
	}
	n, _ := s.r.Discard(len(b))
	s.off += int64(n)
}

// peek skips white space and returns the byte that follows.
func (s *scanner) peek() (byte, error) {
	for {
		w, err := s.window()
		if err != nil {
			return 0, err
		}
		i := 0
		for i < len(w) && (w[i] == ' ' || w[i] == '\n' || w[i] == '\t' || w[i] == '\r') {
			i++
		}
		if i < len(w) {
			c := w[i]
			s.take(w[:i])
			return c, nil
		}
		s.take(w)
	}
}

func (s *scanner) expect(c byte) error {
	got, err := s.peek()
	if err != nil {
		return err
	}
	if got != c {
		return s.fail("%q where %q should be", got, c)
	}
	return s.takeOne()
}

func (s *scanner) takeOne() error {
	w, err := s.window()
	if err != nil {
		return err
	}
	s.take(w[:1])
	return nil
}

// sequence reads an object or array: item is called before each element and must consume it.
func (s *scanner) sequence(open, end byte, item func(i int) error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.depth++; s.depth > MaxDepth {
		return s.fail("nested deeper than %d", MaxDepth)
	}
	defer func() { s.depth-- }()
	for i := 0; ; i++ {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c == end {
			return s.takeOne()
		}
		if i > 0 {
			if err := s.expect(','); err != nil {
				return err
			}
		}
		if err := item(i); err != nil {
			return err
		}
	}
}

// object reads an object; field must consume the value of key.
func (s *scanner) object(field func(key string) error) error {
	return s.sequence('{', '}', func(int) error {
		if c, err := s.peek(); err != nil || c != '"' {
			return cmpErr(err, s.fail("an object's key is missing"))
		}
		key := capture{limit: maxName}
		if err := s.str(&key); err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return field(key.text())
	})
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// array reads an array; item must consume an element.
func (s *scanner) array(item func(i int) error) error { return s.sequence('[', ']', item) }

// skip consumes one value of any kind.
func (s *scanner) skip() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return s.object(func(string) error { return s.skip() })
	case '[':
		return s.array(func(int) error { return s.skip() })
	case '"':
		return s.str(io.Discard)
	default:
		_, err := s.word()
		return err
	}
}

// maxWord is the longest number that is read; Python writes integers of any length.
const maxWord = 64 << 10

// word consumes a number, true, false or null and returns it.
func (s *scanner) word() (string, error) {
	if _, err := s.peek(); err != nil {
		return "", err
	}
	var word []byte
	for len(word) <= maxWord {
		w, err := s.window()
		if err != nil && len(word) > 0 {
			break // a number may end the file
		}
		if err != nil {
			return "", err
		}
		i := 0
		for i < len(w) && isWord(w[i]) {
			i++
		}
		word = append(word, w[:i]...)
		rest := i < len(w)
		s.take(w[:i])
		if rest {
			break
		}
	}
	return string(word), s.checkWord(string(word))
}

func (s *scanner) checkWord(word string) error {
	switch word {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
		return nil // Python writes the last three
	}
	if _, err := strconv.ParseFloat(word, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return s.fail("a value is missing or malformed")
	}
	return nil
}

func isWord(c byte) bool {
	return c == '-' || c == '+' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// str consumes a string and writes what it stands for to w, piece by piece.
func (s *scanner) str(w io.Writer) error {
	if err := s.expect('"'); err != nil {
		return err
	}
	for {
		b, err := s.window()
		if err != nil {
			return err
		}
		i := plain(b)
		if _, err := w.Write(b[:i]); err != nil {
			return err
		}
		if i == len(b) {
			s.take(b)
			continue
		}
		c := b[i]
		s.take(b[:i+1])
		switch {
		case c == '"':
			return nil
		case c == '\\':
			if err := s.escape(w); err != nil {
				return err
			}
		default: // a raw control character: not JSON, but readable
			_, _ = w.Write([]byte{c})
		}
	}
}

// plain counts the leading bytes that stand for themselves.
func plain(b []byte) int {
	for i, c := range b {
		if c == '"' || c == '\\' || c < 0x20 {
			return i
		}
	}
	return len(b)
}

func (s *scanner) escape(w io.Writer) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	for i := range len(from) {
		if from[i] == c {
			_, err := io.WriteString(w, to[i:i+1])
			return err
		}
	}
	if c != 'u' {
		return s.fail("a string has the unknown escape \\%c", c)
	}
	r, err := s.unicode()
	if err != nil {
		return err
	}
	var out [utf8.UTFMax]byte
	_, err = w.Write(out[:utf8.EncodeRune(out[:], r)])
	return err
}

// unicode reads the digits of \uXXXX, and of a second one that completes a surrogate pair.
func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	w, err := s.r.Peek(6)
	if err != nil || w[0] != '\\' || w[1] != 'u' {
		return utf8.RuneError, nil // a lone half
	}
	low, err := strconv.ParseUint(string(w[2:6]), 16, 16)
	pair := utf16.DecodeRune(r, rune(low))
	if err != nil || pair == utf8.RuneError {
		return utf8.RuneError, nil
	}
	s.take(w)
	return pair, nil
}

func (s *scanner) hex4() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c, err := s.next()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, s.fail("a string has a malformed \\u escape")
	}
	return rune(n), nil
}

func (s *scanner) next() (byte, error) {
	w, err := s.window()
	if err != nil {
		return 0, err
	}
	c := w[0]
	s.take(w[:1])
	return c, nil
}

package jsonspan

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// MaxDepth of nested arrays and objects. Python's own reader gives up near a thousand.
const MaxDepth = 512

// The ways in which text is no JSON.
var (
	ErrSyntax   = errors.New("not JSON")
	ErrDepth    = errors.New("nested too deeply")
	ErrEncoding = errors.New("not UTF-8")
)

type state uint8

const (
	wantValue state = iota // a value, nothing else
	wantFirst              // a value, or the end of the array
	wantKey                // a key, nothing else
	wantKey1               // a key, or the end of the object
	wantColon
	wantNext // a comma, or the end of the container
	wantEnd  // white space only
	inString
	inEscape
	inHex
	inWord   // true, false, null, NaN, Infinity
	inMinus  // after "-"
	inZero   // after "0"
	inInt    // digits before a point
	inPoint  // after "."
	inFrac   // digits after the point
	inExp    // after "e"
	inSign   // after the exponent's sign
	inExpInt // digits of the exponent
)

// Checker is a Writer that accepts one JSON value in UTF-8 with white space around it, in pieces
// of any size. The zero value is ready.
type Checker struct {
	st    state
	stack []bool // true is an object
	isKey bool   // the string under way is a key
	hex   int    // digits of \u still to come
	unit  rune   // their value so far
	word  string // what is left of a literal
	kind  byte
	loose bool
	tail  []byte // bytes of a rune that a piece cut
	err   error
}

// Check reads a whole text. Loose tells whether it has to be mended before it is shown to strict readers.
func Check(text []byte) (loose bool, err error) {
	var c Checker
	if _, err := c.Write(text); err != nil {
		return false, err
	}
	return c.loose, c.Close()
}

// Loose tells whether a NaN, an infinity or an escaped surrogate was seen.
func (c *Checker) Loose() bool { return c.loose }

// Kind returns the first byte of the value: one of { [ " t f n N I - or a digit; 0 before it was seen.
func (c *Checker) Kind() byte { return c.kind }

// Write checks the next piece.
func (c *Checker) Write(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.write(p)
	}
	if c.err != nil {
		return 0, c.err
	}
	return len(p), nil
}

// Close tells whether the text is complete.
func (c *Checker) Close() error {
	if c.err != nil {
		return c.err
	}
	if len(c.tail) > 0 {
		return ErrEncoding
	}
	top := len(c.stack) == 0
	if c.st == wantEnd || top && (c.st == inZero || c.st == inInt || c.st == inFrac || c.st == inExpInt) {
		return nil
	}
	return ErrSyntax
}

func (c *Checker) write(p []byte) error {
	if !c.utf8(p) {
		return ErrEncoding
	}
	for i := 0; i < len(p); {
		switch c.st {
		case inString:
			i += simple(p[i:])
		case inInt, inFrac:
			i += digits(p[i:])
		}
		if i == len(p) {
			break
		}
		if err := c.step(p[i]); err != nil {
			return err
		}
		i++
	}
	return nil
}

// utf8 checks the encoding, holding back the start of a rune that the next piece completes.
func (c *Checker) utf8(p []byte) bool {
	for len(c.tail) > 0 && len(p) > 0 {
		c.tail, p = append(c.tail, p[0]), p[1:]
		if utf8.FullRune(c.tail) {
			if !utf8.Valid(c.tail) {
				return false
			}
			c.tail = c.tail[:0]
		}
	}
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if last := p[len(p)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				c.tail = append(c.tail, last...)
				p = p[:len(p)-n]
			}
			break
		}
	}
	return utf8.Valid(p)
}

// simple returns the length of the plain bytes and two-byte escapes at the start of p, which is within a string.
func simple(p []byte) int {
	for i := 0; ; i += 2 {
		i += plain(p[i:])
		if i+1 >= len(p) || p[i] != '\\' || !shortEscape(p[i+1]) {
			return i
		}
	}
}

// shortEscape tells whether a backslash and b are a whole escape.
func shortEscape(b byte) bool {
	switch b {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

// plain returns how many bytes at the start of p stand for themselves within a string.
func plain(p []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		control := (w - ones*0x20) &^ w
		if (control|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
	}
	for ; i < len(p); i++ {
		if b := p[i]; b < 0x20 || b == '"' || b == '\\' {
			break
		}
	}
	return i
}

// digits returns how many digits p begins with.
func digits(p []byte) int {
	i := 0
	for i < len(p) && p[i] >= '0' && p[i] <= '9' {
		i++
	}
	return i
}

func (c *Checker) step(b byte) error {
	switch c.st {
	case inString:
		return c.inString(b)
	case inEscape:
		return c.escape(b)
	case inHex:
		return c.hexDigit(b)
	case inWord:
		return c.inWord(b)
	case inMinus, inZero, inInt, inPoint, inFrac, inExp, inSign, inExpInt:
		return c.number(b)
	}
	if b == ' ' || b == '\t' || b == '\n' || b == '\r' {
		return nil
	}
	return c.structure(b)
}

func (c *Checker) structure(b byte) error {
	switch c.st {
	case wantValue:
		return c.begin(b)
	case wantFirst:
		if b == ']' {
			return c.pop(false)
		}
		return c.begin(b)
	case wantKey, wantKey1:
		if b == '}' && c.st == wantKey1 {
			return c.pop(true)
		}
		if b != '"' {
			return ErrSyntax
		}
		c.st, c.isKey = inString, true
		return nil
	case wantColon:
		if b != ':' {
			return ErrSyntax
		}
		c.st = wantValue
		return nil
	case wantNext:
		return c.next(b)
	}
	return ErrSyntax
}

// begin starts a value.
func (c *Checker) begin(b byte) error {
	if c.kind == 0 {
		c.kind = b
	}
	switch {
	case b == '"':
		c.st, c.isKey = inString, false
	case b == '{', b == '[':
		if len(c.stack) == MaxDepth {
			return ErrDepth
		}
		c.stack = append(c.stack, b == '{')
		c.st = wantFirst
		if b == '{' {
			c.st = wantKey1
		}
	case b == '-':
		c.st = inMinus
	case b == '0':
		c.st = inZero
	case b >= '1' && b <= '9':
		c.st = inInt
	default:
		return c.beginWord(b)
	}
	return nil
}

func (c *Checker) beginWord(b byte) error {
	switch b {
	case 't':
		c.word = "rue"
	case 'f':
		c.word = "alse"
	case 'n':
		c.word = "ull"
	case 'N':
		c.word, c.loose = "aN", true
	case 'I':
		c.word, c.loose = "nfinity", true
	default:
		return ErrSyntax
	}
	c.st = inWord
	return nil
}

func (c *Checker) inWord(b byte) error {
	if b != c.word[0] {
		return ErrSyntax
	}
	if c.word = c.word[1:]; c.word == "" {
		c.end()
	}
	return nil
}

// end is after a value.
func (c *Checker) end() {
	if len(c.stack) == 0 {
		c.st = wantEnd
		return
	}
	c.st = wantNext
}

func (c *Checker) next(b byte) error {
	object := c.stack[len(c.stack)-1]
	switch {
	case b == ',' && object:
		c.st = wantKey
	case b == ',':
		c.st = wantValue
	case b == '}':
		return c.pop(true)
	case b == ']':
		return c.pop(false)
	default:
		return ErrSyntax
	}
	return nil
}

func (c *Checker) pop(object bool) error {
	last := len(c.stack) - 1
	if c.stack[last] != object {
		return ErrSyntax
	}
	c.stack = c.stack[:last]
	c.end()
	return nil
}

func (c *Checker) inString(b byte) error {
	switch {
	case b == '"' && c.isKey:
		c.st = wantColon
	case b == '"':
		c.end()
	case b == '\\':
		c.st = inEscape
	case b < 0x20:
		return ErrSyntax
	}
	return nil
}

func (c *Checker) escape(b byte) error {
	switch {
	case shortEscape(b):
		c.st = inString
	case b == 'u':
		c.st, c.hex, c.unit = inHex, 4, 0
	default:
		return ErrSyntax
	}
	return nil
}

func (c *Checker) hexDigit(b byte) error {
	d, ok := hexValue(b)
	if !ok {
		return ErrSyntax
	}
	c.unit = c.unit<<4 | d
	if c.hex--; c.hex == 0 {
		c.loose = c.loose || isSurrogate(c.unit)
		c.st = inString
	}
	return nil
}

func (c *Checker) number(b byte) error {
	digit := b >= '0' && b <= '9'
	switch st := c.st; {
	case st == inMinus && b == '0':
		c.st = inZero
	case st == inMinus && digit, st == inInt && digit:
		c.st = inInt
	case st == inMinus && b == 'I':
		return c.beginWord(b)
	case (st == inZero || st == inInt) && b == '.':
		c.st = inPoint
	case (st == inPoint || st == inFrac) && digit:
		c.st = inFrac
	case (st == inZero || st == inInt || st == inFrac) && (b == 'e' || b == 'E'):
		c.st = inExp
	case st == inExp && (b == '+' || b == '-'):
		c.st = inSign
	case (st == inExp || st == inSign || st == inExpInt) && digit:
		c.st = inExpInt
	case st == inZero || st == inInt || st == inFrac || st == inExpInt:
		c.end()
		return c.step(b)
	default:
		return ErrSyntax
	}
	return nil
}

func hexValue(b byte) (rune, bool) {
	switch {
	case b >= '0' && b <= '9':
		return rune(b - '0'), true
	case b >= 'a' && b <= 'f':
		return rune(b-'a') + 10, true
	case b >= 'A' && b <= 'F':
		return rune(b-'A') + 10, true
	}
	return 0, false
}

func isSurrogate(r rune) bool { return r >= 0xD800 && r < 0xE000 }

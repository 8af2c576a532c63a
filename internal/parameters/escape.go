package parameters

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleEscapes of Python's strings.
var simpleEscapes = map[byte]string{
	'\n': "", '\\': "\\", '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// unescape reads the escapes of a Python string. It answers false for characters
// that Unicode does not have, and for those given by name.
func unescape(s string) (string, bool) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		out.WriteString(before)
		if !found {
			return out.String(), utf8.ValidString(out.String())
		}
		text, rest, ok := escape(after)
		if !ok {
			return "", false
		}
		out.WriteString(text)
		s = rest
	}
}

// escape reads what follows a backslash.
func escape(s string) (text, rest string, ok bool) {
	if s == "" {
		return "", "", false
	}
	if text, known := simpleEscapes[s[0]]; known {
		return text, s[1:], true
	}
	switch c := s[0]; c {
	case 'x':
		return codePoint(s[1:], 2)
	case 'u':
		return codePoint(s[1:], 4)
	case 'U':
		return codePoint(s[1:], 8)
	case 'N':
		return "", "", false
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n := 1
		for n < 3 && n < len(s) && '0' <= s[n] && s[n] <= '7' {
			n++
		}
		v, _ := strconv.ParseUint(s[:n], 8, 32) // three octal digits
		return string(rune(v)), s[n:], true
	}
	return `\`, s, true
}

// codePoint reads a character given by so many hexadecimal digits.
func codePoint(s string, digits int) (text, rest string, ok bool) {
	if len(s) < digits {
		return "", "", false
	}
	v, err := strconv.ParseUint(s[:digits], 16, 32)
	if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
		return "", "", false
	}
	return string(rune(v)), s[digits:], true
}

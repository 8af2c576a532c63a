package parameters

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pythonNumber reads 10, 1_000, 0xff, 0b1, 1.5, .5, 1e6.
func pythonNumber(s string) literal {
	if text, ok := integerText(s); ok {
		return literal{typeInt, text}
	}
	if text, ok := decimalText(s); ok && strings.ContainsAny(s, ".eE") {
		return literal{typeFloat, text}
	}
	return literal{}
}

// maxDigits bounds the numbers that are computed with; longer ones are not read.
const maxDigits = 4000

// integerText is the JSON text of an integer as Python writes it, with or without base and underscores.
func integerText(s string) (json.RawMessage, bool) {
	if s == "" || len(s) > maxDigits {
		return nil, false
	}
	if strings.Trim(s, "0_") == "" && s[0] == '0' && !strings.HasSuffix(s, "_") {
		return json.RawMessage("0"), true
	}
	if s[0] == '0' && (len(s) < 2 || strings.IndexByte("xXoObB", s[1]) < 0) {
		return nil, false
	}
	n, ok := new(big.Int).SetString(s, 0)
	if !ok {
		return nil, false
	}
	return json.RawMessage(n.String()), true
}

// decimalText is the JSON text of a decimal number as Python writes it, digit for digit.
func decimalText(s string) (json.RawMessage, bool) {
	if strings.ContainsAny(s, "xX") || !grouped(s) {
		return nil, false
	}
	s = strings.ReplaceAll(s, "_", "")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		plain, signed := strings.CutPrefix(s[i+1:], "+")
		if mantissa, exponent = s[:i], "e"+plain; signed && !isDigit(plain, 0) {
			return nil, false
		}
	}
	whole, fraction, dotted := strings.Cut(mantissa, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	text := whole
	if dotted && fraction == "" {
		fraction = "0"
	}
	if fraction != "" {
		text += "." + fraction
	}
	text += exponent
	if _, err := strconv.ParseFloat(text, 64); err != nil || mantissa == "." || whole[0] == '-' || !json.Valid([]byte(text)) {
		return nil, false
	}
	return json.RawMessage(text), true
}

// grouped reports whether each underscore of a number stands between digits.
func grouped(s string) bool {
	for i := range len(s) {
		if s[i] == '_' && (i == 0 || !isDigit(s, i-1) || !isDigit(s, i+1)) {
			return false
		}
	}
	return true
}

// pythonStrings joins neighbouring strings. An f-string has a type and no value; bytes have neither.
func pythonStrings(tokens []token) literal {
	var text strings.Builder
	known := true
	for _, t := range tokens {
		if t.kind != kindString {
			return literal{}
		}
		switch prefix := prefixOf(t.s); {
		case strings.ContainsAny(prefix, "bBtT"):
			return literal{}
		case strings.ContainsAny(prefix, "fF"):
			known = false
		default:
			s, ok := pythonString(t.s)
			known = known && ok
			text.WriteString(s)
		}
	}
	if !known {
		return literal{name: typeStr}
	}
	return literal{typeStr, quote(text.String())}
}

func prefixOf(s string) string { return s[:strings.IndexAny(s, `"'`)] }

// pythonString is the text of one string token, without regard to f and b. It
// answers false for text that Unicode does not have.
func pythonString(s string) (string, bool) {
	prefix := prefixOf(s)
	body := s[len(prefix):]
	n := 1
	if len(body) >= 6 && (strings.HasPrefix(body, `"""`) || strings.HasPrefix(body, "'''")) {
		n = 3
	}
	body = body[n : len(body)-n]
	if strings.ContainsAny(prefix, "rR") {
		return body, utf8.ValidString(body)
	}
	return unescape(body)
}

package parameters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
)

func fit(s Schema, given map[string]json.RawMessage) (map[string]json.RawMessage, []nes.Conversion, error) {
	fitted := make(map[string]json.RawMessage, len(given))
	var conversions []nes.Conversion
	var problems []nes.Problem
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p, why := find(s, name)
		value := compact(given[name])
		if why == "" && value == nil {
			why = "is not JSON"
		}
		if why != "" {
			problems = append(problems, problem(name, why))
			continue
		}
		to, why := fitValue(p, value)
		if why != "" {
			problems = append(problems, problem(name, why))
			continue
		}
		fitted[name] = to
		if !bytes.Equal(to, value) {
			conversions = append(conversions, nes.Conversion{Name: name, From: value, To: to, Type: p.Type})
		}
	}
	if len(problems) == 0 {
		problems = s.violations(fitted)
	}
	if err := nes.Invalid(problems); err != nil {
		return nil, nil, err
	}
	return fitted, conversions, nil
}

// find returns what is declared of a name, or why it may not be given.
func find(s Schema, name string) (Parameter, string) {
	if why := badName(name, s.Language); why != "" {
		return Parameter{}, why
	}
	for _, p := range s.Parameters {
		if p.Name == name {
			return p, ""
		}
	}
	if s.Declared {
		return Parameter{}, unknownName(name, s)
	}
	return Parameter{Name: name}, ""
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return nil
	}
	return b.Bytes()
}

// fitValue converts value, which is compact JSON, to what p declares, or says why that cannot be:
//
//	int    integers; 60.0 and "60", "007", "60.0", "6e1" become 60
//	float  decimal numbers; 60 becomes 60.0, "1.50" becomes 1.50
//	bool   true, false; "true", "True", "false" and "False" become them
//	str    text; a number becomes its text exactly as it was sent (20240131 becomes "20240131")
//	list   arrays; text that is one, as JSON or as Python writes it, becomes it
//	dict   the same with objects
//	date   text, as it is
//
// Null passes where the declaration allows it, and "None" or "null" become it where text is
// not a value itself. A type that only the default shows is a hint: null passes, and a
// number of the other kind (1.5 for x = 1) as it is. Where the type is unknown everything passes as it is.
func fitValue(p Parameter, value json.RawMessage) (json.RawMessage, string) {
	if isNull(value) || p.Optional && p.Type != typeStr && p.Type != typeDate && isNoneText(value) {
		return fitNull(p)
	}
	fitted, ok := convert(p, value)
	if !ok {
		return nil, fmt.Sprintf("%s does not fit: the notebook declares %s", shorten(value), describe(p))
	}
	if len(p.Choices) > 0 && !slices.ContainsFunc(p.Choices, func(c json.RawMessage) bool { return same(c, fitted) }) {
		return nil, fmt.Sprintf("%s is not one of the notebook's choices: %s", shorten(value), bytes.Join(rawBytes(p.Choices), []byte(", ")))
	}
	if why := outside(p, fitted); why != "" {
		return nil, why
	}
	return fitted, ""
}

// same compares a choice with a value. Many clients write every letter beyond ASCII as an escape.
func same(choice, value json.RawMessage) bool {
	var a, b string
	if json.Unmarshal(choice, &a) == nil && json.Unmarshal(value, &b) == nil {
		return a == b
	}
	return bytes.Equal(choice, value)
}

func fitNull(p Parameter) (json.RawMessage, string) {
	if !p.Optional && !p.Inferred && p.Type != "" && p.Type != typeNone {
		return nil, fmt.Sprintf("null does not fit: the notebook declares %s, and not Optional[%s]", describe(p), p.Type)
	}
	return json.RawMessage("null"), ""
}

// convert answers false where value cannot be of the type without loss.
func convert(p Parameter, value json.RawMessage) (json.RawMessage, bool) {
	switch p.Type {
	case typeInt:
		if to, ok := toInt(value); ok {
			return to, true
		}
		return value, p.Inferred && isNumber(value)
	case typeFloat:
		return toFloat(value)
	case typeBool:
		return toBool(value)
	case typeStr:
		if isNumber(value) {
			return quote(string(value)), true
		}
		return value, value[0] == '"'
	case typeDate:
		return value, value[0] == '"'
	case typeList:
		return toContainer(value, '[')
	case typeDict:
		return toContainer(value, '{')
	}
	return value, true
}

func toInt(value json.RawMessage) (json.RawMessage, bool) {
	s, ok := numberText(value)
	if !ok {
		return nil, false
	}
	digits, negative := strings.CutPrefix(s, "-")
	if d := strings.TrimLeft(digits, "0"); d != "" && len(d) <= maxDigits && strings.Trim(d, "0123456789") == "" {
		return sign(d, negative), true
	}
	if len(digits) > maxDigits || exponentOf(digits) > maxExponent {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(digits)
	if !ok || !r.IsInt() {
		return nil, false
	}
	return sign(r.Num().String(), negative && r.Sign() != 0), true
}

// maxExponent is the largest that is computed with.
const maxExponent = 400

// exponentOf is the size of the exponent that a number is written with.
func exponentOf(s string) int {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return 0
	}
	n, err := strconv.Atoi(s[i+1:])
	if err != nil {
		return 1 << 20
	}
	return max(n, -n)
}

func sign(digits string, negative bool) json.RawMessage {
	if negative {
		return json.RawMessage("-" + digits)
	}
	return json.RawMessage(digits)
}

func toFloat(value json.RawMessage) (json.RawMessage, bool) {
	s, ok := numberText(value)
	if !ok {
		return nil, false
	}
	if value[0] != '"' && strings.ContainsAny(s, ".eE") {
		_, err := strconv.ParseFloat(s, 64) // what is too large would become an infinity
		return value, err == nil
	}
	digits, negative := strings.CutPrefix(s, "-")
	text, ok := decimalText(digits)
	if !ok {
		return nil, false
	}
	return floatText(string(sign(string(text), negative))), true
}

// floatText writes a number so that it is read as a float: 60 becomes 60.0. A whole
// number that no float is equal to stays one.
func floatText(s string) json.RawMessage {
	if strings.ContainsAny(s, ".eE") {
		return json.RawMessage(s)
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return json.RawMessage(s)
	}
	if _, accuracy := new(big.Float).SetInt(n).Float64(); accuracy != big.Exact {
		return json.RawMessage(s)
	}
	return json.RawMessage(s + ".0")
}

func toBool(value json.RawMessage) (json.RawMessage, bool) {
	switch string(value) {
	case "true", "false":
		return value, true
	case `"true"`, `"True"`:
		return json.RawMessage("true"), true
	case `"false"`, `"False"`:
		return json.RawMessage("false"), true
	}
	return nil, false
}

// toContainer reads text as JSON, else as Python writes lists and dicts, because
// templates of DAGs render them so.
func toContainer(value json.RawMessage, open byte) (json.RawMessage, bool) {
	if value[0] == open {
		return value, true
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return nil, false
	}
	if v := compact(json.RawMessage(text)); v != nil && v[0] == open {
		return v, true
	}
	statements, err := lex(text, python)
	if err != nil || len(statements) != 1 || !statements[0].tokens[0].is(string(open)) {
		return nil, false
	}
	lit := pythonLiteral(statements[0].tokens)
	return lit.json, lit.json != nil && lit.json[0] == open
}

// numberText is the text of a number, or of text that is one, without blanks,
// underscores and a plus.
func numberText(value json.RawMessage) (string, bool) {
	if isNumber(value) {
		return string(value), true
	}
	var s string
	if json.Unmarshal(value, &s) != nil {
		return "", false
	}
	s, signed := strings.CutPrefix(strings.TrimSpace(s), "+")
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits[:1], "0123456789.") != "" || strings.Trim(digits, "0123456789._eE+-") != "" {
		return "", false
	}
	if !grouped(digits) || signed && s != digits {
		return "", false
	}
	return strings.ReplaceAll(s, "_", ""), true
}

func isNumber(value json.RawMessage) bool {
	return value[0] == '-' || '0' <= value[0] && value[0] <= '9'
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

func isNoneText(value json.RawMessage) bool {
	return string(value) == `"None"` || string(value) == `"null"`
}

// describe is the declaration in words.
func describe(p Parameter) string {
	if p.Inferred {
		return fmt.Sprintf("%s = %s", p.Name, shorten(json.RawMessage(p.Source)))
	}
	return fmt.Sprintf("%s: %s", p.Name, p.Type)
}

// shorten shows a value in a message.
func shorten(value json.RawMessage) string {
	const most = 60
	if r := []rune(string(value)); len(r) > most {
		return string(r[:most]) + "..."
	}
	return string(value)
}

func rawBytes(values []json.RawMessage) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

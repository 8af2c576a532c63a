package parameters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
)

// A help text may end with rules in square brackets, in every language that is read:
//
//	region = "seoul"  # where the fares are from [choices: seoul, busan, jeju]
//	days: int = 7     # how far to look back [range: 1..90]
//
// A range may be open at one side (1.. or ..90) and is of numbers or of dates. The form is
// this narrow so that no comment becomes a rule by accident; a rule that cannot be read binds nobody
// and is named in Schema.Notes.
var rule = regexp.MustCompile(`\s*\[(choices|range):([^\[\]]*)\]$`)

// constrain takes the rules off the help texts and into the parameters.
func (s *Schema) constrain() {
	for i := range s.Parameters {
		p := &s.Parameters[i]
		for {
			found := rule.FindStringSubmatchIndex(p.Help)
			if found == nil {
				break
			}
			word, text := p.Help[found[2]:found[3]], strings.TrimSpace(p.Help[found[4]:found[5]])
			if err := p.follow(word, text); err != "" {
				s.Notes = append(s.Notes, fmt.Sprintf("%s: [%s: %s] is not used: %s", p.Name, word, text, err))
				break
			}
			p.Help = p.Help[:found[0]]
		}
	}
}

// follow reads one rule, or says why it cannot be one.
func (p *Parameter) follow(word, text string) string {
	if word == "choices" {
		return p.choose(text)
	}
	return p.limit(text)
}

func (p *Parameter) choose(text string) string {
	var choices []json.RawMessage
	for word := range strings.SplitSeq(text, ",") {
		choice, ok := p.valueOf(strings.TrimSpace(word))
		if !ok {
			return fmt.Sprintf("%q is no %s", strings.TrimSpace(word), orValue(p.Type))
		}
		choices = append(choices, choice)
	}
	p.Choices = choices
	return ""
}

func (p *Parameter) limit(text string) string {
	low, high, ok := strings.Cut(text, "..")
	low, high = strings.TrimSpace(low), strings.TrimSpace(high)
	if !ok || low == "" && high == "" {
		return "a range is written 1..90, 1.. or ..90"
	}
	if p.Type != typeInt && p.Type != typeFloat && p.Type != typeDate {
		return "a range is of an int, a float or a date"
	}
	var minimum, maximum json.RawMessage
	for _, end := range []struct {
		text string
		to   *json.RawMessage
	}{{low, &minimum}, {high, &maximum}} {
		if end.text == "" {
			continue
		}
		value, ok := p.valueOf(end.text)
		if !ok || !comparable(value) {
			return fmt.Sprintf("%q is no %s", end.text, p.Type)
		}
		*end.to = value
	}
	if minimum != nil && maximum != nil && compare(minimum, maximum) > 0 {
		return "it is empty"
	}
	p.Minimum, p.Maximum = minimum, maximum
	return ""
}

// valueOf reads a word of a rule as a value of the parameter: text needs no quotes.
func (p *Parameter) valueOf(word string) (json.RawMessage, bool) {
	if lit, ok := wholeString(word); ok && (p.Type == typeStr || p.Type == typeDate || p.Type == "") {
		return lit, true
	}
	switch {
	case word == "":
		return nil, false
	case p.Type == typeStr || p.Type == typeDate:
		return quote(word), true
	case p.Type == typeBool: // TRUE in R, True in Python, true in Julia
		return convert(*p, quote(strings.ToLower(word)))
	case p.Type == typeInt || p.Type == typeFloat:
		return convert(*p, quote(word))
	case p.Type == "" || p.Type == typeNone:
		if lit := readLiteral(word); lit.json != nil {
			return lit.json, true
		}
		return quote(word), true
	}
	return nil, false
}

// wholeString reads a word in quotes.
func wholeString(word string) (json.RawMessage, bool) {
	if len(word) < 2 || !strings.ContainsAny(word[:1], `"'`) {
		return nil, false
	}
	lit := readLiteral(word)
	return lit.json, lit.name == typeStr && lit.json != nil
}

// readLiteral reads a word as Python would.
func readLiteral(word string) literal {
	statements, err := lex(word, python)
	if err != nil || len(statements) != 1 {
		return literal{}
	}
	return pythonLiteral(statements[0].tokens)
}

func orValue(name string) string {
	if name == "" {
		return "value"
	}
	return name
}

// outside says why a value is not within the parameter's range; "" when it is.
func outside(p Parameter, value json.RawMessage) string {
	if p.Minimum == nil && p.Maximum == nil {
		return ""
	}
	switch {
	case !comparable(value) && p.Type == typeDate:
		return fmt.Sprintf("%s is no date such as 2024-01-31, and the notebook takes %s", shorten(value), p.rangeText())
	case !comparable(value):
		return fmt.Sprintf("%s cannot be compared with what the notebook takes: %s", shorten(value), p.rangeText())
	case p.Minimum != nil && compare(value, p.Minimum) < 0, p.Maximum != nil && compare(value, p.Maximum) > 0:
		return fmt.Sprintf("%s is outside of what the notebook takes: %s", shorten(value), p.rangeText())
	}
	return ""
}

// Rule says for people what values the parameter takes beside its type; "" is any.
func (p Parameter) Rule() string {
	if p.Minimum == nil && p.Maximum == nil {
		return ""
	}
	return p.rangeText()
}

// rangeText is the range for people.
func (p *Parameter) rangeText() string {
	text := func(v json.RawMessage) string { return strings.Trim(string(v), `"`) }
	switch {
	case p.Maximum == nil:
		return text(p.Minimum) + " or more"
	case p.Minimum == nil:
		return "at most " + text(p.Maximum)
	}
	return text(p.Minimum) + " to " + text(p.Maximum)
}

// comparable reports whether a value can be within a range: a number, or an ISO date.
func comparable(value json.RawMessage) bool {
	if isNumber(value) {
		return len(value) <= maxDigits && exponentOf(string(value)) <= maxExponent
	}
	_, ok := dateOf(value)
	return ok
}

// compare orders two comparable values of one kind.
func compare(a, b json.RawMessage) int {
	if isNumber(a) && isNumber(b) {
		x, _ := new(big.Rat).SetString(string(a))
		y, _ := new(big.Rat).SetString(string(b))
		return x.Cmp(y)
	}
	x, _ := dateOf(a)
	y, _ := dateOf(b)
	return x.Compare(y)
}

// dateOf reads an ISO date, with or without time and offset.
func dateOf(value json.RawMessage) (time.Time, bool) {
	text := string(bytes.Trim(value, `"`))
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", time.DateTime, time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

package parameters

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// literal is what a default shows: its type, and its value where that is one that JSON has.
type literal struct {
	name string          // one of the types, or empty
	json json.RawMessage // nil where only the kernel can know
}

// grammar is what reading literals has to know of a language.
type grammar struct {
	constants map[string]literal
	number    func(string) literal
	strings   func([]token) literal
	call      func(g *grammar, name string, args []token) literal // such as date(2024, 1, 31)
	dicts     bool                                                // {"a": 1} is a dict
}

var pythonGrammar = grammar{
	constants: map[string]literal{
		"True":  {typeBool, json.RawMessage("true")},
		"False": {typeBool, json.RawMessage("false")},
		"None":  {typeNone, json.RawMessage("null")},
	},
	number: pythonNumber, strings: pythonStrings, call: pythonCall, dicts: true,
}

// pythonLiteral reads an expression. What is no literal gives at most its type.
func pythonLiteral(tokens []token) literal { return pythonGrammar.expression(tokens) }

// expression reads one value, or several between commas as a list.
func (g *grammar) expression(tokens []token) literal {
	if indexOperator(tokens, ",") >= 0 {
		return g.sequence(tokens)
	}
	return g.value(tokens)
}

func (g *grammar) value(tokens []token) literal {
	if len(tokens) == 0 {
		return literal{}
	}
	first, last := tokens[0], tokens[len(tokens)-1]
	switch {
	case len(tokens) == 1 && first.kind == kindName:
		return g.constants[first.s]
	case len(tokens) == 1 && first.kind == kindNumber:
		return g.number(first.s)
	case first.kind == kindString:
		return g.strings(tokens)
	case first.is("-") || first.is("+"):
		return g.signed(tokens)
	case !closesAtEnd(tokens):
		return g.calling(tokens)
	case first.is("[") && last.is("]"):
		return g.sequence(tokens[1 : len(tokens)-1])
	case first.is("{") && last.is("}") && g.dicts:
		return g.mapping(tokens[1 : len(tokens)-1])
	case first.is("(") && last.is(")"):
		return g.parenthesis(tokens[1 : len(tokens)-1])
	}
	return literal{}
}

// closesAtEnd reports whether the bracket that opens tokens is closed by the last of them.
func closesAtEnd(tokens []token) bool {
	if first := tokens[0]; !first.is("(") && !first.is("[") && !first.is("{") {
		return false
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("(") || t.is("[") || t.is("{"):
			depth++
		case t.is(")") || t.is("]") || t.is("}"):
			depth--
		}
		if depth == 0 {
			return i == len(tokens)-1
		}
	}
	return false
}

// parenthesis is a tuple, or one value in parentheses.
func (g *grammar) parenthesis(inner []token) literal {
	if len(inner) > 0 && indexOperator(inner, ",") < 0 {
		return g.value(inner)
	}
	return g.sequence(inner)
}

// sequence reads elements between commas.
func (g *grammar) sequence(inner []token) literal {
	var out bytes.Buffer
	out.WriteByte('[')
	for i, part := range elements(inner) {
		v := g.value(part)
		if v.json == nil {
			return literal{name: typeList}
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(v.json)
	}
	out.WriteByte(']')
	return literal{typeList, out.Bytes()}
}

// elements cuts at commas; the last comma may be followed by nothing.
func elements(inner []token) [][]token {
	parts := splitTop(inner, ",")
	if len(parts[len(parts)-1]) == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// mapping reads a dict. A set has no counterpart in JSON.
func (g *grammar) mapping(inner []token) literal {
	parts := elements(inner)
	if len(parts) > 0 && indexOperator(parts[0], ":") < 0 && !(len(parts[0]) > 0 && parts[0][0].is("**")) {
		return literal{}
	}
	return g.pairs(inner, ":")
}

// pairs reads keys and values. Keys that are no strings have no counterpart in JSON.
func (g *grammar) pairs(inner []token, operator string) literal {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, part := range elements(inner) {
		key, value, ok := cut(part, operator)
		k, v := g.key(key), g.value(value)
		if !ok || k == nil || v.json == nil {
			return literal{name: typeDict}
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(k)
		out.WriteByte(':')
		out.Write(v.json)
	}
	out.WriteByte('}')
	return literal{typeDict, out.Bytes()}
}

// key of a dict: a string, or, where dicts are made by calls with names, a name.
func (g *grammar) key(tokens []token) json.RawMessage {
	if len(tokens) == 1 && tokens[0].kind == kindName && !g.dicts {
		return quote(tokens[0].s)
	}
	if v := g.value(tokens); v.name == typeStr {
		return v.json
	}
	return nil
}

// calling reads a call by the last part of the function's name. Two names without a dot
// between them are no name of a function: not int(x), a or str(b).
func (g *grammar) calling(tokens []token) literal {
	base, n := dottedName(tokens)
	if n == 0 || n == len(tokens) || !tokens[n].is("(") || !closesAtEnd(tokens[n:]) {
		return literal{}
	}
	return g.call(g, base, tokens[n+1:len(tokens)-1])
}

// dottedName reads a name such as datetime.date: its last part, and of how many tokens it is. Zero is none.
func dottedName(tokens []token) (last string, n int) {
	for n < len(tokens) && (n%2 == 0 && tokens[n].kind == kindName || n%2 == 1 && tokens[n].is(".")) {
		if n%2 == 0 {
			last = tokens[n].s
		}
		n++
	}
	if n%2 == 0 {
		return "", 0 // nothing, or a dot at the end
	}
	return last, n
}

// pythonCall knows the type that some calls give, and the value of a date.
func pythonCall(_ *grammar, name string, args []token) literal {
	switch name {
	case "int", "float", "bool", "str", "list", "dict", "tuple":
		return literal{name: typeNames[name]}
	case "date":
		return date(args, time.DateOnly)
	case "datetime":
		return date(args, "2006-01-02T15:04:05")
	}
	return literal{}
}

// date reads the numbers of datetime.date(2024, 1, 31) and datetime.datetime(2024, 1, 31, 12, 30).
func date(args []token, layout string) literal {
	var part [6]int
	parts := elements(args)
	if len(parts) < 3 || len(parts) > len(part) || len(parts) > 3 && layout == time.DateOnly {
		return literal{name: typeDate}
	}
	for i, p := range parts {
		n, err := strconv.Atoi(strings.ReplaceAll(textOf(p), "_", ""))
		if err != nil || len(p) != 1 {
			return literal{name: typeDate}
		}
		part[i] = n
	}
	t := time.Date(part[0], time.Month(part[1]), part[2], part[3], part[4], part[5], 0, time.UTC)
	if t.Year() != part[0] || int(t.Month()) != part[1] || t.Day() != part[2] || part[0] < 1 || part[0] > 9999 {
		return literal{name: typeDate}
	}
	return literal{typeDate, quote(t.Format(layout))}
}

func textOf(tokens []token) string {
	if len(tokens) == 0 {
		return ""
	}
	return tokens[0].s
}

// signed reads a number after its signs.
func (g *grammar) signed(tokens []token) literal {
	negative := false
	for len(tokens) > 0 && (tokens[0].is("-") || tokens[0].is("+")) {
		negative = negative != tokens[0].is("-")
		tokens = tokens[1:]
	}
	v := g.value(tokens)
	switch {
	case v.name != typeInt && v.name != typeFloat:
		return literal{}
	case v.json == nil || !negative || v.name == typeInt && string(v.json) == "0":
		return v
	}
	text, was := strings.CutPrefix(string(v.json), "-")
	return literal{v.name, sign(text, !was)}
}

// quote is s as a JSON string, with nothing escaped that need not be.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail
	return bytes.TrimRight(b.Bytes(), "\n")
}

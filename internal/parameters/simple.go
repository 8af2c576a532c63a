package parameters

import (
	"encoding/json"
	"slices"
	"strings"
)

// What is read of R: name <- value and name = value, with numbers, strings, TRUE,
// NULL, c(...) and list(...).
var r = dialect{
	single: true, multiline: true, dotted: true,
	operators: []string{"<<-", "->>", "<-", "->", "==", "<=", ">=", "!=", "|>", "::", "&&", "||"},
}

var rGrammar = grammar{
	constants: map[string]literal{
		"TRUE": {typeBool, json.RawMessage("true")}, "T": {typeBool, json.RawMessage("true")},
		"FALSE": {typeBool, json.RawMessage("false")}, "F": {typeBool, json.RawMessage("false")},
		"NULL": {typeNone, json.RawMessage("null")},
	},
	number: rNumber, strings: oneString, call: rCall,
}

// What is read of Julia: name = value and name::Type = value, with numbers,
// strings, true, nothing, arrays, tuples and Dict(...).
var julia = dialect{
	triple: true, multiline: true, block: true,
	operators: []string{"===", "!==", "==", "<=", ">=", "!=", "=>", "::", "->", "&&", "||", "+=", "-=", "*=", "/=", "^=", "|>"},
}

var juliaGrammar = grammar{
	constants: map[string]literal{
		"true": {typeBool, json.RawMessage("true")}, "false": {typeBool, json.RawMessage("false")},
		"nothing": {typeNone, json.RawMessage("null")},
	},
	number: pythonNumber, strings: juliaString, call: juliaCall,
}

// juliaTypes by their names.
var juliaTypes = map[string]string{
	"Int": typeInt, "Int8": typeInt, "Int16": typeInt, "Int32": typeInt, "Int64": typeInt, "Int128": typeInt, "Integer": typeInt, "BigInt": typeInt,
	"UInt": typeInt, "UInt8": typeInt, "UInt16": typeInt, "UInt32": typeInt, "UInt64": typeInt,
	"Float16": typeFloat, "Float32": typeFloat, "Float64": typeFloat, "AbstractFloat": typeFloat, "BigFloat": typeFloat,
	"Bool": typeBool, "String": typeStr, "AbstractString": typeStr,
	"Vector": typeList, "Array": typeList, "Tuple": typeList, "AbstractVector": typeList, "Dict": typeDict, "AbstractDict": typeDict,
	"Nothing": typeNone,
}

func readR(source string) (*declarations, bool) {
	statements, err := lex(source, r)
	if err != nil {
		return nil, false
	}
	found := &declarations{}
	for i := range statements {
		s := &statements[i]
		if slices.ContainsFunc(s.tokens, func(t token) bool { return t.is("`") }) {
			return nil, false // a name between backticks may be any text
		}
		if name, value, ok := assigned(s.tokens, "<-", "=", "<<-"); ok {
			found.add(parameter(name, declaredType{}, s, value, &rGrammar))
		}
		mentionNested(found, s.tokens)
	}
	return found, true
}

// mentionNested finds what a statement assigns elsewhere than at its beginning: in the body of an if or a
// function, in a chain, and to the right of "->". Between parentheses a "=" names an argument instead.
func mentionNested(found *declarations, tokens []token) {
	var open []string
	for i, t := range tokens {
		switch {
		case t.is("(") || t.is("[") || t.is("{"):
			open = append(open, t.s)
		case t.is(")") || t.is("]") || t.is("}"):
			open = open[:len(open)-1]
		case t.is("->") || t.is("->>"):
			mentionName(found, tokens, i+1)
		case t.is("<-"), t.is("<<-"), t.is("=") && (len(open) == 0 || open[len(open)-1] == "{"):
			mentionName(found, tokens, i-1)
		}
	}
}

func mentionName(found *declarations, tokens []token, i int) {
	if i >= 0 && i < len(tokens) && tokens[i].kind == kindName {
		found.mention(tokens[i].s, "")
	}
}

func readJulia(source string) (*declarations, bool) {
	statements, err := lex(source, julia)
	if err != nil {
		return nil, false
	}
	found := &declarations{}
	for i := range statements {
		s := &statements[i]
		for len(s.tokens) > 0 && s.tokens[0].isName("const", "global", "local") {
			s.tokens = s.tokens[1:]
		}
		parts := splitTop(s.tokens, "=")
		targets, value := parts[:len(parts)-1], parts[len(parts)-1]
		for _, target := range targets {
			name, annotation, typed := cut(target, "::")
			if !typed {
				name = target
			}
			if len(name) == 1 && name[0].kind == kindName {
				found.add(parameter(name[0].s, juliaType(annotation), s, value, &juliaGrammar))
				continue
			}
			mentionUnpacked(found, s, target)
		}
	}
	return found, true
}

// mentionUnpacked finds the names in a, (b, c) = f(), and in the body of an if on one line, which the "=" follows.
func mentionUnpacked(found *declarations, s *statement, target []token) {
	for _, name := range names([][]token{target}) {
		found.mention(name, "")
	}
	if len(target) > 1 && s.tokens[0].isName("if", "for", "while", "let", "begin", "try") {
		mentionName(found, target, len(target)-1)
	}
}

// parameter makes one of an assignment with an optional type.
func parameter(name string, t declaredType, s *statement, value []token, g *grammar) Parameter {
	p := Parameter{Name: name, Type: t.name, Optional: t.optional, Choices: t.choices, Source: s.text(value), Help: s.help}
	lit := g.expression(value)
	p.Default = lit.json
	switch {
	case !t.given:
		p.Type, p.Inferred = lit.name, lit.name != ""
		p.Optional = lit.name == typeNone
	case lit.name == typeNone:
		p.Optional = true
	case t.name == typeFloat && lit.name == typeInt && lit.json != nil:
		p.Default = floatText(string(lit.json))
	}
	return p
}

// assigned reads a name, one of the operators and a value.
func assigned(tokens []token, operators ...string) (name string, value []token, ok bool) {
	if len(tokens) < 3 || tokens[0].kind != kindName {
		return "", nil, false
	}
	for _, op := range operators {
		if tokens[1].is(op) {
			return tokens[0].s, tokens[2:], true
		}
	}
	return "", nil, false
}

func cut(tokens []token, operator string) (before, after []token, ok bool) {
	if i := indexOperator(tokens, operator); i >= 0 {
		return tokens[:i], tokens[i+1:], true
	}
	return nil, nil, false
}

// rNumber reads 3, 3L and 1.5. R's plain 3 is shown as the whole number that it is.
func rNumber(s string) literal {
	if text, whole := strings.CutSuffix(s, "L"); whole {
		if n, ok := integerText(text); ok {
			return literal{typeInt, n}
		}
		return literal{}
	}
	return pythonNumber(s)
}

func oneString(tokens []token) literal {
	if len(tokens) != 1 {
		return literal{}
	}
	s, ok := pythonString(tokens[0].s)
	if !ok {
		return literal{name: typeStr}
	}
	return literal{typeStr, quote(s)}
}

// juliaString is known where nothing is interpolated into it.
func juliaString(tokens []token) literal {
	if len(tokens) == 1 && strings.Contains(tokens[0].s, "$") {
		return literal{name: typeStr}
	}
	return oneString(tokens)
}

func rCall(g *grammar, name string, args []token) literal {
	named := indexOperator(args, "=") >= 0
	switch {
	case name == "c" && !named, name == "list" && !named:
		return g.sequence(args)
	case name == "list":
		return g.pairs(args, "=")
	case name == "c":
		return literal{name: typeList}
	}
	return literal{}
}

func juliaCall(g *grammar, name string, args []token) literal {
	if name == "Dict" {
		return g.pairs(args, "=>")
	}
	return literal{}
}

func juliaType(tokens []token) declaredType {
	if len(tokens) == 0 {
		return declaredType{}
	}
	if !tokens[0].isName("Union") || len(tokens) < 4 {
		return declaredType{given: true, name: juliaTypes[tokens[0].s]}
	}
	out := declaredType{given: true}
	var known []string
	for _, part := range splitTop(tokens[2:len(tokens)-1], ",") {
		if name := juliaTypes[textOf(part)]; name == typeNone {
			out.optional = true
		} else {
			known = append(known, name)
		}
	}
	if len(known) == 1 {
		out.name = known[0]
	}
	return out
}

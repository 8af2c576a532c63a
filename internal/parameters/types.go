package parameters

import (
	"encoding/json"
	"strings"
)

// declaredType is what an annotation says.
type declaredType struct {
	given    bool   // there is an annotation that says something of the value
	name     string // one of the types; empty is one that is not known here
	optional bool
	choices  []json.RawMessage
}

// typeNames of Python, by the last part of a dotted name.
var typeNames = map[string]string{
	"int": typeInt, "float": typeFloat, "bool": typeBool, "str": typeStr,
	"list": typeList, "List": typeList, "tuple": typeList, "Tuple": typeList, "Sequence": typeList, "MutableSequence": typeList,
	"Iterable": typeList, "Collection": typeList,
	"dict": typeDict, "Dict": typeDict, "Mapping": typeDict, "MutableMapping": typeDict,
	"date": typeDate, "datetime": typeDate,
	"None": typeNone, "NoneType": typeNone,
}

// typeComment reads papermill's "type: int what it is for".
func typeComment(comment string) (declaredType, string) {
	rest, ok := strings.CutPrefix(comment, "type:")
	if !ok {
		return declaredType{}, comment
	}
	rest = strings.TrimSpace(rest)
	end := endOfType(rest)
	word, help := rest[:end], strings.TrimSpace(rest[end:])
	if word == "ignore" || strings.HasPrefix(word, "ignore[") {
		return declaredType{}, help
	}
	return parseTypeText(word), help
}

// endOfType is where the first blank outside of brackets stands, as in "Dict[str, int] by name".
func endOfType(text string) int {
	depth := 0
	for i, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth <= 0 && (c == ' ' || c == '\t'):
			return i
		}
	}
	return len(text)
}

func parseTypeText(text string) declaredType {
	statements, err := lex(text, python)
	if err != nil || len(statements) != 1 {
		return declaredType{given: text != ""}
	}
	return parseType(statements[0].tokens)
}

// parseType reads an annotation.
func parseType(tokens []token) declaredType {
	return typeOf(tokens, maxDepth)
}

func typeOf(tokens []token, depth int) declaredType {
	if len(tokens) == 0 || depth == 0 {
		return declaredType{}
	}
	if parts := splitTop(tokens, "|"); len(parts) > 1 {
		return union(parts, depth)
	}
	if len(tokens) == 1 && tokens[0].kind == kindString {
		return quotedType(tokens[0], depth)
	}
	base, args := splitGeneric(tokens)
	switch base {
	case "Optional":
		t := typeOf(args, depth-1)
		t.given, t.optional = true, true
		return t
	case "Union":
		return union(splitTop(args, ","), depth)
	case "Annotated", "Final", "ClassVar", "Required":
		return typeOf(splitTop(args, ",")[0], depth-1)
	case "Literal":
		return literalType(args)
	}
	name := typeNames[base]
	return declaredType{given: true, name: name, optional: name == typeNone}
}

// quotedType reads an annotation that is written as a string.
func quotedType(t token, depth int) declaredType {
	text, ok := pythonString(t.s)
	if !ok {
		return declaredType{given: true}
	}
	statements, err := lex(text, python)
	if err != nil || len(statements) != 1 {
		return declaredType{given: true}
	}
	return typeOf(statements[0].tokens, depth-1)
}

// splitGeneric cuts typing.List[int] into "List" and its arguments.
func splitGeneric(tokens []token) (base string, args []token) {
	base, i := dottedName(tokens)
	switch n := len(tokens); {
	case i == n:
		return base, nil
	case i > 0 && tokens[i].is("[") && tokens[n-1].is("]"):
		return base, tokens[i+1 : n-1]
	}
	return "", nil
}

// union of types: one type and None is that type, optional; several are not known here.
func union(parts [][]token, depth int) declaredType {
	out := declaredType{given: true}
	for i, part := range parts {
		t := typeOf(part, depth-1)
		out.optional = out.optional || t.optional
		switch {
		case t.name == typeNone:
		case i > 0 && out.name != "" && out.name != t.name:
			return declaredType{given: true, optional: out.optional || mentionsNone(parts)}
		case t.name == "":
			return declaredType{given: true, optional: out.optional || mentionsNone(parts)}
		default:
			out.name, out.choices = t.name, append(out.choices, t.choices...)
		}
	}
	return out
}

func mentionsNone(parts [][]token) bool {
	for _, p := range parts {
		if len(p) == 1 && p[0].isName("None") {
			return true
		}
	}
	return false
}

// literalType reads the arguments of Literal["a", "b"]: choices of one type.
func literalType(args []token) declaredType {
	out := declaredType{given: true}
	for _, part := range splitTop(args, ",") {
		lit := pythonLiteral(part)
		switch {
		case lit.name == typeNone:
			out.optional = true
		case lit.json == nil || out.name != "" && out.name != lit.name:
			return declaredType{given: true, optional: out.optional}
		default:
			out.name, out.choices = lit.name, append(out.choices, lit.json)
		}
	}
	return out
}

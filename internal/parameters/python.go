package parameters

import (
	"slices"
	"strings"
)

var python = dialect{
	triple: true, single: true, prefixes: true, escapes: true,
	operators: []string{
		"**=", "//=", ">>=", "<<=", "==", "!=", "<=", ">=", ":=", "+=", "-=", "*=", "/=", "%=", "@=", "&=", "|=", "^=", "->", "**", "//", ">>", "<<",
	},
}

// readPython reads a cell in Python, as IPython takes it.
func readPython(source string) (*declarations, bool) {
	source, ok := cellMagic(source)
	if !ok {
		return nil, false
	}
	statements, err := lex(source, python)
	if err != nil {
		return nil, false
	}
	r := pythonReader{found: &declarations{}, inner: -1}
	for i := range statements {
		if !r.statement(&statements[i]) {
			return nil, false
		}
	}
	return r.found, true
}

// cellMagic takes away a first line such as %%time, after which the cell is still
// Python. It answers false for a cell in another language.
func cellMagic(source string) (string, bool) {
	body := strings.TrimLeft(source, " \t\r\n")
	if !strings.HasPrefix(body, "%%") {
		return source, true
	}
	first, rest, _ := strings.Cut(body, "\n")
	name := strings.Fields(strings.TrimPrefix(first, "%%") + " -")[0]
	return rest, slices.Contains([]string{"time", "timeit", "capture", "prun"}, name)
}

// pythonReader goes through the statements of a cell.
type pythonReader struct {
	found *declarations
	inner int // statements indented more than this are in a function or class; -1 is none
}

// statement reports false for one that may bind names which cannot be seen.
func (r *pythonReader) statement(s *statement) bool {
	if r.inner >= 0 && s.indent > r.inner {
		return true
	}
	r.inner = -1
	switch first := s.tokens[0]; {
	case first.isName("def", "class", "async") || first.is("@"):
		r.inner = s.indent
	case first.isName("from"):
		return !s.tokens[len(s.tokens)-1].is("*")
	case first.isName("if", "elif", "else", "for", "while", "with", "try", "except", "finally"), isMatching(s.tokens):
		r.conditional(s, afterColon(s.tokens))
	case first.isName(reserved["python"]...):
	case s.indent > 0:
		r.conditional(s, s.tokens)
	default:
		r.assignment(s)
	}
	return true
}

// isMatching knows the headers of match and case, which are fine names of parameters elsewhere.
func isMatching(tokens []token) bool {
	if !tokens[0].isName("match", "case") || len(tokens) < 2 || indexOperator(tokens, ":") < 0 {
		return false
	}
	next := tokens[1]
	return !next.is(":") && !next.is("=") && !next.is(",") && !next.is(".")
}

// afterColon is what stands on the line of a compound statement's header.
func afterColon(tokens []token) []token {
	if i := indexOperator(tokens, ":"); i >= 0 {
		return tokens[i+1:]
	}
	return nil
}

// conditional finds the names that a statement assigns, if it is executed.
func (r *pythonReader) conditional(s *statement, tokens []token) {
	targets, _, value, ok := splitAssignment(tokens)
	if !ok {
		return
	}
	for _, name := range names(targets) {
		r.found.mention(name, s.text(value))
	}
}

// assignment reads name = value, name: type = value, a = b = value and a, b = 1, 2.
func (r *pythonReader) assignment(s *statement) {
	targets, annotation, value, ok := splitAssignment(s.tokens)
	if !ok {
		return
	}
	declared, help := parseType(annotation), s.help
	if annotation == nil {
		declared, help = typeComment(s.help)
	}
	for _, target := range targets {
		parts := splitTop(target, ",")
		values := splitTop(value, ",")
		for i, part := range parts {
			if len(part) != 1 || part[0].kind != kindName {
				r.unpacked(part)
				continue
			}
			v := value
			if len(parts) > 1 {
				v = nil
				if len(values) == len(parts) {
					v = values[i]
				}
			}
			p := parameter(part[0].s, declared, s, v, &pythonGrammar)
			p.Help = help
			r.found.add(p)
		}
	}
}

// unpacked finds the names in a part of a target such as (a, [b]) or *c, whose values are not looked for.
func (r *pythonReader) unpacked(part []token) {
	for _, name := range names([][]token{part}) {
		r.found.mention(name, "")
	}
}

// splitAssignment cuts tokens at ":" and "=". It reports false for what is no assignment.
func splitAssignment(tokens []token) (targets [][]token, annotation, value []token, ok bool) {
	parts := splitTop(tokens, "=")
	head := parts[0]
	if i := indexOperator(head, ":"); i >= 0 {
		head, annotation = head[:i], head[i+1:]
		if len(head) != 1 || len(annotation) == 0 || len(parts) > 2 {
			return nil, nil, nil, false
		}
		if len(parts) == 1 {
			return [][]token{head}, annotation, nil, true
		}
		return [][]token{head}, annotation, parts[1], true
	}
	if len(parts) < 2 {
		return nil, nil, nil, false
	}
	return parts[:len(parts)-1], nil, parts[len(parts)-1], true
}

// names of the plain targets of an assignment, also of a, b and (a, *b).
func names(targets [][]token) []string {
	var out []string
	for _, target := range targets {
		for _, part := range splitTop(target, ",") {
			if len(part) > 0 && part[0].is("*") {
				part = part[1:]
			}
			switch {
			case len(part) == 1 && part[0].kind == kindName:
				out = append(out, part[0].s)
			case len(part) > 2 && !part[0].is("{") && closesAtEnd(part):
				out = append(out, names([][]token{part[1 : len(part)-1]})...)
			}
		}
	}
	return out
}

// splitTop cuts tokens at an operator that stands outside of brackets. There is always one part.
func splitTop(tokens []token, operator string) [][]token {
	var parts [][]token
	for {
		i := indexOperator(tokens, operator)
		if i < 0 {
			return append(parts, tokens)
		}
		parts = append(parts, tokens[:i])
		tokens = tokens[i+1:]
	}
}

// indexOperator finds an operator outside of brackets, and outside of a lambda's head; -1 if there is none.
func indexOperator(tokens []token, operator string) int {
	depth, lambda := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("(") || t.is("[") || t.is("{"):
			depth++
		case t.is(")") || t.is("]") || t.is("}"):
			depth--
		case t.isName("lambda") && depth == 0:
			lambda++
		case t.is(":") && lambda > 0 && depth == 0:
			lambda--
		case depth == 0 && lambda == 0 && t.is(operator):
			return i
		}
	}
	return -1
}

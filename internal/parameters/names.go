package parameters

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nes-run/nes"
)

// maxName is the longest name of a parameter, in bytes.
const maxName = 255

// reserved words by language. A parameter of such a name could not be assigned.
var reserved = map[string][]string{
	"python": {
		"False", "None", "True", "__debug__", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif",
		"else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or",
		"pass", "raise", "return", "try", "while", "with", "yield",
	},
	"r": {
		"FALSE", "Inf", "NA", "NA_character_", "NA_complex_", "NA_integer_", "NA_real_", "NULL", "NaN", "TRUE", "break", "else", "for",
		"function", "if", "in", "next", "repeat", "while",
	},
	"julia": {
		"baremodule", "begin", "break", "catch", "const", "continue", "do", "else", "elseif", "end", "export", "false", "finally", "for",
		"function", "global", "if", "import", "in", "isa", "let", "local", "macro", "module", "quote", "return", "struct", "true", "try", "using", "while",
	},
	"bash": {
		"case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select", "then", "time", "until", "while",
	},
}

// checkNames asks of each name whether it could be one in any language.
func checkNames(given map[string]json.RawMessage) []nes.Problem {
	var problems []nes.Problem
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if why := badName(name, ""); why != "" {
			problems = append(problems, problem(name, why))
		}
	}
	return problems
}

// badName says why name cannot be a parameter in a language; "" when it can.
// The empty language stands for any of them.
func badName(name, language string) string {
	switch {
	case name == "":
		return "a parameter needs a name"
	case len(name) > maxName:
		return fmt.Sprintf("a name has at most %d bytes", maxName)
	case !isIdentifier(name, language == "" || language == "r"):
		return "is not a name: use letters, digits and underscores, beginning with a letter"
	case isReserved(name, language):
		return fmt.Sprintf("%q is a reserved word; rename the parameter in the notebook", name)
	case language == "r" && name[0] == '_':
		return "a name in R cannot begin with an underscore"
	}
	return ""
}

// isReserved reports whether name is a word of the language, or, where that is not known, of every language.
func isReserved(name, language string) bool {
	if language != "" {
		return slices.Contains(reserved[language], name)
	}
	for _, words := range reserved {
		if !slices.Contains(words, name) {
			return false
		}
	}
	return true
}

// isIdentifier accepts letters of every script, as Python and Julia do. Dots
// belong to names in R alone, and there not next to each other or at the ends.
func isIdentifier(name string, dots bool) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if !isWord(part) {
			return false
		}
	}
	return dots || !strings.Contains(name, ".")
}

func isWord(s string) bool {
	for i, c := range s {
		if !isNameStart(c) && (i == 0 || !isNamePart(c)) {
			return false
		}
	}
	return s != ""
}

func isNameStart(c rune) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c > unicode.MaxASCII && unicode.In(c, unicode.L, unicode.Nl) && !unicode.Is(decomposing, c)
}

// decomposing letters are not letters any more in the normal form that Python gives to names.
var decomposing = &unicode.RangeTable{R16: []unicode.Range16{
	{0x037a, 0x037a, 1}, {0x0e33, 0x0e33, 1}, {0x0eb3, 0x0eb3, 1}, {0x2e2f, 0x2e2f, 1}, {0xfc5e, 0xfc63, 1}, {0xfdfa, 0xfdfb, 1},
	{0xfe70, 0xfe7e, 2}, {0xff9e, 0xff9f, 1},
}}

func isNamePart(c rune) bool {
	return isNameStart(c) || '0' <= c && c <= '9' || c > unicode.MaxASCII && unicode.In(c, unicode.Mn, unicode.Mc, unicode.Nd)
}

func problem(name, message string) nes.Problem {
	return nes.Problem{Field: "parameters." + name, Message: message}
}

// unknownName says that a notebook has no parameter of that name, and which one may be meant.
func unknownName(name string, s Schema) string {
	names := make([]string, len(s.Parameters))
	for i, p := range s.Parameters {
		names[i] = p.Name
	}
	if len(names) == 0 {
		return fmt.Sprintf("the notebook's parameters cell has no %q; it declares no parameter at all", name)
	}
	if near := nes.Nearest(name, names); near != "" {
		return fmt.Sprintf("the notebook has no parameter %q; did you mean %q?", name, near)
	}
	const shown = 12
	if len(names) > shown {
		names = append(names[:shown:shown], "...")
	}
	return fmt.Sprintf("the notebook has no parameter %q; it has %s", name, strings.Join(names, ", "))
}

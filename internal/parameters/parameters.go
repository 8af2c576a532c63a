// Package parameters reads which parameters a notebook declares and fits given
// values to them, without running anything.
//
// [Inspect] reads the cell tagged "parameters" with a small parser of its own: of
// Python's assignments, annotations and literals, and of the same in R and Julia by
// simple conventions. It never guesses: what only the kernel can know is left
// open. [Fit] then compares, converts and names everything that is wrong at once.
package parameters

import (
	"encoding/json"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

// Schema is what a notebook says of its parameters.
type Schema struct {
	Language string `json:"language,omitempty"`
	// Declared is false for a notebook without a cell tagged "parameters" in a
	// language that is read, and for a cell that cannot be read whole: nothing is
	// known then, and every valid name is accepted.
	Declared   bool        `json:"declared"`
	Parameters []Parameter `json:"parameters"`
	// JSONSchema is the notebook's metadata.nes.parameters: a JSON Schema (2020-12, or what its
	// $schema names) of an object with a property for each parameter. Absent is none.
	JSONSchema json.RawMessage `json:"json_schema,omitempty"`
	// Notes say what of the notebook's own rules cannot be read, for its author.
	Notes []string `json:"notes,omitempty"`

	broken bool // JSONSchema is none
}

// Parameter is one assignment in the parameters cell.
type Parameter struct {
	Name string `json:"name"`
	// Type as declared or as the default shows: int, float, bool, str, list, dict, date, none; empty is unknown.
	Type string `json:"type,omitempty"`
	// Inferred says that Type comes from the default alone, so that it is a hint
	// more than a promise: see Fit.
	Inferred bool `json:"inferred,omitempty"`
	// Source is the default as it is written; empty for a declaration without one.
	Source string `json:"source"`
	// Default is its value, where it is a literal; nil where only the kernel can know.
	Default json.RawMessage `json:"default,omitempty"`
	// Optional says that null is a value too.
	Optional bool `json:"optional,omitempty"`
	// Choices are the only values allowed, from Literal["a", "b"], a comment's [choices: a, b] or a JSON Schema's enum; nil is any.
	Choices []json.RawMessage `json:"choices,omitempty"`
	// Minimum and Maximum are the ends of the range allowed, both within it: numbers, or dates as text. nil is none.
	Minimum  json.RawMessage `json:"minimum,omitempty"`
	Maximum  json.RawMessage `json:"maximum,omitempty"`
	Required bool            `json:"required,omitempty"` // a run must give it: only a JSON Schema says so
	Help     string          `json:"help,omitempty"`     // the trailing comment without its rules, or the JSON Schema's description
}

// The types of Parameter.Type.
const (
	typeInt   = "int"
	typeFloat = "float"
	typeBool  = "bool"
	typeStr   = "str"
	typeList  = "list"
	typeDict  = "dict"
	typeDate  = "date"
	typeNone  = "none"
)

// Inspect reads the schema of a notebook.
func Inspect(nb *nbformat.Notebook) Schema {
	s := Schema{Language: languageOf(nb), Parameters: []Parameter{}}
	read, known := readers[s.Language]
	cell := parametersCell(nb)
	if cell != nil && cell.Type == nbformat.Code && known {
		if found, ok := read(cell.Source); ok {
			s.Declared, s.Parameters = true, append(s.Parameters, found.list...)
		}
	}
	s.constrain()
	s.addJSONSchema(nb)
	return s
}

// Fit checks given against s and converts where nothing is lost; see the table at
// [fitValue] for what becomes of which value. Its error is made by nes.Invalid and
// names every problem; fields are "parameters.<name>". Numbers keep their exact text.
func Fit(s Schema, given map[string]json.RawMessage) (map[string]json.RawMessage, []nes.Conversion, error) {
	return fit(s, given)
}

// CheckNames finds names that can be a parameter in no language: no identifiers, or
// reserved words everywhere. It needs no notebook, so the API asks it at submission;
// what one language alone forbids ("end" is a word of Julia and a fine name in Python) is
// found by Fit.
func CheckNames(given map[string]json.RawMessage) []nes.Problem { return checkNames(given) }

// readers of a parameters cell by language. A reader answers false where it
// cannot be sure to have seen every name.
var readers = map[string]func(source string) (*declarations, bool){
	"python": readPython,
	"r":      readR,
	"julia":  readJulia,
}

// languageOf names the notebook's language as the tables here do.
func languageOf(nb *nbformat.Notebook) string {
	lang := nb.Language()
	if lang == "" {
		lang = kernelLanguage(nb.KernelName())
	}
	if lang == "ipython" || lang == "python3" {
		return "python"
	}
	return lang
}

// kernelLanguage knows the kernels whose notebooks often lack a language.
func kernelLanguage(kernel string) string {
	switch kernel {
	case "python", "python2", "python3":
		return "python"
	case "ir":
		return "r"
	}
	return ""
}

// parametersCell is the first cell with the tag, as papermill has it; nil if there is none.
func parametersCell(nb *nbformat.Notebook) *nbformat.Cell {
	for i := range nb.Cells {
		for _, tag := range nb.Cells[i].Tags() {
			if tag == "parameters" {
				return &nb.Cells[i]
			}
		}
	}
	return nil
}

// declarations collects parameters in the order in which they are first assigned.
type declarations struct {
	list  []Parameter
	index map[string]int // of a name in list
}

// add records p. An assignment further down replaces the one above it, but keeps
// an annotation and a help text that only the first one had.
func (d *declarations) add(p Parameter) {
	if d.mention(p.Name, "") {
		d.list[d.index[p.Name]] = p
		return
	}
	old := &d.list[d.index[p.Name]]
	if p.Inferred && !old.Inferred && old.Type != "" {
		p.Type, p.Inferred, p.Optional, p.Choices = old.Type, false, old.Optional, old.Choices
	}
	if p.Help == "" {
		p.Help = old.Help
	}
	*old = p
}

// mention records a name that is assigned under a condition: it is one of the
// notebook's, but its value is known to the kernel alone. It reports whether the name is new.
func (d *declarations) mention(name, source string) bool {
	if _, known := d.index[name]; known {
		return false
	}
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[name] = len(d.list)
	d.list = append(d.list, Parameter{Name: name, Source: source})
	return true
}

// Package parameters reads which parameters a notebook declares and fits given
// values to them, without running anything.
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
	// language that is read: nothing is known then, and every valid name is accepted.
	Declared   bool        `json:"declared"`
	Parameters []Parameter `json:"parameters"`
}

// Parameter is one assignment in the parameters cell.
type Parameter struct {
	Name string `json:"name"`
	// Type as declared or as the default shows: int, float, bool, str, list, dict, date, none; empty is unknown.
	Type string `json:"type,omitempty"`
	// Source is the default as it is written.
	Source string `json:"source"`
	// Default is its value, where it is a literal; nil where only the kernel can know.
	Default json.RawMessage `json:"default,omitempty"`
	// Optional says that null is a value too.
	Optional bool   `json:"optional,omitempty"`
	Help     string `json:"help,omitempty"` // the trailing comment
}

// Inspect reads the schema of a notebook.
func Inspect(nb *nbformat.Notebook) Schema { return inspect(nb) }

// Fit checks given against s and converts where nothing is lost ("60" for an int).
// Its error is made by nes.Invalid and names every problem; fields are "parameters.<name>".
func Fit(s Schema, given map[string]json.RawMessage) (map[string]json.RawMessage, []nes.Conversion, error) {
	return fit(s, given)
}

// CheckNames finds names that are no identifiers or are reserved words of Python, R
// or Julia. It needs no notebook, so the API asks it at submission.
func CheckNames(given map[string]json.RawMessage) []nes.Problem { return checkNames(given) }

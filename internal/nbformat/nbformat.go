// Package nbformat is the Jupyter notebook format, version 4, as far as NES has to
// read and write it: cells, sources, metadata; outputs are kept as they are. Notebooks of versions
// 2 and 3 are upgraded on reading, as Jupyter does it.
package nbformat

import (
	"encoding/json"
	"io"
)

// Notebook is a document of nbformat 4. Unknown fields are kept.
type Notebook struct {
	Cells    []Cell
	Metadata map[string]json.RawMessage
	Minor    int // nbformat_minor
	Extra    map[string]json.RawMessage
}

// Cell of a notebook.
type Cell struct {
	Type           string // code, markdown, raw, or a word of the future
	ID             string // unique; empty before nbformat 4.5
	Source         string // joined, where the file has a list of lines
	Metadata       map[string]json.RawMessage
	Outputs        []json.RawMessage          // of a code cell
	ExecutionCount *int                       // of a code cell; nil where it did not run
	Extra          map[string]json.RawMessage // attachments and whatever else
}

// The types of cells.
const (
	Code     = "code"
	Markdown = "markdown"
	Raw      = "raw"
)

// Read reads a notebook of nbformat 4, or of 3 or 2, which it upgrades as Jupyter does,
// from at most limit bytes. What is not a notebook gives a *nes.Error with
// reason NotANotebook that says what is wrong; a larger one reason SourceTooLarge.
//
// Cells of nbformat 4.5 that lack a valid id get one that depends on nothing but the notebook.
func Read(r io.Reader, limit int64) (*Notebook, error) { return read(r, limit) }

// Bodies are the parts of a notebook that are written by functions, because they are too large to be held.
type Bodies struct {
	// Outputs is called for each code cell, with its index, and writes the elements of its list of
	// outputs, without brackets.
	Outputs func(cell int, w io.Writer) error
	// Metadata writes fields of the notebook's metadata, in place of those in [Notebook.Metadata].
	Metadata map[string]func(w io.Writer) error
}

// Write writes the notebook as Jupyter does: sorted keys, an indent of one space, sources as lists of lines.
func (n *Notebook) Write(w io.Writer) error {
	return n.WriteWith(w, Bodies{Outputs: func(i int, w io.Writer) error { return writeOutputs(w, n.Cells[i].Outputs) }})
}

// WriteWith is Write, with bodies that come from functions.
func (n *Notebook) WriteWith(w io.Writer, b Bodies) error { return n.write(w, b) }

// KernelName returns metadata.kernelspec.name, or "".
func (n *Notebook) KernelName() string { return n.word("kernelspec", "name") }

// Language returns the notebook's language in lower case: metadata.kernelspec.language,
// else metadata.language_info.name, else "".
func (n *Notebook) Language() string { return n.language() }

// Tags returns a cell's tags.
func (c *Cell) Tags() []string { return c.tags() }

// Package nbformat is the Jupyter notebook format, version 4, as far as NES has to
// read and write it: cells, sources, metadata; outputs are kept as they are.
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
	ID             string // empty before nbformat 4.5
	Source         string // joined, where the file has a list of lines
	Metadata       map[string]json.RawMessage
	Outputs        []json.RawMessage
	ExecutionCount *int
	Extra          map[string]json.RawMessage // attachments and whatever else
}

// Read reads a notebook of nbformat 4, or of 3, which it upgrades as Jupyter does,
// from at most limit bytes. What is not a notebook gives a *nes.Error with
// reason NotANotebook that says what is wrong; a larger one reason SourceTooLarge.
func Read(r io.Reader, limit int64) (*Notebook, error) { return read(r, limit) }

// KernelName returns metadata.kernelspec.name, or "".
func (n *Notebook) KernelName() string { return n.spec("kernelspec").Name }

// Language returns the notebook's language in lower case: metadata.kernelspec.language,
// else metadata.language_info.name, else "".
func (n *Notebook) Language() string { return n.language() }

// Tags returns a cell's tags.
func (c *Cell) Tags() []string { return c.tags() }

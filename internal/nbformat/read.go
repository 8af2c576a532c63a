package nbformat

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/jsonspan"
)

type fields = map[string]json.RawMessage

func read(r io.Reader, limit int64) (*Notebook, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, nes.Fail(nes.ReasonSourceTooLarge, "the notebook is larger than %d bytes", limit)
	}
	doc, err := parse(raw)
	if err != nil {
		return nil, err
	}
	n, err := readMajor(doc)
	if err != nil {
		return nil, err
	}
	n.nameCells()
	return n, nil
}

// parse reads the document's fields. Python lets NaN and half a surrogate pair into JSON; they are mended.
func parse(raw []byte) (fields, error) {
	raw = bytes.TrimPrefix(bytes.ToValidUTF8(raw, []byte("\ufffd")), []byte("\ufeff"))
	loose, err := jsonspan.Check(raw)
	if err != nil {
		return nil, nes.Fail(nes.ReasonNotANotebook, "%s", describe(raw, err))
	}
	if loose {
		raw = jsonspan.Mend(raw)
	}
	var doc fields
	if err := json.Unmarshal(raw, &doc); err != nil || doc == nil {
		return nil, nes.Fail(nes.ReasonNotANotebook, "the file is JSON, but not an object")
	}
	return doc, nil
}

// describe says where the text stops being JSON, where the standard library knows.
func describe(raw []byte, err error) string {
	var v any
	if e := json.Unmarshal(raw, &v); e != nil {
		return "the file is not JSON: " + e.Error()
	}
	return "the file is not JSON: " + err.Error()
}

func readMajor(doc fields) (*Notebook, error) {
	major, minor := number(doc["nbformat"]), 0
	if major == nil {
		return nil, nes.Fail(nes.ReasonNotANotebook, "the file has no number nbformat, so it is no notebook")
	}
	_ = json.Unmarshal(doc["nbformat_minor"], &minor)
	delete(doc, "nbformat")
	delete(doc, "nbformat_minor")
	switch *major {
	case 4:
		return readV4(doc, max(minor, 0))
	case 2, 3:
		return readV3(doc)
	}
	return nil, nes.Fail(nes.ReasonNotANotebook, "nbformat is %d; 4 is needed: open the notebook in Jupyter and save it", *major)
}

func readV4(doc fields, minor int) (*Notebook, error) {
	n := &Notebook{Minor: minor, Metadata: object(doc["metadata"])}
	cells, ok := list(doc["cells"])
	if !ok {
		return nil, nes.Fail(nes.ReasonNotANotebook, "the notebook has no list of cells")
	}
	for i, raw := range cells {
		c := object(raw)
		if c == nil {
			return nil, nes.Fail(nes.ReasonNotANotebook, "cell %d is not an object", i)
		}
		n.Cells = append(n.Cells, readCell(c))
	}
	for _, name := range []string{"orig_nbformat", "orig_nbformat_minor", "signature"} {
		delete(n.Metadata, name)
	}
	n.Extra = without(doc, "cells", "metadata")
	n.Metadata = orEmpty(n.Metadata)
	return n, nil
}

func readCell(f fields) Cell {
	c := Cell{
		Type:     text(f["cell_type"]),
		ID:       text(f["id"]),
		Source:   text(f["source"]),
		Metadata: orEmpty(object(f["metadata"])),
	}
	delete(c.Metadata, "trusted")
	if c.Type == Code {
		c.Outputs, _ = list(f["outputs"])
		c.ExecutionCount = number(f["execution_count"])
	}
	c.keep(f)
	return c
}

// keep takes in what the cell has beside the fields that are read.
func (c *Cell) keep(f fields) {
	c.Extra = without(f, "cell_type", "id", "metadata")
	if c.known() {
		c.Extra = without(c.Extra, "source", "outputs", "execution_count")
	}
}

// known tells whether the type is one of this version of the format; of others everything is kept as it is.
func (c *Cell) known() bool { return c.Type == Code || c.Type == Markdown || c.Type == Raw }

// text joins nbformat's "string or list of strings".
func text(raw json.RawMessage) string { return joined(raw, "") }

func joined(raw json.RawMessage, sep string) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var lines []string
	_ = json.Unmarshal(raw, &lines)
	return strings.Join(lines, sep)
}

func object(raw json.RawMessage) fields {
	var f fields
	_ = json.Unmarshal(raw, &f)
	return f
}

func orEmpty(f fields) fields {
	if f == nil {
		return fields{}
	}
	return f
}

func list(raw json.RawMessage) ([]json.RawMessage, bool) {
	var l []json.RawMessage
	err := json.Unmarshal(raw, &l)
	return l, err == nil && l != nil
}

func without(f fields, names ...string) fields {
	for _, name := range names {
		delete(f, name)
	}
	return f
}

// number is a whole number, or nil for whatever else there is: 0 would say that the cell ran.
func number(raw json.RawMessage) *int {
	var n *int
	if json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return n
}

// word is a field of an object of the metadata. Names are those of the format, letter by letter, and a value that is no string is none.
func (n *Notebook) word(key, name string) string {
	var s string
	if json.Unmarshal(object(n.Metadata[key])[name], &s) != nil {
		return ""
	}
	return s
}

func (n *Notebook) language() string {
	lang := n.word("kernelspec", "language")
	if lang == "" {
		lang = n.word("language_info", "name")
	}
	return strings.ToLower(lang)
}

func (c *Cell) tags() []string {
	var tags []string
	_ = json.Unmarshal(c.Metadata["tags"], &tags)
	return tags
}

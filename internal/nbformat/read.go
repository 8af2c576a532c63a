package nbformat

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/nes-run/nes"
)

func read(r io.Reader, limit int64) (*Notebook, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, nes.Fail(nes.ReasonSourceTooLarge, "the notebook is larger than %d bytes", limit)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, nes.Fail(nes.ReasonNotANotebook, "not JSON: %v", err)
	}
	var major int
	if json.Unmarshal(doc["nbformat"], &major) != nil || major != 4 {
		return nil, nes.Fail(nes.ReasonNotANotebook, "nbformat is %q; 4 is needed: open and save the notebook in Jupyter", string(doc["nbformat"]))
	}
	return readV4(doc)
}

func readV4(doc map[string]json.RawMessage) (*Notebook, error) {
	n := &Notebook{Extra: map[string]json.RawMessage{}}
	var cells []json.RawMessage
	if err := json.Unmarshal(doc["cells"], &cells); err != nil {
		return nil, nes.Fail(nes.ReasonNotANotebook, "no list of cells")
	}
	_ = json.Unmarshal(doc["nbformat_minor"], &n.Minor)
	_ = json.Unmarshal(doc["metadata"], &n.Metadata)
	for i, c := range cells {
		cell, err := readCell(c)
		if err != nil {
			return nil, nes.Fail(nes.ReasonNotANotebook, "cell %d: %v", i, err)
		}
		n.Cells = append(n.Cells, cell)
	}
	for k, v := range doc {
		if k != "cells" && k != "metadata" && k != "nbformat" && k != "nbformat_minor" {
			n.Extra[k] = v
		}
	}
	return n, nil
}

func readCell(raw json.RawMessage) (Cell, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return Cell{}, err
	}
	c := Cell{Extra: map[string]json.RawMessage{}}
	for k, v := range fields {
		switch k {
		case "cell_type":
			_ = json.Unmarshal(v, &c.Type)
		case "id":
			_ = json.Unmarshal(v, &c.ID)
		case "source":
			c.Source = text(v)
		case "metadata":
			_ = json.Unmarshal(v, &c.Metadata)
		case "outputs":
			_ = json.Unmarshal(v, &c.Outputs)
		case "execution_count":
			_ = json.Unmarshal(v, &c.ExecutionCount)
		default:
			c.Extra[k] = v
		}
	}
	return c, nil
}

// text joins nbformat's "string or list of strings".
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var lines []string
	_ = json.Unmarshal(raw, &lines)
	return strings.Join(lines, "")
}

type spec struct {
	Name     string `json:"name"`
	Language string `json:"language"`
}

func (n *Notebook) spec(key string) spec {
	var s spec
	_ = json.Unmarshal(n.Metadata[key], &s)
	return s
}

func (n *Notebook) language() string {
	lang := n.spec("kernelspec").Language
	if lang == "" {
		lang = n.spec("language_info").Name
	}
	return strings.ToLower(lang)
}

func (c *Cell) tags() []string {
	var tags []string
	_ = json.Unmarshal(c.Metadata["tags"], &tags)
	return tags
}

package nbformat

import (
	"encoding/json"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/jsonspan"
)

// readV3 upgrades a notebook of version 3, or of 2, which differs in nothing that is read here.
// It becomes 4.5: worksheets are put behind each other, headings become Markdown.
func readV3(doc fields) (*Notebook, error) {
	n := &Notebook{Minor: minorWithIDs, Metadata: orEmpty(object(doc["metadata"]))}
	sheets, _ := list(doc["worksheets"])
	for _, sheet := range sheets {
		cells, _ := list(object(sheet)["cells"])
		for _, raw := range cells {
			c := object(raw)
			if c == nil {
				return nil, nes.Fail(nes.ReasonNotANotebook, "cell %d is not an object", len(n.Cells))
			}
			n.Cells = append(n.Cells, upgradeCell(c))
		}
	}
	for _, name := range []string{"name", "signature", "orig_nbformat", "orig_nbformat_minor"} {
		delete(n.Metadata, name)
	}
	n.Extra = without(doc, "worksheets", "cells", "metadata", "orig_nbformat", "orig_nbformat_minor")
	return n, nil
}

func upgradeCell(f fields) Cell {
	c := Cell{Type: text(f["cell_type"]), Metadata: orEmpty(object(f["metadata"]))}
	delete(c.Metadata, "trusted")
	switch c.Type {
	case Code:
		upgradeCode(&c, f)
		c.keep(without(f, "input", "prompt_number", "language", "collapsed", "trusted"))
		return c
	case "heading":
		c.Type, c.Source = Markdown, heading(f)
	case "html":
		c.Type, c.Source = Markdown, text3(f["source"])
	default:
		c.Source = text3(f["source"])
	}
	c.keep(without(f, "level", "rendered", "trusted"))
	return c
}

func upgradeCode(c *Cell, f fields) {
	c.Source = text3(f["input"])
	c.ExecutionCount = number(f["prompt_number"])
	if v, ok := f["collapsed"]; ok {
		c.Metadata["collapsed"] = v
	}
	outputs, _ := list(f["outputs"])
	for _, raw := range outputs {
		if o := object(raw); o != nil {
			c.Outputs = append(c.Outputs, upgradeOutput(o))
		}
	}
}

func heading(f fields) string {
	level := 1
	_ = json.Unmarshal(f["level"], &level)
	lines := strings.FieldsFunc(text3(f["source"]), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Repeat("#", min(max(level, 1), 6)) + " " + strings.Join(lines, " ")
}

// text3 joins the lines of a version 3 text, which may have been split with or without their ends.
func text3(raw json.RawMessage) string {
	var lines []string
	if json.Unmarshal(raw, &lines) != nil || len(lines) == 0 {
		return text(raw)
	}
	if strings.HasSuffix(lines[0], "\n") || strings.HasSuffix(lines[0], "\r") {
		return strings.Join(lines, "")
	}
	return strings.Join(lines, "\n")
}

// mimeOf maps the short names of version 3.
var mimeOf = map[string]string{
	"text": "text/plain", "html": "text/html", "svg": "image/svg+xml", "png": "image/png", "jpeg": "image/jpeg",
	"latex": "text/latex", "json": "application/json", "javascript": "application/javascript",
}

func upgradeOutput(f fields) json.RawMessage {
	switch text(f["output_type"]) {
	case "pyout":
		f["output_type"] = encode("execute_result")
		f["execution_count"] = null(f["prompt_number"])
		delete(f, "prompt_number")
		upgradeBundle(f)
	case "display_data":
		upgradeBundle(f)
	case "pyerr":
		f["output_type"] = encode("error")
	case "stream":
		name, ok := f["stream"]
		if !ok {
			name = encode("stdout")
		}
		f["name"], f["text"] = name, encode(text3(f["text"]))
		delete(f, "stream")
	}
	return encode(f)
}

// upgradeBundle moves everything that is data below data, under its MIME type.
func upgradeBundle(f fields) {
	data := fields{}
	for k, v := range f {
		if k == "output_type" || k == "execution_count" || k == "metadata" {
			continue
		}
		delete(f, k)
		if lines, ok := list(v); ok && len(lines) > 0 && mimeOf[k] != "" {
			v = encode(text3(v))
		}
		data[mime(k)] = v
	}
	if s := data["application/json"]; s != nil {
		data["application/json"] = decodedJSON(s)
	}
	metadata := fields{}
	for k, v := range object(f["metadata"]) {
		metadata[mime(k)] = v
	}
	f["data"], f["metadata"] = encode(data), encode(metadata)
}

func mime(k string) string {
	if m, ok := mimeOf[k]; ok {
		return m
	}
	return k
}

// decodedJSON takes JSON out of the string that version 3 kept it in.
func decodedJSON(raw json.RawMessage) json.RawMessage {
	inner := []byte(text(raw))
	if loose, err := jsonspan.Check(inner); err != nil || loose {
		return raw
	}
	return inner
}

func null(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

package nbformat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const writeBuffer = 64 << 10

// writer writes indented JSON and remembers the first error.
type writer struct {
	*bufio.Writer
	err error
}

func (n *Notebook) write(w io.Writer, b Bodies) error {
	out := &writer{Writer: bufio.NewWriterSize(w, writeBuffer)}
	out.text("{\n \"cells\": [")
	for i := range n.Cells {
		if i > 0 {
			out.text(",")
		}
		out.text("\n  ")
		out.cell(&n.Cells[i], func(w io.Writer) error { return b.Outputs(i, w) })
	}
	out.text("\n ],\n")
	rest := maps.Clone(orEmpty(n.Extra))
	rest["nbformat"], rest["nbformat_minor"] = encode(4), encode(n.Minor)
	out.object(rest, map[string]func(io.Writer) error{
		"metadata": func(io.Writer) error { return out.metadata(n.Metadata, b.Metadata) },
	}, 1)
	out.text("\n}\n")
	if out.err != nil {
		return out.err
	}
	return out.Flush()
}

func (w *writer) metadata(f fields, bodies map[string]func(io.Writer) error) error {
	w.text("{")
	if len(f)+len(bodies) > 0 {
		w.text("\n")
		w.object(f, bodies, 2)
		w.text("\n ")
	}
	w.text("}")
	return w.err
}

// object writes the fields of an object and those that functions write, in the order of their keys.
func (w *writer) object(f fields, bodies map[string]func(io.Writer) error, depth int) {
	keys := slices.Collect(maps.Keys(bodies))
	for k := range f {
		if bodies[k] == nil {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	indent := strings.Repeat(" ", depth)
	for i, k := range keys {
		if i > 0 {
			w.text(",\n")
		}
		w.text(indent + string(encode(k)) + ": ")
		if body := bodies[k]; body != nil {
			w.body(body)
			continue
		}
		w.value(f[k], indent)
	}
}

func (w *writer) body(write func(io.Writer) error) {
	if w.err == nil {
		w.err = write(w)
	}
}

func (w *writer) value(raw json.RawMessage, indent string) {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, indent, " "); err != nil && w.err == nil {
		w.err = err
	}
	w.text(b.String())
}

func (w *writer) text(s string) {
	if w.err == nil {
		_, w.err = w.WriteString(s)
	}
}

func (w *writer) cell(c *Cell, outputs func(io.Writer) error) {
	f := maps.Clone(orEmpty(c.Extra))
	f["cell_type"], f["metadata"] = encode(c.Type), encode(orEmpty(c.Metadata))
	if c.known() {
		f["source"] = encode(lines(c.Source))
	}
	if c.ID != "" {
		f["id"] = encode(c.ID)
	}
	bodies := map[string]func(io.Writer) error{}
	if c.Type == Code {
		f["execution_count"] = encode(c.ExecutionCount)
		bodies["outputs"] = func(io.Writer) error { return w.outputs(outputs) }
	}
	w.text("{\n")
	w.object(f, bodies, 3)
	w.text("\n  }")
}

func (w *writer) outputs(write func(io.Writer) error) error {
	w.text("[")
	w.body(write)
	w.text("]")
	return w.err
}

func writeOutputs(w io.Writer, outputs []json.RawMessage) error {
	for i, o := range outputs {
		var b bytes.Buffer
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		if err := json.Indent(&b, o, "    ", " "); err != nil {
			return err
		}
		if i == len(outputs)-1 {
			b.WriteString("\n   ")
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// lines splits a source as Jupyter stores it: every line with its end.
func lines(source string) []string {
	if source == "" {
		return []string{}
	}
	l := strings.SplitAfter(source, "\n")
	if l[len(l)-1] == "" {
		l = l[:len(l)-1]
	}
	return l
}

// encode writes a value without escaping what is harmless in a file.
func encode(v any) json.RawMessage {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(nil, int64(v), 10)
	case *int:
		if v == nil {
			return json.RawMessage("null")
		}
		return encode(*v)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // maps, slices and strings of checked JSON cannot fail
	return bytes.TrimSpace(b.Bytes())
}

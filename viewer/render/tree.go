package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Bounds of a value that is shown as a tree; a larger or deeper one is shown as text.
const (
	maxTreeNodes = 3_000
	maxTreeDepth = 24
	openNodes    = 12 // objects and lists of up to so many values are open from the start
)

// tree writes a JSON value as folds within folds. It reports false, and has written nothing that is to be used, for what is
// no JSON or too large.
func (m *markup) tree(text string) bool {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	t := treeWriter{dec: dec}
	if t.value(m, "", 0) != nil {
		return false
	}
	_, err := dec.Token()
	return err == io.EOF //nolint:errorlint // the decoder returns it as it is
}

type treeWriter struct {
	dec   *json.Decoder
	nodes int
}

var errTree = fmt.Errorf("too large for a tree")

func (t *treeWriter) value(m *markup, name string, depth int) error {
	tok, err := t.dec.Token()
	if err != nil {
		return err
	}
	if t.nodes++; t.nodes > maxTreeNodes || depth > maxTreeDepth {
		return errTree
	}
	if open, ok := tok.(json.Delim); ok {
		return t.group(m, name, open, depth)
	}
	m.lit(`<div class="leaf">`)
	m.key(name)
	m.scalar(tok)
	m.lit(`</div>`)
	return nil
}

// group writes an object or a list.
func (t *treeWriter) group(m *markup, name string, open json.Delim, depth int) error {
	var inner markup
	n := 0
	for ; t.dec.More(); n++ {
		key := fmt.Sprint(n)
		if open == '{' {
			tok, err := t.dec.Token()
			if err != nil {
				return err
			}
			key, _ = tok.(string)
		}
		if err := t.value(&inner, key, depth+1); err != nil {
			return err
		}
	}
	if _, err := t.dec.Token(); err != nil {
		return err
	}
	m.lit(`<details`)
	if depth == 0 || n <= openNodes && depth < 3 {
		m.lit(` open`)
	}
	m.lit(`><summary>`)
	m.key(name)
	m.lit(`<span class="quiet">`)
	if open == '{' {
		m.text(fmt.Sprintf("{%d}", n))
	} else {
		m.text(fmt.Sprintf("[%d]", n))
	}
	m.lit(`</span></summary><div class="group">`)
	m.safe(inner.html())
	m.lit(`</div></details>`)
	return nil
}

func (m *markup) key(name string) {
	if name != "" {
		m.lit(`<span class="key">`)
		m.text(name)
		m.lit(`</span> `)
	}
}

func (m *markup) scalar(tok json.Token) {
	switch v := tok.(type) {
	case string:
		m.lit(`<span class="hl-s">`)
		m.text(`"` + v + `"`)
	case json.Number:
		m.lit(`<span class="hl-m">`)
		m.text(v.String())
	default:
		m.lit(`<span class="hl-kc">`)
		if v == nil {
			m.lit(`null`)
		} else {
			m.text(fmt.Sprint(v))
		}
	}
	m.lit(`</span>`)
}

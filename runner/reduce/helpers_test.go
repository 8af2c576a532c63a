package reduce_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/reduce"
)

// disk is a journal in memory, with blobs.
type disk struct {
	*strings.Reader
	blobs map[string]string
}

func (d disk) Blob(sha256 string) (io.ReadCloser, error) {
	b, ok := d.blobs[sha256]
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", sha256, fs.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(b)), nil
}

func onDisk(text string) disk { return disk{Reader: strings.NewReader(text)} }

// document is a notebook as a reader sees it.
type document struct {
	Cells    []documentCell  `json:"cells"`
	Metadata map[string]any  `json:"metadata"`
	Major    int             `json:"nbformat"`
	Minor    int             `json:"nbformat_minor"`
	Extra    json.RawMessage `json:"-"`
}

type documentCell struct {
	Type     string           `json:"cell_type"`
	ID       string           `json:"id"`
	Metadata map[string]any   `json:"metadata"`
	Count    *int             `json:"execution_count"`
	Outputs  []map[string]any `json:"outputs"`
}

func (c documentCell) papermill() map[string]any { return c.Metadata["papermill"].(map[string]any) }

func (c documentCell) status() string { return c.papermill()["status"].(string) }

func (d document) statuses() []string {
	var all []string
	for _, c := range d.Cells {
		all = append(all, c.status())
	}
	return all
}

func (d document) papermill() map[string]any { return d.Metadata["papermill"].(map[string]any) }

// notebook is an input of cells: "md:text" is Markdown, "raw:text" raw, anything else code; "skip!" in front tags it skip-execution.
func notebook(sources ...string) []byte {
	var cells []map[string]any
	for i, src := range sources {
		c := map[string]any{"id": fmt.Sprintf("cell-%d", i), "cell_type": "code", "metadata": map[string]any{"tags": []string{}}}
		if rest, ok := strings.CutPrefix(src, "skip!"); ok {
			src, c["metadata"] = rest, map[string]any{"tags": []string{"skip-execution"}}
		}
		if rest, ok := strings.CutPrefix(src, "md:"); ok {
			src, c["cell_type"] = rest, "markdown"
		}
		if rest, ok := strings.CutPrefix(src, "raw:"); ok {
			src, c["cell_type"] = rest, "raw"
		}
		if c["source"] = src; c["cell_type"] == "code" {
			c["outputs"], c["execution_count"] = []any{}, nil
		}
		cells = append(cells, c)
	}
	if cells == nil {
		cells = []map[string]any{}
	}
	raw, err := json.Marshal(map[string]any{
		"cells": cells, "metadata": map[string]any{"papermill": map[string]any{"version": "2.7.0"}}, "nbformat": 4, "nbformat_minor": 5,
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// lines writes journal lines, filling in v, seq and t.
func lines(all ...string) string {
	var b strings.Builder
	for i, l := range all {
		fmt.Fprintf(&b, `{"v":1,"seq":%d,"t":%d.5,%s`+"\n", i+1, 1700000000+i, strings.TrimPrefix(l, "{"))
	}
	return b.String()
}

func printed(cell int, name, text string) string {
	raw, _ := json.Marshal(map[string]string{"name": name, "text": text})
	return fmt.Sprintf(`{"k":"msg","cell":%d,"type":"stream","content":%s}`, cell, raw)
}

func display(cell int, typ, id, data string) string {
	transient := ""
	if id != "" {
		transient = fmt.Sprintf(`,"transient":{"display_id":%q}`, id)
	}
	return fmt.Sprintf(`{"k":"msg","cell":%d,"type":%q,"content":{"data":%s,"metadata":{}}%s}`, cell, typ, data, transient)
}

func started(cell int) string { return fmt.Sprintf(`{"k":"cell_start","cell":%d}`, cell) }

func ended(cell int, status string) string {
	return fmt.Sprintf(`{"k":"cell_end","cell":%d,"status":%q,"n":%d,"wall":0.5}`, cell, status, cell+1)
}

func feed(t testing.TB, input []byte, journal string) *reduce.State {
	t.Helper()
	s, err := reduce.New(input)
	require.NoError(t, err)
	require.NoError(t, s.Feed(0, []byte(journal)))
	return s
}

func written(t testing.TB, s *reduce.State, d disk, stamp reduce.Stamp) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Write(&b, d, stamp))
	return b.Bytes()
}

func parsed(t testing.TB, raw []byte) document {
	t.Helper()
	var d document
	require.NoError(t, json.Unmarshal(raw, &d), "%s", raw)
	return d
}

// reduced is the notebook that a journal makes.
func reduced(t testing.TB, input []byte, journal string) document {
	t.Helper()
	return parsed(t, written(t, feed(t, input, journal), onDisk(journal), reduce.Stamp{}))
}

package render_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// corpus lists the notebooks that "make corpus" brings here.
func corpus(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("NES_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	require.NoError(t, err)
	if len(files) == 0 {
		require.Empty(t, os.Getenv("CI"), "run make corpus")
		t.Skip("there is no corpus: make corpus brings it, or set NES_CORPUS")
	}
	return files
}

// plainCell is a cell as a reader that knows nothing of this package finds it.
type plainCell struct {
	Type    string            `json:"cell_type"`
	Source  json.RawMessage   `json:"source"`
	Input   json.RawMessage   `json:"input"`
	Outputs []json.RawMessage `json:"outputs"`
}

func (c plainCell) text() string {
	for _, raw := range []json.RawMessage{c.Source, c.Input} {
		var s string
		var lines []string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
		if json.Unmarshal(raw, &lines) == nil {
			return strings.Join(lines, "")
		}
	}
	return ""
}

// plainCells reads a notebook's cells with the standard library; ok is false where that cannot.
func plainCells(raw []byte) (all []plainCell, ok bool) {
	var file struct {
		Cells      []plainCell `json:"cells"`
		Worksheets []struct {
			Cells []plainCell `json:"cells"`
		} `json:"worksheets"`
	}
	if json.Unmarshal(raw, &file) != nil {
		return nil, false
	}
	all = file.Cells
	for _, w := range file.Worksheets {
		all = append(all, w.Cells...)
	}
	return all, true
}

// TestCorpus: every notebook of other projects' tests and examples is rendered, safely, and none loses a cell.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files := corpus(t)
	require.GreaterOrEqual(t, len(files), 300)
	r := render.New()
	rendered, cells, outputs := 0, 0, 0
	start := time.Now()
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		name := filepath.Base(file)
		want, readable := plainCells(raw)
		x, err := notebook.Parse(strings.NewReader(string(raw)))
		if err != nil { // what is no notebook at all is refused, and only that
			require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err), name)
			require.Empty(t, want, "%s: %v", name, err)
			continue
		}
		if readable {
			require.Len(t, x.Cells, len(want), name)
		}
		d := &render.Document{Index: x, File: strings.NewReader(string(raw)), BodyBase: "/runs/r/body/1/", FrameBase: "/runs/r/frame/1/", TableBase: "/runs/r/table/1/", Ended: true}
		for i := range x.Cells {
			cell := string(r.Cell(d, i))
			requireSafe(t, cell)
			if readable {
				requireShown(t, name, want[i], cell)
				outputs += len(want[i].Outputs)
			}
			cells++
		}
		rendered++
	}
	require.GreaterOrEqual(t, rendered, 300)
	t.Logf("%d notebooks of %d, %d cells, %d outputs in %v", rendered, len(files), cells, outputs, time.Since(start))
}

// requireShown: the cell's source can be read in its HTML, and each output stands there in some form.
func requireShown(t testing.TB, name string, want plainCell, cell string) {
	t.Helper()
	if strings.Contains(cell, " hidden></article>") {
		require.Regexp(t, `An Exception was encountered|encountered an exception`, want.text()+fmt.Sprintf("%s", want.Outputs), name)
		return
	}
	tree, err := html.Parse(strings.NewReader(cell))
	require.NoError(t, err)
	var text strings.Builder
	shown := 0
	for n := range tree.Descendants() {
		if n.Type == html.TextNode {
			text.WriteString(n.Data)
		}
		if n.Type == html.ElementNode && n.Parent != nil && attr(n.Parent, "class") == "outputs" {
			shown++
		}
	}
	if want.Type == "code" || want.Type == "raw" {
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
		require.Contains(t, squeeze(text.String()), squeeze(want.text()), name)
	}
	require.GreaterOrEqual(t, shown, len(want.Outputs), "%s: outputs of %.60q", name, want.text())
}

package reduce_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// specimen is a notebook of the corpus: one of another project, or one of ours, which are
// written as scripts with cells marked by "# %%".
type specimen struct {
	name   string // such as own/unicode
	source []byte // of the notebook
	kernel string
	ids    bool // the source's cells have ids
}

func corpus(t testing.TB) []specimen {
	t.Helper()
	notebooks, err := filepath.Glob("testdata/corpus/*/*.ipynb")
	require.NoError(t, err)
	scripts, err := filepath.Glob("testdata/corpus/*/*.py.txt")
	require.NoError(t, err)
	var all []specimen
	for _, path := range slices.Concat(notebooks, scripts) {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		name := filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".ipynb"), ".py.txt")
		s := specimen{name: name, source: raw, kernel: "python3"}
		if strings.HasSuffix(path, ".txt") {
			s.source, s.kernel = scripted(t, string(raw))
		}
		var d document
		_ = json.Unmarshal(s.source, &d)
		s.ids = len(d.Cells) > 0 && d.Cells[0].ID != ""
		all = append(all, s)
	}
	return all
}

const cellMark = "# %%"

// scripted makes a notebook of a script.
func scripted(t testing.TB, script string) (raw []byte, kernel string) {
	t.Helper()
	head, body, _ := strings.Cut("\n"+script, "\n"+cellMark)
	kernel = "python3"
	if _, k, ok := strings.Cut(head, "# kernel: "); ok {
		kernel = strings.TrimSpace(k)
	}
	cells := []map[string]any{}
	if body != "" {
		for i, part := range strings.Split("\n"+cellMark+body, "\n"+cellMark)[1:] {
			cells = append(cells, scriptedCell(i, part))
		}
	}
	language := map[string]string{"python3": "python", "bash": "bash"}[kernel]
	raw, err := json.Marshal(map[string]any{
		"cells": cells, "nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{"kernelspec": map[string]any{"name": kernel, "display_name": kernel, "language": language}},
	})
	require.NoError(t, err)
	return raw, kernel
}

func scriptedCell(i int, part string) map[string]any {
	mark, source, _ := strings.Cut(part, "\n")
	source = strings.TrimSuffix(source, "\n")
	c := map[string]any{"id": fmt.Sprintf("c%d", i), "cell_type": "code", "source": source, "metadata": map[string]any{}}
	for _, word := range strings.Fields(mark) {
		switch {
		case word == "md":
			c["cell_type"] = "markdown"
		case word == "raw":
			c["cell_type"] = "raw"
		case word == "attachment":
			c["attachments"] = map[string]any{"x.png": map[string]any{"image/png": "iVBORw0KGgo="}}
		case strings.HasPrefix(word, "tags="):
			c["metadata"] = map[string]any{"tags": strings.Split(strings.TrimPrefix(word, "tags="), ",")}
		}
	}
	if c["cell_type"] == "code" {
		c["outputs"], c["execution_count"] = []any{}, nil
	}
	return c
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// benchmark is a notebook to race on.
type benchmark struct {
	name, about string
	cells       []string // below the parameters cell
}

// notebooks returns the four that the figures in docs/benchmarks.md are of.
func notebooks() []benchmark {
	return []benchmark{
		{"one", "one cell", []string{"print(alpha)"}},
		{"many", "200 trivial cells", repeat(200, "x = alpha + %d")},
		{"large", "50 cells of 200 kB output", repeat(50, "print('%d ' + 'x' * 200_000)")},
		{"chatty", "five cells of 2,000 flushed prints", repeat(5, "for i in range(2000):\n    print(%d, i, flush=True)")},
	}
}

func repeat(n int, format string) []string {
	var cells []string
	for i := range n {
		cells = append(cells, fmt.Sprintf(format, i))
	}
	return cells
}

// write stores the notebook, in a directory of its own.
func (b benchmark) write(path string) error {
	cells := []any{cell(0, "alpha = 1", "parameters")}
	for i, source := range b.cells {
		cells = append(cells, cell(i+1, source))
	}
	raw, err := json.Marshal(map[string]any{
		"cells":    cells,
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "python3", "display_name": "Python 3", "language": "python"}},
		"nbformat": 4, "nbformat_minor": 5,
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

func cell(i int, source string, tags ...string) map[string]any {
	meta := map[string]any{}
	if len(tags) > 0 {
		meta["tags"] = tags
	}
	return map[string]any{
		"cell_type": "code", "id": fmt.Sprintf("c%d", i), "source": source,
		"metadata": meta, "outputs": []any{}, "execution_count": nil,
	}
}

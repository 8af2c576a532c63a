// Command renderbench compares nes render with jupyter nbconvert --to html in one run on the same files: whole processes on
// three notebooks, and the libraries within a process on the corpus. See docs/benchmarks.md.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

func main() {
	nes := flag.String("nes", "bin/nes", "the program")
	python := flag.String("python", "python3", "a Python that has nbconvert")
	corpus := flag.String("corpus", ".corpus", "the directory of the corpus; empty leaves it out")
	rounds := flag.Int("rounds", 3, "how often each process is started; the median counts")
	flag.Parse()
	if err := run(*nes, *python, *corpus, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "renderbench:", err)
		os.Exit(1)
	}
}

func run(nes, python, corpus string, rounds int) error {
	dir, err := os.MkdirTemp("", "nes-renderbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%-34s %12s %12s %8s\n", "", "nbconvert", "nes render", "ratio")
	for _, b := range []struct {
		name   string
		cells  []any
		rounds int
	}{
		{"30 cells, whole process", typical(), rounds}, {"2,000 cells, whole process", many(2000), rounds}, {"160,000 coloured lines, process", coloured(160_000), 1},
	} {
		path := filepath.Join(dir, "n.ipynb")
		raw, err := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 4, "metadata": map[string]any{"kernelspec": map[string]any{"name": "python3", "display_name": "Python 3"}}, "cells": b.cells})
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			return err
		}
		theirs, err := median(b.rounds, python, "-m", "nbconvert", "--to", "html", "--log-level", "ERROR", "--output", filepath.Join(dir, "theirs.html"), path)
		if err != nil {
			return err
		}
		ours, err := median(max(b.rounds, 3), nes, "render", path, "-o", filepath.Join(dir, "ours.html"))
		if err != nil {
			return err
		}
		line(b.name, theirs, ours)
	}
	if corpus == "" {
		return nil
	}
	return compareCorpus(python, corpus)
}

func line(name string, theirs, ours time.Duration) {
	fmt.Printf("%-34s %12v %12v %7.1fx\n", name, theirs.Round(time.Millisecond), ours.Round(time.Millisecond), float64(theirs)/float64(ours))
}

// median starts a command a number of times and returns the median of its wall time.
func median(rounds int, name string, args ...string) (time.Duration, error) {
	var all []time.Duration
	for range rounds {
		var stderr bytes.Buffer
		cmd := exec.Command(name, args...)
		cmd.Stderr = &stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", name, err, stderr.String())
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// typical is a notebook of 30 cells as people write them: text, tables, pictures, numbers.
func typical() (cells []any) {
	pixels := rand.NewChaCha8([32]byte{})
	for i := range 10 {
		picture := make([]byte, 30_000)
		_, _ = pixels.Read(picture)
		cells = append(cells, markdown(fmt.Sprintf("## Part %d\n\nSome *words* on $x_%d$, and a list:\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |", i, i)),
			code("import pandas as pd\ndf = pd.read_csv('data.csv')\ndf.groupby('city').agg({'n': 'sum'}).head(10)", display("text/html", frame(10, 8))),
			code("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot(df.n)\nprint('done')", stream("done\n"), display("image/png", base64.StdEncoding.EncodeToString(picture))))
	}
	return cells
}

func many(n int) (cells []any) {
	for i := range n {
		cells = append(cells, code(fmt.Sprintf("x = %d\nprint(x * 2)", i), stream(fmt.Sprintln(i*2))))
	}
	return cells
}

func coloured(lines int) []any {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "\x1b[32mINFO\x1b[0m step %d \x1b[1mworker\x1b[0m did something\n", i)
	}
	return []any{code("train()", stream(b.String()))}
}

func frame(rows, columns int) string {
	var b strings.Builder
	b.WriteString("<div><style scoped>.dataframe tbody tr th { vertical-align: top; }</style><table border=\"1\" class=\"dataframe\"><thead><tr><th></th>")
	for c := range columns {
		fmt.Fprintf(&b, "<th>c%d</th>", c)
	}
	b.WriteString("</tr></thead><tbody>")
	for r := range rows {
		fmt.Fprintf(&b, "<tr><th>%d</th>", r)
		for c := range columns {
			fmt.Fprintf(&b, "<td>%d</td>", r*c)
		}
		b.WriteString("</tr>")
	}
	return b.String() + "</tbody></table></div>"
}

func markdown(source string) any {
	return map[string]any{"cell_type": "markdown", "metadata": map[string]any{}, "source": source}
}

func code(source string, outputs ...any) any {
	return map[string]any{"cell_type": "code", "metadata": map[string]any{}, "source": source, "outputs": outputs, "execution_count": 1}
}

func stream(text string) any {
	return map[string]any{"output_type": "stream", "name": "stdout", "text": text}
}

func display(mime, body string) any {
	return map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{mime: body, "text/plain": "<output>"}}
}

// compareCorpus renders every notebook of the corpus that nbconvert can read, within one process each.
func compareCorpus(python, corpus string) error {
	files, err := filepath.Glob(filepath.Join(corpus, "*.ipynb"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("there is no corpus in %s: make corpus brings it", corpus)
	}
	cmd := exec.Command(python, "e2e/renderbench/inprocess.py")
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n"))
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("nbconvert on the corpus: %w", err)
	}
	var theirs, ours, ratios []float64
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		var took struct {
			Path    string   `json:"path"`
			Seconds *float64 `json:"seconds"`
		}
		if err := json.Unmarshal(scan.Bytes(), &took); err != nil {
			return err
		}
		if took.Seconds == nil {
			continue
		}
		mine, err := within(took.Path)
		if err != nil {
			return fmt.Errorf("%s: %w", took.Path, err)
		}
		theirs, ours, ratios = append(theirs, *took.Seconds), append(ours, mine), append(ratios, *took.Seconds/mine)
	}
	name := fmt.Sprintf("corpus of %d, in process, median", len(ratios))
	fmt.Printf("%-34s %12s %12s %7.1fx\n", name, milliseconds(theirs), milliseconds(ours), middle(ratios))
	return nil
}

func milliseconds(seconds []float64) string { return fmt.Sprintf("%.2fms", middle(seconds)*1000) }

func middle(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// renderer is built once, as nbconvert's exporter is.
var renderer = render.New()

// within is the time to read a file and to make its page, best of two.
func within(path string) (float64, error) {
	best := 0.0
	for i := range 2 {
		start := time.Now()
		raw, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		x, err := notebook.Parse(bytes.NewReader(raw))
		if err != nil {
			return 0, err
		}
		var page bytes.Buffer
		if err := renderer.Page(&page, &render.Document{Index: x, File: bytes.NewReader(raw), Ended: true}, filepath.Base(path)); err != nil {
			return 0, err
		}
		if took := time.Since(start).Seconds(); i == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

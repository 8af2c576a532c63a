// Package scenario holds what a run must come to as data: a notebook, a request, what happens meanwhile, and the
// end. One player plays the same files against any backend, ledger and bucket.
package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
)

// Scenario is one notebook, one request, and how the run must end.
type Scenario struct {
	Name  string `yaml:"-"`     // of the file
	About string `yaml:"about"` // one sentence: what must hold

	// Path of the notebook in the repository; empty is notebook.ipynb.
	Path  string            `yaml:"path"`
	Cells []Cell            `yaml:"cells"`
	Files map[string]string `yaml:"files"` // neighbours, by path
	// Kernel is the notebook's own kernel; empty is python3.
	Kernel string `yaml:"kernel"`

	// Request holds further fields of the submission.
	Request map[string]any `yaml:"request"`
	// Unwatched says that nobody may ask about the run while it is under way.
	Unwatched bool `yaml:"unwatched"`
	// Steps are what happens while the run is under way, in order.
	Steps  []Step `yaml:"steps"`
	Server Server `yaml:"server"`
	Want   Want   `yaml:"want"`
}

// Step waits for something and then does something.
type Step struct {
	Log   string    `yaml:"log"`   // wait until this text is in the log of the newest attempt
	Stage nes.Stage `yaml:"stage"` // wait until the run is in this stage, or beyond it
	Note  string    `yaml:"note"`  // wait until an event of the run says this
	// Do is "cancel", or what a site's Strike understands.
	Do string `yaml:"do"`
}

// Server is what the scenario needs of the server that plays it. A rig that cannot give it skips the scenario.
type Server struct {
	Busy   bool   `yaml:"busy"`   // all places are taken when the run is submitted
	Hold   string `yaml:"hold"`   // the server stops at this fault point until the step "release"
	Disk   string `yaml:"disk"`   // size of the disk that holds everything, such as 64M
	Kernel string `yaml:"kernel"` // a kernel to be installed beside the others: "stuck"
	Memory bool   `yaml:"memory"` // the backend holds a run to its memory
	// Place is where the attempts' processes must be reachable: "machine".
	Place string `yaml:"place"`
}

// Cell of a scenario's notebook: plain text is a code cell.
type Cell struct {
	Code     string   `yaml:"code"`
	Markdown string   `yaml:"markdown"`
	Tags     []string `yaml:"tags"`
}

// UnmarshalYAML reads a cell from text or from its fields.
func (c *Cell) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&c.Code)
	}
	type fields Cell
	return n.Decode((*fields)(c))
}

// Want is how a run must end. Empty fields are not looked at.
type Want struct {
	// Refused holds texts that the refusal of the submission must contain; no run exists then.
	Refused []string `yaml:"refused"`

	Status  string   `yaml:"status"`
	Reason  string   `yaml:"reason"`
	Message []string `yaml:"message"` // texts in the run's message
	// Cells are the statuses of the code cells of the executed notebook.
	Cells []string `yaml:"cells"`
	// Outputs are texts that the outputs of a code cell must contain, by its number from 1.
	Outputs map[int][]string `yaml:"outputs"`
	// Absent are texts that stand nowhere in the executed notebook.
	Absent []string `yaml:"absent"`
	// Error is the failed cell's error: name and a text in its value.
	Error  *WantError        `yaml:"error"`
	Result any               `yaml:"result"` // the run's, as JSON
	Files  map[string]string `yaml:"files"`  // side files and a text in each
	Log    []string          `yaml:"log"`    // texts in the log of the newest attempt
	// Checkpoints that the notebook set.
	Checkpoints map[string]any `yaml:"checkpoints"`
	// Label is the notebook's own word on its progress.
	Label string `yaml:"label"`
	// Attempts are the reasons of all attempts, the first one first; "-" is success, and "..." any number like the one before. Empty is one attempt with the run's own reason.
	Attempts []string `yaml:"attempts"`
	// Within is how long after the last step the run may take to end.
	Within string `yaml:"within"`
	// MaxBytes is the largest size that the executed notebook may have.
	MaxBytes int `yaml:"max_bytes"`
}

// WantError is the error of the failed cell.
type WantError struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// Load reads every scenario of a directory, in the order of their names.
func Load(dir string) ([]Scenario, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s := Scenario{Name: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		dec := yaml.NewDecoder(bytes.NewReader(raw))
		dec.KnownFields(true)
		if err := dec.Decode(&s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if s.Path == "" {
			s.Path = "notebook.ipynb"
		}
		all = append(all, s)
	}
	return all, nil
}

// Notebook returns the scenario's notebook as a file of nbformat 4.
func (s *Scenario) Notebook() []byte {
	kernel := s.Kernel
	if kernel == "" {
		kernel = "python3"
	}
	cells := []any{}
	for i, c := range s.Cells {
		cells = append(cells, c.document(i))
	}
	raw, err := json.MarshalIndent(map[string]any{
		"cells": cells,
		"metadata": map[string]any{
			"kernelspec": map[string]any{"name": kernel, "display_name": kernel, "language": language(kernel)},
		},
		"nbformat": 4, "nbformat_minor": 5,
	}, "", " ")
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return raw
}

func language(kernel string) string { return strings.TrimRight(kernel, "0123456789") }

func (c Cell) document(i int) map[string]any {
	meta := map[string]any{}
	if len(c.Tags) > 0 {
		meta["tags"] = c.Tags
	}
	doc := map[string]any{"id": fmt.Sprintf("cell-%d", i+1), "metadata": meta}
	if c.Markdown != "" {
		doc["cell_type"], doc["source"] = "markdown", c.Markdown
		return doc
	}
	doc["cell_type"], doc["source"] = "code", strings.TrimSuffix(c.Code, "\n")
	doc["outputs"], doc["execution_count"] = []any{}, nil
	return doc
}

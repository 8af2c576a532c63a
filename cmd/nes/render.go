package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes"
	notebooks "github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

func newRender(s streams) *cobra.Command {
	var out string
	var report bool
	cmd := &cobra.Command{
		Use:   "render NOTEBOOK",
		Short: "Write a notebook as one HTML file that needs no network",
		Long: `Writes a notebook (a file, or - for standard input) as one HTML file: images, charts, styles and scripts
are within it, and it needs neither a server nor a network. Nothing that the notebook
holds can reach beyond its own frame. The exit code is 1 for a file that is no notebook.`,
		Args: arguments(1, 1, "the notebook's path"),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				if out = strings.TrimSuffix(args[0], ".ipynb") + ".html"; args[0] == "-" {
					out = "-"
				}
			}
			return renderFile(s, args[0], out, report)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "where to write the page: a path, or - for standard output (default: beside the notebook, ending in .html)")
	cmd.Flags().BoolVar(&report, "report", false, "leave out the code, and what the notebook marks as not for readers")
	return cmd
}

// renderFile renders the notebook at path. What was at out stays whole until the page is complete.
func renderFile(s streams, path, out string, report bool) error {
	file, err := openNotebook(s, path)
	if err != nil {
		return err
	}
	defer file.Close()
	index, err := notebooks.Parse(file)
	if e, ok := errors.AsType[*nes.Error](err); ok {
		return nes.Fail(e.Reason, "%s: %s", path, e.Message)
	} else if err != nil {
		return fmt.Errorf("read the notebook: %w", err)
	}
	d := &render.Document{Index: index, File: file, Report: report, Ended: true}
	page := func(w io.Writer) error {
		return render.New().Page(w, d, strings.TrimSuffix(filepath.Base(path), ".ipynb"))
	}
	if out == "-" {
		return page(s.out)
	}
	if same, err := sameFile(path, out); err != nil || same {
		return fmt.Errorf("the page cannot be written over the notebook %s: name another file with -o", path)
	}
	return replaceFile(out, page)
}

// notebookFile is what a notebook is read from, twice: in order, and here and there.
type notebookFile interface {
	io.ReadCloser
	io.ReaderAt
}

func openNotebook(s streams, path string) (notebookFile, error) {
	if path == "-" {
		raw, err := io.ReadAll(s.in)
		if err != nil {
			return nil, fmt.Errorf("read the notebook from standard input: %w", err)
		}
		return held{bytes.NewReader(raw)}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the notebook: %w", err)
	}
	return file, nil
}

// held is a notebook in memory.
type held struct{ *bytes.Reader }

// Close has nothing to close.
func (held) Close() error { return nil }

func sameFile(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if err != nil {
		return false, nil //nolint:nilerr // standard input is no file
	}
	two, err := os.Stat(b)
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil && os.SameFile(one, two), err
}

// replaceFile writes a file beside path and puts it in path's place when it is whole.
func replaceFile(path string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	defer os.Remove(tmp.Name())
	if err := write(tmp); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		tmp.Close()
		return fmt.Errorf("write the page: %w", err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

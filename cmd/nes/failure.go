package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

// explainFailure says on w why a run did not succeed: the failed cell with its source
// and the end of its traceback, or the reason and what to do about it.
func explainFailure(ctx context.Context, w io.Writer, ses *session, run *nes.Run) {
	info := run.Reason.Info()
	if run.Reason == nes.ReasonCompleted {
		return
	}
	if run.Message != "" {
		fmt.Fprintln(w, run.Message)
	} else {
		fmt.Fprintln(w, info.Meaning)
	}
	if run.Outcome != nil && run.Outcome.Error != nil {
		cell(ctx, w, ses, run)
	} else if info.Cure != "" {
		fmt.Fprintln(w, info.Cure)
	}
}

// How much of a cell and of a traceback is shown.
const (
	sourceLines    = 12
	tracebackLines = 20
	maxNotebook    = 256 << 20
)

func cell(ctx context.Context, w io.Writer, ses *session, run *nes.Run) {
	e := run.Outcome.Error
	fmt.Fprintf(w, "\ncell %d", e.Cell)
	if c := failedCell(ctx, ses, run); c != nil {
		if c.ExecutionCount != nil {
			fmt.Fprintf(w, ", In [%d]", *c.ExecutionCount)
		}
		fmt.Fprintln(w, ":")
		for _, line := range head(strings.Split(strings.TrimRight(c.Source, "\n"), "\n"), sourceLines) {
			fmt.Fprintln(w, "    "+clean(line))
		}
	} else {
		fmt.Fprintln(w, ":")
	}
	fmt.Fprintln(w)
	trace := strings.Split(strings.TrimRight(strings.Join(e.Traceback, "\n"), "\n"), "\n")
	for _, line := range tail(trace, tracebackLines) {
		fmt.Fprintln(w, clean(line))
	}
	if len(e.Traceback) == 0 {
		fmt.Fprintf(w, "%s: %s\n", clean(e.Name), clean(e.Value))
	}
}

// failedCell reads the cell from the executed notebook; nil when that cannot be had.
func failedCell(ctx context.Context, ses *session, run *nes.Run) *nbformat.Cell {
	body, err := ses.Notebook(ctx, run.ID, 0)
	if err != nil {
		return nil
	}
	defer body.Close()
	nb, err := nbformat.Read(body, maxNotebook)
	if err != nil || run.Outcome.Error.Cell < 0 || run.Outcome.Error.Cell >= len(nb.Cells) {
		return nil
	}
	return &nb.Cells[run.Outcome.Error.Cell]
}

func head(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	return append(lines[:n:n], "...")
}

func tail(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	return append([]string{"..."}, lines[len(lines)-n:]...)
}

// ansi are the sequences by which a terminal is made to do something.
var ansi = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|.)?")

// clean is a line without colours and without anything that could act on the terminal: a notebook wrote it.
func clean(s string) string {
	return printable(strings.ReplaceAll(ansi.ReplaceAllString(s, ""), "\t", "    "))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes"
)

// Exit codes beside those of the table of reasons.
const (
	exitFailed = 1
	exitUsage  = 2 // bad usage, or a request that was refused
	exitError  = 3
	exitCancel = 4
	exitGaveUp = 5 // stopped waiting
)

// streams of the process. Results go to out, everything else to err.
type streams struct {
	in  *os.File
	out io.Writer
	err *os.File
}

// exit ends the command with a code after everything was said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// execute runs the command line and returns the exit code.
func execute(args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(joinPairs(args))
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	fmt.Fprintln(s.err, "nes: "+explain(err))
	return codeOf(err)
}

// codeOf is the exit code for an error that ended a command.
func codeOf(err error) int {
	e, ok := errors.AsType[*nes.Error](err)
	if !ok {
		return exitUsage
	}
	if e.Reason != "" {
		return e.Reason.Info().ExitCode
	}
	switch e.Code {
	case nes.CodeUnavailable, nes.CodeBusy, nes.CodeInternal:
		return exitError
	}
	return exitUsage
}

// explain is what a person is told about an error: each thing that is wrong on a line of its own.
func explain(err error) string {
	e, ok := errors.AsType[*nes.Error](err)
	if !ok {
		return err.Error()
	}
	if len(e.Problems) > 1 {
		lines := []string{"this cannot be done as it is asked for:"}
		for _, p := range e.Problems {
			lines = append(lines, "  "+p.Field+": "+p.Message)
		}
		return strings.Join(lines, "\n")
	}
	text := e.Message
	if cure := e.Reason.Info().Cure; e.Reason != "" && cure != "" {
		text += "\n     " + cure
	}
	return text
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "nes",
		Short: "Run notebooks from Git, and keep what happened",
		Long: `nes runs parameterised Jupyter notebooks straight from Git or from a working tree,
and keeps the executed notebook as the record of what happened.

With NES_SERVER unset it talks to the server that owns the data directory, and
is one itself where none runs. "nes doctor" says whether everything is in place.`,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	for _, add := range []func(streams) *cobra.Command{
		newRun, newGet, newList, newLogs, newCancel, newRerun, newInspect, newRender, newServe, newView, newMigrate, newReindex, newDoctor, newVersion,
		newToken,
	} {
		root.AddCommand(add(s))
	}
	return root
}

// arguments checks their number in words that say what is missing.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s is missing; see %s --help", what, cmd.CommandPath())
		case len(args) > most:
			return fmt.Errorf("%q is one argument too many; see %s --help", args[most], cmd.CommandPath())
		}
		return nil
	}
}

package executor

import (
	"context"
	"log/slog"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// Options of Run.
type Options struct {
	// Python is the interpreter that is used where the launch order names none; empty is python3 on PATH.
	Python string
	// CacheDir, where set, keeps the driver's files (and their byte code) by content hash
	// for all attempts on this machine; empty puts them into run/python.
	CacheDir string
	Log      *slog.Logger
}

// Run executes the notebook of the work volume at dir, which holds work/ and run/launch.json, and
// returns the exit marker that it has written. An end of ctx, SIGTERM and SIGINT all
// mean: cancel. An error means that no marker could be written.
func Run(ctx context.Context, dir string, o Options) (journal.Exit, error) {
	return journal.Exit{}, nes.Errorf(nes.CodeInternal, "not yet")
}

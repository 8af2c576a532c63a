package executor

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/journal"
)

// Options of Run.
type Options struct {
	// Python is the interpreter that is used where the launch order names none; empty is python3 on PATH.
	Python string
	// CacheDir, where set, keeps the driver's files (and their byte code) by content hash
	// for all attempts on this machine; empty puts them into run/python.
	CacheDir string
	// Notice, where set, is a file that gets a short copy of the marker: a container's termination message.
	Notice string
	Log    *slog.Logger // nil discards
}

// Run executes the notebook of the work volume at dir, which holds work/ and run/launch.json, and
// returns the exit marker that it has written. An end of ctx, SIGTERM and SIGINT all
// mean: cancel. An error means that no marker could be written.
//
// A volume that already has a marker is left as it is, and one that has a journal but no
// marker is not executed a second time: only NES starts attempts.
func Run(ctx context.Context, dir string, o Options) (journal.Exit, error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v, err := openVolume(dir)
	if err != nil {
		return journal.Exit{}, err
	}
	defer v.close()
	if exit, ok := v.marker(); ok {
		return exit, nil
	}
	fault.At(fault.ExecBegun)
	adoptOrphans()
	exit := (&execution{volume: v, options: o}).run(ctx)
	exit.V = journal.Version
	exit.At = float64(time.Now().UnixMicro()) / 1e6
	exit.Journal = v.journalSize()
	exit.MemPeak = memoryPeak()
	o.Log.Info("notebook ended", "reason", exit.Reason, "code", exit.Code, "signal", exit.Signal)
	fault.At(fault.ExecMarking)
	err = v.writeMarker(exit)
	fault.At(fault.ExecMarked)
	if o.Notice != "" {
		if nerr := writeNotice(o.Notice, exit); nerr != nil {
			o.Log.Warn("the container's last message cannot be written", "error", nerr)
		}
	}
	return exit, err
}

// A container's message is cut at 4096 bytes, and a marker that was cut says nothing.
const (
	maxNotice = 4000
	maxTell   = 1000
)

// writeNotice writes a marker that is short enough.
func writeNotice(name string, e journal.Exit) error {
	e.LogTail = ""
	raw, err := json.Marshal(e)
	for limit := maxTell; err == nil && len(raw) > maxNotice && limit > 0; limit /= 2 {
		e.Message = strings.ToValidUTF8(e.Message[:min(limit, len(e.Message))], "")
		raw, err = json.Marshal(e)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(name, raw, 0o644)
}

// failed is the marker of an attempt that never got as far as a driver.
func failed(err error) journal.Exit {
	return journal.Exit{Reason: string(nes.ReasonOf(err)), Message: err.Error(), Code: -1}
}

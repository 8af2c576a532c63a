package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nes-run/nes/runner/executor"
	"github.com/nes-run/nes/runner/journal"
)

// executorChild is the argument that makes this program "nes-agent exec" of a work volume: the executor wants a process of its own.
const executorChild = "-executor-child"

// runExecutorChild executes the notebook of the work volume in the arguments, where they ask for it.
func runExecutorChild(args []string) bool {
	if len(args) != 4 || args[1] != executorChild {
		return false
	}
	exit, err := executor.Run(context.Background(), args[2], executor.Options{CacheDir: args[3]})
	if err != nil || exit.Reason != "" {
		fmt.Fprintln(os.Stderr, exit.Reason, exit.Message, err)
		os.Exit(1)
	}
	return true
}

// timeExecutor returns the wall time of the executor alone, in a process of its own and on a fresh work volume.
func timeExecutor(ctx context.Context, python, path, dir string) (time.Duration, error) {
	volume, err := os.MkdirTemp(dir, "volume-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(volume)
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	launch, err := json.Marshal(journal.Launch{V: 1, RunID: "bench", Attempt: 1, Notebook: "n.ipynb", Python: python, Parameters: map[string]any{"alpha": 3}})
	if err != nil {
		return 0, err
	}
	for name, body := range map[string][]byte{journal.WorkDir + "/n.ipynb": raw, journal.LaunchFile: launch} {
		file := filepath.Join(volume, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return 0, err
		}
		if err := os.WriteFile(file, body, 0o644); err != nil {
			return 0, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	return timed(ctx, self, executorChild, volume, filepath.Join(dir, "cache"))
}

// Command bench runs papermill and NES side by side, whole processes, alternating in one go, and
// prints medians, ratios, and the peak memory of NES beside the kernel.
//
//	go run ./e2e/bench [-pairs 5] [-only one,chatty] [-executor]
//
// It needs bin/nes and bin/nes-agent ("make build") and a Python with papermill in NES_PYTHON.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// aims are the ratios that we want to stay below, by notebook.
var aims = map[string]float64{"one": 1.0, "many": 0.25, "large": 0.35, "chatty": 0.45}

func main() {
	if runExecutorChild(os.Args) {
		return
	}
	pairs := flag.Int("pairs", 5, "how often each notebook is run by each program")
	only := flag.String("only", "", "names of notebooks, separated by commas; empty is all")
	alone := flag.Bool("executor", false, "race the executor alone, without fetch, ledger and result")
	flag.Parse()
	if err := bench(context.Background(), *pairs, *only, *alone); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// result of one notebook.
type result struct {
	name, about      string
	papermill, nes   []time.Duration
	memory, kernelKB int64 // peak KiB: all NES processes beside the kernel, and the kernel
}

func bench(ctx context.Context, pairs int, only string, alone bool) error {
	python := os.Getenv("NES_PYTHON")
	if python == "" {
		return fmt.Errorf("NES_PYTHON is not set: make bench sets it")
	}
	dir, err := os.MkdirTemp("", "nes-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var results []result
	for _, nb := range notebooks() {
		if only != "" && !slices.Contains(strings.Split(only, ","), nb.name) {
			continue
		}
		r, err := race(ctx, python, dir, nb, pairs, alone)
		if err != nil {
			return fmt.Errorf("%s: %w", nb.name, err)
		}
		results = append(results, r)
		fmt.Fprintf(os.Stderr, "%s: done\n", nb.name)
	}
	report(results)
	return nil
}

// race runs both programs in turn on a notebook below dir, after one of each that is not counted.
func race(ctx context.Context, python, dir string, nb benchmark, pairs int, alone bool) (result, error) {
	r := result{name: nb.name, about: nb.about}
	path := filepath.Join(dir, "notebooks", nb.name, nb.name+".ipynb")
	if err := nb.write(path); err != nil {
		return r, err
	}
	data, out := filepath.Join(dir, "data", nb.name), filepath.Join(dir, nb.name+"-papermill.ipynb")
	for i := range pairs + 1 {
		p, err := timed(ctx, python, "-m", "papermill", "--no-progress-bar", path, out, "-p", "alpha", "3")
		if err != nil {
			return r, err
		}
		var n time.Duration
		if alone {
			n, err = timeExecutor(ctx, python, path, filepath.Dir(path))
		} else {
			n, err = timed(ctx, "env", "NES_DATA_DIR="+data, "NES_SERVER=", "bin/nes", "run", path, "-p", "alpha", "3")
		}
		if err != nil {
			return r, err
		}
		if i > 0 { // the first pair warms caches up, for both
			r.papermill, r.nes = append(r.papermill, p), append(r.nes, n)
		}
	}
	if alone {
		return r, nil
	}
	var err error
	r.memory, r.kernelKB, err = measureMemory(ctx, data, path)
	return r, err
}

// timed returns the wall time of a command that must succeed.
func timed(ctx context.Context, name string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return time.Since(start), nil
}

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

func report(results []result) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "| notebook | papermill | nes run | ratio | aim | NES memory | kernel |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	for _, r := range results {
		p, n := median(r.papermill), median(r.nes)
		fmt.Fprintf(w, "| %s | %.2f s | %.2f s | %.2f | %.2f | %d MB | %d MB |\n", r.about, p.Seconds(), n.Seconds(),
			n.Seconds()/p.Seconds(), aims[r.name], r.memory/1024, r.kernelKB/1024)
	}
	_ = w.Flush()
}

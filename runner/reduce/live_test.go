package reduce_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/executor"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/reduce"
)

var update = flag.Bool("update", false, "record golden journals with the real driver, and what papermill makes of the same notebooks")

const (
	childEnv = "NES_REDUCE_TEST_EXEC" // work volume that this process executes
	cacheEnv = "NES_REDUCE_TEST_CACHE"
)

// TestMain lets the test binary be the process that executes a notebook.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if _, err := executor.Run(context.Background(), dir, executor.Options{CacheDir: os.Getenv(cacheEnv)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// python is the interpreter of the reference runtime.
func python(t testing.TB) string {
	t.Helper()
	path := os.Getenv("NES_PYTHON")
	if path == "" {
		path, _ = filepath.Abs("../../.venv/bin/python")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no notebook runtime: set NES_PYTHON or run make runtime (%v)", err)
	}
	return path
}

// bashKernel returns a directory with the kernel specification that bash_kernel does not install by itself.
func bashKernel(t *testing.T, python string) string {
	t.Helper()
	dir := t.TempDir()
	spec, err := json.Marshal(map[string]any{
		"argv": []string{python, "-m", "bash_kernel", "-f", "{connection_file}"}, "display_name": "Bash", "language": "bash",
	})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "kernels/bash"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kernels/bash/kernel.json"), spec, 0o644))
	return dir
}

// perNotebook is how long a notebook may take, on either side, on a machine that does much else.
const perNotebook = 2 * time.Minute

// papermills are processes that have papermill imported and execute notebooks, one at a time each.
type papermills struct {
	start func() *papermill
	idle  chan *papermill
}

type papermill struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string // closed when the process has ended
}

func startPapermills(t *testing.T, python, env string, n int) papermills {
	t.Helper()
	all := papermills{func() *papermill { return startPapermill(t, python, env) }, make(chan *papermill, n)}
	for range n {
		all.idle <- all.start()
	}
	t.Cleanup(func() {
		for range n {
			(<-all.idle).stop()
		}
	})
	return all
}

func startPapermill(t *testing.T, python, env string) *papermill {
	t.Helper()
	cmd := exec.Command(python, "testdata/reference.py")
	cmd.Stderr, cmd.Env = io.Discard, append(os.Environ(), env)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &papermill{cmd, in, make(chan string)}
	go func() {
		defer close(p.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.answers <- lines.Text()
		}
	}()
	return p
}

func (p *papermill) stop() {
	p.in.Close()
	for range p.answers {
	}
	_ = p.cmd.Wait()
}

// begin lets papermill execute the notebook of a directory, and returns what waits for the notebook that it makes.
func (all papermills) begin(t *testing.T, dir, kernel string) func() []byte {
	t.Helper()
	p, began, out := <-all.idle, time.Now(), filepath.Join(t.TempDir(), "out.ipynb")
	t.Cleanup(func() { all.idle <- p })
	job, err := json.Marshal(map[string]string{"in": filepath.Join(dir, "notebook.ipynb"), "out": out, "cwd": dir, "kernel": kernel})
	require.NoError(t, err)
	_, err = p.in.Write(append(job, '\n'))
	require.NoError(t, err)
	return func() []byte {
		t.Helper()
		select {
		case said, alive := <-p.answers:
			require.True(t, alive, "papermill's process ended")
			raw, err := os.ReadFile(out)
			require.NoError(t, err, "papermill: %s", said)
			t.Logf("papermill took %.1f s", time.Since(began).Seconds())
			return raw
		case <-time.After(perNotebook):
			_ = p.cmd.Process.Kill()
			p.stop()
			p = all.start()
			require.Fail(t, "papermill did not end")
			return nil
		}
	}
}

// volume is a work volume after an execution.
type volume struct{ dir string }

// peer is a copy of the work directory, for papermill. Its name is as long, so that nothing wraps in another way.
const peer = "peer"

// prepared is a volume with a notebook to execute, once for the driver and once for papermill; orders change what is to be done.
func prepared(t *testing.T, python string, s specimen, orders ...func(*journal.Launch)) volume {
	t.Helper()
	v := volume{t.TempDir()}
	order := journal.Launch{
		V: 1, RunID: "00000000-0000-7000-8000-000000000000", Attempt: 1, Notebook: "notebook.ipynb", KernelName: s.kernel, Python: python, RunTimeout: 60,
	}
	for _, change := range orders {
		change(&order)
	}
	launch, err := json.Marshal(order)
	require.NoError(t, err)
	for _, dir := range []string{journal.WorkDir, peer, journal.RunDir} {
		require.NoError(t, os.MkdirAll(v.path(dir), 0o755))
	}
	require.NoError(t, os.WriteFile(v.path("work/notebook.ipynb"), s.source, 0o644))
	require.NoError(t, os.WriteFile(v.path(peer+"/notebook.ipynb"), s.source, 0o644))
	require.NoError(t, os.WriteFile(v.path(journal.LaunchFile), launch, 0o644))
	return v
}

// execute runs the notebook with the real driver.
func (v volume) execute(t *testing.T, cache, env string) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), perNotebook)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+v.dir, cacheEnv+"="+cache, env)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("the driver took %.1f s", time.Since(began).Seconds())
}

func (v volume) path(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }

func (v volume) read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(v.path(name))
	require.NoError(t, err)
	return raw
}

func (v volume) disk(t *testing.T) disk {
	t.Helper()
	d := disk{strings.NewReader(string(v.read(t, journal.JournalFile))), map[string]string{}}
	entries, _ := os.ReadDir(v.path(journal.BlobDir))
	for _, e := range entries {
		d.blobs[e.Name()] = string(v.read(t, journal.BlobDir+"/"+e.Name()))
	}
	return d
}

// TestTheReducerEqualsPapermill executes every notebook of the corpus twice, with papermill and with the real
// driver, and compares the notebooks.
func TestTheReducerEqualsPapermill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("executes a hundred notebooks: not with -short")
	}
	python := python(t)
	all := corpus(t)
	require.GreaterOrEqual(t, len(all), 60)
	kernels := "JUPYTER_PATH=" + bashKernel(t, python)
	reference := startPapermills(t, python, kernels, runtime.GOMAXPROCS(0))
	cache := t.TempDir()
	t.Run("corpus", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				v := prepared(t, python, s)
				theirs := reference.begin(t, v.path(peer), s.kernel)
				v.execute(t, cache, kernels)
				want := normal(t, bytes.ReplaceAll(theirs(), []byte(v.path(peer)), []byte(v.path(journal.WorkDir))), s.ids)
				input, d := v.read(t, journal.InputFile), v.disk(t)
				lines := string(v.read(t, journal.JournalFile))
				state := feed(t, input, lines)
				got := normal(t, written(t, state, d, reduce.Stamp{}), s.ids)
				require.Zero(t, state.Ignored())
				forgiveCleanExit(want)
				forgiveStreams(want)
				forgiveStreams(got)
				require.Equal(t, pretty(t, want), pretty(t, got))
				if *update {
					record(t, s, v, string(input), lines, pretty(t, want))
				}
			})
		}
	})
}

// forgiveCleanExit mends papermill's notebook where a cell left with sys.exit(0): papermill calls
// the run a success, and the cell failed.
func forgiveCleanExit(want any) {
	nb := want.(map[string]any)
	for _, c := range nb["cells"].([]any) {
		c := c.(map[string]any)
		outputs, _ := c["outputs"].([]any)
		for _, o := range outputs {
			o := o.(map[string]any)
			if o["ename"] != "SystemExit" || o["evalue"] != "" && o["evalue"] != "0" {
				continue
			}
			pm := c["metadata"].(map[string]any)["papermill"].(map[string]any)
			pm["status"], pm["exception"] = "completed", false
			nb["metadata"].(map[string]any)["papermill"].(map[string]any)["exception"] = nil
		}
	}
}

// record keeps a journal of the real driver, so that the pure Go part is tested without Python.
func record(t *testing.T, s specimen, v volume, input, lines, want string) {
	t.Helper()
	dir := filepath.Join("testdata/golden", s.name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	home := filepath.Dir(filepath.Dir(python(t)))
	clean := strings.NewReplacer(home, "/opt/python", v.dir, "/volume").Replace
	for name, text := range map[string]string{"input.ipynb": input, "journal.jsonl": lines, "want.json": want} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(clean(text)), 0o644))
	}
	for sum, body := range v.disk(t).blobs {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "blobs"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", sum), []byte(body), 0o644))
	}
}

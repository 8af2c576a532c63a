package executor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

const (
	childEnv  = "NES_TEST_EXEC"  // work volume: this process is "nes-agent exec"
	cacheEnv  = "NES_TEST_CACHE" // driver cache of all tests
	markerEnv = "NES_TEST_MARK"  // on everything that a run starts
)

// TestMain lets the test binary be the process that Run takes for itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		_, err := Run(context.Background(), dir, Options{CacheDir: os.Getenv(cacheEnv)})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	cache, err := os.MkdirTemp("", "nes-driver-cache-")
	if err != nil {
		panic(err)
	}
	os.Setenv(cacheEnv, cache)
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

// python returns the interpreter of the reference runtime, or skips.
func python(t *testing.T) string {
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

// cell of a test's notebook.
type cell struct {
	source string
	kind   string // code where empty
	tags   []string
}

func code(source string, tags ...string) cell { return cell{source: source, tags: tags} }

// attempt is a work volume and the process that executes it.
type attempt struct {
	t      *testing.T
	dir    string
	mark   string
	launch journal.Launch
	env    []string
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// newAttempt writes a notebook, in work/sub/, and a launch order that may be changed before start.
func newAttempt(t *testing.T, cells ...cell) *attempt {
	t.Helper()
	a := &attempt{t: t, dir: t.TempDir(), mark: strconv.FormatInt(time.Now().UnixNano(), 36)}
	require.NoError(t, os.MkdirAll(filepath.Join(a.dir, "work/sub"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(a.dir, "run"), 0o755))
	a.launch = journal.Launch{
		V: 1, RunID: "0190", Attempt: 1, Notebook: "sub/n {x}.ipynb", Python: python(t), Grace: 3,
		InputPath: "github.com/acme/reports/sub/n {x}.ipynb", OutputPath: "notebooks/{n}.ipynb",
	}
	a.writeNotebook(notebook("python3", "python", cells...))
	return a
}

func notebook(kernel, language string, cells ...cell) []byte {
	list := []map[string]any{}
	for i, c := range cells {
		one := map[string]any{
			"cell_type": "code", "id": fmt.Sprintf("c%d", i), "source": c.source,
			"metadata": map[string]any{"tags": append([]string{}, c.tags...)}, "outputs": []any{}, "execution_count": nil,
		}
		if c.kind != "" {
			one["cell_type"] = c.kind
			delete(one, "outputs")
			delete(one, "execution_count")
		}
		list = append(list, one)
	}
	raw, _ := json.Marshal(map[string]any{
		"cells": list, "nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{
			"kernelspec":    map[string]any{"name": kernel, "language": language, "display_name": kernel},
			"language_info": map[string]any{"name": language},
		},
	})
	return raw
}

func (a *attempt) path(name string) string { return filepath.Join(a.dir, name) }

func (a *attempt) writeNotebook(raw []byte) {
	require.NoError(a.t, os.WriteFile(filepath.Join(a.dir, "work", a.launch.Notebook), raw, 0o644))
}

// start starts "nes-agent exec".
func (a *attempt) start() *attempt {
	a.t.Helper()
	raw, err := json.Marshal(a.launch)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(a.path(journal.LaunchFile), raw, 0o644))
	self, err := os.Executable()
	require.NoError(a.t, err)
	a.cmd = exec.Command(self)
	a.cmd.Env = append(append(os.Environ(), childEnv+"="+a.dir, markerEnv+"="+a.mark), a.env...)
	a.cmd.Stderr = &a.stderr
	require.NoError(a.t, a.cmd.Start())
	a.t.Cleanup(func() { _ = a.cmd.Process.Kill() })
	return a
}

// wait waits for the end and returns the marker, after checking that nothing of the notebook lives.
func (a *attempt) wait() journal.Exit {
	a.t.Helper()
	err := a.cmd.Wait()
	require.NoError(a.t, err, a.stderr.String())
	var exit journal.Exit
	raw, err := os.ReadFile(a.path(journal.ExitFile))
	require.NoError(a.t, err)
	require.NoError(a.t, json.Unmarshal(raw, &exit))
	require.Empty(a.t, a.survivors(), "processes of the notebook that live on")
	return exit
}

func (a *attempt) run() journal.Exit {
	a.t.Helper()
	return a.start().wait()
}

// survivors lists processes that carry the attempt's mark in their environment.
func (a *attempt) survivors() []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err == nil && bytes.Contains(env, []byte(markerEnv+"="+a.mark)) {
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			found = append(found, file+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// lines reads the journal and holds it to its invariants.
func (a *attempt) lines() []journal.Line {
	a.t.Helper()
	raw, err := os.ReadFile(a.path(journal.JournalFile))
	require.NoError(a.t, err)
	require.True(a.t, bytes.HasSuffix(raw, []byte("\n")), "the journal ends with a whole line")
	var lines []journal.Line
	last := 0.0
	for s := bufio.NewReaderSize(bytes.NewReader(raw), journal.MaxLine); ; {
		text, err := s.ReadBytes('\n')
		if len(text) == 0 {
			break
		}
		require.NoError(a.t, err)
		require.LessOrEqual(a.t, len(text), journal.MaxLine)
		var l journal.Line
		require.NoError(a.t, json.Unmarshal(text, &l), "line: %s", text)
		require.Equal(a.t, journal.Version, l.V)
		require.EqualValues(a.t, len(lines)+1, l.Seq)
		require.GreaterOrEqual(a.t, l.T, last)
		last = l.T
		lines = append(lines, l)
	}
	return lines
}

// sealed reads the journal of an attempt whose driver spoke its last word.
func (a *attempt) sealed() []journal.Line {
	a.t.Helper()
	lines := a.lines()
	require.NotEmpty(a.t, lines)
	for i, l := range lines {
		require.Equal(a.t, i == len(lines)-1, l.K == journal.KindExit, "exit is the last line and the only one of its kind")
	}
	return lines
}

// text is what a stream of a cell said, all lines joined.
func text(lines []journal.Line, cell int, name string) string {
	var b strings.Builder
	for _, l := range lines {
		if l.K != journal.KindMsg || l.Type != "stream" || l.Cell == nil || *l.Cell != cell {
			continue
		}
		var c struct{ Name, Text string }
		if json.Unmarshal(l.Content, &c) == nil && c.Name == name {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}

// statuses are the ends of cells in their order, as "index status".
func statuses(lines []journal.Line) []string {
	var all []string
	for _, l := range lines {
		if l.K == journal.KindCellEnd {
			all = append(all, fmt.Sprintf("%d %s", *l.Cell, l.Status))
		}
	}
	return all
}

func messages(lines []journal.Line, kind string) []journal.Line {
	var all []journal.Line
	for _, l := range lines {
		if l.K == journal.KindMsg && l.Type == kind {
			all = append(all, l)
		}
	}
	return all
}

func words(lines []journal.Line) []string {
	var all []string
	for _, l := range lines {
		if l.K == journal.KindWord {
			all = append(all, strings.TrimSpace(l.Word+" "+l.Name)+" "+string(l.Value))
		}
	}
	return all
}

// await waits until the journal (or another file) contains a text.
func (a *attempt) await(file, text string) {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		raw, err := os.ReadFile(a.path(file))
		return err == nil && bytes.Contains(raw, []byte(text))
	}, 30*time.Second, 5*time.Millisecond, "%s never said %q", file, text)
}

func (a *attempt) cancel(c journal.Control) {
	raw, err := json.Marshal(c)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(a.path(journal.ControlFile+".part"), raw, 0o644))
	require.NoError(a.t, os.Rename(a.path(journal.ControlFile+".part"), a.path(journal.ControlFile)))
}

// driverPID finds the driver's process: the child of exec.
func (a *attempt) driverPID() int {
	a.t.Helper()
	var pid int
	require.Eventually(a.t, func() bool {
		for _, p := range childrenOf()[a.cmd.Process.Pid] {
			pid = p
		}
		return pid != 0
	}, 10*time.Second, 5*time.Millisecond)
	return pid
}

func kill(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		require.NoError(t, err)
	}
}

func requireReason(t *testing.T, want nes.Reason, got journal.Exit) {
	t.Helper()
	require.Equal(t, string(want), got.Reason, "message: %s\nlog: %s", got.Message, got.LogTail)
}

// bareVenv is an environment without any package.
func bareVenv(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command(python(t), "-m", "venv", "--without-pip", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(dir, "bin/python")
}

package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

func TestRunSucceeds(t *testing.T) {
	t.Parallel()
	a := newAttempt(t,
		cell{kind: "markdown", source: "# Title"},
		code("alpha = 1", "parameters"),
		code("print('hello', alpha)\nalpha + 1"),
		code("  \n"),
		code("raise RuntimeError('never')", "skip-execution"),
		code("import os, neighbour\nprint(os.path.basename(os.getcwd()), neighbour.x, os.environ['EXTRA'])"),
	)
	require.NoError(t, os.WriteFile(a.path("work/sub/neighbour.py"), []byte("x = 'beside'"), 0o644))
	a.launch.Parameters = map[string]any{"alpha": 41}
	a.launch.Env = map[string]string{"EXTRA": "한국"}
	exit := a.run()
	requireReason(t, nes.ReasonCompleted, exit)
	require.Zero(t, exit.Code)
	require.Positive(t, exit.MemPeak)

	lines := a.sealed()
	require.Equal(t, []string{"1 ok", "2 ok", "3 ok", "6 ok"}, statuses(lines), "the injected cell is the third")
	require.Equal(t, "hello 41\n", text(lines, 3, "stdout"))
	require.Equal(t, "sub beside 한국\n", text(lines, 6, "stdout"))
	require.Contains(t, string(messages(lines, "execute_result")[0].Content), `"text/plain": "42"`)

	start := lines[0]
	require.Equal(t, journal.KindStart, start.K)
	input, err := os.ReadFile(a.path(journal.InputFile))
	require.NoError(t, err)
	sum := sha256.Sum256(input)
	require.Equal(t, hex.EncodeToString(sum[:]), start.Notebook.SHA256)
	require.Equal(t, 7, start.Notebook.Cells)
	require.Equal(t, 4, start.Notebook.Code)
	require.Equal(t, "python", start.Kernel.Language)
	require.NotEmpty(t, start.Kernel.LanguageInfo)
	require.NotEmpty(t, start.Versions["papermill"])
	require.Positive(t, lines[2].Mem)
}

func TestInputNotebookIsPapermills(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("alpha = 1", "parameters"), code("print(alpha)"))
	a.launch.Parameters = map[string]any{"alpha": 2}
	requireReason(t, nes.ReasonCompleted, a.run())
	var nb struct {
		Cells []struct {
			Source   []string
			Outputs  []any
			Metadata struct {
				Tags      []string
				Papermill map[string]any
			}
		}
		Metadata struct{ Papermill map[string]any }
	}
	raw, err := os.ReadFile(a.path(journal.InputFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &nb))
	require.Equal(t, []string{"injected-parameters"}, nb.Cells[1].Metadata.Tags)
	require.Equal(t, "# Parameters\nalpha = 2\n", strings.Join(nb.Cells[1].Source, ""))
	require.Equal(t, "pending", nb.Cells[2].Metadata.Papermill["status"])
	require.Empty(t, nb.Cells[2].Outputs)
	pm := nb.Metadata.Papermill
	require.Equal(t, map[string]any{"alpha": 2.0}, pm["parameters"])
	require.Equal(t, "github.com/acme/reports/sub/n {x}.ipynb", pm["input_path"])
	require.Equal(t, "notebooks/{n}.ipynb", pm["output_path"])
	for _, key := range []string{"version", "default_parameters", "environment_variables", "start_time", "exception"} {
		require.Contains(t, pm, key)
	}
}

func TestParametersArriveAsGiven(t *testing.T) {
	t.Parallel()
	given := `{"i": 7, "big": 123456789012345678901234567890, "f": 0.1, "e": 1e5, "t": true, "no": false, "nil": null,
		"date": "2024-01-02", "zeros": "007", "l": [1, [2.5, null], "x"], "d": {"a b": {"c": [true]}, "한": "글"},
		"s": "그는 \"안녕\"이라고\n말했다 '뭐' \\ \t {x} %s ${HOME}", "empty": "", "el": [], "ed": {}}`
	var names map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(given), &names))
	var list []string
	for name := range names {
		list = append(list, "'"+name+"': "+name)
	}
	a := newAttempt(t, code("import json\nprint(json.dumps({"+strings.Join(list, ", ")+"}))"))
	a.launch.Parameters = map[string]any{}
	for name, raw := range names {
		a.launch.Parameters[name] = raw
	}
	requireReason(t, nes.ReasonCompleted, a.run())
	require.JSONEq(t, given, text(a.sealed(), 1, "stdout"))
	require.Contains(t, text(a.sealed(), 1, "stdout"), "123456789012345678901234567890")
}

func TestParameterNamesAreNoCode(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a; import os", "a=1\nb", "", "class", "1a", "a-b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code("print(1)"))
			a.launch.Parameters = map[string]any{name: 1}
			requireReason(t, nes.ReasonParameterError, a.run())
			require.Len(t, a.sealed(), 1, "no kernel was started")
		})
	}
}

func TestCellErrorStopsTheRun(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('one')"), code("def f():\n    raise ValueError('bad\\nthing')\nf()"), code("print('never')"))
	exit := a.run()
	requireReason(t, nes.ReasonCellError, exit)
	require.Equal(t, 1, exit.Code)
	require.Equal(t, "cell 1: ValueError: bad\nthing", exit.Message)
	lines := a.sealed()
	require.Equal(t, []string{"0 ok", "1 error"}, statuses(lines))
	end := lines[len(lines)-2]
	require.Equal(t, "ValueError", end.Error.Name)
	require.Equal(t, "bad\nthing", end.Error.Value)
	require.NotEmpty(t, end.Error.Traceback)
	require.Equal(t, 2, *end.N)
	require.Len(t, messages(lines, "error"), 1)
}

func TestTagAllowsAnError(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("1/0", "raises-exception"), code("print('on')"))
	requireReason(t, nes.ReasonCompleted, a.run())
	require.Equal(t, []string{"0 allowed", "1 ok"}, statuses(a.sealed()))
}

// TestKernelKilled has a kernel killed right behind a print: what it could not send any more is kept too.
func TestKernelKilled(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ print, want string }{
		"flushed":   {"print('last words', flush=True)", "last words\n"},
		"unflushed": {"print('first')\nprint('last words 한')", "first\nlast words 한\n"},
		"long":      {"print('x' * 3_000_000)\nprint('end')", "x\nend\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code("print('hello')"), code("x=2"),
				code("import os, signal\n"+tt.print+"\nos.kill(os.getpid(), signal.SIGKILL)"),
				code("x=4"), code("x=5"), code("x=6"))
			exit := a.run()
			requireReason(t, nes.ReasonKernelDied, exit)
			require.Contains(t, exit.Message, "SIGKILL in cell 2")
			lines := a.sealed()
			require.Equal(t, []string{"0 ok", "1 ok", "2 died"}, statuses(lines))
			require.Equal(t, "hello\n", text(lines, 0, "stdout"))
			if said := text(lines, 2, "stdout"); name != "long" {
				require.Equal(t, tt.want, said)
			} else {
				require.True(t, strings.HasSuffix(said, tt.want), "the last of it: %d", len(said))
			}
		})
	}
}

func TestNotebookExits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source string
		reason nes.Reason
		status string
	}{
		"sys.exit()":       {"import sys; sys.exit()", nes.ReasonCompleted, "0 ok"},
		"sys.exit(0)":      {"import sys; sys.exit(0)", nes.ReasonCompleted, "0 ok"},
		"sys.exit(None)":   {"import sys; sys.exit(None)", nes.ReasonCompleted, "0 ok"},
		"exit()":           {"exit()", nes.ReasonCompleted, "0 ok"},
		"sys.exit(3)":      {"import sys; sys.exit(3)", nes.ReasonCellError, "0 error"},
		"sys.exit(reason)": {"import sys; sys.exit('because')", nes.ReasonCellError, "0 error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code(tt.source), code("print('never')"))
			requireReason(t, tt.reason, a.run())
			require.Equal(t, []string{tt.status}, statuses(a.sealed()))
			if name != "exit()" { // there papermill's end depends on how fast the later cells are
				papermill := exec.Command(a.launch.Python, "-m", "papermill", "--no-progress-bar", a.path("work/sub/x.ipynb"), a.path("out.ipynb"))
				require.NoError(t, os.Rename(a.path("work/"+a.launch.Notebook), a.path("work/sub/x.ipynb")))
				require.Equal(t, tt.reason == nes.ReasonCompleted, papermill.Run() == nil, "papermill sees it in the same way")
			}
		})
	}
}

func TestInputIsRefused(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("input('name? ')"))
	exit := a.run()
	requireReason(t, nes.ReasonCellError, exit)
	require.Contains(t, exit.Message, "StdinNotImplementedError")
}

func TestMissingThings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, a *attempt)
		reason nes.Reason
		says   string
	}{
		"kernel":      {func(_ *testing.T, a *attempt) { a.launch.KernelName = "fortran" }, nes.ReasonKernelNotFound, "python3"},
		"interpreter": {func(_ *testing.T, a *attempt) { a.launch.Python = "/nowhere/python" }, nes.ReasonEngineMissing, "pip install papermill ipykernel"},
		"papermill":   {func(t *testing.T, a *attempt) { a.launch.Python = bareVenv(t) }, nes.ReasonEngineMissing, "-m pip install papermill ipykernel"},
		"notebook":    {func(_ *testing.T, a *attempt) { a.launch.Notebook = "gone.ipynb" }, nes.ReasonNotANotebook, "no notebook"},
		"JSON":        {func(_ *testing.T, a *attempt) { a.writeNotebook([]byte("{")) }, nes.ReasonNotANotebook, "not a Jupyter notebook"},
		"cells":       {func(_ *testing.T, a *attempt) { a.writeNotebook([]byte(`{"nbformat": 4}`)) }, nes.ReasonNotANotebook, "no cells"},
		"sound cells": {func(_ *testing.T, a *attempt) {
			a.writeNotebook([]byte(`{"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3"}}, "cells": [7]}`))
		}, nes.ReasonNotANotebook, "cannot read"},
		"kernel name": {func(_ *testing.T, a *attempt) {
			a.writeNotebook([]byte(`{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}`))
		}, nes.ReasonKernelNotFound, "names no kernel"},
		"translator": {func(t *testing.T, a *attempt) {
			a.kernelSpec(t, "lisp", []string{a.launch.Python, "-c", "import time; time.sleep(60)"}, "lisp")
			a.launch.Parameters = map[string]any{"x": 1}
			a.writeNotebook(notebook("lisp", "lisp", code("x")))
		}, nes.ReasonParameterError, "lisp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code("print(1)"))
			tt.change(t, a)
			exit := a.run()
			requireReason(t, tt.reason, exit)
			require.Contains(t, exit.Message, tt.says)
		})
	}
}

// kernelSpec installs a kernel for this attempt alone.
func (a *attempt) kernelSpec(t *testing.T, name string, argv []string, language string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "jupyter")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "kernels", name), 0o755))
	raw, err := json.Marshal(map[string]any{"argv": argv, "language": language, "display_name": name})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kernels", name, "kernel.json"), raw, 0o644))
	a.env = append(a.env, "JUPYTER_PATH="+dir)
}

func TestKernelDiesAtStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code   string
		reason nes.Reason
		says   string
	}{
		"crash":        {"import sys; sys.exit('no licence found')", nes.ReasonKernelDied, "no licence found"},
		"no ipykernel": {"import sys; sys.exit('No module named ipykernel_launcher')", nes.ReasonEngineMissing, "pip install ipykernel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code("print(1)"))
			a.kernelSpec(t, "broken", []string{a.launch.Python, "-c", tt.code, "{connection_file}"}, "python")
			a.launch.KernelName = "broken"
			exit := a.run()
			requireReason(t, tt.reason, exit)
			require.Contains(t, exit.Message, tt.says)
			require.Len(t, a.sealed(), 1)
		})
	}
}

func TestKernelNeverAnswers(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print(1)"))
	a.kernelSpec(t, "mute", []string{a.launch.Python, "-c", "import time; time.sleep(600)", "{connection_file}"}, "python")
	a.launch.KernelName, a.launch.StartTimeout = "mute", 0.5
	exit := a.run()
	requireReason(t, nes.ReasonKernelDied, exit)
	require.Contains(t, exit.Message, "did not answer in time")
}

func TestBashKernel(t *testing.T) {
	t.Parallel()
	a := newAttempt(t)
	a.kernelSpec(t, "bash", []string{a.launch.Python, "-m", "bash_kernel", "-f", "{connection_file}"}, "bash")
	a.writeNotebook(notebook("bash", "bash", code("who=nobody", "parameters"), code("echo \"hello $who\"; pwd"), code("false")))
	a.launch.Parameters = map[string]any{"who": "it's 한국"}
	exit := a.run()
	requireReason(t, nes.ReasonCellError, exit)
	lines := a.sealed()
	require.Equal(t, []string{"0 ok", "1 ok", "2 ok", "3 error"}, statuses(lines))
	require.Contains(t, text(lines, 2, "stdout"), "hello it's 한국")
	require.Contains(t, text(lines, 2, "stdout"), "/work/sub")
	require.Equal(t, "bash", lines[0].Kernel.Language)
}

func TestDriverKilled(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('kept', flush=True)\nimport time\ntime.sleep(60)")).start()
	a.await(journal.JournalFile, "kept")
	kill(t, a.driverPID(), syscall.SIGKILL)
	exit := a.wait()
	requireReason(t, nes.ReasonKernelDied, exit)
	require.Equal(t, "SIGKILL", exit.Signal)
	require.Contains(t, exit.Message, "the driver")
	require.Equal(t, "kept\n", text(a.lines(), 0, "stdout"))
}

func TestExecKilledEndsTheNotebook(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('up', flush=True)\nimport time\ntime.sleep(60)")).start()
	a.await(journal.JournalFile, "up")
	kill(t, a.cmd.Process.Pid, syscall.SIGKILL)
	_ = a.cmd.Wait()
	a.await(journal.JournalFile, `"k":"exit"`)
	requireGone(t, a)
	require.NoFileExists(t, a.path(journal.ExitFile))

	exit := a.start().wait()
	requireReason(t, nes.ReasonNodeLost, exit)
}

package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nes": main})
}

// TestScripts runs the real command in the scripts of testdata/script. Beside
// testscript's own words they know "code N command...", which holds a command to
// its exit code, "notebook FILE PARAMETERS CELL...", which writes a notebook, and "json PATH VALUE",
// which looks into the JSON on the last standard output.
func TestScripts(t *testing.T) {
	t.Parallel()
	repository := serveRepository(t)
	breaking := serveBreaking(t)
	python := interpreter()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			for _, v := range config.Variables() {
				e.Setenv(v.Name, "")
			}
			e.Setenv("NES_DATA_DIR", filepath.Join(e.WorkDir, "data"))
			e.Setenv("NES_PYTHON", python)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("REPOSITORY", repository)
			e.Setenv("BREAKING", breaking)
			e.Setenv("PIDS", filepath.Join(e.WorkDir, "pids"))
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Condition: func(word string) (bool, error) {
			if word == "kernel" {
				return python != "", nil
			}
			return false, errors.New("unknown condition " + word)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "notebook": notebook, "json": lookJSON},
	})
	if python == "" {
		t.Log("scripts with a kernel were skipped: set NES_PYTHON to a Python that has papermill and ipykernel")
	}
}

// serveBreaking serves a run whose notebook breaks off in its middle, as behind a server that is killed. It returns its address.
func serveBreaking(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/notebook") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"0198a0f0-0000-7000-8000-000000000000","status":"Succeeded","stage":"ended","version":9,"attempt":1}`)
			return
		}
		w.Header().Set("Content-Type", "application/x-ipynb+json")
		_, _ = io.WriteString(w, `{"cells": [{"cell_type": "code"`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// interpreter has papermill and a kernel; "" where there is none.
func interpreter() string {
	for _, p := range []string{os.Getenv("NES_PYTHON"), filepath.Join("..", "..", ".venv", "bin", "python")} {
		if abs, err := filepath.Abs(p); p != "" && err == nil {
			if _, err := os.Stat(abs); err == nil {
				return abs
			}
		}
	}
	return ""
}

// serveRepository serves a Git repository with a few notebooks and returns its address.
func serveRepository(t *testing.T) string {
	t.Helper()
	server := gitsourcetest.NewServer(t)
	gitsourcetest.NewRepository(t, server.Root, "acme/reports").Commit("notebooks", map[string]string{
		"jobs/daily.ipynb": gitsourcetest.Notebook("alpha: int = 1  # how many\nname = 'x'", "import helper\nprint(helper.twice(alpha), name)"),
		"jobs/helper.py":   "def twice(x):\n    return 2 * x\n",
	})
	return server.URL + "/acme/reports"
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

func notebook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: notebook FILE PARAMETERS CELL...")
	}
	cells := make([]string, len(args)-2)
	for i, c := range args[2:] {
		cells[i] = strings.ReplaceAll(c, `\n`, "\n")
	}
	text := gitsourcetest.Notebook(strings.ReplaceAll(args[1], `\n`, "\n"), cells...)
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, []byte(text), 0o644))
}

func lookJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for key := range strings.SplitSeq(args[0], ".") {
		if list, ok := v.([]any); ok {
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(list) {
				ts.Fatalf("%s: there are %d", args[0], len(list))
			}
			v = list[i]
			continue
		}
		fields, _ := v.(map[string]any)
		v = fields[key]
	}
	got, err := json.Marshal(v)
	ts.Check(err)
	if text, ok := v.(string); ok {
		got = []byte(text)
	}
	if (string(got) == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

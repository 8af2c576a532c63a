package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
)

// finding is what doctor says of one thing.
type finding struct {
	what string
	word string // of the three below
	text string
	cure string // a command or what else to do
}

// What a finding can be.
const (
	fine    = "ok"
	missing = "problem" // NES does not work without it
	lacking = "note"    // something less important does not
)

func newDoctor(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that NES needs, and say what to do about what is missing",
		Args:  arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			broken := false
			for _, f := range examine(ctx, s) {
				fmt.Fprintf(s.out, "%-8s %-14s %s\n", f.word, f.what, clean(f.text))
				if f.cure != "" {
					fmt.Fprintf(s.out, "%24s%s\n", "-> ", f.cure)
				}
				broken = broken || f.word == missing
			}
			if broken {
				return exit(exitFailed)
			}
			return nil
		},
	}
}

func examine(ctx context.Context, s streams) []finding {
	c, err := config.Load()
	if err != nil {
		return []finding{{"configuration", missing, explain(err), "see docs/configuration.md"}}
	}
	if c.Server != "" {
		return []finding{{"configuration", fine, "NES_SERVER=" + c.Server, ""}, server(ctx, s)}
	}
	found := []finding{{"configuration", fine, "data directory " + c.DataDir, ""}}
	found = append(found, pythons(ctx, c)...)
	return append(found, git(ctx), dataDir(c.DataDir), server(ctx, s))
}

// pythons looks at the default interpreter and at that of each runtime.
func pythons(ctx context.Context, c config.Config) []finding {
	var found []finding
	if c.Python != "" || !hasDefault(c.Site.Runtimes) {
		found = python(ctx, "python", c.Python)
	}
	for _, r := range c.Site.Runtimes {
		found = append(found, python(ctx, r.Name, r.Python)...)
	}
	return found
}

func hasDefault(runtimes []config.Runtime) bool {
	for _, r := range runtimes {
		if r.Default {
			return true
		}
	}
	return false
}

// probe is a program in Python that says what is there.
const probe = `
import json, sys
out = {"python": ".".join(map(str, sys.version_info[:3]))}
try:
    import papermill
    out["papermill"] = papermill.__version__
except Exception as e:
    out["papermill_error"] = f"{type(e).__name__}: {e}"
try:
    from jupyter_client.kernelspec import KernelSpecManager
    out["kernels"] = sorted(KernelSpecManager().find_kernel_specs())
except Exception as e:
    out["kernels_error"] = f"{type(e).__name__}: {e}"
print(json.dumps(out))
`

// probed is what the program prints.
type probed struct {
	Python         string   `json:"python"`
	Papermill      string   `json:"papermill"`
	PapermillError string   `json:"papermill_error"`
	Kernels        []string `json:"kernels"`
}

func python(ctx context.Context, name, interpreter string) []finding {
	given := interpreter != ""
	if !given {
		interpreter = "python3"
	}
	path, err := exec.LookPath(interpreter)
	if err != nil {
		cure := "sudo apt install python3 python3-venv, or set NES_PYTHON to an interpreter"
		if given {
			cure = "set NES_PYTHON (or the runtime's python) to an interpreter that exists"
		}
		return []finding{{name, missing, interpreter + " is not there", cure}}
	}
	cmd := exec.CommandContext(ctx, path, "-c", probe)
	raw, err := cmd.Output()
	var p probed
	if err == nil {
		err = json.Unmarshal(lastLine(raw), &p)
	}
	if err != nil {
		return []finding{{name, missing, path + " does not work: " + reasonOf(err), "set NES_PYTHON to a Python 3.9 or newer"}}
	}
	return []finding{{name, fine, path + " (" + p.Python + ")", ""}, p.papermill(path), p.kernels(path)}
}

func (p probed) papermill(path string) finding {
	if p.Papermill == "" {
		return finding{"papermill", missing, "cannot be imported: " + p.PapermillError, path + " -m pip install papermill ipykernel"}
	}
	return finding{"papermill", fine, p.Papermill, ""}
}

func (p probed) kernels(path string) finding {
	if len(p.Kernels) == 0 {
		return finding{"kernels", missing, "there is none", path + " -m pip install ipykernel"}
	}
	return finding{"kernels", fine, strings.Join(p.Kernels, ", "), ""}
}

func lastLine(b []byte) []byte {
	text := strings.TrimSpace(string(b))
	return []byte(text[strings.LastIndexByte(text, '\n')+1:])
}

// reasonOf adds what a process said to its exit code.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
		return string(lastLine(e.Stderr))
	}
	return err.Error()
}

// git is needed for working trees alone: NES fetches by itself.
func git(ctx context.Context) finding {
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		return finding{"git", lacking, "is not installed: \"nes run\" of a path takes ignored files along and does not know the commit", "sudo apt install git"}
	}
	return finding{"git", fine, strings.TrimPrefix(strings.TrimSpace(string(out)), "git version "), ""}
}

func dataDir(dir string) finding {
	err := os.MkdirAll(dir, 0o700)
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(dir, ".tmp-*")
	}
	if err != nil {
		return finding{"data directory", missing, err.Error(), "set NES_DATA_DIR to a directory that can be written"}
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return finding{"data directory", missing, err.Error(), "set NES_DATA_DIR to a directory that can be written"}
	}
	return finding{"data directory", fine, filepath.Clean(dir) + " can be written", ""}
}

// server reaches the one that commands would talk to, and with it ledger and bucket.
func server(ctx context.Context, s streams) finding {
	ses, err := connect(ctx, s, look)
	if err != nil {
		return finding{"server", missing, explain(err), "mend what is named, and run nes doctor again"}
	}
	defer ses.close()
	v, err := ses.Health(ctx)
	if err == nil {
		_, err = ses.Runs(ctx, nil)
	}
	switch {
	case err != nil && ses.remote:
		return finding{"server", missing, ses.config.Server + ": " + explain(err), "check NES_SERVER and NES_TOKEN; is \"nes serve\" running there?"}
	case err != nil:
		return finding{"server", missing, explain(err), cureOf(err)}
	case ses.embedded():
		return finding{"server", fine, "none runs: commands run notebooks themselves; ledger and bucket can be used", ""}
	}
	return finding{"server", fine, "answers, version " + v, ""}
}

func cureOf(err error) string {
	if nes.CodeOf(err) == nes.CodeUnauthorized {
		return "set NES_TOKEN to a token that the server knows"
	}
	return "look into the server's log"
}

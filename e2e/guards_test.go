package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guard is something without which a crash does harm, and the fault point that shows it.
type guard struct {
	name    string
	file    string // below the module's root
	with    string // the code, which stands there once
	without string
	point   string
}

var guards = []guard{
	{"a submission and its idempotency key are one transaction", "internal/ledger/create.go",
		"	_, err := t.exec(\"INSERT INTO idempotency_keys", "	if s.Team != \"\" {\n		return nil\n	}\n	_, err := t.exec(\"INSERT INTO idempotency_keys",
		"ledger.written:submitted"},
	{"an attempt's token can be made again", "runner/token.go",
		`fmt.Fprintf(mac, "nes attempt %s %d", ref.Run, ref.Attempt)`, `fmt.Fprintf(mac, "nes attempt %s %d %d", ref.Run, ref.Attempt, os.Getpid())`,
		"ledger.written:launched"},
	{"an intent that nobody carried out is carried out", "runner/decide.go",
		"		return Decision{Do: ActAdopt}", "		return Decision{Do: ActWait}",
		"launch.launching"},
	{"one exec at a time has the work volume", "runner/executor/volume.go",
		"syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err", "error(nil); err",
		"agent.started"},
	{"the journal goes on where it is stored up to", "runner/record/journal.go",
		"		return nil // a gap, or nothing new\n	}\n	data = data[end-offset:]", "		_ = end\n	}",
		"journal.stored"},
	{"a directory is taken away as a whole", "runner/local/process.go",
		"os.Rename(dir, gone)", `os.Rename(filepath.Join(dir, "agent"), gone)`,
		"publish.removed"},
}

// TestGuards takes each guard out of the program, and expects the crash test to fail. It builds the program once for each, so
// it runs where NES_GUARDS asks for it: make guards.
func TestGuards(t *testing.T) {
	t.Parallel()
	if os.Getenv("NES_GUARDS") == "" {
		t.Skip("NES_GUARDS is not set: make guards sets it")
	}
	for _, g := range guards {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "bin")
			require.NoError(t, compile(dir, "-tags=nesfaults", "-overlay="+overlay(t, g)))
			cmd := exec.Command(os.Args[0], "-test.run=^TestCrashes$/^sqlite$/^"+g.point+"$", "-test.v")
			cmd.Env = append(os.Environ(), binaries+"="+dir, "NESTEST_PATIENCE=30s", "NES_GUARDS=")
			out, err := cmd.CombinedOutput()
			require.Contains(t, string(out), "--- ", "the test did not run: %s", out)
			require.Error(t, err, "without the guard the crash test still passes")
			require.Contains(t, string(out), "--- FAIL: TestCrashes/sqlite/"+g.point)
			t.Logf("without it: %s", why(string(out)))
		})
	}
}

// overlay makes the file that tells the compiler of the program without the guard.
func overlay(t *testing.T, g guard) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", g.file))
	require.NoError(t, err)
	code, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(code), g.with), "%s: the guard is written differently now: %s", g.file, g.with)
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(code), g.with, g.without, 1)), 0o600))
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return file
}

// why is the first thing that a failed test says.
func why(out string) string {
	_, rest, _ := strings.Cut(out, "Error:")
	lines := strings.SplitN(rest, "\n", 3)
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines[:min(2, len(lines))], " ")
}

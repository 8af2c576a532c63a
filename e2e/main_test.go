package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

// bin is the directory of the binaries under test, built once.
var bin string

// faulty is the directory of the same binaries with fault points, built for the first test that needs it.
var faulty = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(binaries); dir != "" {
		return dir, nil
	}
	dir := filepath.Join(bin, "faulty")
	return dir, compile(dir, "-tags=nesfaults")
})

// binaries names a directory of binaries with fault points that were built before; nothing is built then.
const binaries = "NES_E2E_BIN"

// compile builds the binaries into a directory.
func compile(dir string, args ...string) error {
	args = append(append([]string{"build", "-trimpath", "-o", dir + string(filepath.Separator)}, args...), "../cmd/...")
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	if asDriver(os.Args) {
		return
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	if bin = os.Getenv(binaries); bin != "" {
		return postgrestest.Code(m)
	}
	dir, err := os.MkdirTemp("", "nes-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := compile(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	return postgrestest.Code(m)
}

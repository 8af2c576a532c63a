package driver

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	require.NoError(t, Write(root, "run/python"))
	require.NoError(t, Write(root, "run/python"), "it may be there already")
	for _, name := range []string{"driver/__main__.py", "driver/nes_driver/main.py", "helper/nes.py"} {
		want, err := os.ReadFile(filepath.Join("python", name))
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join(dir, "run/python", name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(have))
	}
}

func TestWriteStaysInsideTheRoot(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "python")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	require.Error(t, Write(root, "python"))
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestCachedIsSharedAndMended(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := Cached(cache)
			if err != nil || !intact(dir) {
				t.Errorf("Cached: %q, %v", dir, err)
			}
		})
	}
	wg.Wait()
	dir, err := Cached(cache)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "helper/nes.py"), []byte("import evil"), 0o644))
	again, err := Cached(cache)
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.True(t, intact(dir))
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no litter")
}

// TestPython runs the unit tests of the Python side.
func TestPython(t *testing.T) {
	t.Parallel()
	python := os.Getenv("NES_PYTHON")
	if python == "" {
		python, _ = filepath.Abs("../../.venv/bin/python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no notebook runtime: set NES_PYTHON or run make runtime (%v)", err)
	}
	for _, script := range []string{"test_driver.py", "test_mask.py"} {
		out, err := exec.Command(python, "-B", filepath.Join("python/tests", script)).CombinedOutput()
		require.NoError(t, err, string(out))
	}
}

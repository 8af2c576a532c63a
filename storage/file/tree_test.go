package file

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// TestABucketThatCannotBeOpenedSaysWhy: its directory is a file, or may not be written, or what it needs is taken.
func TestABucketThatCannotBeOpenedSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(taken, nil, 0o600))
	for _, at := range []string{taken, filepath.Join(taken, "below"), "/proc/none"} {
		_, err := Open(at)
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), at)
		require.ErrorContains(t, err, "bucket "+at)
	}
	for name, plant := range map[string]func(path string) error{
		"a file": func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"a link": func(p string) error { return os.Symlink(dir, p) },
	} {
		in := t.TempDir()
		require.NoError(t, plant(filepath.Join(in, tempDir)))
		_, err := Open(in)
		require.Error(t, err, "the place of unfinished files is "+name)
	}
	require.NoError(t, open(t, filepath.Join(dir, "a", "b", "c")).probe(), "directories above are made")
}

// TestWhatACrashLeftIsTakenAway at the next opening, be it a directory that was to be exchanged.
func TestWhatACrashLeftIsTakenAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "a", "kept")
	left := filepath.Join(dir, tempDir)
	require.NoError(t, os.MkdirAll(filepath.Join(left, "HALF", "deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(left, "PART"), []byte("half"), 0o644))
	require.NoError(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(left, "LINK")))
	again := open(t, dir)
	entries, err := os.ReadDir(left)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Equal(t, []string{"a"}, listed(t, again), "what a link led to stays")
}

// TestAnObjectThatBecomesADirectoryIsThereAtEveryMoment: readers and lists never miss it, while keys below it come and go.
func TestAnObjectThatBecomesADirectoryIsThereAtEveryMoment(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	put(t, b, "x/a", "own")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		defer close(stop)
		for i := range 60 {
			key := fmt.Sprintf("x/a/%d/deep", i%3)
			put(t, b, key, "below")
			require.NoError(t, b.Delete(t.Context(), key))
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, r, err := b.Open(t.Context(), "x/a", 0, -1)
			require.NoError(t, err)
			raw, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, "own", string(raw))
			require.Contains(t, listed(t, b), "x/a")
		}
	})
	wg.Wait()
	require.Equal(t, []string{"x/a"}, listed(t, b))
	require.NoError(t, b.Delete(t.Context(), "x/a"))
	require.Empty(t, files(t, b.root.Name()), "directories that became empty went with it")
}

// TestAPutThatFailsLeavesNoDirectories behind that it had made.
func TestAPutThatFailsLeavesNoDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	o := put(t, b, "a", "1")
	wrong := o.Generation + 1
	for _, key := range []string{"new/deep/key", "a", "a/below"} {
		_, err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{IfGeneration: &wrong})
		require.Equal(t, nes.CodeConflict, nes.CodeOf(err), key)
		require.NotContains(t, err.Error(), dir)
	}
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "link")))
	_, err := b.Put(t.Context(), "link/made/x", strings.NewReader("x"), storage.PutOptions{})
	require.Error(t, err)
	require.Equal(t, []string{"a", "link"}, files(t, dir))
	entries, err := os.ReadDir(filepath.Join(dir, tempDir))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestSplitAndGeneration: the parts of a key, and a file from before 1970.
func TestKeysAreTakenApart(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][2]string{"a": {"", "a"}, "a/b": {"a", "b"}, "a/b/c": {"a|b", "c"}} {
		dirs, base := split(key)
		require.Equal(t, want, [2]string{strings.Join(dirs, "|"), base})
	}
	c := clock{}
	require.Greater(t, c.after(1<<62), int64(1<<62), "a generation from the future is gone beyond")
	require.Equal(t, int64(1<<62+2), c.after(0))
}

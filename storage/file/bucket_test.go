package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/storagetest"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Bucket { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Bucket {
	t.Helper()
	b, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func put(t *testing.T, b *Bucket, key, text string) storage.Object {
	t.Helper()
	o, err := b.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{})
	require.NoError(t, err)
	return o
}

func listed(t *testing.T, b *Bucket) []string {
	t.Helper()
	page, err := b.List(t.Context(), storage.ListOptions{})
	require.NoError(t, err)
	var keys []string
	for _, o := range page.Objects {
		keys = append(keys, o.Key)
	}
	return keys
}

// files lists every file and directory below dir but the temporary directory itself.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if name != "." && name != tempDir {
			names = append(names, name)
		}
		return err
	})
	require.NoError(t, err)
	return names
}

func TestObjectsArePlainFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "notebooks/보고서/x.ipynb", "{}")
	raw, err := os.ReadFile(filepath.Join(dir, "notebooks", "보고서", "x.ipynb"))
	require.NoError(t, err)
	require.Equal(t, "{}", string(raw))
}

func TestForeignFilesAreObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "shared"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shared", "x.ipynb"), []byte("{}"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "no\nkey"), nil, 0o644))
	require.Equal(t, []string{"shared/x.ipynb"}, listed(t, b))
	o, err := b.Stat(t.Context(), "shared/x.ipynb")
	require.NoError(t, err)
	require.NotZero(t, o.Generation)
	_, err = b.Put(t.Context(), "shared/x.ipynb", strings.NewReader("[]"), storage.PutOptions{IfGeneration: &o.Generation})
	require.NoError(t, err)
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	b := open(t, dir)
	put(t, b, "real/file", "inside")
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("outside"), 0o600))
	links := map[string]string{
		"out-file": filepath.Join(outside, "secret"), "out-dir": outside, "up": "../..",
		"in-file": "real/file", "in-dir": "real", "loop": "loop", "dangling": "nowhere",
	}
	for name, target := range links {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	for _, key := range []string{"out-file", "out-dir", "out-dir/secret", "up", "in-file", "in-dir", "in-dir/file", "loop", "loop/x", "dangling"} {
		_, _, err := b.Open(t.Context(), key, 0, -1)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), key)
		require.NoError(t, b.Delete(t.Context(), key))
	}
	require.Equal(t, []string{"real/file"}, listed(t, b))
	for _, key := range []string{"out-dir/new", "in-dir/new", "loop/new"} {
		_, err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{})
		require.ErrorContains(t, err, "links are not followed")
	}
	put(t, b, "in-file", "replaces the link")
	put(t, b, "out-file", "replaces the link")
	raw, err := os.ReadFile(filepath.Join(outside, "secret"))
	require.NoError(t, err)
	require.Equal(t, "outside", string(raw))
	raw, err = os.ReadFile(filepath.Join(dir, "real", "file"))
	require.NoError(t, err)
	require.Equal(t, "inside", string(raw))
	require.Len(t, files(t, outside), 1)
}

func TestPipesDoNotBlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	for _, key := range []string{"pipe", "pipe/below"} {
		_, _, err := b.Open(t.Context(), key, 0, -1)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	}
	require.Empty(t, listed(t, b))
	_, err := b.Put(t.Context(), "pipe/below", strings.NewReader("x"), storage.PutOptions{})
	require.Error(t, err)
	put(t, b, "pipe", "an object now")
	require.Equal(t, []string{"pipe"}, listed(t, b))
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "a/b/c/d", "x")
	put(t, b, "a", "moves inside, and back out with its last neighbour")
	require.NoError(t, b.Delete(t.Context(), "a/b/c/d"))
	require.Equal(t, []string{"a", "a/.nes-object"}, files(t, dir))
	require.NoError(t, b.Delete(t.Context(), "a"))
	one := int64(1)
	_, err := b.Put(t.Context(), "p/q/r", strings.NewReader("x"), storage.PutOptions{IfGeneration: &one})
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "link")))
	_, err = b.Put(t.Context(), "link/s/t", strings.NewReader("x"), storage.PutOptions{})
	require.Error(t, err)
	require.Equal(t, []string{"link"}, files(t, dir))
}

func TestGenerationsGoOnBehindAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "k", "from the future")
	future := time.Now().Add(time.Hour).Truncate(time.Nanosecond)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "k"), future, future))
	old, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, future.UnixNano(), old.Generation)
	for range 3 {
		o := put(t, b, "k", "again")
		require.Greater(t, o.Generation, old.Generation)
		old = o
	}
	stat, err := open(t, dir).Stat(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, old, stat, "a generation outlives the process")
}

func TestClockNeverRepeats(t *testing.T) {
	t.Parallel()
	var c clock
	last := int64(0)
	for range 10_000 {
		next := c.after(0)
		require.Greater(t, next, last)
		last = next
	}
	require.Equal(t, last+1_000_000_000_000, c.after(last+999_999_999_999))
	require.Greater(t, c.after(0), last+1_000_000_000_000)
}

func TestErrorsDoNotShowPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, tempDir)))
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	require.NotContains(t, err.Error(), dir)
	require.ErrorContains(t, err, "store k: ")
	_, err = Open(filepath.Join("/dev/null", "bucket"))
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
}

func TestAFullDiskLeavesTheOldObject(t *testing.T) {
	t.Parallel()
	const limit = "NES_TEST_FILE_LIMIT"
	if dir := os.Getenv(limit); dir != "" {
		small := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &small))
		_, err := open(t, dir).Put(t.Context(), "k", bytes.NewReader(make([]byte, 4<<20)), storage.PutOptions{})
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
		return
	}
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, "k", "old")
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	child.Env = append(os.Environ(), limit+"="+dir)
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, []string{"k"}, files(t, dir))
	o, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.EqualValues(t, 3, o.Size)
}

// TestKilledWriter kills a process in the middle of a Put, and again and again while it overwrites and moves objects.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	const home = "NES_TEST_KILLED_WRITER"
	if dir := os.Getenv(home); dir != "" {
		writeUntilKilled(t, open(t, dir))
		return
	}
	dir := t.TempDir()
	put(t, open(t, dir), "k", strings.Repeat("a", 1<<16))
	for range 5 {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		child.Env = append(os.Environ(), home+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		rounds := make([]byte, 20)
		_, err = io.ReadFull(out, rounds) // twenty Puts are done, and one that never ends is under way
		require.NoError(t, err)
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())

		b := open(t, dir)
		require.Empty(t, files(t, filepath.Join(dir, tempDir)), "what was unfinished is removed")
		_, r, err := b.Open(t.Context(), "k", 0, -1)
		require.NoError(t, err, "the object is there at every moment")
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Len(t, text, 1<<16)
		require.Empty(t, strings.Trim(string(text), string(text[:1])), "and whole")
		require.NotContains(t, listed(t, b), "endless")
	}
}

func writeUntilKilled(t *testing.T, b *Bucket) {
	go func() { _, _ = b.Put(context.Background(), "endless", zeros{}, storage.PutOptions{}) }()
	for i := 0; ; i++ {
		put(t, b, "k", strings.Repeat(string(rune('a'+i%26)), 1<<16))
		put(t, b, "k/below", "x")
		require.NoError(t, b.Delete(t.Context(), "k/below"))
		fmt.Print(".")
	}
}

// zeros never ends and hardly grows.
type zeros struct{}

// Read gives one byte a millisecond.
func (zeros) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	p[0] = 0
	return 1, nil
}

func TestOpenLeavesWhatAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	f, err := b.newTemp()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, tempDir, "stale"), nil, 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, tempDir, "stale-dir", "x"), 0o755))
	open(t, dir)
	require.Equal(t, []string{f.name}, files(t, filepath.Join(dir, tempDir)))
	f.discard()
	require.Empty(t, files(t, filepath.Join(dir, tempDir)))
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 4 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			bucket, err := Open(b.TempDir())
			require.NoError(b, err)
			data := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				key := fmt.Sprintf("runs/2026-01-02/0190a000-0000-7000-8000-000000000000/1/journal/%016d.jsonl", i)
				_, err := bucket.Put(b.Context(), key, bytes.NewReader(data), storage.PutOptions{IfGeneration: storage.CreateOnly()})
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkStatAndRead(b *testing.B) {
	bucket, err := Open(b.TempDir())
	require.NoError(b, err)
	const key = "runs/2026-01-02/0190a000-0000-7000-8000-000000000000/1/index.json"
	_, err = bucket.Put(b.Context(), key, strings.NewReader("{}"), storage.PutOptions{})
	require.NoError(b, err)
	for b.Loop() {
		_, r, err := bucket.Open(b.Context(), key, 0, -1)
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(b, err)
		require.NoError(b, r.Close())
	}
}

func BenchmarkListPage(b *testing.B) {
	bucket, err := Open(b.TempDir())
	require.NoError(b, err)
	for i := range 3000 {
		_, err := bucket.Put(b.Context(), fmt.Sprintf("j/%06d", i), strings.NewReader("x"), storage.PutOptions{})
		require.NoError(b, err)
	}
	for b.Loop() {
		_, err := bucket.List(b.Context(), storage.ListOptions{Prefix: "j/", After: "j/001000"})
		require.NoError(b, err)
	}
}

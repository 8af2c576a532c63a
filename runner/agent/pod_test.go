package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

func TestTheProgramIsInstalledWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := flags{install: filepath.Join(dir, "bin", "nes-agent"), home: filepath.Join(dir, "home")}
	for range 2 { // a container that is started again does it again
		require.NoError(t, f.prepare())
	}
	self, err := os.Executable()
	require.NoError(t, err)
	want, err := os.ReadFile(self)
	require.NoError(t, err)
	got, err := os.ReadFile(f.install)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	info, err := os.Stat(f.install)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
	home, err := os.Stat(f.home)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), home.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(f.install))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no half copy stays")

	require.NoError(t, flags{}.prepare())
	require.ErrorContains(t, flags{install: filepath.Join(f.install, "x")}.prepare(), "install the agent")
}

// What can never succeed is reported by the pod's first container: no other will.
func TestAFetchThatCanNeverSucceedIsReported(t *testing.T) {
	t.Parallel()
	d := &depot{office: office{files: map[string]string{}, grew: make(chan struct{}, 1)}}
	d.bundles = append(d.bundles, whole(archived(t, tar.Header{Typeflag: tar.TypeReg, Name: "../escaped"})))
	c, _ := fetching(t, d, nil)
	require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(fetchInPod(c, flags{})))
	require.Len(t, d.exits, 1)
	require.Equal(t, string(nes.ReasonSourceForbidden), d.exits[0].Reason)
	require.True(t, d.exits[0].Unstarted)
	require.True(t, d.exits[0].Inferred)
}

func TestDiskUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Zero(t, diskUsed(filepath.Join(dir, "none")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "b", "c"), make([]byte, 1<<20), 0o644))
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "a", "root")), "links are not followed")
	used := diskUsed(dir)
	require.GreaterOrEqual(t, used, int64(1<<20))
	require.Less(t, used, int64(2<<20))

	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(1<<40))
	require.NoError(t, sparse.Close())
	require.Less(t, diskUsed(dir), int64(2<<20), "what is not written takes no place")
}

// The notebook is told to end before the cluster ends the pod, so that what it said is still sent.
func TestANotebookThatFillsTheDiskIsToldToEnd(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"volume", "tmp"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			w := &watcher{c: Config{Dir: t.TempDir(), Disk: Disk{Limit: 4 << 20, Also: tmp}}, disk: make(chan journal.Control, 1)}
			dir := map[string]string{"volume": w.c.Dir, "tmp": tmp}[place]
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 4<<20), 0o644))
			w.watchDisk(ctx)
			require.NoError(t, ctx.Err())
			order := <-w.disk
			require.Equal(t, string(nes.ReasonDiskFull), order.Reason)
			require.Equal(t, "the notebook wrote 4 MiB; its disk has 4 MiB", order.Why)
		})
	}
}

func TestNobodyLooksAtADiskWithoutALimit(t *testing.T) {
	t.Parallel()
	w := &watcher{c: Config{Dir: t.TempDir()}}
	done := make(chan struct{})
	go func() { w.watchDisk(context.Background()); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		require.FailNow(t, "it looks on")
	}
}

package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// TestAFileOfSeveralNamesIsCountedOnce, as the disk does: package caches are full of them.
func TestAFileOfSeveralNamesIsCountedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	require.NoError(t, os.WriteFile(name, make([]byte, 1<<20), 0o644))
	one := diskUsed(dir)
	require.GreaterOrEqual(t, one, int64(1<<20))
	for _, other := range []string{"b", "c", "d"} {
		require.NoError(t, os.Link(name, filepath.Join(dir, other)))
	}
	require.NoError(t, os.Symlink(name, filepath.Join(dir, "link")))
	require.Equal(t, one, diskUsed(dir))
	require.NoError(t, os.Remove(name))
	require.Equal(t, one, diskUsed(dir), "it is there as long as a name is")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "e"), make([]byte, 1<<20), 0o644))
	require.Equal(t, 2*one, diskUsed(dir), "a copy counts")
}

// TestTheReserveIsATenthAndBounded.
func TestTheReserveIsATenthAndBounded(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int64]int64{0: 0, 100: 10, 1 << 30: 1 << 30 / 10, 100 << 30: 256 << 20} {
		require.Equal(t, want, Disk{Limit: limit}.reserve(), limit)
	}
}

// TestTheDiskIsWatched: what is nearly full is said, once, with figures; the directory beside counts for itself; and looks keep their distance.
func TestTheDiskIsWatched(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		volume, also int // MiB
		limit        int64
		full         bool
	}{
		"not looked at":       {volume: 9, limit: 0},
		"room enough":         {volume: 2, also: 2, limit: 8 << 20},
		"no room":             {volume: 9, limit: 8 << 20, full: true},
		"nearly none":         {volume: 8, limit: 8 << 20, full: true},
		"the other is full":   {volume: 0, also: 9, limit: 8 << 20, full: true},
		"they are not summed": {volume: 5, also: 5, limit: 8 << 20},
	} {
		dir, also := t.TempDir(), t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), make([]byte, tt.volume<<20), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(also, "a"), make([]byte, tt.also<<20), 0o644))
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			w := &watcher{c: Config{Dir: dir, Disk: Disk{Limit: tt.limit, Also: also}}, disk: make(chan journal.Control, 2)}
			began := time.Now()
			w.watchDisk(ctx)
			switch {
			case tt.full:
				require.Equal(t, diskEvery, time.Since(began), name)
				require.Len(t, w.disk, 1, name)
				told := <-w.disk
				require.Equal(t, string(nes.ReasonDiskFull), told.Reason, name)
				require.Contains(t, told.Why, "its disk has 8 MiB", name)
			case tt.limit == 0:
				require.Zero(t, time.Since(began), name)
			default:
				require.Equal(t, time.Hour, time.Since(began), name)
				require.Empty(t, w.disk, name)
			}
		})
	}
}

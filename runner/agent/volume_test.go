package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/runner/journal"
)

func volume(t *testing.T) (*Volume, string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, journal.RunDir), 0o755))
	v, err := OpenVolume(dir)
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	return v, dir
}

// TestHostileFilesAreNotRead puts what a notebook may put where the agent reads.
func TestHostileFilesAreNotRead(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(`{"v":1}`), 0o600))
	for name, plant := range map[string]func(path string) error{
		"a link out":    func(p string) error { return os.Symlink(secret, p) },
		"a link inside": func(p string) error { return os.Symlink("launch.json", p) },
		"a pipe":        func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"a directory":   func(p string) error { return os.Mkdir(p, 0o755) },
		"too much":      func(p string) error { return os.WriteFile(p, make([]byte, journal.MaxExit+1), 0o644) },
		"no JSON":       func(p string) error { return os.WriteFile(p, []byte("{"), 0o644) },
		"other version": func(p string) error { return os.WriteFile(p, []byte(`{"v":2}`), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, dir := volume(t)
			require.NoError(t, plant(filepath.Join(dir, journal.ExitFile)))
			_, ok := v.Exit()
			require.False(t, ok)
		})
	}
}

func TestAMarkerClaimsNothingThatOthersConclude(t *testing.T) {
	t.Parallel()
	v, dir := volume(t)
	forged := `{"v":1,"reason":"Evicted","inferred":true,"unstarted":true,"message":"` + strings.Repeat("x", 10_000) + `"}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, journal.ExitFile), []byte(forged), 0o644))
	e, ok := v.Exit()
	require.True(t, ok)
	require.False(t, e.Inferred || e.Unstarted)
	require.Len(t, e.Message, maxText)
}

func TestReplaceOutdoesWhatIsInItsPlace(t *testing.T) {
	t.Parallel()
	v, dir := volume(t)
	control := filepath.Join(dir, journal.ControlFile)
	require.NoError(t, os.MkdirAll(filepath.Join(control, "full"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(control+".part", "full"), 0o755))
	require.NoError(t, v.replace(journal.ControlFile, []byte("x")))
	raw, err := os.ReadFile(control)
	require.NoError(t, err)
	require.Equal(t, "x", string(raw))
}

func TestDeathIsNoticedByTheLock(t *testing.T) {
	t.Parallel()
	v, dir := volume(t)
	require.False(t, v.Begun())
	require.False(t, v.Alive())
	lock, err := os.Create(filepath.Join(dir, journal.LockFile))
	require.NoError(t, err)
	require.True(t, v.Alive(), "it may be about to lock: nobody may look")
	require.NoError(t, flock(lock, syscall.LOCK_EX))
	require.NoError(t, os.WriteFile(filepath.Join(dir, journal.LogFile), nil, 0o644))
	require.True(t, v.Alive())
	died := make(chan struct{})
	go func() { defer close(died); v.waitDeath(nil) }()
	select {
	case <-died:
		require.Fail(t, "it lives")
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, lock.Close())
	<-died
	require.False(t, v.Alive())
}

func packed(t *testing.T, entries map[string]string, links map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, time.Unix(0, 0), nil)
	require.NoError(t, err)
	for name, body := range entries {
		require.NoError(t, w.Add(bundle.Entry{Path: name, Kind: bundle.File, Size: int64(len(body))}, strings.NewReader(body)))
	}
	for name, target := range links {
		require.NoError(t, w.Add(bundle.Entry{Path: name, Kind: bundle.Link, Target: target}, nil))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	v, dir := volume(t)
	tree := packed(t, map[string]string{"a/보고서.ipynb": "{}", "data.csv": "1"}, map[string]string{"a/data.csv": "../data.csv"})
	require.NoError(t, v.unpack(bytes.NewReader(tree), bundle.Limits{}))
	raw, err := os.ReadFile(filepath.Join(dir, "work/a/data.csv"))
	require.NoError(t, err)
	require.Equal(t, "1", string(raw))

	v, _ = volume(t)
	err = v.unpack(bytes.NewReader(tree), bundle.Limits{Files: 1})
	require.Equal(t, nes.ReasonSourceTooLarge, nes.ReasonOf(err))
	v, dir = volume(t)
	require.Error(t, v.unpack(bytes.NewReader(tree[:len(tree)/2]), bundle.Limits{}), "half a tree is none")
	require.False(t, v.Fetched())
	require.NoFileExists(t, filepath.Join(dir, journal.LaunchFile))
}

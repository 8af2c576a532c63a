package journal_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

func volume(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return dir, root
}

// TestAFileThatIsSwappedAllTheTime, by a notebook that tries to have something else read in its place: what is
// opened is a regular file of the volume, or nothing, and nobody waits.
func TestAFileThatIsSwappedAllTheTime(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	dir, root := volume(t)
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "beside"), []byte("beside"), 0o600))
	puts := []func() error{
		func() error { return os.WriteFile(name, []byte("own"), 0o600) },
		func() error { return os.Symlink(outside, name) },
		func() error { return os.Symlink("beside", name) },
		func() error { return syscall.Mkfifo(name, 0o600) },
		func() error { return os.Mkdir(name, 0o700) },
		func() error { return os.Symlink("/dev/zero", name) },
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.RemoveAll(name)
			_ = puts[i%len(puts)]()
		}
	})
	opened, refused := 0, 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && (opened < 50 || refused < 200); {
		f, size, err := journal.OpenFile(root, "f")
		if err != nil {
			refused++
			continue
		}
		opened++
		raw, err := io.ReadAll(io.LimitReader(f, 100))
		require.NoError(t, err)
		require.Contains(t, []string{"own", ""}, string(raw), "being written, or whole")
		require.LessOrEqual(t, size, int64(3))
		require.NoError(t, f.Close())
	}
	close(stop)
	wg.Wait()
	require.NotZero(t, opened)
	require.NotZero(t, refused)
}

// TestARefusalLeavesNothingOpen: an agent looks many times at what a notebook put there.
func TestARefusalLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	dir, root := volume(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "real"), nil, 0o600))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for range 50 {
		for _, name := range []string{"link", "dir", "pipe", "none"} {
			f, _, err := journal.OpenFile(root, name)
			require.Error(t, err, name)
			require.Nil(t, f)
		}
	}
	require.Empty(t, openBelow(t, dir))
	f, _, err := journal.OpenFile(root, "real")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "real")}, openBelow(t, dir))
	require.NoError(t, f.Close())
}

// openBelow lists what this process has open below a directory.
func openBelow(t *testing.T, dir string) (open []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files cannot be listed here: %v", err)
	}
	for _, fd := range fds {
		if at, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(at, dir+"/") {
			open = append(open, at)
		}
	}
	return open
}

// TestNamesThatLeaveTheVolume are refused, however they are written.
func TestNamesThatLeaveTheVolume(t *testing.T) {
	t.Parallel()
	dir, root := volume(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "run"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run", "f"), []byte("f"), 0o600))
	require.NoError(t, os.Symlink("run", filepath.Join(dir, "inside")))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "around")))
	for _, name := range []string{"", ".", "..", "/", "/etc/passwd", "../" + filepath.Base(dir) + "/run/f", "run/../../etc/passwd", "around/run/f", dir + "/run/f", "run/f/", "run/f/x", "run", "run\x00f", strings.Repeat("x", 5000)} {
		f, _, err := journal.OpenFile(root, name)
		require.Error(t, err, "%.40q", name)
		require.Nil(t, f)
	}
	f, size, err := journal.OpenFile(root, "run/f")
	require.NoError(t, err)
	require.EqualValues(t, 1, size)
	require.NoError(t, f.Close())
}

// TestTheSizeIsOfWhatWasOpened: a file that grows, shrinks or goes away afterwards is still that file.
func TestTheSizeIsOfWhatWasOpened(t *testing.T) {
	t.Parallel()
	dir, root := volume(t)
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(name, []byte("0123456789"), 0o600))
	f, size, err := journal.OpenFile(root, "f")
	require.NoError(t, err)
	defer f.Close()
	require.EqualValues(t, 10, size)
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, []byte("another"), 0o600))
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(got))
	_, err = f.Write([]byte("x"))
	require.Error(t, err, "it is open for reading alone")
	require.NoError(t, root.Close())
	_, _, err = journal.OpenFile(root, "f")
	require.Error(t, err)
}

// TestAHardLinkIsARegularFile of the volume; a notebook gains nothing by one that it could not gain by a copy.
func TestAHardLinkIsARegularFile(t *testing.T) {
	t.Parallel()
	dir, root := volume(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600))
	require.NoError(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	f, size, err := journal.OpenFile(root, "b")
	require.NoError(t, err)
	require.EqualValues(t, 1, size)
	require.NoError(t, f.Close())
}

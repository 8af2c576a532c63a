package executor

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// TestNamesOfSideFilesHoldNoSecret: files and directories get another name, none is lost, and a link is renamed and not followed.
func TestNamesOfSideFilesHoldNoSecret(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	out := filepath.Join(dir, journal.OutputDir)
	for _, name := range []string{"plain.txt", "a-hunter2.txt", "a-masked.txt", "hunter2/b/hunter2hunter2.csv"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(out, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(out, name), []byte("hunter2 in "+name), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(outside, "hunter2"), nil, 0o644))
	require.NoError(t, os.Symlink(outside, filepath.Join(out, "link-hunter2")))
	v, err := openVolume(dir)
	require.NoError(t, err)
	defer v.close()
	x := &execution{volume: v, options: Options{Log: slog.New(slog.DiscardHandler)}, log: &boundedLog{}}
	x.hideNames()
	require.FileExists(t, filepath.Join(out, "a-hunter2.txt"), "there are no secrets")
	x.log.mask = newMasker([]string{"hunter2"})
	x.hideNames()
	for name, body := range map[string]string{
		"plain.txt": "hunter2 in plain.txt", "a-masked.txt": "hunter2 in a-masked.txt", "a-masked.txt-2": "hunter2 in a-hunter2.txt",
		"masked/b/maskedmasked.csv": "hunter2 in hunter2/b/hunter2hunter2.csv",
	} {
		raw, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Equal(t, body, string(raw), "what is in a file is the notebook's own")
	}
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	require.Len(t, entries, 5)
	require.FileExists(t, filepath.Join(outside, "hunter2"))
	link, err := os.Readlink(filepath.Join(out, "link-masked"))
	require.NoError(t, err)
	require.Equal(t, outside, link)
}

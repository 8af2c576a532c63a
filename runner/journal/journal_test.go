package journal_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// TestTheGoldenJournalRoundTrips: a field that Line forgot, or writes differently, would be lost here.
func TestTheGoldenJournalRoundTrips(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/two_cells.jsonl")
	require.NoError(t, err)
	var kinds []journal.Kind
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		var l journal.Line
		require.NoError(t, dec.Decode(&l), lines.Text())
		require.Equal(t, journal.Version, l.V)
		require.EqualValues(t, len(kinds)+1, l.Seq, "numbers have no gaps")
		again, err := json.Marshal(l)
		require.NoError(t, err)
		require.JSONEq(t, lines.Text(), string(again))
		kinds = append(kinds, l.K)
	}
	require.NoError(t, lines.Err())
	require.Equal(t, journal.KindStart, kinds[0])
	require.Equal(t, journal.KindExit, kinds[len(kinds)-1])
	require.Equal(t, byte('\n'), raw[len(raw)-1], "a last line without newline is not yet written")
}

// TestCellZeroIsWritten: the first cell, and its first count, are values and not "none".
func TestCellZeroIsWritten(t *testing.T) {
	t.Parallel()
	zero := 0
	raw, err := json.Marshal(journal.Line{V: 1, Seq: 1, K: journal.KindCellEnd, Cell: &zero, N: &zero})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"seq":1,"t":0,"k":"cell_end","cell":0,"n":0}`, string(raw))
	var l journal.Line
	require.NoError(t, json.Unmarshal([]byte(`{"v":1,"seq":2,"k":"log","text":"x","from":"a later version"}`), &l), "what is not known is ignored")
	require.Nil(t, l.Cell)
}

// TestOpenFileTakesRegularFilesAlone: a notebook owns the volume, and may put anything anywhere in it.
func TestOpenFileTakesRegularFilesAlone(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	for name, tt := range map[string]struct {
		put  func(path string) error
		want string // of the error
	}{
		"a link to a file outside":   {func(p string) error { return os.Symlink(outside, p) }, "f"},
		"a link to a file inside":    {func(p string) error { return os.Symlink("real", p) }, "is not a regular file"},
		"a link to nothing":          {func(p string) error { return os.Symlink("nothing", p) }, "f"},
		"a link to itself":           {func(p string) error { return os.Symlink("f", p) }, "f"},
		"a pipe that nobody writes":  {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "is not a regular file"},
		"a directory":                {func(p string) error { return os.Mkdir(p, 0o700) }, "is not a regular file"},
		"a socket":                   {listen, "f"},
		"nothing":                    {func(string) error { return nil }, "no such file"},
		"a directory that is a link": {func(p string) error { return os.Symlink(filepath.Dir(outside), p) }, "f"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "real"), []byte("real"), 0o600))
			require.NoError(t, tt.put(filepath.Join(dir, "f")))
			root, err := os.OpenRoot(dir)
			require.NoError(t, err)
			defer root.Close()
			f, size, err := journal.OpenFile(root, "f")
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, f)
			require.Zero(t, size)
			_, _, err = journal.OpenFile(root, "f/secret")
			require.Error(t, err, "nor through it")
			_, _, err = journal.OpenFile(root, "../"+filepath.Base(filepath.Dir(outside))+"/secret")
			require.Error(t, err, "nor beside it")
		})
	}
}

// listen leaves a socket behind, by a short name that the system takes.
func listen(path string) error {
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	return os.Rename(filepath.Join(short, "s"), path)
}

func TestOpenFileReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "run"), 0o700))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	for _, body := range []string{"", "a journal\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, journal.JournalFile), []byte(body), 0o600))
		f, size, err := journal.OpenFile(root, journal.JournalFile)
		require.NoError(t, err)
		require.EqualValues(t, len(body), size)
		got := make([]byte, size)
		_, err = f.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, body, string(got))
		require.NoError(t, f.Close())
	}
}

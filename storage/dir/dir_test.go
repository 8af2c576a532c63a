package dir_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/dir"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
}

func open(t *testing.T, root string) *dir.Dir {
	t.Helper()
	d, err := dir.Open(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func names(p storage.Page) (list []string) {
	for _, o := range p.Objects {
		list = append(list, o.Key)
	}
	return append(list, p.Prefixes...)
}

func TestAFolderIsListed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, map[string]string{"b.ipynb": "{}", "a.txt": "hello", "매출/x y.csv": "1", ".git/config": "", ".hidden": ""})
	d := open(t, root)
	page, err := d.List(t.Context(), storage.ListOptions{Delimiter: "/"})
	require.NoError(t, err)
	require.Equal(t, []string{"a.txt", "b.ipynb", "매출/"}, names(page))
	require.Empty(t, page.Next)
	require.EqualValues(t, 5, page.Objects[0].Size)
	require.Positive(t, page.Objects[0].Generation)
	page, err = d.List(t.Context(), storage.ListOptions{Delimiter: "/", Prefix: "매출/"})
	require.NoError(t, err)
	require.Equal(t, []string{"매출/x y.csv"}, names(page))
	page, err = d.List(t.Context(), storage.ListOptions{Delimiter: "/", Prefix: "none/"})
	require.NoError(t, err)
	require.Empty(t, names(page))
	for _, bad := range []storage.ListOptions{{}, {Delimiter: "/", Prefix: "a"}, {Delimiter: "-"}} {
		_, err = d.List(t.Context(), bad)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	}
}

func TestAFolderIsListedPageByPage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var want []string
	for n := range 25 {
		want = append(want, fmt.Sprintf("f%02d", n))
		write(t, root, map[string]string{want[n]: "x"})
	}
	d := open(t, root)
	var got []string
	o := storage.ListOptions{Delimiter: "/", Limit: 10}
	for pages := 1; ; pages++ {
		page, err := d.List(t.Context(), o)
		require.NoError(t, err)
		got = append(got, names(page)...)
		if o.After = page.Next; o.After == "" {
			require.Equal(t, 3, pages)
			break
		}
	}
	require.Equal(t, want, got)
}

func TestNothingOutsideIsSeen(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	write(t, outside, map[string]string{"secret": "s"})
	write(t, root, map[string]string{"in.txt": "in"})
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(root, "out")))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "outdir")))
	require.NoError(t, os.Symlink("in.txt", filepath.Join(root, "link.txt")))
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	d := open(t, root)
	page, err := d.List(t.Context(), storage.ListOptions{Delimiter: "/"})
	require.NoError(t, err)
	require.Equal(t, []string{"in.txt", "link.txt"}, names(page))
	for _, key := range []string{"out", "outdir/secret", "pipe", "none", "in.txt/x"} {
		_, _, err := d.Open(t.Context(), key, 0, -1)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), key)
		_, err = d.Stat(t.Context(), key)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), key)
	}
	for _, key := range []string{"../x", "/etc/passwd", "", "a//b", "."} {
		_, _, err := d.Open(t.Context(), key, 0, -1)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), key)
	}
}

func TestAPartOfAFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, map[string]string{"x.txt": "0123456789"})
	d := open(t, root)
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {3, 4, "3456"}, {8, 100, "89"}, {8, -1, "89"}, {50, -1, ""}} {
		o, r, err := d.Open(t.Context(), "x.txt", c.offset, c.length)
		require.NoError(t, err)
		raw, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, c.want, string(raw))
		require.Equal(t, "text/plain; charset=utf-8", o.ContentType)
	}
}

func TestADirectoryThatIsNone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, map[string]string{"file": ""})
	_, err := dir.Open(filepath.Join(root, "none"))
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	_, err = dir.Open(filepath.Join(root, "file"))
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
}

package intake_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/worktree"
	"github.com/nes-run/nes/storage"
)

// TestUploadOfAWorkingTree sends what "nes run ./a.ipynb" sends, and runs it.
func TestUploadOfAWorkingTree(t *testing.T) {
	t.Parallel()
	repo := gitsourcetest.NewRepository(t, t.TempDir(), "b")
	base := repo.Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("alpha = 1", "1"), "lib.py": "x"})
	repo.Write("lib.py", "changed")
	tree, err := worktree.Open(t.Context(), filepath.Join(repo.Work, "a.ipynb"), worktree.Options{})
	require.NoError(t, err)
	var archive bytes.Buffer
	_, err = tree.WriteTo(&archive)
	require.NoError(t, err)
	w := newWorld(t)
	sum, err := w.Upload(t.Context(), bytes.NewReader(archive.Bytes()))
	require.NoError(t, err)
	again, err := w.Upload(t.Context(), bytes.NewReader(archive.Bytes()))
	require.NoError(t, err)
	require.Equal(t, sum, again)

	got, err := w.Fetch(t.Context(), runOf("bundle://"+sum+"/a.ipynb?repository=github.com/a/b&commit="+base+"&dirty=1", nil))
	require.NoError(t, err)
	require.Equal(t, nes.Source{
		Repository: "github.com/a/b", CloneURL: "bundle://" + sum, Commit: base, Path: "a.ipynb", Dirty: true,
		Bundle: storage.UploadKey(sum), BundleSHA256: sum, KernelName: "python3", Language: "python",
	}, got.Source)
	_, err = w.Fetch(t.Context(), runOf("bundle://"+sum+"/b.ipynb", nil))
	require.ErrorContains(t, err, "nearest: a.ipynb")
}

func TestUploadIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *intake.Options) {
		o.Limits.Upload = 1 << 20
		o.Limits.Bundle = bundle.Limits{Files: 10, FileSize: 1 << 20, TreeSize: 2 << 20, Depth: 5}
	})
	many := make([]bundle.Entry, 11)
	for i := range many {
		many[i] = bundle.Entry{Path: string(rune('a' + i)), Kind: bundle.File}
	}
	big := bundle.Entry{Kind: bundle.File, Size: 1 << 20}
	at := func(e bundle.Entry, path string) bundle.Entry { e.Path = path; return e }
	for name, c := range map[string]struct {
		archive io.Reader
		code    nes.Code
		says    string
	}{
		"garbage":        {strings.NewReader("garbage"), nes.CodeInvalid, "tar.zst"},
		"too many":       {pack(t, many...), nes.CodeTooLarge, "10 files"},
		"file too big":   {pack(t, bundle.Entry{Path: "a", Kind: bundle.File, Size: 1<<20 + 1}), nes.CodeTooLarge, "larger"},
		"tree too big":   {pack(t, at(big, "a"), at(big, "b"), at(big, "c")), nes.CodeTooLarge, "in all"},
		"too deep":       {pack(t, bundle.Entry{Path: "a/b/c/d/e/f", Kind: bundle.File}), nes.CodeTooLarge, "elements"},
		"link out":       {pack(t, bundle.Entry{Path: "a", Kind: bundle.Link, Target: "../x"}), nes.CodeInvalid, "out of the tree"},
		"absolute link":  {pack(t, bundle.Entry{Path: "a", Kind: bundle.Link, Target: "/etc"}), nes.CodeInvalid, "out of the tree"},
		"parent":         {pack(t, bundle.Entry{Path: "../a", Kind: bundle.File}), nes.CodeInvalid, "is no name"},
		"absolute":       {pack(t, bundle.Entry{Path: "/a", Kind: bundle.File}), nes.CodeInvalid, "is no name"},
		".git":           {pack(t, bundle.Entry{Path: ".git/config", Kind: bundle.File}), nes.CodeInvalid, ".git"},
		"twice":          {pack(t, bundle.Entry{Path: "a", Kind: bundle.File}, bundle.Entry{Path: "a", Kind: bundle.File}), nes.CodeInvalid, "twice"},
		"through a link": {pack(t, bundle.Entry{Path: "a", Kind: bundle.Link, Target: "b"}, bundle.Entry{Path: "a/x", Kind: bundle.File}), nes.CodeInvalid, "no directory"},
		"device":         {rawTar(t, tar.Header{Typeflag: tar.TypeChar, Name: "a"}), nes.CodeInvalid, "neither a file"},
		"hard link":      {rawTar(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}), nes.CodeInvalid, "neither a file"},
		"cut":            {io.LimitReader(pack(t, at(big, "a")), 40), nes.CodeInvalid, "tar.zst"},
		"too long":       {io.LimitReader(endless{}, 2<<20), nes.CodeTooLarge, "1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Upload(t.Context(), c.archive)
			require.Equal(t, c.code, nes.CodeOf(err), "%v", err)
			require.Contains(t, err.Error(), c.says)
		})
	}
	page, err := w.bucket.List(t.Context(), storage.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page.Objects, "what is refused is not kept")
}

func TestUploadLeavesNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, func(o *intake.Options) { o.TempDir = dir })
	_, err := w.Upload(t.Context(), pack(t, bundle.Entry{Path: "a", Kind: bundle.File}))
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func rawTar(t *testing.T, h tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&h))
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return &b
}

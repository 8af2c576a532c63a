package worktree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/worktree"
)

// TestIgnoreFilesAreNested: each directory says what of it does not belong, and may take back what one above said.
func TestIgnoreFilesAreNested(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{
		".gitignore": "*.csv\n/build/\n", "a.ipynb": "{}", "x.csv": "1", "build/out": "1",
		"data/.gitignore": "!keep.csv\n*.tmp\n", "data/keep.csv": "1", "data/drop.csv": "1", "data/x.tmp": "1",
		"data/deep/.gitignore": "*\n", "data/deep/y.py": "1", "src/build/kept": "1",
	})
	run(t, dir, "init", "-q")
	require.Equal(t, []string{
		".gitignore 14", "a.ipynb 2", "data/", "data/.gitignore 16", "data/keep.csv 1", "src/", "src/build/", "src/build/kept 1",
	}, contents(t, open(t, filepath.Join(dir, "a.ipynb"))))
}

// TestSubmodulesAreTakenAlong with what is checked out in them, and without their .git.
func TestSubmodulesAreTakenAlong(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"lib/l.py": "x", "main/a.ipynb": "{}"})
	lib, main := filepath.Join(dir, "lib"), filepath.Join(dir, "main")
	run(t, lib, "init", "-q")
	run(t, lib, "add", "-A")
	run(t, lib, "commit", "-qm", "lib")
	run(t, main, "init", "-q")
	run(t, main, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib, "vendor/lib")
	run(t, main, "add", "-A")
	run(t, main, "commit", "-qm", "main")
	got := contents(t, open(t, filepath.Join(main, "a.ipynb")))
	require.Contains(t, got, "vendor/lib/l.py 1")
	for _, line := range got {
		require.NotContains(t, line, "vendor/lib/.git")
	}
}

func TestWhatIsNoFileIsLeftOutAndNamed(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"a.ipynb": "{}", "back\\slash": "x", "line\nbreak": "x"})
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.Equal(t, []string{"a.ipynb 2"}, contents(t, tree), "and reading does not wait for the pipe")
	notes := strings.Join(tree.Notes, "\n")
	for _, says := range []string{"pipe is left out: it is no regular file", `"back\\slash" is left out: its name`, `"line\nbreak" is left out: its name`} {
		require.Contains(t, notes, says)
	}
}

func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := plant(t, map[string]string{"a.ipynb": "{}", "closed/x": "x", "secret": "x"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) })
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.Equal(t, []string{"closed is left out: it cannot be read"}, tree.Notes)
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0))
	_, err := tree.WriteTo(broken{})
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "secret may not be read")
}

// TestAHugeDirectoryIsGivenUpEarly: it is refused at its limit, with directories counted.
func TestAHugeDirectoryIsGivenUpEarly(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.ipynb": "{}"}
	for i := range 300 {
		files[fmt.Sprintf("d%d/f", i)] = ""
	}
	dir := plant(t, files)
	at := filepath.Join(dir, "a.ipynb")
	_, err := worktree.Open(t.Context(), at, worktree.Options{Files: 601})
	require.NoError(t, err, "300 files, 300 directories and the notebook")
	_, err = worktree.Open(t.Context(), at, worktree.Options{Files: 600})
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
	require.ErrorContains(t, err, "more than 600 files")
}

// TestOrderOfCreationDoesNotShow: directories list files as they please.
func TestOrderOfCreationDoesNotShow(t *testing.T) {
	t.Parallel()
	names := []string{"a.ipynb", "b/c/d", "b/c.x", "b.x", "B/x", "z", "가"}
	made := func(order []string) string {
		dir := plant(t, nil)
		for _, name := range order {
			put(t, filepath.Join(dir, name), name)
		}
		return digest(t, open(t, filepath.Join(dir, "a.ipynb")))
	}
	want := made(names)
	for i := range names {
		require.Equal(t, want, made(append(append([]string{}, names[i:]...), names[:i]...)))
	}
}

// TestABrokenRepositoryIsAPlainDirectory, and its owner is told.
func TestABrokenRepositoryIsAPlainDirectory(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"a.ipynb": "{}", "b.py": "x", ".git": "gitdir: /nowhere\n"})
	run(t, t.TempDir(), "init", "-q") // skips where there is no git
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.Contains(t, strings.Join(tree.Notes, "\n"), "git cannot read")
	require.Empty(t, tree.Commit)
	require.Contains(t, contents(t, tree), "b.py 1")
}

package worktree_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/worktree"
)

func TestPlainDirectory(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{
		"reports/daily.ipynb": "{}", "reports/helper.py": "x = 1", "reports/data/a.csv": "1", "reports/한글 이름.txt": "k",
		"reports/.venv/lib/big.py": "", "reports/node_modules/x.js": "", "reports/__pycache__/x.pyc": "", "reports/.ipynb_checkpoints/a.ipynb": "",
		"outside.txt": "no",
	})
	require.NoError(t, os.Chmod(filepath.Join(dir, "reports/helper.py"), 0o700))
	tree := open(t, filepath.Join(dir, "reports/daily.ipynb"))
	require.Equal(t, "daily.ipynb", tree.Notebook)
	require.Equal(t, "local/reports", tree.Repository)
	require.Empty(t, tree.Commit)
	require.False(t, tree.Dirty)
	require.Empty(t, tree.Notes)
	require.Equal(t, []string{"daily.ipynb 2", "data/", "data/a.csv 1", "helper.py* 5", "한글 이름.txt 1"}, contents(t, tree))
	require.Equal(t, "bundle://abc/daily.ipynb?repository=local%2Freports", tree.Address("abc"))
}

func TestGitTree(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{
		".gitignore": "*.log\n/secret/\nnever.ipynb\n", "jobs/daily.ipynb": "{}", "lib/helper.py": "x = 1", "gone.py": "x",
	})
	run(t, dir, "init", "-q", "-b", "main")
	run(t, dir, "remote", "add", "origin", "https://me:s3cret@GitHub.com/Acme/reports.git")
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-qm", "first")
	commit := strings.TrimSpace(run(t, dir, "rev-parse", "HEAD"))

	clean := open(t, filepath.Join(dir, "jobs/daily.ipynb"))
	require.Equal(t, "jobs/daily.ipynb", clean.Notebook)
	require.Equal(t, "github.com/Acme/reports", clean.Repository)
	require.Equal(t, commit, clean.Commit)
	require.False(t, clean.Dirty)
	before := digest(t, clean)

	for name, text := range map[string]string{
		"lib/helper.py": "x = 2", "untracked.csv": "1", "debug.log": "x", "secret/key": "x", ".venv/x.py": "x", "never.ipynb": "{}", "nested/a.txt": "x",
	} {
		put(t, filepath.Join(dir, name), text)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "gone.py")))
	dirty := open(t, filepath.Join(dir, "jobs/daily.ipynb"))
	require.True(t, dirty.Dirty)
	require.Equal(t, commit, dirty.Commit)
	require.Equal(t, []string{".gitignore 27", "jobs/", "jobs/daily.ipynb 2", "lib/", "lib/helper.py 5", "nested/", "nested/a.txt 1", "untracked.csv 1"}, contents(t, dirty))
	require.NotEqual(t, before, digest(t, dirty))
	address := dirty.Address("abc")
	require.Contains(t, address, "bundle://abc/jobs/daily.ipynb?")
	require.Contains(t, address, "commit="+commit)
	require.Contains(t, address, "dirty=1")
	require.NotContains(t, address, "s3cret")

	ignored := open(t, filepath.Join(dir, "never.ipynb"))
	require.Contains(t, contents(t, ignored), "never.ipynb 2", "the notebook itself is always there")
}

func TestNestedRepository(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"a.ipynb": "{}", "inner/b.txt": "x"})
	run(t, dir, "init", "-q")
	run(t, filepath.Join(dir, "inner"), "init", "-q")
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.Equal(t, []string{"a.ipynb 2", "inner/", "inner/b.txt 1"}, contents(t, tree))
	require.Empty(t, tree.Commit, "there is no commit yet")
	require.True(t, tree.Dirty)
	require.Equal(t, "local/"+filepath.Base(dir), tree.Repository)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"tree/a.ipynb": "{}", "tree/d/x.txt": "x", "outside.txt": "secret"})
	for name, target := range map[string]string{
		"good": "d/x.txt", "directory": "d", "out": "../outside.txt", "absolute": filepath.Join(dir, "outside.txt"), "d/round": "../../tree/a.ipynb", "chain": "directory/x.txt", "loop": "loop",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "tree", name)))
	}
	tree := open(t, filepath.Join(dir, "tree/a.ipynb"))
	require.Equal(t, []string{"a.ipynb 2", "chain -> directory/x.txt", "d/", "d/x.txt 1", "directory -> d", "good -> d/x.txt"}, contents(t, tree))
	require.Len(t, tree.Notes, 4)
	require.Contains(t, tree.Notes[0], "absolute is left out: the link leads out of")
}

func TestNotebookThroughLink(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"real/a.ipynb": "{}", "real/b.py": ""})
	require.NoError(t, os.Symlink("real/a.ipynb", filepath.Join(dir, "link.ipynb")))
	tree := open(t, filepath.Join(dir, "link.ipynb"))
	require.Equal(t, "a.ipynb", tree.Notebook)
	require.Equal(t, []string{"a.ipynb 2", "b.py 0"}, contents(t, tree))
}

func TestSameContentSameDigest(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.ipynb": "{}", "b/c.py": strings.Repeat("x", 1<<20), "b/d.py": "y"}
	one, two := plant(t, files), plant(t, files)
	require.NoError(t, os.Chtimes(filepath.Join(two, "a.ipynb"), time.Unix(0, 0), time.Unix(5, 0)))
	require.NoError(t, os.Chmod(filepath.Join(two, "a.ipynb"), 0o600))
	require.Equal(t, digest(t, open(t, filepath.Join(one, "a.ipynb"))), digest(t, open(t, filepath.Join(two, "a.ipynb"))))
	put(t, filepath.Join(two, "b/d.py"), "z")
	require.NotEqual(t, digest(t, open(t, filepath.Join(one, "a.ipynb"))), digest(t, open(t, filepath.Join(two, "a.ipynb"))))
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"a.ipynb": "{}", "b.bin": strings.Repeat("x", 2<<20)})
	for _, l := range []worktree.Options{{Files: 1}, {Size: 1 << 20}} {
		_, err := worktree.Open(t.Context(), filepath.Join(dir, "a.ipynb"), l)
		require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
		require.Contains(t, err.Error(), dir)
		require.Contains(t, err.Error(), "directory of its own")
	}
}

func TestNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "no.ipynb"): "there is no file", dir: "is not a file",
	} {
		_, err := worktree.Open(t.Context(), path, worktree.Options{})
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
		require.ErrorContains(t, err, want)
	}
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"a.ipynb": "{}", "b.py": "x"})
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.NoError(t, os.Remove(filepath.Join(dir, "b.py")))
	_, err := tree.WriteTo(io.Discard)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	require.ErrorContains(t, err, "b.py changed")

	_, err = open(t, filepath.Join(dir, "a.ipynb")).WriteTo(broken{})
	require.ErrorContains(t, err, "broken pipe")
	require.NotContains(t, err.Error(), "changed")
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestHome is serial, because a process has one home.
func TestHome(t *testing.T) {
	home := plant(t, map[string]string{"a.ipynb": "{}"})
	t.Setenv("HOME", home)
	_, err := worktree.Open(t.Context(), filepath.Join(home, "a.ipynb"), worktree.Options{})
	require.ErrorContains(t, err, "put the notebook into a directory of its own")
}

// TestWithoutGit is serial, because a process has one PATH.
func TestWithoutGit(t *testing.T) {
	dir := plant(t, map[string]string{".gitignore": "x.log", "a.ipynb": "{}", "sub/x.log": "x"})
	run(t, dir, "init", "-q")
	t.Setenv("PATH", t.TempDir())
	tree := open(t, filepath.Join(dir, "a.ipynb"))
	require.Equal(t, []string{".gitignore 5", "a.ipynb 2", "sub/", "sub/x.log 1"}, contents(t, tree))
	require.Contains(t, tree.Notes[0], "git is not installed")
}

func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func open(t *testing.T, path string) *worktree.Tree {
	t.Helper()
	tree, err := worktree.Open(t.Context(), path, worktree.Options{})
	require.NoError(t, err)
	return tree
}

// contents lists the bundle as the server reads it.
func contents(t *testing.T, tree *worktree.Tree) []string {
	t.Helper()
	var b bytes.Buffer
	n, err := tree.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	r, err := bundle.NewReader(&b, bundle.Limits{})
	require.NoError(t, err)
	defer r.Close()
	var lines []string
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			require.NoError(t, r.Check())
			return lines
		}
		require.NoError(t, err)
		lines = append(lines, describe(t, e, r))
	}
}

func describe(t *testing.T, e bundle.Entry, r io.Reader) string {
	t.Helper()
	switch e.Kind {
	case bundle.Dir:
		return e.Path + "/"
	case bundle.Link:
		return e.Path + " -> " + e.Target
	}
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	star := ""
	if e.Executable {
		star = "*"
	}
	return e.Path + star + " " + strconv.Itoa(len(body))
}

func digest(t *testing.T, tree *worktree.Tree) string {
	t.Helper()
	h := sha256.New()
	_, err := tree.WriteTo(h)
	require.NoError(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

func BenchmarkOpenAndWrite(b *testing.B) {
	dir := b.TempDir()
	for _, name := range []string{"a.ipynb", "b.py", "c.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", 10_000)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	_ = exec.Command("git", "-C", dir, "init", "-q").Run()
	for b.Loop() {
		tree, err := worktree.Open(b.Context(), filepath.Join(dir, "a.ipynb"), worktree.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tree.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

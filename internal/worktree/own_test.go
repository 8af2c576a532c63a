package worktree_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/worktree"
)

// litter is what NES keeps, beside a notebook that wants none of it.
func litter(t *testing.T) string {
	return plant(t, map[string]string{
		"tree/a.ipynb": "{}", "tree/b.py": "", "tree/deep/c.py": "",
		"tree/deep/data/bucket/x": "x", // named, and not yet owned by anybody
		"tree/other/lock":         "", "tree/other/server.json": "{}", "tree/other/agent.key": "k",
		"tree/idle/lock": "", "tree/idle/ledger.db": "",
		"tree/poetry/lock": "", "tree/poetry/kept.py": "", // a name alone proves nothing
	})
}

func TestDataDirectoriesAreLeftOut(t *testing.T) {
	t.Parallel()
	want := []string{"a.ipynb 2", "b.py 0", "deep/", "deep/c.py 0", "poetry/", "poetry/kept.py 0", "poetry/lock 0"}
	for name, prepare := range map[string]func(dir string) (dataDir string){
		"plain directory": func(dir string) string { return filepath.Join(dir, "tree/deep/data") },
		"Git": func(dir string) string {
			run(t, filepath.Join(dir, "tree"), "init", "-q")
			return filepath.Join(dir, "tree/deep/data")
		},
		"Git that has them": func(dir string) string {
			run(t, filepath.Join(dir, "tree"), "init", "-q")
			run(t, filepath.Join(dir, "tree"), "add", "-A")
			return filepath.Join(dir, "tree/deep/data")
		},
		"through a link": func(dir string) string {
			require.NoError(t, os.Symlink("tree/deep/data", filepath.Join(dir, "link")))
			return filepath.Join(dir, "link")
		},
	} {
		dir := litter(t)
		tree, err := worktree.Open(t.Context(), filepath.Join(dir, "tree/a.ipynb"), worktree.Options{DataDir: prepare(dir)})
		require.NoError(t, err, name)
		require.Equal(t, want, contents(t, tree), name)
	}
}

func TestNotebookInADataDirectory(t *testing.T) {
	t.Parallel()
	dir := litter(t)
	put(t, filepath.Join(dir, "tree/deep/data/sub/n.ipynb"), "{}")
	_, err := worktree.Open(t.Context(), filepath.Join(dir, "tree/deep/data/sub/n.ipynb"), worktree.Options{DataDir: filepath.Join(dir, "tree/deep/data/sub")})
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "put it elsewhere")
}

func TestDataDirectoryThatIsNotThereOrElsewhere(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"tree/a.ipynb": "{}", "elsewhere/x": ""})
	for _, data := range []string{"", "tree/none", "elsewhere"} {
		tree, err := worktree.Open(t.Context(), filepath.Join(dir, "tree/a.ipynb"), worktree.Options{DataDir: filepath.Join(dir, data)})
		require.NoError(t, err)
		require.Equal(t, []string{"a.ipynb 2"}, contents(t, tree))
	}
}

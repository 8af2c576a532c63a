package worktree_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/worktree"
)

// TestWhatGitIgnoresIsLeftOut compares random trees with random rules with what Git itself lists.
func TestWhatGitIgnoresIsLeftOut(t *testing.T) {
	t.Parallel()
	words := []string{"a", "b", "data", "log", "한글", "with space", "x.log", "y.csv", "z.py", "#hash", "!bang", "quote\"", "tilde~"}
	rules := []string{"*.log", "data/", "/a", "!keep.log", "b/*", "**/log", "한글", "*.csv", "!data/y.csv", "with space", "\\#hash", "# comment", "", "x*", "/data/*.py"}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := rand.New(rand.NewPCG(seed, 21))
			files := map[string]string{"n.ipynb": "{}", "keep.log": "k"}
			for range 40 {
				var name []string
				for range 1 + g.IntN(3) {
					name = append(name, words[g.IntN(len(words))])
				}
				full := strings.Join(name, "/")
				if !collides(files, full) {
					files[full] = fmt.Sprint(g.IntN(1000))
				}
			}
			for _, at := range []string{".gitignore", "a/.gitignore", "data/.gitignore"} {
				if g.IntN(2) == 0 && !collides(files, at) {
					files[at] = rules[g.IntN(len(rules))] + "\n" + rules[g.IntN(len(rules))] + "\n" + rules[g.IntN(len(rules))] + "\n"
				}
			}
			dir := plant(t, files)
			run(t, dir, "init", "-q")
			if g.IntN(2) == 0 {
				run(t, dir, "add", "-A")
				run(t, dir, "commit", "-qm", "some")
				put(t, filepath.Join(dir, "new.txt"), "later")
			}
			var want []string
			for name := range strings.SplitSeq(run(t, dir, "ls-files", "-co", "--exclude-standard", "-z"), "\x00") {
				if name != "" && !slices.Contains(want, name) {
					want = append(want, name)
				}
			}
			if !slices.Contains(want, "n.ipynb") {
				want = append(want, "n.ipynb")
			}
			tree := open(t, filepath.Join(dir, "n.ipynb"))
			var got []string
			for _, line := range contents(t, tree) {
				if name := line[:strings.LastIndexByte(line, ' ')+1]; name != "" && !strings.HasSuffix(line, "/") {
					got = append(got, strings.TrimSuffix(strings.TrimSpace(name), "*"))
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(t, want, got)
			require.Empty(t, tree.Notes)
			require.Equal(t, run(t, dir, "status", "--porcelain") != "", tree.Dirty)
		})
	}
}

func collides(files map[string]string, full string) bool {
	for other := range files {
		if other == full || strings.HasPrefix(other, full+"/") || strings.HasPrefix(full, other+"/") {
			return true
		}
	}
	return false
}

// TestNamesOfOrigins: one repository has one name, however its origin is written, and the name never holds a credential.
func TestNamesOfOrigins(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://github.com/acme/reports.git":             "github.com/acme/reports",
		"https://GitHub.com/acme/reports/":                "github.com/acme/reports",
		"https://user:hunter2@github.com/acme/reports":    "github.com/acme/reports",
		"https://hunter2@github.com:443/acme/reports.git": "github.com/acme/reports",
		"git@github.com:acme/reports.git":                 "github.com/acme/reports",
		"github.com:acme/reports.git":                     "github.com/acme/reports",
		"ssh://git@github.com:2222/acme/reports.git":      "github.com/acme/reports",
		"ssh://git@github.com/acme/../acme/reports.git":   "github.com/acme/reports",
		"git://github.com/acme/reports":                   "github.com/acme/reports",
		"git@gitlab.example:group/sub/group/reports.git":  "gitlab.example/group/sub/group/reports",
		"https://[2001:db8::1]/acme/reports.git":          "2001:db8::1/acme/reports",
		"https://한글.example/acme/보고서.git":                 "한글.example/acme/보고서",
		"/srv/git/reports.git":                            "",
		"../reports":                                      "",
		"file:///srv/git/reports.git":                     "",
		"https://github.com/":                             "",
		"git@github.com:":                                 "",
		"":                                                "",
	} {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			dir := plant(t, map[string]string{"a.ipynb": "{}"})
			run(t, dir, "init", "-q")
			if origin != "" {
				run(t, dir, "remote", "add", "origin", origin)
			}
			if want == "" {
				want = "local/" + filepath.Base(dir)
			}
			tree := open(t, filepath.Join(dir, "a.ipynb"))
			require.Equal(t, want, tree.Repository)
			require.NotContains(t, tree.Address("x"), "hunter2")
		})
	}
}

// TestAddressesComeBack: what a tree calls itself is what the server reads, for any name of a notebook.
func TestAddressesComeBack(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	for _, name := range []string{"a.ipynb", "일일 매출.ipynb", "100%.ipynb", "%41.ipynb", "a#b.ipynb", "a?b=c.ipynb", "a&b.ipynb", "a+b.ipynb", "d e/f g.ipynb", "[x].ipynb", "a;b.ipynb", "~.ipynb", "ü.ipynb", "'q'.ipynb"} {
		for _, git := range []bool{false, true} {
			dir := plant(t, map[string]string{name: "{}", "other.py": "1"})
			if git {
				run(t, dir, "init", "-q")
				run(t, dir, "remote", "add", "origin", "https://h.example/a b/한.git")
				run(t, dir, "add", "-A")
				run(t, dir, "commit", "-qm", "x")
				put(t, filepath.Join(dir, "other.py"), "2")
			}
			tree := open(t, filepath.Join(dir, filepath.FromSlash(name)))
			a, err := gitsource.Parse(tree.Address(sum))
			require.NoError(t, err, tree.Address(sum))
			require.Equal(t, gitsource.KindUpload, a.Kind)
			require.Equal(t, sum, a.SHA256)
			require.Equal(t, tree.Notebook, a.Path)
			require.Equal(t, tree.Repository, a.Repository)
			require.Equal(t, tree.Commit, a.Base)
			require.Equal(t, git, a.Dirty)
			require.Equal(t, git, a.Base != "")
		}
	}
}

// TestLimitsAreExact: the last file and the last byte are taken, and the first beyond is refused with what to do.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"d/a.ipynb": "12345", "d/b.txt": "123", "d/sub/c.txt": "12"}) // with sub four entries of 10 bytes
	git := plant(t, map[string]string{"a.ipynb": "12345", "b.txt": "12345"})
	run(t, git, "init", "-q")
	run(t, git, "add", "-A")
	run(t, git, "commit", "-qm", "x")
	for _, c := range []struct {
		notebook string
		options  worktree.Options
		says     string
	}{
		{filepath.Join(dir, "d/a.ipynb"), worktree.Options{Files: 4, Size: 10}, ""},
		{filepath.Join(dir, "d/a.ipynb"), worktree.Options{Files: 3}, "more than 3 files: put the notebook into a directory of its own"},
		{filepath.Join(dir, "d/a.ipynb"), worktree.Options{Size: 9}, "more than 0 MB"},
		{filepath.Join(git, "a.ipynb"), worktree.Options{Files: 2, Size: 10}, ""},
		{filepath.Join(git, "a.ipynb"), worktree.Options{Files: 1}, "name what does not belong to the notebook in .gitignore"},
		{filepath.Join(git, "a.ipynb"), worktree.Options{Files: -1, Size: -1}, ""},
	} {
		_, err := worktree.Open(t.Context(), c.notebook, c.options)
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
		require.ErrorContains(t, err, c.says)
	}
}

// TestLeftOutAtAnyDepth: what can be made again is not sent, and what only looks like it is.
func TestLeftOutAtAnyDepth(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.ipynb": "{}"}
	var want []string
	for _, name := range []string{".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"} {
		if name != ".git" { // which would make it a repository
			files[name+"/x"] = "x"
		}
		files["deep/down/"+name+"/sub/x"] = "x"
		if name != ".git" {
			files["like/"+name+".txt"], files["like/my"+name] = "x", "x"
			want = append(want, "like/"+name+".txt 1", "like/my"+name+" 1")
		}
	}
	dir := plant(t, files)
	got := contents(t, open(t, filepath.Join(dir, "a.ipynb")))
	slices.Sort(want)
	require.Equal(t, append([]string{"a.ipynb 2", "like/"}, want...), got)
	run(t, dir, "init", "-q")
	inGit := contents(t, open(t, filepath.Join(dir, "a.ipynb")))
	for _, line := range inGit {
		require.NotRegexp(t, `(^|/)(\.git|\.venv|venv|node_modules|__pycache__)/`, line)
	}
	require.Subset(t, inGit, want)
}

// TestHooksDoNotLeadElsewhere: inside of a hook Git's own variables name another repository. It is serial, because a process has one environment.
func TestHooksDoNotLeadElsewhere(t *testing.T) {
	other := plant(t, map[string]string{"secret.txt": "x"})
	run(t, other, "init", "-q")
	dir := plant(t, map[string]string{"a.ipynb": "{}", "b.py": "1"})
	run(t, dir, "init", "-q")
	for name, value := range map[string]string{"GIT_DIR": filepath.Join(other, ".git"), "GIT_WORK_TREE": other, "GIT_INDEX_FILE": filepath.Join(other, ".git/index"), "GIT_PREFIX": "x/", "GIT_COMMON_DIR": filepath.Join(other, ".git")} {
		t.Setenv(name, value)
	}
	tree, err := worktree.Open(t.Context(), filepath.Join(dir, "a.ipynb"), worktree.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"a.ipynb 2", "b.py 1"}, contents(t, tree))
	require.NoError(t, os.Unsetenv("GIT_DIR"))
}

package gitsource_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/bundle"
)

func TestOrdinaryTree(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Write("run.sh", "#!/bin/sh\n")
	repo.Git("add", "--all")
	repo.Git("update-index", "--chmod=+x", "run.sh")
	repo.Git("commit", "-qm", "executable")
	repo.Git("checkout", "--", "run.sh")
	repo.Commit("x", map[string]string{
		"a.ipynb": "x", "empty": "", "dir/sub/data.csv": strings.Repeat("1,2\n", 100_000), "link": "-> dir/sub", "dir/up.ipynb": "-> ../a.ipynb",
		"데이터/값.csv": "값", strings.Repeat("long/", 30) + strings.Repeat("n", 200): "long",
	})
	f, err := fetch(t, local(t), s.URL+"/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	require.Empty(t, f.notes)
	require.Equal(t, bundle.Entry{Path: "run.sh", Kind: bundle.File, Executable: true, Size: 10}, f.files["run.sh"])
	require.Equal(t, bundle.Entry{Path: "link", Kind: bundle.Link, Target: "dir/sub"}, f.files["link"])
	require.Equal(t, bundle.Entry{Path: "dir/up.ipynb", Kind: bundle.Link, Target: "../a.ipynb"}, f.files["dir/up.ipynb"])
	require.Equal(t, bundle.Dir, f.files["dir/sub"].Kind)
	require.Equal(t, 400_000, len(f.text["dir/sub/data.csv"]))
	require.Equal(t, "값", f.text["데이터/값.csv"])
	require.Equal(t, "long", f.text[strings.Repeat("long/", 30)+strings.Repeat("n", 200)])
	require.Contains(t, f.files, "empty")
}

func TestBundleIsDeterministic(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{"a.ipynb": "x", "dir/data.csv": strings.Repeat("1,2\n", 300_000), "out": "-> /etc"})
	digest := func() string {
		a, err := gitsource.Parse(s.URL + "/a/b/blob/main/a.ipynb")
		require.NoError(t, err)
		c := local(t)
		r, err := c.Resolve(t.Context(), a)
		require.NoError(t, err)
		tree, err := c.Fetch(t.Context(), r)
		require.NoError(t, err)
		f, err := tree.Open()
		require.NoError(t, err)
		h := sha256.New()
		_, err = io.Copy(h, f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, tree.Close())
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	require.Equal(t, digest(), digest())
}

// TestCraftedTrees fetches what no honest Git makes.
func TestCraftedTrees(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{
		"a.ipynb": "x", "absolute": "-> /etc/passwd", "up": "-> ../../etc", "dir/deep/root": "-> ../..", "via": "-> dir/deep/root/..", "loop": "-> loop",
		"Readme": "1", "README": "2",
	})
	blob := repo.GitInput("evil", "hash-object", "-w", "--stdin")
	inner := repo.GitInput(fmt.Sprintf("100644 blob %s\tconfig\n", blob), "mktree")
	listing := repo.Git("ls-tree", "HEAD")
	for _, name := range []string{".git", ".GIT", "git~1", ".git ", ".g\u200cit", "back\\slash", "new\x01line"} {
		listing += fmt.Sprintf("\n040000 tree %s\t%s", inner, quoteForGit(name))
	}
	listing += "\n160000 commit " + repo.Head() + "\tmodule\n"
	tree := repo.GitInput(listing, "mktree", "--missing")
	commit := repo.Git("commit-tree", "-m", "crafted", "-p", "HEAD", tree)
	repo.Git("push", "--quiet", "origin", commit+":refs/heads/crafted")

	f, err := fetch(t, local(t), s.URL+"/a/b/blob/crafted/a.ipynb")
	require.NoError(t, err)
	var names []string
	for name := range f.files {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"a.ipynb", "dir", "dir/deep", "dir/deep/root", "Readme", "README", "module"}, names)
	require.Equal(t, bundle.Dir, f.files["module"].Kind)
	notes := strings.Join(f.notes, "\n")
	for _, word := range []string{`"absolute"`, `"up"`, `"via"`, `"loop"`, "submodule", "differ in case", `".git"`, "leads out of the repository"} {
		require.Contains(t, notes, word)
	}
	require.Len(t, f.notes, 13)
}

func quoteForGit(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\x01", `\001`).Replace(name) + `"`
}

func TestPointersOfLFSAreNamed(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("ab", 32) + "\nsize 12345\n"
	repo.Commit("x", map[string]string{"a.ipynb": "x", "data/.gitattributes": "*.csv filter=lfs -text\n", "data/a.csv": pointer, "data/b.csv": pointer, "data/small.csv": "1,2"})
	f, err := fetch(t, local(t), s.URL+"/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	require.Equal(t, []string{`2 files are Git LFS pointers instead of their content, such as "data/a.csv": NES does not fetch from LFS`}, f.notes)
	require.Equal(t, pointer, f.text["data/a.csv"])
}

// TestTwiceTheSameName has a link and a directory of one name in one tree, so that what is unpacked second would go through the first.
func TestTwiceTheSameName(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{"a.ipynb": "x"})
	notebook := repo.Git("rev-parse", "HEAD:a.ipynb")
	target := repo.GitInput("/tmp", "hash-object", "-w", "--stdin")
	inner := repo.GitInput(fmt.Sprintf("100644 blob %s\tfile\n", notebook), "mktree")
	raw := func(mode, name, hash string) string {
		var b strings.Builder
		b.WriteString(mode + " " + name + "\x00")
		for i := 0; i < len(hash); i += 2 {
			var c byte
			_, err := fmt.Sscanf(hash[i:i+2], "%02x", &c)
			require.NoError(t, err)
			b.WriteByte(c)
		}
		return b.String()
	}
	tree := repo.GitInput(raw("100644", "a.ipynb", notebook)+raw("120000", "d", target)+raw("40000", "d", inner)+raw("100644", "../x", notebook),
		"hash-object", "-w", "-t", "tree", "--literally", "--stdin")
	commit := repo.Git("commit-tree", "-m", "crafted", tree)
	repo.Git("push", "--quiet", "origin", commit+":refs/heads/crafted")
	f, err := fetch(t, local(t), s.URL+"/a/b/blob/crafted/a.ipynb")
	require.NoError(t, err)
	require.Len(t, f.files, 1, "%v", f.files)
	require.Len(t, f.notes, 3)
}

// TestTreeBomb nests one tree in itself by name ten times over: ten objects, ten thousand million files.
func TestTreeBomb(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{"a.ipynb": "x"})
	inner := repo.Git("rev-parse", "HEAD^{tree}")
	for range 10 {
		listing := ""
		for i := range 10 {
			listing += fmt.Sprintf("040000 tree %s\td%d\n", inner, i)
		}
		inner = repo.GitInput(listing, "mktree")
	}
	commit := repo.Git("commit-tree", "-m", "bomb", inner)
	repo.Git("push", "--quiet", "origin", commit+":refs/heads/bomb")
	message := fails(t, loopback(gitsource.Limits{}), s.URL+"/a/b/blob/bomb/a.ipynb", "SourceTooLarge")
	require.Contains(t, message, "100000 files")
}

package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/bundle"
)

// TestRefNamesAreGits: what is refused as the name of a ref is none in Git, and what Git refuses is refused.
func TestRefNamesAreGits(t *testing.T) {
	t.Parallel()
	names := []string{
		"main", "feature/new", "v1.0", "한글/가지", "a-b_c", "@", "a@b", "@{", "a@{b", "-x", "a/-x", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a./b", "a.lock", "a.lock/b", "a.locks", "a..b", "a b", "a~b", "a^b",
		"a:b", "a?b", "a*b", "a[b", "a]b", "a\\b", "a{b}", "a#b", "a%b", "a+b", "a=b", "a,b", "a;b", "a'b", "$(x)", "..", ".", "refs/heads/x", "a/b/c/d/e/f", "é", "HEAD2",
	}
	g := rand.New(rand.NewPCG(3, 4))
	for range 120 {
		var b strings.Builder
		for range 1 + g.IntN(6) {
			b.WriteByte("ab./@-{lock~"[g.IntN(12)])
		}
		names = append(names, b.String())
	}
	for _, name := range names {
		byGit := exec.Command("git", "check-ref-format", "refs/heads/"+name).Run() == nil && !strings.HasPrefix(name, "-")
		require.Equal(t, byGit, checkRef(name) == "", "%q", name)
	}
	require.Empty(t, checkRef(""), "the default branch")
	require.Empty(t, checkRef(strings.Repeat("a", 255)))
	require.NotEmpty(t, checkRef(strings.Repeat("a", 256)))
}

// manyRefs makes a repository with every kind of ref that a server lists.
func manyRefs(t *testing.T) *gitsourcetest.Repository {
	t.Helper()
	repo := gitsourcetest.NewRepository(t, t.TempDir(), "acme/refs")
	repo.Commit("first", map[string]string{"a.ipynb": "1"})
	repo.Tag("v1")
	repo.Git("tag", "light")
	repo.Git("tag", "--annotate", "--message", "of a tag", "nested", "v1")
	repo.Branch("feature/한글")
	repo.Commit("second", map[string]string{"a.ipynb": "2"})
	repo.Git("tag", "--annotate", "--message", "of a tree", "tree", "HEAD^{tree}")
	repo.Git("push", "--quiet", "--tags", "origin")
	repo.Git("push", "--quiet", "origin", "HEAD:refs/pull/7/head", "HEAD~1:refs/notes/x")
	return repo
}

// tipsByGit lists, by their whole names, what refs point at and what they peel to.
func tipsByGit(repo *gitsourcetest.Repository) map[string]tip {
	out := map[string]tip{}
	for line := range strings.Lines(repo.Git("--git-dir", repo.Bare, "for-each-ref", "--format=%(refname) %(objectname)")) {
		name, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[name] = tip{hash, repo.Git("--git-dir", repo.Bare, "rev-parse", name+"^{}")}
	}
	return out
}

func requireTips(t *testing.T, repo *gitsourcetest.Repository, a *advertisement) {
	t.Helper()
	heads, tags := map[string]tip{}, map[string]tip{}
	for name, want := range tipsByGit(repo) {
		if short, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			heads[short] = want
		}
		if short, ok := strings.CutPrefix(name, "refs/tags/"); ok {
			tags[short] = want
		}
	}
	require.Equal(t, heads, a.heads)
	require.Equal(t, tags, a.tags)
	require.Equal(t, "main", a.headName)
	require.Equal(t, heads["main"], a.head)
}

// TestListsAreGits reads the list that Git's own server sends, and that of a repository on disk.
func TestListsAreGits(t *testing.T) {
	t.Parallel()
	repo := manyRefs(t)
	raw, err := exec.Command("git", "-c", "safe.directory=*", "upload-pack", "--strict", "--stateless-rpc", "--advertise-refs", repo.Bare).Output()
	require.NoError(t, err)
	pull := tipsByGit(repo)["refs/pull/7/head"]
	a, err := readAdvertisement(bytes.NewReader(raw), pull.hash)
	require.NoError(t, err)
	requireTips(t, repo, a)
	require.Equal(t, pull, a.other, "of other refs the one that was asked for is kept")
	require.Contains(t, a.caps, "side-band-64k")
	require.False(t, a.gives(), "by default a server gives no bare commit")
	none, err := readAdvertisement(bytes.NewReader(raw), "")
	require.NoError(t, err)
	require.Zero(t, none.other)

	for cut := 1; cut < len(raw); cut += 7 {
		_, err := readAdvertisement(bytes.NewReader(raw[:cut]), "")
		require.Error(t, err, "a list that breaks off after %d bytes", cut)
	}
	opened, err := openLocal("file://"+repo.Bare, []string{filepath.Dir(repo.Bare)})
	require.NoError(t, err)
	onDisk, err := listLocal(opened)
	require.NoError(t, err)
	requireTips(t, repo, onDisk)
	repo.Git("--git-dir", repo.Bare, "pack-refs", "--all")
	opened, err = openLocal("file://"+repo.Bare, []string{filepath.Dir(repo.Bare)})
	require.NoError(t, err)
	packed, err := listLocal(opened)
	require.NoError(t, err)
	requireTips(t, repo, packed)
	repo.Git("--git-dir", repo.Bare, "update-ref", "--no-deref", "HEAD", pull.hash)
	opened, err = openLocal("file://"+repo.Bare, []string{filepath.Dir(repo.Bare)})
	require.NoError(t, err)
	detached, err := listLocal(opened)
	require.NoError(t, err)
	require.Equal(t, pull, detached.head)
	require.Empty(t, detached.headName)
}

// TestRequestsAreGits has Git's own server answer our request, at every depth and with every capability taken away.
func TestRequestsAreGits(t *testing.T) {
	t.Parallel()
	repo := manyRefs(t)
	commits := strings.Fields(repo.Git("--git-dir", repo.Bare, "rev-list", "feature/한글"))
	require.Len(t, commits, 2)
	all := map[string]string{"side-band-64k": "", "ofs-delta": "", "no-progress": "", "shallow": "", "multi_ack": ""}
	for _, c := range []struct {
		name    string
		depth   int
		without string
		want    int // commits in the answer
	}{
		{"newest", 1, "", 1},
		{"two", 2, "", 2},
		{"everything", 0, "", 2},
		{"without shallow", 1, "shallow", 2},
		{"without side band", 1, "side-band-64k", 1},
		{"without deltas", 1, "ofs-delta", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			caps := map[string]string{}
			for k, v := range all {
				if k != c.without {
					caps[k] = v
				}
			}
			store, err := newStore(t.TempDir())
			require.NoError(t, err)
			defer store.Close()
			remote := &program{t: t, bare: repo.Bare}
			require.NoError(t, receive(t.Context(), remote, try{Wants: []string{commits[0]}, Depth: c.depth}, caps, store, Limits{}.withDefaults()))
			found := 0
			for _, id := range commits {
				if _, err := store.EncodedObject(plumbing.CommitObject, plumbing.NewHash(id)); err == nil {
					found++
				}
			}
			require.Equal(t, c.want, found)
		})
	}
}

// program answers requests by git upload-pack.
type program struct {
	t    *testing.T
	bare string
}

func (p *program) advertise(context.Context, string) (*advertisement, error) { return nil, nil }
func (p *program) close()                                                    {}
func (p *program) uploadPack(ctx context.Context, request []byte) (io.ReadCloser, error) {
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "upload-pack", "--strict", "--stateless-rpc", p.bare)
	cmd.Stdin = bytes.NewReader(request)
	out, err := cmd.Output()
	return io.NopCloser(bytes.NewReader(out)), err
}

// TestReceiveIsBounded: each limit stops what a server sends, and what breaks off is an error.
func TestReceiveIsBounded(t *testing.T) {
	t.Parallel()
	repo := manyRefs(t)
	caps := map[string]string{"side-band-64k": "", "shallow": "", "no-progress": ""}
	wants := try{Wants: []string{repo.Head()}}
	request, err := encodeRequest(wants, caps)
	require.NoError(t, err)
	body, err := (&program{t: t, bare: repo.Bare}).uploadPack(t.Context(), request)
	require.NoError(t, err)
	whole, err := io.ReadAll(body)
	require.NoError(t, err)
	receiveFrom := func(answer []byte, l Limits) error {
		store, err := newStore(t.TempDir())
		require.NoError(t, err)
		defer store.Close()
		return receive(t.Context(), replay(answer), wants, caps, store, l.withDefaults())
	}
	require.NoError(t, receiveFrom(whole, Limits{}))
	require.NoError(t, receiveFrom(whole, Limits{Pack: int64(len(whole))}))
	require.ErrorIs(t, receiveFrom(whole, Limits{Pack: int64(len(whole)) - 5}), errLimit)
	require.ErrorIs(t, receiveFrom(whole, Limits{Objects: 5}), errLimit)
	require.NoError(t, receiveFrom(whole, Limits{Objects: 6}), "two commits with a tree and a file each")
	for cut := 0; cut < len(whole)-4; cut += 1 + len(whole)/60 { // a flush follows the pack
		require.Error(t, receiveFrom(whole[:cut], Limits{}), "after %d of %d bytes", cut, len(whole))
	}
	for flip := 30; flip < len(whole)-30; flip += 41 {
		broken := bytes.Clone(whole)
		broken[flip] ^= 0x40
		_ = receiveFrom(broken, Limits{}) // it must come back, and not panic
	}
	require.Error(t, receiveFrom([]byte("0008NAK\n0009\x02hello"), Limits{}))
	require.ErrorContains(t, receiveFrom([]byte("000bwhat ev"), Limits{}), "unexpected answer")
}

type replay []byte

func (r replay) advertise(context.Context, string) (*advertisement, error) { return nil, nil }
func (r replay) close()                                                    {}
func (r replay) uploadPack(context.Context, []byte) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(r)), nil
}

// TestCommitsAreFoundAsGitFindsThem, whole and abbreviated; what Git calls ambiguous is refused.
func TestCommitsAreFoundAsGitFindsThem(t *testing.T) {
	t.Parallel()
	repo := gitsourcetest.NewRepository(t, t.TempDir(), "a/many")
	var stream strings.Builder
	for i := range 3000 { // enough that some share five digits
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 1\nx\n", 1e9+i)
	}
	repo.GitInput(stream.String(), "--git-dir", repo.Bare, "fast-import", "--quiet")
	opened, err := git.PlainOpen(repo.Bare)
	require.NoError(t, err)
	ids := strings.Fields(repo.Git("--git-dir", repo.Bare, "rev-list", "main"))
	require.Len(t, ids, 3000)
	by := map[string]int{}
	for _, id := range ids {
		by[id[:4]]++
	}
	unique, twice := "", ""
	for _, id := range ids {
		if by[id[:4]] == 1 {
			unique = id
		} else {
			twice = id[:4]
		}
	}
	require.NotEmpty(t, unique)
	require.NotEmpty(t, twice)
	for _, n := range []int{4, 7, 12, 39, 40} {
		c, err := findCommit(opened.Storer, unique[:n])
		require.NoError(t, err)
		require.Equal(t, unique, c.Hash.String())
	}
	_, err = findCommit(opened.Storer, twice)
	require.ErrorContains(t, err, "ambiguous")
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
	for _, none := range []string{strings.Repeat("0", 40), "0000000000"} {
		_, err = findCommit(opened.Storer, none)
		require.ErrorIs(t, err, plumbing.ErrObjectNotFound)
	}
	tree := repo.Git("--git-dir", repo.Bare, "rev-parse", "main^{tree}")
	_, err = findCommit(opened.Storer, tree)
	require.Error(t, err, "a tree is no commit")
}

// TestBundlesAreWhatGitChecksOut makes trees at random and compares the bundle with Git's own listing, byte by byte.
func TestBundlesAreWhatGitChecksOut(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			repo := gitsourcetest.NewRepository(t, t.TempDir(), "a/random")
			repo.Commit("random", randomTree(rand.New(rand.NewPCG(seed, 9))))
			repo.Git("update-index", "--chmod=+x", "always.sh")
			repo.Git("commit", "--quiet", "--message", "executable")
			repo.Git("push", "--quiet", "origin", "HEAD")
			commit := repo.Head()
			opened, err := git.PlainOpen(repo.Bare)
			require.NoError(t, err)
			found, err := findCommit(opened.Storer, commit)
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), bundleFile)
			p, err := writeBundle(opened.Storer, found, file, Limits{}.withDefaults())
			require.NoError(t, err)
			require.Empty(t, p.notes)
			require.Equal(t, listedByGit(repo), listedInBundle(t, file))
			_, err = writeBundle(opened.Storer, found, file, Limits{}.withDefaults())
			require.ErrorIs(t, err, os.ErrExist, "a bundle is never written over")
		})
	}
}

// randomTree has files, empty and large, links within the tree, odd names and deep directories.
func randomTree(g *rand.Rand) map[string]string {
	parts := []string{"a", "b", "데이터", "with space", "Ü", ".hidden", "x.ipynb", "quote'\"", "100%", "emoji😀"}
	files := map[string]string{"always.sh": "#!/bin/sh\n", "always.ipynb": "{}"}
	for range 40 {
		var name []string
		for range 1 + g.IntN(4) {
			name = append(name, parts[g.IntN(len(parts))]+fmt.Sprint(g.IntN(4)))
		}
		full := strings.Join(name, "/")
		if takes(files, full) {
			continue
		}
		switch g.IntN(6) {
		case 0:
			files[full] = "-> " + strings.Repeat("../", len(name)-1) + "always.ipynb"
		case 1:
			files[full] = ""
		default:
			b := make([]byte, g.IntN(5000))
			for i := range b {
				b[i] = byte(g.IntN(256))
			}
			files[full] = string(b)
		}
	}
	return files
}

// takes reports whether a name is taken, by a file or as a directory, or lies below a file.
func takes(files map[string]string, full string) bool {
	for other := range files {
		if strings.EqualFold(other, full) || strings.HasPrefix(other, full+"/") || strings.HasPrefix(full, other+"/") {
			return true
		}
	}
	return false
}

func listedByGit(repo *gitsourcetest.Repository) map[string]string {
	out := map[string]string{}
	for line := range strings.SplitSeq(repo.Git("ls-tree", "-r", "-z", "HEAD"), "\x00") {
		about, name, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		f := strings.Fields(about)
		cmd := exec.Command("git", "cat-file", "blob", f[2])
		cmd.Dir = repo.Work
		content, err := cmd.Output()
		if err != nil {
			panic(err)
		}
		out[name] = f[0] + " " + string(content)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			out[dir] = "dir"
		}
	}
	return out
}

func listedInBundle(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	r, err := bundle.NewReader(f, bundle.Limits{})
	require.NoError(t, err)
	defer r.Close()
	out := map[string]string{}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		switch {
		case e.Kind == bundle.Dir:
			out[e.Path] = "dir"
		case e.Kind == bundle.Link:
			out[e.Path] = "120000 " + e.Target
		case e.Executable:
			out[e.Path] = "100755 " + string(content)
		default:
			out[e.Path] = "100644 " + string(content)
		}
	}
}

// TestLimitsOfATree: each limit is where it is said to be.
func TestLimitsOfATree(t *testing.T) {
	t.Parallel()
	repo := gitsourcetest.NewRepository(t, t.TempDir(), "a/limits")
	repo.Commit("x", map[string]string{"a.ipynb": "12345", "d/e/f.txt": "1234567890", "g": ""}) // entries: a.ipynb, d, d/e, f.txt, g
	opened, err := git.PlainOpen(repo.Bare)
	require.NoError(t, err)
	commit, err := findCommit(opened.Storer, repo.Head())
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		limits Limits
		says   string // empty is none
	}{
		{"files", Limits{Files: 5}, ""},
		{"too many files", Limits{Files: 4}, "more than 4 files"},
		{"depth", Limits{Depth: 3}, ""},
		{"too deep", Limits{Depth: 2}, "more than 2 elements"},
		{"file", Limits{FileSize: 10}, ""},
		{"large file", Limits{FileSize: 9}, `"d/e/f.txt" has 10 bytes, 9 are allowed`},
		{"tree", Limits{TreeSize: 15}, ""},
		{"large tree", Limits{TreeSize: 14}, "more than 14 bytes together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), bundleFile)
			_, err := writeBundle(opened.Storer, commit, file, c.limits.withDefaults())
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
			require.Equal(t, nes.ReasonSourceTooLarge, nes.ReasonOf(err))
			require.NoFileExists(t, file, "limits are checked before a byte is written")
		})
	}
}

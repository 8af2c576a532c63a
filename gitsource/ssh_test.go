package gitsource_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

func TestSSH(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewSSHServer(t, t.TempDir())
	repo := gitsourcetest.NewRepository(t, s.Root, "acme/it's reports")
	first := repo.Commit("first", map[string]string{"a.ipynb": "first"})
	repo.Branch("feature/new")
	repo.Commit("second", map[string]string{"a.ipynb": "second", "lib.py": "x = 1"})
	base := "ssh://git@" + s.Addr + "/acme/it's%20reports.git"
	good := gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}, SSH: gitsource.SSH{KeyFile: s.KeyFile, KnownHosts: s.KnownHosts}}

	f, err := fetch(t, newClient(t, good), base+"@feature/new#a.ipynb")
	require.NoError(t, err)
	require.Equal(t, "second", f.text["a.ipynb"])
	require.Equal(t, "x = 1", f.text["lib.py"])
	f, err = fetch(t, newClient(t, good), base+"@"+first+"#a.ipynb")
	require.NoError(t, err)
	require.Equal(t, "first", f.text["a.ipynb"])
	f, err = fetch(t, newClient(t, good), base+"#a.ipynb")
	require.NoError(t, err)
	require.Equal(t, first, f.commit)

	require.Contains(t, fails(t, good, "ssh://git@"+s.Addr+"/acme/none.git#a.ipynb", nes.ReasonSourceNotFound), "does not appear to be a git repository")
	require.Contains(t, fails(t, good, strings.Replace(base, "git@", "ada@", 1)+"#a.ipynb", nes.ReasonSourceForbidden), "does not accept the key")

	dir := t.TempDir()
	stranger := gitsourcetest.NewSSHKey(t, filepath.Join(dir, "stranger"))
	for name, c := range map[string]struct {
		change func(o *gitsource.Options)
		says   string
	}{
		"address not allowed": {func(o *gitsource.Options) { o.AllowLoopback = false }, "NES_FETCH_ALLOW_CIDRS"},
		"no key configured":   {func(o *gitsource.Options) { o.SSH = gitsource.SSH{} }, "no SSH key"},
		"key file missing":    {func(o *gitsource.Options) { o.SSH.KeyFile = filepath.Join(dir, "none") }, "cannot be read"},
		"key not accepted":    {func(o *gitsource.Options) { o.SSH.KeyFile = filepath.Join(dir, "stranger") }, "does not accept the key"},
		"unknown host": {func(o *gitsource.Options) {
			o.SSH.KnownHosts = filepath.Join(dir, "empty")
			require.NoError(t, os.WriteFile(o.SSH.KnownHosts, nil, 0o600))
		}, "not among the known hosts"},
		"wrong host key": {func(o *gitsource.Options) {
			o.SSH.KnownHosts = filepath.Join(dir, "wrong")
			gitsourcetest.WriteKnownHosts(t, o.SSH.KnownHosts, s.Addr, stranger.PublicKey())
		}, "shows another key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good
			c.change(&o)
			require.Contains(t, fails(t, o, base+"#a.ipynb", nes.ReasonSourceForbidden), c.says)
		})
	}
}

func TestFileAddresses(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	repo := gitsourcetest.NewRepository(t, root, "reports")
	first := repo.Commit("first", map[string]string{"a.ipynb": "first", "lib.py": "x"})
	repo.Tag("v1")
	repo.Branch("feature/new")
	repo.Commit("second", map[string]string{"a.ipynb": "second"})
	o := gitsource.Options{FileRoots: []string{root}}
	for url, want := range map[string]string{
		"file://" + repo.Bare + "#a.ipynb":                   "first",
		"file://" + repo.Bare + "@feature/new#a.ipynb":       "second",
		"file://" + repo.Bare + "@v1#a.ipynb":                "first",
		"file://" + repo.Bare + "@" + first + "#a.ipynb":     "first",
		"file://" + repo.Bare + "@" + first[:9] + "#a.ipynb": "first",
	} {
		f, err := fetch(t, newClient(t, o), url)
		require.NoError(t, err, url)
		require.Equal(t, want, f.text["a.ipynb"])
		require.Equal(t, "x", f.text["lib.py"])
	}
	require.Contains(t, fails(t, gitsource.Options{}, "file://"+repo.Bare+"#a.ipynb", nes.ReasonSourceForbidden), "not below")
	require.Contains(t, fails(t, o, "file://"+repo.Work+"#a.ipynb", nes.ReasonSourceForbidden), "not below")
	require.Contains(t, fails(t, o, "file:///nowhere/at/all#a.ipynb", nes.ReasonSourceForbidden), "not below")
	require.Contains(t, fails(t, o, "file://"+root+"/none#a.ipynb", nes.ReasonSourceNotFound), "no repository")
	require.NoError(t, os.Mkdir(filepath.Join(root, "plain"), 0o755))
	require.Contains(t, fails(t, o, "file://"+root+"/plain#a.ipynb", nes.ReasonSourceNotFound), "not a Git repository")

	other := gitsourcetest.NewRepository(t, outside, "secret")
	other.Commit("x", map[string]string{"a.ipynb": "secret"})
	require.NoError(t, os.Symlink(other.Bare, filepath.Join(root, "link")))
	require.Contains(t, fails(t, o, "file://"+root+"/link#a.ipynb", nes.ReasonSourceForbidden), "not below")
	require.NoError(t, os.Mkdir(filepath.Join(root, "pointer"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "pointer", ".git"), []byte("gitdir: "+other.Bare+"\n"), 0o600))
	require.Contains(t, fails(t, o, "file://"+root+"/pointer#a.ipynb", nes.ReasonSourceForbidden), "outside")
	repo.Git("clone", "--quiet", "--bare", "--shared", other.Bare, filepath.Join(root, "shared.git"))
	require.Contains(t, fails(t, o, "file://"+root+"/shared.git#a.ipynb", nes.ReasonSourceForbidden), "borrows")

	repo.Git("clone", "--quiet", repo.Bare, filepath.Join(root, "clone"))
	repo.Git("-C", filepath.Join(root, "clone"), "worktree", "add", "--quiet", "--detach", filepath.Join(root, "linked"), "HEAD")
	for _, name := range []string{"clone", "linked"} {
		f, err := fetch(t, newClient(t, o), "file://"+root+"/"+name+"#a.ipynb")
		require.NoError(t, err, name)
		require.Equal(t, "first", f.text["a.ipynb"])
	}
}

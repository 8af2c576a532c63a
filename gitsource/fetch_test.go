package gitsource_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/bundle"
)

func newClient(t *testing.T, o gitsource.Options) *gitsource.Client {
	t.Helper()
	o.TempDir = t.TempDir()
	c, err := gitsource.New(o)
	require.NoError(t, err)
	return c
}

// local may reach this machine, as a server that listens on loopback alone may.
func local(t *testing.T) *gitsource.Client {
	t.Helper()
	return newClient(t, gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}})
}

type fetched struct {
	gitsource.Resolved
	commit string
	notes  []string
	files  map[string]bundle.Entry
	text   map[string]string
}

func fetch(t *testing.T, c *gitsource.Client, url string) (fetched, error) {
	t.Helper()
	a, err := gitsource.Parse(url)
	require.NoError(t, err)
	r, err := c.Resolve(t.Context(), a)
	if err != nil {
		return fetched{}, err
	}
	tree, err := c.Fetch(t.Context(), r)
	if err != nil {
		return fetched{}, err
	}
	f := read(t, tree)
	f.Resolved, f.commit, f.notes = r, tree.Commit, tree.Notes
	require.NoError(t, tree.Close())
	return f, nil
}

func read(t *testing.T, tree *gitsource.Tree) fetched {
	t.Helper()
	file, err := tree.Open()
	require.NoError(t, err)
	defer file.Close()
	r, err := bundle.NewReader(file, bundle.Limits{})
	require.NoError(t, err)
	defer r.Close()
	f := fetched{files: map[string]bundle.Entry{}, text: map[string]string{}}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			require.NoError(t, r.Check())
			return f
		}
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		f.files[e.Path], f.text[e.Path] = e, string(b)
	}
}

func TestFetchSpellings(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("acme/reports")
	korean := "보고서/일일 매출 100%.ipynb"
	first := repo.Commit("first", map[string]string{"daily.ipynb": "first"})
	second := repo.Commit("second", map[string]string{"daily.ipynb": "second", korean: "korean", "lib/load.py": "x = 1", "lib/data.csv": "a,b"})
	repo.Tag("v1.0")
	repo.Branch("feature/new/model")
	branch := repo.Commit("third", map[string]string{"sub/daily.ipynb": "third"})
	repo.Switch("main")
	repo.Branch("gone")
	orphaned := repo.Commit("on a branch", map[string]string{"daily.ipynb": "branch"})
	tip := repo.Commit("and its tip", map[string]string{"daily.ipynb": "tip"})
	base := s.URL + "/acme/reports"

	for name, c := range map[string]struct{ url, commit, ref, path, content string }{
		"branch":             {base + "/blob/main/daily.ipynb", second, "main", "daily.ipynb", "second"},
		"korean and spaces":  {base + "/blob/main/" + korean, second, "main", korean, "korean"},
		"percent-encoded":    {base + "/blob/main/%EB%B3%B4%EA%B3%A0%EC%84%9C/%EC%9D%BC%EC%9D%BC%20%EB%A7%A4%EC%B6%9C%20100%25.ipynb", second, "main", korean, "korean"},
		"branch with slash":  {base + "/blob/feature/new/model/sub/daily.ipynb", branch, "feature/new/model", "sub/daily.ipynb", "third"},
		"encoded slash":      {base + "/blob/feature%2Fnew%2Fmodel/sub/daily.ipynb", branch, "feature/new/model", "sub/daily.ipynb", "third"},
		"annotated tag":      {base + "/blob/v1.0/daily.ipynb", second, "v1.0", "daily.ipynb", "second"},
		"permalink, no tip":  {base + "/blob/" + first + "/daily.ipynb", first, first, "daily.ipynb", "first"},
		"permalink, tip":     {base + "/blob/" + branch + "/sub/daily.ipynb", branch, branch, "sub/daily.ipynb", "third"},
		"other branch":       {base + "/blob/" + orphaned + "/daily.ipynb", orphaned, orphaned, "daily.ipynb", "branch"},
		"short id, no tip":   {base + "/blob/" + first[:8] + "/daily.ipynb", first, first[:8], "daily.ipynb", "first"},
		"short id, tip":      {base + "/blob/" + tip[:8] + "/daily.ipynb", tip, tip[:8], "daily.ipynb", "tip"},
		"gitlab":             {base + "/-/blob/feature/new/model/sub/daily.ipynb?ref_type=heads", branch, "feature/new/model", "sub/daily.ipynb", "third"},
		"gitea branch":       {base + "/src/branch/main/daily.ipynb", second, "main", "daily.ipynb", "second"},
		"gitea tag":          {base + "/src/tag/v1.0/lib/../daily.ipynb", "", "", "", ""},
		"gitea commit":       {base + "/src/commit/" + first + "/daily.ipynb", first, first, "daily.ipynb", "first"},
		"clone":              {"git+" + base + ".git@feature/new/model#sub/daily.ipynb", branch, "feature/new/model", "sub/daily.ipynb", "third"},
		"clone, default":     {"git+" + base + ".git#daily.ipynb", second, "", "daily.ipynb", "second"},
		"clone without .git": {"git+" + base + "@v1.0#daily.ipynb", second, "v1.0", "daily.ipynb", "second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.commit == "" {
				_, err := gitsource.Parse(c.url)
				require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
				return
			}
			f, err := fetch(t, local(t), c.url)
			require.NoError(t, err)
			require.Equal(t, c.commit, f.commit)
			require.Equal(t, c.ref, f.Ref)
			require.Equal(t, c.path, f.Path)
			require.Equal(t, c.content, f.text[f.Path])
			if c.commit == second {
				require.Equal(t, "x = 1", f.text["lib/load.py"], "neighbours come along")
				require.Equal(t, "a,b", f.text["lib/data.csv"])
			}
			require.Empty(t, f.notes)
		})
	}
	_ = context.Background()
}

package intake_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/storage"
)

var testTime = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func runOf(url string, parameters map[string]json.RawMessage) *nes.Run {
	return &nes.Run{ID: "01", Spec: nes.Spec{InputURL: url, Parameters: parameters}}
}

func TestFetchFindsEverythingOut(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("acme/reports")
	notebook := gitsourcetest.Notebook("alpha: int = 1  # weight\nname = 'x'", "print(alpha)")
	commit := repo.Commit("x", map[string]string{"sales/일일 매출.ipynb": notebook, "lib/load.py": "x = 1", "out": "-> /etc"})
	w := newWorld(t)
	got, err := w.Fetch(t.Context(), runOf(s.URL+"/acme/reports/blob/main/sales/일일 매출.ipynb", map[string]json.RawMessage{"alpha": json.RawMessage(`"60"`)}))
	require.NoError(t, err)
	host := strings.TrimPrefix(s.URL, "http://")
	require.Equal(t, host+"/acme/reports", got.Source.Repository)
	require.Equal(t, s.URL+"/acme/reports.git", got.Source.CloneURL)
	require.Equal(t, "main", got.Source.Ref)
	require.Equal(t, commit, got.Source.Commit)
	require.Equal(t, "sales/일일 매출.ipynb", got.Source.Path)
	require.Equal(t, "python3", got.Source.KernelName)
	require.Equal(t, "python", got.Source.Language)
	require.True(t, strings.HasPrefix(got.Source.WebURL, s.URL+"/acme/reports/blob/"+commit+"/sales/"))
	require.JSONEq(t, "60", string(got.Parameters["alpha"]))
	require.Len(t, got.Conversions, 1)
	require.Len(t, got.Notes, 1)
	require.Contains(t, got.Notes[0], `"out"`)

	archive, err := w.OpenBundle(t.Context(), got.Source)
	require.NoError(t, err)
	whole, err := io.ReadAll(archive)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	sum := sha256.Sum256(whole)
	require.Equal(t, hex.EncodeToString(sum[:]), got.Source.BundleSHA256)
	require.Equal(t, []string{"lib", "lib/load.py", "sales", "sales/일일 매출.ipynb"}, names(t, whole))

	text, err := w.Notebook(t.Context(), got.Source)
	require.NoError(t, err)
	require.Equal(t, notebook, string(text))
}

func names(t *testing.T, archive []byte) []string {
	t.Helper()
	r, err := bundle.NewReader(bytes.NewReader(archive), bundle.Limits{})
	require.NoError(t, err)
	defer r.Close()
	var all []string
	for {
		e, err := r.Next()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all = append(all, e.Path)
	}
}

// TestCommitIsFetchedOnce counts processes and requests.
func TestCommitIsFetchedOnce(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	first := repo.Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "1")})
	w := newWorld(t)
	byBranch, byCommit := s.URL+"/a/b/blob/main/a.ipynb", s.URL+"/a/b/blob/"+first+"/a.ipynb"
	for range 3 {
		got, err := w.Fetch(t.Context(), runOf(byBranch, nil))
		require.NoError(t, err)
		require.Equal(t, first, got.Source.Commit)
	}
	require.EqualValues(t, 1, w.git.fetches.Load(), "one process for one commit")
	require.EqualValues(t, 3, w.git.resolves.Load(), "a branch is looked up every time")
	_, err := w.Fetch(t.Context(), runOf(byCommit, nil))
	require.NoError(t, err)
	require.EqualValues(t, 3, w.git.resolves.Load(), "a permalink whose bundle is there needs no server")
	lists := s.Lists()

	fresh := newWorld(t, func(o *intake.Options) { o.Bucket = w.bucket })
	got, err := fresh.Fetch(t.Context(), runOf(byCommit, nil))
	require.NoError(t, err)
	require.NotEmpty(t, got.Source.BundleSHA256)
	require.Equal(t, lists, s.Lists(), "nor after a restart")

	second := repo.Commit("y", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "2")})
	got, err = w.Fetch(t.Context(), runOf(byBranch, nil))
	require.NoError(t, err)
	require.Equal(t, second, got.Source.Commit, "a push is seen at once")
	got, err = w.Fetch(t.Context(), runOf(s.URL+"/a/b/blob/"+first[:10]+"/a.ipynb", nil))
	require.NoError(t, err)
	require.Equal(t, first, got.Source.Commit)
	require.EqualValues(t, 2, w.git.fetches.Load(), "an abbreviated id is completed by what is there")
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "1"), "b.ipynb": gitsourcetest.Notebook("", "2")})
	w := newWorld(t)
	w.git.hold = make(chan struct{})
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for i := range 20 {
		wg.Go(func() {
			_, err := w.Fetch(t.Context(), runOf(fmt.Sprintf("%s/a/b/blob/main/%c.ipynb", s.URL, 'a'+i%2), nil))
			errs <- err
		})
	}
	// One of them gives up: the others must not notice.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Fetch(ctx, runOf(s.URL+"/a/b/blob/main/a.ipynb", nil))
	require.Error(t, err)
	require.NotEmpty(t, nes.ReasonOf(err))
	close(w.git.hold)
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, w.git.fetches.Load())
	require.EqualValues(t, 1, s.Packs())
}

// TestLastOneGoneEndsTheFetch cancels the only caller while the fetch waits.
func TestLastOneGoneEndsTheFetch(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "1")})
	w := newWorld(t)
	w.git.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := w.Fetch(ctx, runOf(s.URL+"/a/b/blob/main/a.ipynb", nil))
		done <- err
	}()
	require.Eventually(t, func() bool { return w.git.fetches.Load() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	w.git.hold = nil
	_, err := w.Fetch(t.Context(), runOf(s.URL+"/a/b/blob/main/a.ipynb", nil))
	require.NoError(t, err, "and the next one fetches")
}

func TestFetchFails(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{
		"sales/daily.ipynb": gitsourcetest.Notebook("alpha = 1", "1"), "broken.ipynb": "{", "list.ipynb": "[]", "old.ipynb": `{"cells": []}`,
		"big.ipynb": gitsourcetest.Notebook("", strings.Repeat("#", 1<<20)), "dangling.ipynb": "-> none.ipynb", "folder.ipynb/x": "x",
		"lfs.ipynb": "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("ab", 32) + "\nsize 12345\n",
	})
	w := newWorld(t, func(o *intake.Options) { o.Limits.Notebook = 1 << 20 })
	base := s.URL + "/a/b/blob/main/"
	for name, c := range map[string]struct {
		url        string
		parameters map[string]json.RawMessage
		reason     nes.Reason
		says       string
	}{
		"address":       {"./x.ipynb", nil, nes.ReasonSourceNotFound, "is a path"},
		"repository":    {s.URL + "/a/none/blob/main/a.ipynb", nil, nes.ReasonSourceNotFound, "no repository"},
		"ref":           {s.URL + "/a/b/blob/mian/a.ipynb", nil, nes.ReasonSourceNotFound, "nearest: main"},
		"path":          {base + "sales/dialy.ipynb", nil, nes.ReasonSourceNotFound, "nearest: sales/daily.ipynb"},
		"directory":     {base + "folder.ipynb", nil, nes.ReasonSourceNotFound, "no folder.ipynb"},
		"dangling link": {base + "dangling.ipynb", nil, nes.ReasonSourceNotFound, "no dangling.ipynb"},
		"not JSON":      {base + "broken.ipynb", nil, nes.ReasonNotANotebook, "broken.ipynb: "},
		"no object":     {base + "list.ipynb", nil, nes.ReasonNotANotebook, "list.ipynb: "},
		"too old":       {base + "old.ipynb", nil, nes.ReasonNotANotebook, "nbformat"},
		"LFS":           {base + "lfs.ipynb", nil, nes.ReasonNotANotebook, "Git LFS pointer"},
		"too large":     {base + "big.ipynb", nil, nes.ReasonSourceTooLarge, "clear its outputs"},
		"parameters":    {base + "sales/daily.ipynb", map[string]json.RawMessage{"alhpa": json.RawMessage("1")}, nes.ReasonParameterError, "alpha"},
		"gs":            {"gs://bucket/a.ipynb", nil, nes.ReasonSourceForbidden, "gs://bucket"},
		"s3":            {"s3://bucket/a.ipynb", nil, nes.ReasonSourceForbidden, "s3://bucket"},
		"upload":        {"bundle://" + strings.Repeat("ab", 32) + "/a.ipynb", nil, nes.ReasonSourceNotFound, "submit it again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Fetch(t.Context(), runOf(c.url, c.parameters))
			require.Error(t, err)
			require.Equal(t, c.reason, nes.ReasonOf(err), "%v", err)
			require.Contains(t, err.Error(), c.says)
		})
	}
}

func TestNotebookBehindALink(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"real/a.ipynb": gitsourcetest.Notebook("", "1"), "a.ipynb": "-> real/a.ipynb", "dir": "-> real"})
	w := newWorld(t)
	for _, path := range []string{"a.ipynb", "dir/a.ipynb"} {
		got, err := w.Fetch(t.Context(), runOf(s.URL+"/a/b/blob/main/"+path, nil))
		require.NoError(t, err)
		require.Equal(t, path, got.Source.Path)
	}
}

// TestATeamDoesNotFindAnotherTeamsBundle: the commit id alone, which may be known to many, opens nothing.
func TestATeamDoesNotFindAnotherTeamsBundle(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	commit := s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "1")})
	s.RequireToken("the token of the team")
	w := newWorld(t, func(o *intake.Options) {
		client, err := gitsource.New(gitsource.Options{
			Reach: gitsource.Reach{AllowLoopback: true}, TempDir: t.TempDir(),
			Credentials: []gitsource.Credential{{Host: strings.TrimPrefix(s.URL, "http://"), Teams: []string{"risk"}, Token: "the token of the team"}},
		})
		require.NoError(t, err)
		o.Git = client
	})
	run := runOf(s.URL+"/a/b/blob/"+commit+"/a.ipynb", nil)
	run.Team = "risk"
	got, err := w.Fetch(t.Context(), run)
	require.NoError(t, err)
	lists := s.Lists()
	_, err = w.Fetch(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, lists, s.Lists(), "the team's second run of the commit asks no server")

	run.Team = "sales"
	_, err = w.Fetch(t.Context(), run)
	require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
	_, err = w.Inspect(t.Context(), "sales", run.Spec.InputURL)
	require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
	found, err := w.Inspect(t.Context(), "risk", run.Spec.InputURL)
	require.NoError(t, err)
	require.Equal(t, got.Source.Bundle, found.Source.Bundle)
}

// TestAPointerOfLFSIsNamedEveryTime: what was looked at once is remembered, and is no notebook for that.
func TestAPointerOfLFSIsNamedEveryTime(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("ab", 32) + "\nsize 12345\n"
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": pointer})
	w := newWorld(t)
	for range 3 {
		_, err := w.Fetch(t.Context(), runOf(s.URL+"/a/b/blob/main/a.ipynb", nil))
		require.ErrorContains(t, err, "Git LFS pointer")
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("alpha: int = 1  # weight", "1", "2")})
	i, err := newWorld(t).Inspect(t.Context(), "", s.URL+"/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	require.Equal(t, 3, i.Cells)
	require.Equal(t, 3, i.CodeCells)
	require.Equal(t, "python3", i.KernelName)
	require.True(t, i.Schema.Declared)
	require.Equal(t, "alpha", i.Schema.Parameters[0].Name)
	_, err = newWorld(t).Inspect(t.Context(), "", "ftp://x")
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), "the API answers 400 with the field")
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	require.Empty(t, intake.CheckAddress("https://github.com/a/b/blob/main/a.ipynb"))
	problems := intake.CheckAddress("https://raw.githubusercontent.com/a/b/main/a.ipynb?token=AAAA")
	require.Len(t, problems, 1)
	require.Equal(t, "input_url", problems[0].Field)
	require.NotContains(t, problems[0].Message, "AAAA")
}

func TestObjects(t *testing.T) {
	t.Parallel()
	from := newBucket(t)
	w := newWorld(t, func(o *intake.Options) { o.Objects = map[string]storage.Bucket{"gs://dags": from} })
	put := func(text string) string {
		o, err := from.Put(t.Context(), "2024/05/a.ipynb", strings.NewReader(text), storage.PutOptions{})
		require.NoError(t, err)
		return fmt.Sprint(o.Generation)
	}
	first := put(gitsourcetest.Notebook("", "1"))
	got, err := w.Fetch(t.Context(), runOf("gs://dags/2024/05/a.ipynb", nil))
	require.NoError(t, err)
	require.Equal(t, nes.Source{
		Repository: "gs/dags", CloneURL: "gs://dags", Commit: first, Path: "2024/05/a.ipynb", Bundle: got.Source.Bundle,
		BundleSHA256: got.Source.BundleSHA256, KernelName: "python3", Language: "python",
	}, got.Source)
	second := put(gitsourcetest.Notebook("", "2"))
	again, err := w.Fetch(t.Context(), runOf("gs://dags/2024/05/a.ipynb", nil))
	require.NoError(t, err)
	require.Equal(t, second, again.Source.Commit)
	old, err := w.Notebook(t.Context(), got.Source)
	require.NoError(t, err)
	require.Equal(t, gitsourcetest.Notebook("", "1"), string(old), "the first run keeps what it was given")
	_, err = w.Fetch(t.Context(), runOf("gs://dags/2024/05/a.ipynb#"+first, nil))
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
	_, err = w.Fetch(t.Context(), runOf("gs://dags/none.ipynb", nil))
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
}

// broken is a bucket whose calls all fail.
type broken struct{ storage.Bucket }

func (broken) Stat(context.Context, string) (storage.Object, error) {
	return storage.Object{}, nes.Errorf(nes.CodeUnavailable, "down")
}

func TestStorageDown(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	commit := s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": gitsourcetest.Notebook("", "1")})
	w := newWorld(t, func(o *intake.Options) { o.Bucket = broken{o.Bucket} })
	for _, ref := range []string{"main", commit} {
		_, err := w.Fetch(t.Context(), runOf(s.URL+"/a/b/blob/"+ref+"/a.ipynb", nil))
		require.Equal(t, nes.ReasonStorageUnavailable, nes.ReasonOf(err))
	}
}

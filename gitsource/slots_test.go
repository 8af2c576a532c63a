package gitsource_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

// TestFetchesWaitForASlot: no more processes than allowed fetch at once, and who waits leaves with his context.
func TestFetchesWaitForASlot(t *testing.T) {
	t.Parallel()
	const most = 2
	asked, release := make(chan struct{}, 16), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	s := drip(t, func(w http.ResponseWriter, r *http.Request) bool {
		if listsOneBranch(w, r) {
			return true
		}
		asked <- struct{}{}
		<-release
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	o := gitsource.Options{Parallel: most, Reach: gitsource.Reach{AllowLoopback: true}}
	c := newClient(t, o)
	a, err := gitsource.Parse(s.URL + "/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	r, err := c.Resolve(t.Context(), a)
	require.NoError(t, err)
	var all errgroup.Group
	for range most {
		all.Go(func() error {
			_, err := c.Fetch(t.Context(), r)
			return err
		})
	}
	for range most {
		<-asked
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.Fetch(ctx, r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, nes.ReasonSourceUnavailable, nes.ReasonOf(err))
	require.Empty(t, asked, "the third one never asked the server")
	free()
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(all.Wait()))
	_, err = c.Fetch(t.Context(), r)
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err), "a slot that was used is free again")
}

// TestManyFetchesAtOnce: one client serves concurrent callers, each with its own tree.
func TestManyFetchesAtOnce(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	const repositories = 4
	for i := range repositories {
		s.NewRepository(fmt.Sprintf("a/r%d", i)).Commit("x", map[string]string{"a.ipynb": fmt.Sprint(i)})
	}
	c := local(t)
	var all errgroup.Group
	for i := range 2 * repositories {
		all.Go(func() error {
			f, err := fetch(t, c, fmt.Sprintf("%s/a/r%d/blob/main/a.ipynb", s.URL, i%repositories))
			if err == nil && f.text["a.ipynb"] != fmt.Sprint(i%repositories) {
				return fmt.Errorf("repository %d gave %q", i%repositories, f.text["a.ipynb"])
			}
			return err
		})
	}
	require.NoError(t, all.Wait())
}

// TestFetchFollowsTheBranch: what is resolved is fetched, also when the branch has gone on in between.
func TestFetchFollowsTheBranch(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	first := repo.Commit("first", map[string]string{"a.ipynb": "first"})
	c := local(t)
	a, err := gitsource.Parse(s.URL + "/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	before, err := c.Resolve(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, first, before.Commit)
	second := repo.Commit("second", map[string]string{"a.ipynb": "second"})
	tree, err := c.Fetch(t.Context(), before)
	if err == nil { // the server may still give what no ref points at any more
		require.Equal(t, first, tree.Commit)
		require.Equal(t, "first", read(t, tree).text["a.ipynb"])
		require.NoError(t, tree.Close())
	} else {
		require.NotEmpty(t, nes.ReasonOf(err))
	}
	after, err := fetch(t, c, s.URL+"/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	require.Equal(t, second, after.commit)
}

func TestTreeIsGoneAfterClose(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": "x"})
	dir := t.TempDir()
	c, err := gitsource.New(gitsource.Options{TempDir: dir, Reach: gitsource.Reach{AllowLoopback: true}})
	require.NoError(t, err)
	a, err := gitsource.Parse(s.URL + "/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	r, err := c.Resolve(t.Context(), a)
	require.NoError(t, err)
	tree, err := c.Fetch(t.Context(), r)
	require.NoError(t, err)
	kept, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	inside, err := os.ReadDir(dir + "/" + kept[0].Name())
	require.NoError(t, err)
	require.Len(t, inside, 1, "the bundle alone: the objects are gone")
	require.NoError(t, tree.Close())
	_, err = tree.Open()
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestClientWithoutAPlaceToWork(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": "x"})
	c, err := gitsource.New(gitsource.Options{TempDir: t.TempDir() + "/none", Reach: gitsource.Reach{AllowLoopback: true}})
	require.NoError(t, err)
	_, err = fetch(t, c, s.URL+"/a/b/blob/main/a.ipynb")
	require.Equal(t, nes.CodeInternal, nes.CodeOf(err), "%v", err)
}

// TestChildRefusesABrokenOrder: it fails at once, and reports nothing that could be taken for a fetch.
func TestChildRefusesABrokenOrder(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"", "{", "[]", `{"limits":"x"}`, "\x00"} {
		var out bytes.Buffer
		require.Equal(t, 2, gitsource.ChildMain(strings.NewReader(order), &out), "%q", order)
		require.Zero(t, out.Len(), "%q", order)
	}
}

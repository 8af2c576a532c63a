package gcs

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/storagetest"
)

// TestBucket runs alone: it measures memory.
func TestBucket(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Bucket { return open(t, Options{}) })
}

// TestTheServerKeepsPreconditions asks the server itself, without the client: what
// the suite proves about preconditions rests on it.
func TestTheServerKeepsPreconditions(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	upload := func(condition string) int {
		address := fmt.Sprintf("%s/upload/storage/v1/b/%s/o?uploadType=media&name=k&ifGenerationMatch=%s", endpoint, bucket, url.QueryEscape(condition))
		resp, err := http.Post(address, "text/plain", strings.NewReader("x"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusOK, upload("0"))
	require.Equal(t, http.StatusPreconditionFailed, upload("0"))
	require.Equal(t, http.StatusPreconditionFailed, upload("12345"))
}

// TestPreconditionsOfLargeObjects proves the rule for uploads of several chunks too.
func TestPreconditionsOfLargeObjects(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	text := strings.Repeat("0123456789abcdef", chunkSize/16) + "and more"
	create := storage.PutOptions{IfGeneration: storage.CreateOnly()}
	first, err := b.Put(t.Context(), "k", strings.NewReader(text), create)
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "k", strings.NewReader(text), create)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	stat, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, first, stat)
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	name := newBucket(t)
	inner, outer := open(t, Options{Bucket: name, Prefix: "/team/nes/"}), open(t, Options{Bucket: name})
	for _, key := range []string{"a/1", "a/2", "b"} {
		_, err := inner.Put(t.Context(), key, strings.NewReader(key), storage.PutOptions{})
		require.NoError(t, err)
	}
	_, err := outer.Put(t.Context(), "team/other", strings.NewReader("x"), storage.PutOptions{})
	require.NoError(t, err)
	page, err := inner.List(t.Context(), storage.ListOptions{Delimiter: "/", Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"a/"}, page.Prefixes)
	page, err = inner.List(t.Context(), storage.ListOptions{Delimiter: "/", After: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1)
	require.Equal(t, "b", page.Objects[0].Key)
	stat, err := outer.Stat(t.Context(), "team/nes/a/1")
	require.NoError(t, err)
	require.EqualValues(t, 3, stat.Size)
	_, err = inner.Stat(t.Context(), strings.Repeat(strings.Repeat("y", 203)+"/", 5)+"yyyy")
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
}

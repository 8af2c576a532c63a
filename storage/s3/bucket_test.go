package s3

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/s3/s3test"
	"github.com/nes-run/nes/storage/storagetest"
)

// TestBucket runs alone: it measures memory. Its server has independent keys, as S3 has.
func TestBucket(t *testing.T) {
	needServers(t)
	storagetest.Run(t, func(t *testing.T) storage.Bucket {
		return open(t, Options{Bucket: newBucket(t, flat), Endpoint: flat.URL})
	})
}

// TestGateway runs what does not need keys within keys on a server that is made for production.
func TestGateway(t *testing.T) {
	needServers(t)
	storagetest.RunPaths(t, func(t *testing.T) storage.Bucket { return open(t, Options{}) })
}

// TestTheServersKeepPreconditions asks the servers themselves: what the suite proves about preconditions rests on it.
func TestTheServersKeepPreconditions(t *testing.T) {
	t.Parallel()
	needServers(t)
	for _, s := range []*s3test.Server{gateway, flat} {
		b := open(t, Options{Bucket: newBucket(t, s), Endpoint: s.URL})
		put := func(condition func(*minio.PutObjectOptions)) (string, int) {
			var o minio.PutObjectOptions
			condition(&o)
			i, err := b.client.PutObject(t.Context(), b.name, "k", strings.NewReader("x"), 1, "", "", o)
			return i.ETag, status(err)
		}
		never := func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }
		tag, answer := put(never)
		require.Zero(t, answer)
		_, answer = put(never)
		require.Equal(t, http.StatusPreconditionFailed, answer)
		_, answer = put(func(o *minio.PutObjectOptions) { o.SetMatchETag("0123456789abcdef0123456789abcdef") })
		require.Equal(t, http.StatusPreconditionFailed, answer)
		_, answer = put(func(o *minio.PutObjectOptions) { o.SetMatchETag(tag) })
		require.Zero(t, answer)
	}
}

// large is the text of an object in three parts.
var large = strings.Repeat("0123456789abcdef", 2*partSize/16) + "and more"

// TestPreconditionsOfLargeObjects proves the rule for uploads in parts too, and that those which lose leave nothing.
func TestPreconditionsOfLargeObjects(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	create := storage.PutOptions{IfGeneration: storage.CreateOnly()}
	first, err := b.Put(t.Context(), "k", strings.NewReader(large), create)
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "k", strings.NewReader(large), create)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	stat, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, first, stat)
	second, err := b.Put(t.Context(), "k", strings.NewReader(large+"!"), storage.PutOptions{IfGeneration: &first.Generation})
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "k", strings.NewReader(large+"?"), storage.PutOptions{IfGeneration: &first.Generation})
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	stat, err = b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, second, stat)
	requireNoLitter(t, b)
}

func requireNoLitter(t *testing.T, b *Bucket) {
	t.Helper()
	left, err := gateway.Left(context.WithoutCancel(t.Context()), b.name)
	require.NoError(t, err)
	require.Zero(t, left, "uploads that nobody will complete")
}

func TestEqualBytesHaveGenerationsOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	first, err := b.Put(t.Context(), "k", strings.NewReader("same"), storage.PutOptions{})
	require.NoError(t, err)
	second, err := b.Put(t.Context(), "k", strings.NewReader("same"), storage.PutOptions{})
	require.NoError(t, err)
	require.Greater(t, second.Generation, first.Generation)
	_, err = b.Put(t.Context(), "k", strings.NewReader("new"), storage.PutOptions{IfGeneration: &first.Generation})
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err), "the entity tag is the first one's, the generation is not")
}

// TestObjectsOfOthers: what another program stored is read, has a generation that stays, and can be replaced by it.
func TestObjectsOfOthers(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	_, err := b.client.PutObject(t.Context(), b.name, "k", strings.NewReader("theirs"), 6, "", "", minio.PutObjectOptions{ContentType: "text/x-theirs"})
	require.NoError(t, err)
	one, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	two, r, err := b.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, one, two)
	require.Positive(t, one.Generation)
	require.Equal(t, "text/x-theirs", one.ContentType)
	_, err = b.Put(t.Context(), "k", strings.NewReader("ours"), storage.PutOptions{IfGeneration: &one.Generation})
	require.NoError(t, err)
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	needServers(t)
	name := newBucket(t, gateway)
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

func TestEndpointsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"minio.example.com", "ftp://minio.example.com", "https://", "https://h/bucket", "%"} {
		_, err := Open(Options{Bucket: "b", Endpoint: endpoint})
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), endpoint)
		require.ErrorContains(t, err, "set AWS_ENDPOINT_URL_S3")
		require.ErrorContains(t, err, "s3://b")
	}
}

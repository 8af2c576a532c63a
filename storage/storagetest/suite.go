// Package storagetest says what a [storage.Bucket] means: every implementation passes this suite.
package storagetest

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Run runs the suite; open gives an empty bucket.
func Run(t *testing.T, open func(t *testing.T) storage.Bucket) {
	t.Helper()
	run(t, open, append(paths(), nested()...))
}

// RunPaths runs those tests that no key takes part in which is the beginning of another, for servers that keep keys as paths.
func RunPaths(t *testing.T, open func(t *testing.T) storage.Bucket) {
	t.Helper()
	run(t, open, paths())
}

type test struct {
	name string
	run  func(*testing.T, storage.Bucket)
}

func run(t *testing.T, open func(t *testing.T) storage.Bucket, tests []test) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func paths() []test {
	return []test{
		{"put and read", putAndRead},
		{"keys that are none", badKeys},
		{"content types", contentTypes},
		{"ranges", ranges},
		{"an open object keeps its generation", pinned},
		{"create only", createOnly},
		{"compare and swap", compareAndSwap},
		{"one of 50 creators wins", creators},
		{"no increment is lost", increments},
		{"generations never repeat", generations},
		{"a failing reader leaves nothing", failingReader},
		{"a cancelled context leaves nothing", cancelled},
		{"200 MB in flat memory", large},
		{"pages", pages},
		{"pages beyond 1000", manyPages},
	}
}

func nested() []test {
	return []test{
		{"keys within keys", keysWithinKeys},
		{"overwriting is atomic", atomic},
		{"list in byte order", listOrder},
		{"list by prefix", listPrefix},
		{"list with delimiter", listDelimiter},
		{"like a model", likeAModel},
		{"list while others write", listWhileWriting},
		{"delete", deletes},
		{"absent objects", absent},
		{"keys of every kind", goodKeys},
	}
}

// put stores text and returns the object.
func put(t *testing.T, b storage.Bucket, key, text string) storage.Object {
	t.Helper()
	o, err := b.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{})
	require.NoError(t, err)
	return o
}

// get reads a whole object.
func get(t *testing.T, b storage.Bucket, key string) string {
	t.Helper()
	_, r, err := b.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	return drain(t, r)
}

func drain(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	var text bytes.Buffer
	_, err := io.Copy(&text, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return text.String()
}

func requireCode(t *testing.T, code nes.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, nes.CodeOf(err), "%v", err)
}

// keys lists everything below prefix, through as many pages as it takes.
func keys(t *testing.T, b storage.Bucket, o storage.ListOptions) (objects, prefixes []string) {
	t.Helper()
	for range 10_000 {
		page, err := b.List(t.Context(), o)
		require.NoError(t, err)
		for _, object := range page.Objects {
			objects = append(objects, object.Key)
		}
		prefixes = append(prefixes, page.Prefixes...)
		if page.Next == "" {
			return objects, prefixes
		}
		require.Greater(t, page.Next, o.After, "pages go forward")
		o.After = page.Next
	}
	require.Fail(t, "the listing does not end")
	return nil, nil
}

// requireEmpty requires that nothing at all is in the bucket.
func requireEmpty(t *testing.T, b storage.Bucket) {
	t.Helper()
	objects, prefixes := keys(t, b, storage.ListOptions{})
	require.Empty(t, objects)
	require.Empty(t, prefixes)
}

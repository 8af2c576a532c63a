package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

func putAndRead(t *testing.T, b storage.Bucket) {
	before := time.Now().Add(-2 * time.Second)
	o := put(t, b, "runs/2026-01-02/x/log.txt", "hello")
	require.Equal(t, "runs/2026-01-02/x/log.txt", o.Key)
	require.EqualValues(t, 5, o.Size)
	require.NotZero(t, o.Generation)
	require.WithinRange(t, o.Modified, before, time.Now().Add(2*time.Second))
	require.Equal(t, time.UTC, o.Modified.Location())

	stat, err := b.Stat(t.Context(), o.Key)
	require.NoError(t, err)
	require.Equal(t, o, stat)
	opened, r, err := b.Open(t.Context(), o.Key, 0, -1)
	require.NoError(t, err)
	require.Equal(t, o, opened)
	require.Equal(t, "hello", drain(t, r))

	again := put(t, b, o.Key, "")
	require.NotEqual(t, o.Generation, again.Generation)
	require.Zero(t, again.Size)
	require.Empty(t, get(t, b, o.Key))
}

func goodKeys(t *testing.T, b storage.Bucket) {
	good := []string{
		"a", "A", "...", "..a", ".a", "-", "a b", " x", "a?b#c%2Fd", "a&b=c", "*", "~", "$x", `back\slash`, `"quoted"`, "'", "a:b", "<b>",
		"노트북/매출 보고서.ipynb", "é", "e\u0301", "😀/😀", ".nes", "nes-x", "x.nes-y",
		strings.Repeat("x", 255), strings.Repeat("한", 85) + "/" + strings.Repeat("글", 85),
		"deep/" + strings.Repeat("d/", 200) + "leaf",
		strings.Repeat(strings.Repeat("y", 203)+"/", 5) + "yyyy",
	}
	for _, key := range good {
		require.NoError(t, storage.ValidateKey(key), key)
		put(t, b, key, key)
	}
	for _, key := range good {
		require.Equal(t, key, get(t, b, key))
	}
	listed, _ := keys(t, b, storage.ListOptions{})
	require.ElementsMatch(t, good, listed)
}

func badKeys(t *testing.T, b storage.Bucket) {
	bad := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/../b", "a/./b", "a/..", "./a", "a\x00b", "a\nb", "\x7f", "a\u0085b", "\xff", "a\xc3\x28",
		strings.Repeat("x", 256), strings.Repeat("한", 86), strings.Repeat("x/", 512) + "x", ".nes-tmp/x", "a/.nes-object", ".nes-",
	}
	for _, key := range bad {
		requireCode(t, nes.CodeInvalid, storage.ValidateKey(key))
		_, err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{})
		requireCode(t, nes.CodeInvalid, err)
		_, _, err = b.Open(t.Context(), key, 0, -1)
		requireCode(t, nes.CodeInvalid, err)
		_, err = b.Stat(t.Context(), key)
		requireCode(t, nes.CodeInvalid, err)
		requireCode(t, nes.CodeInvalid, b.Delete(t.Context(), key))
	}
	requireEmpty(t, b)
}

// keysWithinKeys: a key may be the beginning of another, made in either order.
func keysWithinKeys(t *testing.T, b storage.Bucket) {
	first := put(t, b, "a", "outer")
	put(t, b, "a/b/c", "inner")
	put(t, b, "a/b", "middle")
	require.Equal(t, "outer", get(t, b, "a"))
	require.Equal(t, "middle", get(t, b, "a/b"))
	require.Equal(t, "inner", get(t, b, "a/b/c"))
	stat, err := b.Stat(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, first, stat, "the object is untouched")
	put(t, b, "a-", "sorts between")
	listed, _ := keys(t, b, storage.ListOptions{})
	require.Equal(t, []string{"a", "a-", "a/b", "a/b/c"}, listed)
	objects, prefixes := keys(t, b, storage.ListOptions{Delimiter: "/", Limit: 1})
	require.Equal(t, []string{"a", "a-"}, objects)
	require.Equal(t, []string{"a/"}, prefixes)

	_, err = b.Put(t.Context(), "a", strings.NewReader("x"), storage.PutOptions{IfGeneration: storage.CreateOnly()})
	requireCode(t, nes.CodeConflict, err)
	_, err = b.Put(t.Context(), "a", strings.NewReader("outer 2"), storage.PutOptions{IfGeneration: &first.Generation})
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), "a/b/c"))
	require.Equal(t, "middle", get(t, b, "a/b"))
	require.NoError(t, b.Delete(t.Context(), "a/b"))
	require.Equal(t, "outer 2", get(t, b, "a"))
	require.NoError(t, b.Delete(t.Context(), "a"))
	put(t, b, "a", "plain again")
	require.Equal(t, "plain again", get(t, b, "a"))
}

func contentTypes(t *testing.T, b storage.Bucket) {
	tests := []struct{ key, given, want string }{
		{"x.ipynb", "", "application/x-ipynb+json"},
		{"x.txt", "", "text/plain; charset=utf-8"},
		{"blobs/0123", "", "application/octet-stream"},
		{"blobs/4567", "image/png", "image/png"},
		{"y.txt", "application/json", "application/json"},
	}
	for _, test := range tests {
		o, err := b.Put(t.Context(), test.key, strings.NewReader("x"), storage.PutOptions{ContentType: test.given})
		require.NoError(t, err)
		require.Equal(t, test.want, o.ContentType)
		o, err = b.Stat(t.Context(), test.key)
		require.NoError(t, err)
		require.Equal(t, test.want, o.ContentType)
	}
}

func ranges(t *testing.T, b storage.Bucket) {
	put(t, b, "digits", "0123456789")
	tests := []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"}, {0, 0, ""}, {0, 1, "0"}, {3, 4, "3456"}, {9, 1, "9"}, {9, 100, "9"},
		{5, -1, "56789"}, {10, -1, ""}, {10, 5, ""}, {1 << 40, -1, ""}, {1 << 40, 1 << 40, ""}, {0, 1 << 62, "0123456789"},
	}
	for _, test := range tests {
		o, r, err := b.Open(t.Context(), "digits", test.offset, test.length)
		require.NoError(t, err)
		require.EqualValues(t, 10, o.Size, "the size is the whole object's")
		require.Equal(t, test.want, drain(t, r), "%+v", test)
	}
	_, _, err := b.Open(t.Context(), "digits", -1, 5)
	requireCode(t, nes.CodeInvalid, err)
}

func pinned(t *testing.T, b storage.Bucket) {
	text := strings.Repeat("old", 1<<20)
	first := put(t, b, "k", text)
	o, r, err := b.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, first.Generation, o.Generation)
	begin := make([]byte, 3)
	_, err = io.ReadFull(r, begin)
	require.NoError(t, err)
	put(t, b, "k", "new")
	require.NoError(t, b.Delete(t.Context(), "k"))
	require.Equal(t, text, string(begin)+drain(t, r))
}

func deletes(t *testing.T, b storage.Bucket) {
	require.NoError(t, b.Delete(t.Context(), "a/b/c"))
	put(t, b, "a/b/c", "x")
	put(t, b, "a/d", "y")
	require.NoError(t, b.Delete(t.Context(), "a/b"), "no such object, though keys begin so")
	require.Equal(t, "x", get(t, b, "a/b/c"))
	require.NoError(t, b.Delete(t.Context(), "a/b/c"))
	require.NoError(t, b.Delete(t.Context(), "a/b/c"))
	_, err := b.Stat(t.Context(), "a/b/c")
	requireCode(t, nes.CodeNotFound, err)
	require.Equal(t, "y", get(t, b, "a/d"))
	_, prefixes := keys(t, b, storage.ListOptions{Prefix: "a/", Delimiter: "/"})
	require.Empty(t, prefixes, "nothing is left of a/b/")
}

func absent(t *testing.T, b storage.Bucket) {
	put(t, b, "dir/file", "x")
	for _, key := range []string{"nothing", "dir", "dir/nothing", "dir/file/below", "no/such/dir"} {
		_, err := b.Stat(t.Context(), key)
		requireCode(t, nes.CodeNotFound, err)
		_, _, err = b.Open(t.Context(), key, 0, -1)
		requireCode(t, nes.CodeNotFound, err)
	}
}

func failingReader(t *testing.T, b storage.Bucket) {
	broken := errors.New("the line went dead")
	source := func() io.Reader {
		return io.MultiReader(bytes.NewReader(make([]byte, 3<<20)), iotest.ErrReader(broken))
	}
	_, err := b.Put(t.Context(), "dir/new", source(), storage.PutOptions{})
	require.ErrorIs(t, err, broken)
	requireEmpty(t, b)

	old := put(t, b, "old", "kept")
	_, err = b.Put(t.Context(), "old", source(), storage.PutOptions{IfGeneration: &old.Generation})
	require.ErrorIs(t, err, broken)
	require.Equal(t, "kept", get(t, b, "old"))

	_, err = b.Put(t.Context(), "big", iotest.ErrReader(nes.Errorf(nes.CodeTooLarge, "too much")), storage.PutOptions{})
	requireCode(t, nes.CodeTooLarge, err)
}

func cancelled(t *testing.T, b storage.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	endless := readerFunc(func(p []byte) (int, error) {
		if read += len(p); read > 2<<20 {
			cancel()
		}
		return len(p), nil
	})
	_, err := b.Put(ctx, "dir/new", endless, storage.PutOptions{})
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, b)
	put(t, b, "there", "x")
	_, _, err = b.Open(ctx, "there", 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.List(ctx, storage.ListOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.Error(t, b.Delete(ctx, "there"))
	require.Equal(t, "x", get(t, b, "there"))
}

type readerFunc func([]byte) (int, error)

// Read reads.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

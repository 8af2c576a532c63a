package storagetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/storage"
)

func listOrder(t *testing.T, b storage.Bucket) {
	all := []string{
		"a", "a b", "a!", "a-b", "a-b/c", "a.b", "a/b", "a0", "aa", "B", "b", "é", "한글", "한글/노트북", "zz/0", "zz/00", "zz/1", "Z",
	}
	for _, key := range all {
		put(t, b, key, key)
	}
	slices.Sort(all)
	for _, limit := range []int{0, 1, 2, 3, 7} {
		listed, prefixes := keys(t, b, storage.ListOptions{Limit: limit})
		require.Equal(t, all, listed, "limit %d", limit)
		require.Empty(t, prefixes)
	}
	page, err := b.List(t.Context(), storage.ListOptions{})
	require.NoError(t, err)
	for _, listed := range page.Objects {
		o, err := b.Stat(t.Context(), listed.Key)
		require.NoError(t, err)
		requireListed(t, o, listed)
	}
}

// requireListed compares what a listing says of an object with what the object says: a listing knows no
// content type, and may know no generation and another second.
func requireListed(t *testing.T, o, listed storage.Object) {
	t.Helper()
	require.WithinDuration(t, o.Modified, listed.Modified, 2*time.Second)
	o.ContentType, o.Modified = "", listed.Modified
	if listed.Generation == 0 {
		o.Generation = 0
	}
	require.Equal(t, o, listed)
}

func listPrefix(t *testing.T, b storage.Bucket) {
	for _, key := range []string{"runs/1/a", "runs/1/b", "runs/10/a", "runs/2/a", "runs", "runsx", "other"} {
		put(t, b, key, "x")
	}
	tests := []struct {
		prefix string
		want   []string
	}{
		{"", []string{"other", "runs", "runs/1/a", "runs/1/b", "runs/10/a", "runs/2/a", "runsx"}},
		{"r", []string{"runs", "runs/1/a", "runs/1/b", "runs/10/a", "runs/2/a", "runsx"}},
		{"runs", []string{"runs", "runs/1/a", "runs/1/b", "runs/10/a", "runs/2/a", "runsx"}},
		{"runs/", []string{"runs/1/a", "runs/1/b", "runs/10/a", "runs/2/a"}},
		{"runs/1", []string{"runs/1/a", "runs/1/b", "runs/10/a"}},
		{"runs/1/", []string{"runs/1/a", "runs/1/b"}},
		{"runs/1/b", []string{"runs/1/b"}},
		{"runs/1/b/", nil},
		{"nothing/at/all", nil},
		{"/", nil}, {"../", nil}, {"runs//", nil}, {"./", nil}, {"\xff", nil}, {".nes-tmp/", nil}, {strings.Repeat("x", 2000), nil},
	}
	for _, test := range tests {
		listed, _ := keys(t, b, storage.ListOptions{Prefix: test.prefix})
		require.Equal(t, test.want, listed, "prefix %q", test.prefix)
	}
}

func listDelimiter(t *testing.T, b storage.Bucket) {
	for _, key := range []string{"a", "a-1", "a-2", "a/x", "a/y/1", "a/y/2", "a/z", "b/1/2/3", "b/1/2/4", "c"} {
		put(t, b, key, "x")
	}
	tests := []struct {
		prefix, delimiter string
		objects, prefixes []string
	}{
		{"", "/", []string{"a", "a-1", "a-2", "c"}, []string{"a/", "b/"}},
		{"a", "/", []string{"a", "a-1", "a-2"}, []string{"a/"}},
		{"a/", "/", []string{"a/x", "a/z"}, []string{"a/y/"}},
		{"a/y", "/", nil, []string{"a/y/"}},
		{"a/y/", "/", []string{"a/y/1", "a/y/2"}, nil},
		{"b", "/", nil, []string{"b/"}},
		{"b/1/", "/", nil, []string{"b/1/2/"}},
		{"", "-", []string{"a", "a/x", "a/y/1", "a/y/2", "a/z", "b/1/2/3", "b/1/2/4", "c"}, []string{"a-"}},
		{"", "/y/", []string{"a", "a-1", "a-2", "a/x", "a/z", "b/1/2/3", "b/1/2/4", "c"}, []string{"a/y/"}},
	}
	for _, test := range tests {
		for _, limit := range []int{0, 1, 2} {
			objects, prefixes := keys(t, b, storage.ListOptions{Prefix: test.prefix, Delimiter: test.delimiter, Limit: limit})
			require.Equal(t, test.objects, objects, "%+v limit %d", test, limit)
			require.Equal(t, test.prefixes, prefixes, "%+v limit %d", test, limit)
		}
	}
}

func pages(t *testing.T, b storage.Bucket) {
	for _, key := range []string{"p/a", "p/b", "p/c", "q"} {
		put(t, b, key, "x")
	}
	page, err := b.List(t.Context(), storage.ListOptions{Prefix: "p/", Limit: 3})
	require.NoError(t, err)
	require.Len(t, page.Objects, 3)
	require.Empty(t, page.Next, "a page that is just full is the last one when nothing follows")
	page, err = b.List(t.Context(), storage.ListOptions{Prefix: "p/", Limit: 2})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	put(t, b, "p/a0", "added behind the reader")
	require.NoError(t, b.Delete(t.Context(), "p/b"))
	page, err = b.List(t.Context(), storage.ListOptions{Prefix: "p/", Limit: 2, After: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1)
	require.Equal(t, "p/c", page.Objects[0].Key)
}

func manyPages(t *testing.T, b storage.Bucket) {
	const n = 2345
	err := together(t.Context(), 8, func(ctx context.Context, w int) error {
		for i := w; i < n; i += 8 {
			if _, err := b.Put(ctx, fmt.Sprintf("j/%d/%016d.jsonl", i/1500, i), strings.NewReader("x"), storage.PutOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	page, err := b.List(t.Context(), storage.ListOptions{Prefix: "j/"})
	require.NoError(t, err)
	require.Len(t, page.Objects, 1000, "a page has 1000 objects where nothing else is asked for")
	listed, _ := keys(t, b, storage.ListOptions{Prefix: "j/"})
	require.Len(t, listed, n)
	require.True(t, slices.IsSorted(listed))
	require.Len(t, slices.Compact(listed), n)
	_, prefixes := keys(t, b, storage.ListOptions{Prefix: "j/", Delimiter: "/"})
	require.Equal(t, []string{"j/0/", "j/1/"}, prefixes)
}

// listWhileWriting: what is there all the time is listed exactly once, whatever comes and goes beside it.
func listWhileWriting(t *testing.T, b storage.Bucket) {
	var stay []string
	for i := range 30 {
		stay = append(stay, fmt.Sprintf("d%d/stay/%d", i%3, i))
		put(t, b, stay[i], "x")
	}
	slices.Sort(stay)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- together(ctx, 3, func(_ context.Context, w int) error { return comeAndGo(t, b, ctx.Done(), w) })
	}()
	for range 20 {
		listed, _ := keys(t, b, storage.ListOptions{Limit: 4})
		listed = slices.DeleteFunc(listed, func(k string) bool { return strings.Contains(k, "/go/") })
		require.Equal(t, stay, listed)
	}
	stop()
	require.NoError(t, <-done)
}

func comeAndGo(t *testing.T, b storage.Bucket, stop <-chan struct{}, w int) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		key := fmt.Sprintf("d%d/go/%d/%d", i%3, w, i%10)
		if w == 0 { // below what stays
			key = fmt.Sprintf("d0/stay/0/go/%d", i)
		}
		if _, err := b.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{}); err != nil {
			return err
		}
		if err := b.Delete(t.Context(), key); err != nil {
			return err
		}
	}
}

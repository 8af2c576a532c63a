package storage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestValidateKey(t *testing.T) {
	t.Parallel()
	element := strings.Repeat("x", maxElement)
	for _, good := range []string{"a", "a/b", "...", "a/..b", "..a/b..", "~", " ", "a b", "매출/한글.ipynb", "a/.nes", "a/.nesx", "nes-/.git", element, strings.Repeat(element+"/", 3) + element, strings.Repeat("한", 85)} {
		require.NoError(t, ValidateKey(good), "%q", good)
	}
	for bad, says := range map[string]string{
		"": "is empty", "/": "slash", "/a": "slash", "a/": "slash", "a//b": "slash", ".": `"."`, "..": `".."`, "a/..": `".."`, "../a": `".."`, "a/./b": `"."`, "a/../b": `".."`,
		"a\x00": "control", "a\nb": "control", "a\x7f": "control", "a\u0085": "control", "a\xff": "UTF-8", "\xed\xa0\x80": "UTF-8", ".nes-x": "reserved", "a/.nes-": "reserved", "a/.nes-x/b": "reserved",
		element + "x": "255 bytes", "a/" + strings.Repeat("한", 86): "255 bytes", strings.Repeat("a/", 512) + "x": "1024 bytes",
	} {
		err := ValidateKey(bad)
		require.ErrorContains(t, err, says, "%q", bad)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
		require.Less(t, len(err.Error()), 500)
	}
}

// TestTheLongestKeysFit: what is just short enough is left alone, and one byte more is cut.
func TestTheLongestKeysFit(t *testing.T) {
	t.Parallel()
	element := strings.Repeat("x", maxElement)
	require.Equal(t, element, CleanKey(element))
	require.Len(t, CleanKey(element+"x"), maxElement)
	const room = maxKey - roomInKey
	long := strings.Repeat("ab/", room/3-1) + "xyz"
	require.Len(t, long, room)
	require.True(t, long == CleanKey(long))
	cut := CleanKey(long + "c")
	require.LessOrEqual(t, len(cut), room)
	require.True(t, strings.HasPrefix(long, cut[:strings.LastIndexByte(cut, '/')+1]), "whole elements are kept")
	require.Equal(t, cut, CleanKey(long+"c"), "the same path has the same key")
	require.NoError(t, ValidateKey(CleanKey(".nes-"+strings.Repeat("x", maxElement-5))), "the mark before a reserved name counts too")
	for n := range 400 {
		require.NoError(t, ValidateKey(CleanKey(strings.Repeat("x", n)+strings.Repeat("한글/😀", 40)+"y")), n)
	}
}

func TestRunsNeverShareAKey(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	add := func(key string) {
		require.NoError(t, ValidateKey(strings.TrimSuffix(key, "/")))
		require.False(t, seen[key], key)
		seen[key] = true
	}
	for _, id := range []nes.RunID{"a", "b"} {
		for attempt := range 12 {
			r := testRun()
			r.ID = id
			add(NotebookKey(r, attempt))
			add(AttemptPrefix(r, attempt))
			for _, offset := range []int64{0, 1, 10, 1 << 40} {
				key := JournalKey(r, attempt, offset)
				require.True(t, strings.HasPrefix(key, AttemptPrefix(r, attempt)))
				add(key)
			}
		}
	}
}

func TestHostileOutputPathsStayBelowNotebooks(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"../../runs/x", "/etc/passwd", `..\..\x`, "a/../../../sources/y", ".", "..", "/", "//", ".ipynb", "\x00", "a\r\nb", ".nes-lock", "notebooks", strings.Repeat("../", 500), "\u202e", "한/../../x.ipynb"} {
		r := testRun()
		r.Spec.OutputPath = p
		key := NotebookKey(r, 1)
		require.NoError(t, ValidateKey(key), "%q", p)
		require.True(t, strings.HasPrefix(key, "notebooks/"), "%q", key)
		require.True(t, strings.HasSuffix(key, "/2026-01-03/"+string(r.ID)+".1.ipynb"), "%q", key)
	}
}

func TestEveryKnownTypeHoldsInAnyCase(t *testing.T) {
	t.Parallel()
	for want, names := range map[string]string{
		"application/x-ipynb+json": "ipynb", "application/json": "json map", "application/x-ndjson": "jsonl ndjson", "text/plain; charset=utf-8": "txt log md py r sql yaml yml toml",
		"text/csv; charset=utf-8": "csv", "text/html; charset=utf-8": "html htm", "text/css; charset=utf-8": "css", "text/javascript; charset=utf-8": "js", "image/png": "png", "image/jpeg": "jpg jpeg",
		"image/gif": "gif", "image/svg+xml": "svg", "image/webp": "webp", "application/pdf": "pdf", "application/vnd.apache.parquet": "parquet", "application/zip": "zip", "application/gzip": "gz",
		"application/zstd": "zst", DefaultType: "exe so xhtml xml svgz swf",
	} {
		for name := range strings.FieldsSeq(names) {
			require.Equal(t, want, TypeByName("a.b/c."+name), name)
			require.Equal(t, want, TypeByName("C."+strings.ToUpper(name)), name)
			require.Equal(t, DefaultType, TypeByName("dir."+name+"/"+"plain"), name)
		}
	}
}

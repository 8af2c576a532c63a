package storage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func testRun() *nes.Run {
	return &nes.Run{
		ID:        "0190a000-0000-7000-8000-000000000000",
		CreatedAt: time.Date(2026, 1, 2, 23, 30, 0, 0, time.FixedZone("KST", -3*3600)),
		Source:    &nes.Source{Repository: "github.com/acme/reports", Path: "daily/매출.ipynb"},
	}
}

func TestKeysOfARun(t *testing.T) {
	t.Parallel()
	r := testRun()
	const id = "0190a000-0000-7000-8000-000000000000"
	require.Equal(t, "notebooks/github.com/acme/reports/daily/매출/2026-01-03/"+id+".2.ipynb", NotebookKey(r, 2))
	require.Equal(t, "runs/2026-01-03/"+id+"/2/", AttemptPrefix(r, 2))
	require.Equal(t, "runs/2026-01-03/"+id+"/2/journal/0000000000004096.jsonl", JournalKey(r, 2, 4096))
	require.Equal(t, "sources/abc/def.tar.zst", BundleKey("abc", "def"))
	require.Equal(t, "sources/uploads/abc.tar.zst", UploadKey("abc"))
	r.Spec.OutputPath = "../../team a/out.ipynb"
	require.Equal(t, "notebooks/team a/out/2026-01-03/"+id+".1.ipynb", NotebookKey(r, 1))
	r.Source, r.Spec.OutputPath = nil, ""
	require.Equal(t, "notebooks/unknown/2026-01-03/"+id+".1.ipynb", NotebookKey(r, 1))
}

func TestJournalKeysSortByOffset(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, offset := range []int64{0, 9, 10, 4096, 1 << 20, 4 << 30} {
		keys = append(keys, JournalKey(testRun(), 1, offset))
	}
	require.True(t, slices.IsSorted(keys))
}

func TestCleanKey(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"a/b":          "a/b",
		"/a//b/":       "a/b",
		"a/./b/../c":   "a/c",
		"../../etc":    "etc",
		"a\\b":         "a_b",
		"a\x00b\u0085": "a_b_",
		"a\xffb":       "a_b",
		".nes-tmp/x":   "_.nes-tmp/x",
		"매출 보고서":       "매출 보고서",
		"":             "",
		"..":           "",
	}
	for in, want := range tests {
		require.Equal(t, want, CleanKey(in), "%q", in)
	}
}

func TestCleanKeyKeepsLongPathsApart(t *testing.T) {
	t.Parallel()
	for _, long := range []string{strings.Repeat("x", 300), strings.Repeat("한", 200), strings.Repeat("dir/", 400), strings.Repeat("글/", 500) + "x"} {
		one, two := CleanKey(long+"1"), CleanKey(long+"2")
		require.NotEqual(t, one, two)
		require.NoError(t, ValidateKey(one))
		r := testRun()
		r.Source.Path = long + ".ipynb"
		require.NoError(t, ValidateKey(NotebookKey(r, 1234567)))
	}
}

func TestTypeByName(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"a/b.ipynb": "application/x-ipynb+json", "B.PNG": "image/png", "x.tar.zst": "application/zstd", "x": DefaultType,
		"dir.csv/x": DefaultType, "x.unknown": DefaultType, ".json": "application/json", "": DefaultType, "x.": DefaultType,
	}
	for key, want := range tests {
		require.Equal(t, want, TypeByName(key), key)
	}
}

func FuzzCleanKey(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "a\x00", strings.Repeat("한/", 600), ".nes-x", "\xff", "////", "~"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		clean := CleanKey(p)
		if clean != "" {
			require.NoError(t, ValidateKey(clean))
		}
		require.Equal(t, clean, CleanKey(clean), "cleaning is done at once")
		r := testRun()
		r.Source.Path = p
		require.NoError(t, ValidateKey(NotebookKey(r, 1)))
	})
}

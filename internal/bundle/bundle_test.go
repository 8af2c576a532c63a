package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/bundle"
)

type item struct {
	bundle.Entry
	text string
}

func write(t testing.TB, notes []string, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, time.Date(2024, 5, 1, 12, 0, 0, 999, time.FixedZone("KST", 9*3600)), notes)
	require.NoError(t, err)
	for _, i := range items {
		i.Size = int64(len(i.text))
		require.NoError(t, w.Add(i.Entry, strings.NewReader(i.text)))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func read(archive []byte, l bundle.Limits) (items []item, notes []string, err error) {
	r, err := bundle.NewReader(bytes.NewReader(archive), l)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return items, r.Notes(), r.Check()
		}
		if err != nil {
			return items, nil, err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return items, nil, err
		}
		items = append(items, item{e, string(text)})
	}
}

func file(path, text string) item {
	return item{bundle.Entry{Path: path, Kind: bundle.File, Size: int64(len(text))}, text}
}

func link(path, target string) item {
	return item{Entry: bundle.Entry{Path: path, Kind: bundle.Link, Target: target}}
}

func dir(path string) item { return item{Entry: bundle.Entry{Path: path, Kind: bundle.Dir}} }

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("매출/", 60) + "daily.ipynb"
	script := file("run.sh", "#!/bin/sh")
	script.Executable = true
	items := []item{dir("보고서"), file("보고서/일일 매출.ipynb", "{}"), link("보고서/up", "../run.sh"), script, file(long, strings.Repeat("x", 1<<20)), file("empty", "")}
	notes := []string{`left out: the link "x"`, "두 번째"}
	archive := write(t, notes, items...)
	got, gotNotes, err := read(archive, bundle.Limits{Files: 66, FileSize: 1 << 20, TreeSize: 2 << 20, Depth: 61})
	require.NoError(t, err)
	require.Equal(t, items, got)
	require.Equal(t, notes, gotNotes)
	require.Equal(t, archive, write(t, notes, items...), "the same tree gives the same bytes")
	require.NotEqual(t, archive, write(t, nil, items...))
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	got, notes, err := read(write(t, nil), bundle.Limits{})
	require.NoError(t, err)
	require.Empty(t, got)
	require.Empty(t, notes)
}

func TestWriterWantsWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	w, err := bundle.NewWriter(io.Discard, time.Unix(0, 0), nil)
	require.NoError(t, err)
	require.Error(t, w.Add(bundle.Entry{Path: "a", Kind: bundle.File, Size: 5}, strings.NewReader("1234")))
	w, err = bundle.NewWriter(io.Discard, time.Unix(0, 0), nil)
	require.NoError(t, err)
	require.Error(t, w.Add(bundle.Entry{Path: "a", Kind: bundle.File, Size: 3}, strings.NewReader("1234")))
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for name, items := range map[string][]item{
		"parent":           {file("../a", "")},
		"parent inside":    {file("a/../../b", "")},
		"absolute":         {file("/etc/passwd", "")},
		"dot":              {file("./a", "")},
		"double slash":     {file("a//b", "")},
		"backslash":        {file(`a\b`, "")},
		"control":          {file("a\nb", "")},
		".git":             {file(".git/hooks/post-checkout", "")},
		".GIT":             {file("sub/.GIT/config", "")},
		"short name":       {file("GIT~1/config", "")},
		"trailing dot":     {file(".git./config", "")},
		"stream":           {file(".git::$INDEX_ALLOCATION/config", "")},
		"ignored rune":     {file(".g\u200cit/config", "")},
		"long name":        {file(strings.Repeat("x", 256), "")},
		"twice":            {file("a", ""), file("a", "")},
		"twice, as a link": {link("a", "b"), dir("a")},
		"through a link":   {link("a", "."), file("a/b", "")},
		"through a file":   {file("a", ""), file("a/b", "")},
		"link out":         {link("a", "..")},
		"link absolute":    {link("a", "/etc/passwd")},
		"link out deep":    {dir("a"), link("a/b", "../../x")},
		"link by links":    {dir("d"), dir("d/e"), link("d/e/root", "../.."), link("out", "d/e/root/..")},
		"link loop":        {link("a", "b"), link("b", "a")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := read(write(t, nil, items...), bundle.Limits{})
			require.Error(t, err)
			require.NotErrorIs(t, err, bundle.ErrTooLarge)
		})
	}
}

func TestReaderAcceptsWhatOnlyLooksOdd(t *testing.T) {
	t.Parallel()
	items := []item{
		file(".gitignore", ""), file(".github/x", ""), file("git", ""), file("...", ""), file("a..b", ""), file("-x", ""), file(" ", ""),
		dir("d"), link("d/up", "../git"), link("dangling", "none"), link("d/self", "."), link("a", "d/up"),
	}
	got, _, err := read(write(t, nil, items...), bundle.Limits{})
	require.NoError(t, err)
	require.Equal(t, items, got)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	archive := write(t, nil, dir("a"), file("a/b", "12345"), file("c", "12345"))
	require.NoError(t, second(read(archive, bundle.Limits{Files: 3, FileSize: 5, TreeSize: 10, Depth: 2})))
	for _, l := range []bundle.Limits{{Files: 2}, {FileSize: 4}, {TreeSize: 9}, {Depth: 1}} {
		require.ErrorIs(t, second(read(archive, l)), bundle.ErrTooLarge)
	}
}

func second(_ []item, _ []string, err error) error { return err }

func TestResolve(t *testing.T) {
	t.Parallel()
	links := map[string]string{"a": "d/e", "d/up": "..", "l1": "l2", "l2": "l1", "abs": "/x", "chain": "a/../f", "out": "d/up/.."}
	for name, want := range map[string]string{
		"x": "x", "x/y": "x/y", "a": "d/e", "a/n": "d/e/n", "d/up": "", "d/up/x": "x", "chain": "d/f", "./x": "x", "a/../x": "d/x",
	} {
		end, ok := bundle.Resolve(links, name)
		require.True(t, ok, name)
		require.Equal(t, want, end, name)
	}
	for _, name := range []string{"..", "x/../..", "l1", "abs", "abs/x", "out", "out/x", "a/../../.."} {
		_, ok := bundle.Resolve(links, name)
		require.False(t, ok, name)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, []string{"note"}, dir("a"), file("a/b", "text"), link("c", "a/b")))
	f.Fuzz(func(t *testing.T, tarBytes []byte) {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		require.NoError(t, err)
		_, err = z.Write(tarBytes)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		for _, archive := range [][]byte{tarBytes, b.Bytes()} {
			items, _, err := read(archive, bundle.Limits{Files: 100, FileSize: 1 << 20, TreeSize: 1 << 20, Depth: 20})
			if err != nil {
				continue
			}
			for _, i := range items {
				require.NotContains(t, strings.Split(i.Path, "/"), "..")
				require.False(t, strings.HasPrefix(i.Path, "/"))
			}
		}
	})
}

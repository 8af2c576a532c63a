package bundle_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/bundle"
)

// squeeze compresses what another program than ours may have made.
func squeeze(t testing.TB, plain []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	return z.EncodeAll(plain, nil)
}

// foreign packs headers as they are, without what [bundle.Writer] would make of them.
func foreign(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return squeeze(t, b.Bytes())
}

func TestKindsThatAreNoneOfATree(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]tar.Header{
		"character device": {Typeflag: tar.TypeChar, Name: "a", Devmajor: 1, Devminor: 5},
		"block device":     {Typeflag: tar.TypeBlock, Name: "a", Devmajor: 8},
		"pipe":             {Typeflag: tar.TypeFifo, Name: "a"},
		"hard link out":    {Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"},
		"hard link inside": {Typeflag: tar.TypeLink, Name: "a", Linkname: "b"},
		"contiguous":       {Typeflag: tar.TypeCont, Name: "a"},
		"unknown":          {Typeflag: 'Z', Name: "a"},
	} {
		_, _, err := read(foreign(t, h), bundle.Limits{})
		require.ErrorIs(t, err, bundle.ErrForbidden, name)
		require.ErrorContains(t, err, "neither a file", name)
	}
}

// TestForbiddenIsToldFromBroken: who receives a bundle asks again for a broken one, and never for a forbidden one.
func TestForbiddenIsToldFromBroken(t *testing.T) {
	t.Parallel()
	for name, items := range map[string][]item{
		"parent":                {file("../a", "")},
		"absolute":              {file("/a", "")},
		"absolute directory":    {dir("/a")},
		"root":                  {dir("")},
		"twice":                 {file("a", ""), file("a", "")},
		"directory twice":       {dir("a"), dir("a")},
		"file over a directory": {file("a/b", ""), file("a", "")},
		"link over a directory": {file("a/b", ""), link("a", "c")},
		"link over a deep one":  {file("a/b/c", ""), link("a/b", "..")},
		"link out":              {link("a", "..")},
		"link to nothing":       {link("a", "")},
		"link of a page":        {link("a", strings.Repeat("b/", 2048))},
	} {
		_, _, err := read(write(t, nil, items...), bundle.Limits{})
		require.ErrorIs(t, err, bundle.ErrForbidden, name)
	}
	archive := write(t, nil, file("a", strings.Repeat("text", 1000)))
	for name, broken := range map[string][]byte{"cut": archive[:len(archive)-1], "nothing": {}, "garbage": []byte("PK\x03\x04 no archive"), "no tar": squeeze(t, []byte("text"))} {
		_, _, err := read(broken, bundle.Limits{})
		if name == "nothing" {
			require.NoError(t, err, "no bytes are an empty tree")
			continue
		}
		require.Error(t, err, name)
		require.NotErrorIs(t, err, bundle.ErrForbidden, name)
		require.NotErrorIs(t, err, bundle.ErrTooLarge, name)
	}
}

// TestCaseAndFormAreOfNoConcern: Linux takes these for different names, and so does Git.
func TestCaseAndFormAreOfNoConcern(t *testing.T) {
	t.Parallel()
	items := []item{file("Data.csv", "1"), file("data.csv", "2"), file("caf\u00e9", "3"), file("cafe\u0301", "4"), dir("SRC"), file("src", "5")}
	got, _, err := read(write(t, nil, items...), bundle.Limits{})
	require.NoError(t, err)
	require.Equal(t, items, got)
}

func TestADirectoryMayComeAfterWhatIsInIt(t *testing.T) {
	t.Parallel()
	items := []item{file("a/b/c", ""), dir("a/b"), dir("a")}
	got, _, err := read(write(t, nil, items...), bundle.Limits{Files: 3})
	require.NoError(t, err)
	require.Equal(t, items, got)
}

func TestNamesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	for name, fits := range map[string]bool{
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
		strings.Repeat("가", 85): true, strings.Repeat("가", 86): false,
	} {
		require.Equal(t, fits, bundle.CheckName(name) == nil, len(name))
		_, _, err := read(write(t, nil, file("d/"+name, "")), bundle.Limits{})
		require.Equal(t, fits, err == nil, "%d: %v", len(name), err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\x00", "a\x7f", "a\u0085", "\xff", ".Git", ".git ", ".git . .", "GIT~1", ".gi\ufefft", ".git:x"} {
		require.Error(t, bundle.CheckName(name), "%q", name)
	}
	for _, name := range []string{".gitx", "git~2", ".git~1", "x.git", "..git", "...", "a:b", "보고서", "\u200b"} {
		require.NoError(t, bundle.CheckName(name), "%q", name)
	}
}

// TestBombs are small archives of very much.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := item{bundle.Entry{Path: "zeros", Kind: bundle.File}, strings.Repeat("\x00", 8<<20)}
	deep := make([]item, 50)
	for i := range deep {
		deep[i] = file(fmt.Sprintf("%d%s/f", i, strings.Repeat("/d", 90)), "")
	}
	many := make([]item, 5000)
	for i := range many {
		many[i] = link(fmt.Sprint(i), "x")
	}
	limits := bundle.Limits{Files: 1000, FileSize: 1 << 20, TreeSize: 2 << 20, Depth: 100}
	for name, items := range map[string][]item{
		"ratio": {zeros}, "number of entries": many, "directories that only paths name": deep,
		"one file within its limit too many": {file("a", strings.Repeat("a", 1<<20)), file("b", strings.Repeat("b", 1<<20)), file("c", "c")},
	} {
		archive := write(t, nil, items...)
		require.Less(t, len(archive), 1<<17, name)
		_, _, err := read(archive, limits)
		require.ErrorIs(t, err, bundle.ErrTooLarge, name)
	}
}

// TestTheAnnouncedSizeIsRefusedUnread: nothing of a file too large is decompressed.
func TestTheAnnouncedSizeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1 << 50}))
	_, _, err := read(squeeze(t, b.Bytes()), bundle.Limits{FileSize: 1 << 30})
	require.ErrorIs(t, err, bundle.ErrTooLarge)
	_, _, err = read(squeeze(t, b.Bytes()), bundle.Limits{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "and without a limit it is cut short")
}

// TestLinksThatMakeWork: what a link leads to is found with bounded work, however it is twisted.
func TestLinksThatMakeWork(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("d/", 2000)
	links := map[string]string{}
	for i := range 39 { // as many as are followed
		links[fmt.Sprint("grow", i)] = fmt.Sprintf("grow%d/%s", i+1, wide)
		links[fmt.Sprint("down", i)] = strings.Repeat("x/../", 700) + fmt.Sprint("down", i+1)
	}
	links["double0"] = "x"
	for i := range 39 {
		links[fmt.Sprint("double", i+1)] = fmt.Sprintf("double%d/../double%d", i, i)
	}
	for _, name := range []string{"grow0", "down0", "double39"} {
		_, ok := bundle.Resolve(links, name)
		require.False(t, ok, name)
	}
	end, ok := bundle.Resolve(links, "double3")
	require.True(t, ok)
	require.Equal(t, "x", end)
	chain := map[string]string{}
	for i := range 41 {
		chain[fmt.Sprint(i)] = fmt.Sprint(i + 1)
	}
	_, ok = bundle.Resolve(chain, "1")
	require.True(t, ok, "40 links in a row are what Linux follows")
	_, ok = bundle.Resolve(chain, "0")
	require.False(t, ok)
}

// TestEveryCutIsNoticed: no beginning of a bundle passes for the whole.
func TestEveryCutIsNoticed(t *testing.T) {
	t.Parallel()
	archive := write(t, []string{"note"}, dir("d"), file("d/a", "text"), link("l", "d/a"), file("z", strings.Repeat("z", 5000)))
	for n := 1; n < len(archive); n++ {
		_, _, err := read(archive[:n], bundle.Limits{})
		require.Error(t, err, "%d of %d bytes", n, len(archive))
	}
}

// TestEveryFlippedBitIsNoticed: what was changed on its way is refused, or is still the same tree.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 100)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	want := []item{file("a", string(noise)), link("l", "a")}
	archive := write(t, nil, want...)
	for i := range archive {
		for bit := range 8 {
			flipped := slices.Clone(archive)
			flipped[i] ^= 1 << bit
			if got, _, err := read(flipped, bundle.Limits{Files: 10, FileSize: 1 << 20, TreeSize: 1 << 20}); err == nil {
				require.Equal(t, want, got, "byte %d, bit %d", i, bit)
			}
		}
	}
}

// TestWhatFollowsTheEnd: other programs fill up the archive with zeros; nothing else may hide behind the end.
func TestWhatFollowsTheEnd(t *testing.T) {
	t.Parallel()
	items := []item{file("a", "1")}
	archive := write(t, nil, items...)
	plain, err := io.ReadAll(decoded(t, archive))
	require.NoError(t, err)
	hidden, err := io.ReadAll(decoded(t, write(t, nil, file("../b", "2"))))
	require.NoError(t, err)
	for name, a := range map[string][]byte{
		"zeros":        squeeze(t, append(slices.Clone(plain), make([]byte, 9*1024)...)),
		"an archive":   squeeze(t, append(slices.Clone(plain), hidden...)),
		"empty frames": append(slices.Clone(archive), squeeze(t, nil)...),
	} {
		got, _, err := read(a, bundle.Limits{})
		if err == nil {
			require.Equal(t, items, got, name)
		}
	}
}

func decoded(t *testing.T, archive []byte) io.Reader {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(archive), zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	t.Cleanup(z.Close)
	return z
}

// TestOwnersAndModesAreNotKept: of what another program packs, only what belongs to a tree comes through.
func TestOwnersAndModesAreNotKept(t *testing.T) {
	t.Parallel()
	got, notes, err := read(foreign(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o2777, Uid: 1, Uname: "root"},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/set", Mode: 0o6755, Size: 2, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/plain", Mode: 0o666, ModTime: time.Unix(1e9, 0), PAXRecords: map[string]string{"NES.notes": `["forged, too late"]`}},
	), bundle.Limits{})
	require.NoError(t, err)
	require.Empty(t, notes, "notes are the first entry's")
	run := item{bundle.Entry{Path: "d/set", Kind: bundle.File, Size: 2, Executable: true}, "\x00\x00"}
	require.Equal(t, []item{dir("d"), run, file("d/plain", "")}, got)
}

func TestNotesThatAreNoneCostNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{", `"text"`, `[1]`} {
		got, _, err := read(foreign(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", PAXRecords: map[string]string{"NES.notes": text}}), bundle.Limits{})
		require.NoError(t, err)
		require.Len(t, got, 1)
	}
}

// TestTheSameTreeGivesTheSameBytes whatever the zone of its time, the fractions of it, and the sizes of reads.
func TestTheSameTreeGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcdef", 20_000)
	pack := func(at time.Time, r io.Reader) []byte {
		var b bytes.Buffer
		w, err := bundle.NewWriter(&b, at, nil)
		require.NoError(t, err)
		require.NoError(t, w.Add(bundle.Entry{Path: "a", Kind: bundle.File, Size: int64(len(text))}, r))
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	at := time.Unix(1_700_000_000, 0)
	want := pack(at, strings.NewReader(text))
	require.Equal(t, want, pack(at.Add(999*time.Millisecond).In(time.FixedZone("", -5*3600)), iotestHalf{strings.NewReader(text)}))
	require.NotEqual(t, want, pack(at.Add(time.Second), strings.NewReader(text)))
}

// iotestHalf reads less than it is asked for.
type iotestHalf struct{ r io.Reader }

func (h iotestHalf) Read(p []byte) (int, error) { return h.r.Read(p[:(len(p)+1)/2]) }

// failing takes some bytes and no more.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	t.Parallel()
	w, err := bundle.NewWriter(&failing{left: 10}, time.Unix(0, 0), nil)
	require.NoError(t, err)
	err = w.Add(bundle.Entry{Path: "a", Kind: bundle.File, Size: 8 << 20}, io.LimitReader(rand.Reader, 8<<20))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Error(t, w.Close())
}

package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// depot hands out trees: one answer per call, the last one again and again.
type depot struct {
	office
	mu       sync.Mutex
	launches []error
	bundles  []func() (io.ReadCloser, error)
	asked    int // for the tree
	told     int // the order
}

func (d *depot) Launch(context.Context, agentapi.Caller) (journal.Launch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told++
	if d.told <= len(d.launches) {
		return journal.Launch{}, d.launches[d.told-1]
	}
	return journal.Launch{V: 1}, nil
}

func (d *depot) Bundle(context.Context, agentapi.Caller) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.bundles[min(d.asked, len(d.bundles))-1]()
}

func whole(archive []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
}

func failed(err error) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return nil, err }
}

// torn breaks off after n bytes, as a line does.
func torn(archive []byte, n int) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(archive[:n]), brokenLine{})), nil
	}
}

type brokenLine struct{}

func (brokenLine) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// fetching is a volume that a depot's tree shall come into.
func fetching(t *testing.T, d *depot, front func(http.Handler) http.Handler) (Config, string) {
	t.Helper()
	var h http.Handler = agentapi.NewHandler(d, slog.New(slog.DiscardHandler))
	if front != nil {
		h = front(h)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	client := agentapi.NewClient(agentapi.Options{
		Server: func() (string, error) { return server.URL, nil }, Run: "r", Attempt: 1, Token: "t",
		Log: slog.New(slog.DiscardHandler), MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond,
	})
	t.Cleanup(client.Close)
	dir := filepath.Join(t.TempDir(), "volume")
	require.NoError(t, os.Mkdir(dir, 0o755))
	return Config{Dir: dir, Client: client, Log: slog.New(slog.DiscardHandler)}, dir
}

// tree lists what is below a directory, with modes, targets and texts.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		switch d.Type() {
		case fs.ModeDir:
			found[name] = "dir"
		case fs.ModeSymlink:
			found[name], err = os.Readlink(path)
			found[name] = "-> " + found[name]
		default:
			info, statErr := d.Info()
			require.NoError(t, statErr)
			var text []byte
			text, err = os.ReadFile(path)
			found[name] = info.Mode().String() + " " + string(text)
		}
		require.NoError(t, err)
		return nil
	}))
	return found
}

func ordinary(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, time.Unix(0, 0), []string{"note"})
	require.NoError(t, err)
	add := func(e bundle.Entry, text string) {
		e.Size = int64(len(text))
		require.NoError(t, w.Add(e, strings.NewReader(text)))
	}
	add(bundle.Entry{Path: "a.ipynb", Kind: bundle.File}, "{}")
	add(bundle.Entry{Path: "empty", Kind: bundle.Dir}, "")
	add(bundle.Entry{Path: "run.sh", Kind: bundle.File, Executable: true}, "#!/bin/sh")
	add(bundle.Entry{Path: "deep/er/보고서.csv", Kind: bundle.File}, "1")
	add(bundle.Entry{Path: "deep/up", Kind: bundle.Link, Target: "../run.sh"}, "")
	add(bundle.Entry{Path: "links/only", Kind: bundle.Link, Target: "../none"}, "")
	require.NoError(t, w.Close())
	return b.Bytes()
}

var ordinaryTree = map[string]string{
	".": "dir", "a.ipynb": "-rw-r--r-- {}", "empty": "dir", "run.sh": "-rwxr-xr-x #!/bin/sh", "deep": "dir", "deep/er": "dir",
	"deep/er/보고서.csv": "-rw-r--r-- 1", "deep/up": "-> ../run.sh", "links": "dir", "links/only": "-> ../none",
}

func TestFetchPutsTreeAndOrderInPlaceOnce(t *testing.T) {
	t.Parallel()
	d := &depot{bundles: []func() (io.ReadCloser, error){whole(ordinary(t))}}
	c, dir := fetching(t, d, nil)
	c.Amend = func(l *journal.Launch) { l.Notebook = "amended" }
	require.NoError(t, Fetch(t.Context(), c))
	require.Equal(t, ordinaryTree, tree(t, filepath.Join(dir, journal.WorkDir)))
	v, err := OpenVolume(dir)
	require.NoError(t, err)
	defer v.Close()
	order, err := v.Launch()
	require.NoError(t, err)
	require.Equal(t, "amended", order.Notebook)

	require.NoError(t, os.WriteFile(filepath.Join(dir, journal.WorkDir, "a.ipynb"), []byte("mine"), 0o644))
	require.NoError(t, Fetch(t.Context(), c), "an agent that starts again finds everything there")
	require.Equal(t, []int{1, 1}, []int{d.told, d.asked}, "and asks nobody")
	require.Contains(t, tree(t, filepath.Join(dir, journal.WorkDir))["a.ipynb"], "mine", "and takes nothing back from the notebook")
}

// TestFetchGoesOnUntilTheTreeIsWhole: servers that fail, lines that break and strangers in between cost time alone.
func TestFetchGoesOnUntilTheTreeIsWhole(t *testing.T) {
	t.Parallel()
	good := ordinary(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-2] ^= 0x10 // in the checksum
	down := nes.Errorf(nes.CodeUnavailable, "down")
	d := &depot{
		launches: []error{down, nes.Errorf(nes.CodeInternal, "oops")},
		bundles: []func() (io.ReadCloser, error){
			failed(down), failed(nes.Errorf(nes.CodeInternal, "oops")),
			torn(good, 1), torn(good, len(good)/2), torn(good, len(good)-1),
			whole(good[:len(good)-1]), whole(flipped), whole([]byte("<html>")), whole(good),
		},
	}
	calls := 0
	c, dir := fetching(t, d, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls%2 == 1 { // no agent's server says this
				http.Error(w, "gone", []int{404, 403, 409, 502, 413}[calls/2%5])
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	require.NoError(t, Fetch(t.Context(), c))
	require.Equal(t, len(d.bundles), d.asked)
	require.Equal(t, ordinaryTree, tree(t, filepath.Join(dir, journal.WorkDir)), "nothing of what broke off is left")
}

// TestFetchBeginsAnewAfterADeath: what an agent that died in the middle left is no part of the tree.
func TestFetchBeginsAnewAfterADeath(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for name, left := range map[string]func(work string) error{
		"half a tree":         func(w string) error { return os.WriteFile(filepath.Join(w, "a.ipynb"), []byte("{"), 0o644) },
		"another tree":        func(w string) error { return os.MkdirAll(filepath.Join(w, "a.ipynb", "x"), 0o755) },
		"a link in its place": func(w string) error { return os.Symlink(outside, filepath.Join(w, "deep")) },
		"work itself a link": func(w string) error {
			if err := os.Remove(w); err != nil {
				return err
			}
			return os.Symlink(outside, w)
		},
		"half an order": func(w string) error {
			run := filepath.Join(w, "..", journal.RunDir)
			if err := os.Mkdir(run, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(w, "..", journal.LaunchFile+".part"), []byte("{"), 0o644)
		},
	} {
		d := &depot{bundles: []func() (io.ReadCloser, error){whole(ordinary(t))}}
		c, dir := fetching(t, d, nil)
		work := filepath.Join(dir, journal.WorkDir)
		require.NoError(t, os.Mkdir(work, 0o755))
		require.NoError(t, left(work), name)
		require.NoError(t, Fetch(t.Context(), c), name)
		require.Equal(t, ordinaryTree, tree(t, work), name)
		require.NoFileExists(t, filepath.Join(dir, journal.LaunchFile+".part"))
	}
	require.Equal(t, map[string]string{".": "dir"}, tree(t, outside), "nothing was written through a link")
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	d := &depot{}
	d.bundles = []func() (io.ReadCloser, error){func() (io.ReadCloser, error) {
		if d.asked == 3 {
			cancel()
		}
		return nil, nes.Errorf(nes.CodeUnavailable, "down")
	}}
	c, dir := fetching(t, d, nil)
	require.ErrorIs(t, Fetch(ctx, c), context.Canceled)
	require.NoFileExists(t, filepath.Join(dir, journal.LaunchFile))
}

func TestFetchOfASupersededAttempt(t *testing.T) {
	t.Parallel()
	for _, code := range []nes.Code{nes.CodeConflict, nes.CodeUnauthorized, nes.CodeNotFound, nes.CodeForbidden} {
		no := nes.Errorf(code, "another attempt runs")
		c, _ := fetching(t, &depot{launches: []error{no}}, nil)
		require.ErrorIs(t, Fetch(t.Context(), c), agentapi.ErrSuperseded, code)
		d := &depot{bundles: []func() (io.ReadCloser, error){failed(no)}}
		c, dir := fetching(t, d, nil)
		require.ErrorIs(t, Fetch(t.Context(), c), agentapi.ErrSuperseded, code)
		require.Equal(t, 1, d.asked)
		require.Equal(t, map[string]string{".": "dir"}, tree(t, dir))
	}
}

// archived packs headers as no program of ours would.
func archived(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	return z.EncodeAll(b.Bytes(), nil)
}

// TestHostileTreesAreRefusedAtOnce: they are asked for once, nothing of them gets out of the volume, and no order is written.
func TestHostileTreesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	l := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	many := make([]tar.Header, 200)
	for i := range many {
		many[i] = f(strings.Repeat("x", i+1))
	}
	const forbidden, large = nes.ReasonSourceForbidden, nes.ReasonSourceTooLarge
	for name, c := range map[string]struct {
		reason  nes.Reason
		headers []tar.Header
	}{
		"parent":                {forbidden, []tar.Header{f("ok"), f("../escaped")}},
		"parent inside":         {forbidden, []tar.Header{f("a/../../escaped")}},
		"absolute":              {forbidden, []tar.Header{f("/escaped")}},
		"write through a link":  {forbidden, []tar.Header{l("a", ".."), f("a/escaped")}},
		"link out":              {forbidden, []tar.Header{l("a", "../..")}},
		"absolute link":         {forbidden, []tar.Header{l("a", "/etc/passwd")}},
		"links that add up":     {forbidden, []tar.Header{l("a", "."), l("b", "a/..")}},
		"links in a ring":       {forbidden, []tar.Header{l("a", "b"), l("b", "a")}},
		"link over a directory": {forbidden, []tar.Header{f("a/b"), l("a", "c")}},
		"file over a directory": {forbidden, []tar.Header{f("a/b"), f("a")}},
		"twice":                 {forbidden, []tar.Header{f("a"), f("a")}},
		"endless target":        {forbidden, []tar.Header{l("a", strings.Repeat("b/", 4096))}},
		"device":                {forbidden, []tar.Header{{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}},
		"pipe":                  {forbidden, []tar.Header{{Typeflag: tar.TypeFifo, Name: "pipe"}}},
		"hard link":             {forbidden, []tar.Header{{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}}},
		"hook of Git":           {forbidden, []tar.Header{f(".GIT/hooks/post-checkout")}},
		"long name":             {forbidden, []tar.Header{f(strings.Repeat("x", 256))}},
		"many files":            {large, many},
		"many directories":      {large, []tar.Header{f(strings.Repeat("a/", 90) + "x"), f(strings.Repeat("b/", 90) + "x")}},
		"too deep":              {large, []tar.Header{f(strings.Repeat("a/", 100) + "x")}},
		"ratio":                 {large, []tar.Header{{Typeflag: tar.TypeReg, Name: "zeros", Size: 4 << 20}}},
		"ratio in all":          {large, []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: 1 << 20}, {Typeflag: tar.TypeReg, Name: "b", Size: 1 << 20}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &depot{bundles: []func() (io.ReadCloser, error){whole(archived(t, c.headers...))}}
			config, dir := fetching(t, d, nil)
			config.Limits = bundle.Limits{Files: 150, FileSize: 1 << 20, TreeSize: 3 << 19, Depth: 100}
			err := Fetch(t.Context(), config)
			require.Equal(t, c.reason, nes.ReasonOf(err), "%v", err)
			require.Equal(t, 1, d.asked, "the same tree would come again")
			require.NoFileExists(t, filepath.Join(dir, journal.LaunchFile))
			require.Equal(t, map[string]string{".": "dir", "volume": "dir"}, outer(t, dir), "beside the volume lies nothing new")
		})
	}
}

// outer lists the directory that holds the volume, without what is in the volume's tree.
func outer(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := tree(t, filepath.Dir(dir))
	for name := range all {
		if strings.HasPrefix(name, "volume/"+journal.WorkDir) {
			delete(all, name)
		}
	}
	return all
}

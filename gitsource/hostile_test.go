package gitsource_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

// fails fetches and returns the message, after checking the reason and that nothing was left behind.
func fails(t *testing.T, o gitsource.Options, url string, reason nes.Reason) string {
	t.Helper()
	o.TempDir = t.TempDir()
	c, err := gitsource.New(o)
	require.NoError(t, err)
	_, err = fetch(t, c, url)
	require.Error(t, err)
	require.Equal(t, reason, nes.ReasonOf(err), "%v", err)
	require.Equal(t, nes.CodeUnprocessable, nes.CodeOf(err))
	left, readErr := os.ReadDir(o.TempDir)
	require.NoError(t, readErr)
	require.Empty(t, left)
	return err.Error()
}

func loopback(l gitsource.Limits) gitsource.Options {
	return gitsource.Options{Limits: l, Reach: gitsource.Reach{AllowLoopback: true}}
}

func TestLoopbackIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": "x"})
	url := s.URL + "/a/b/blob/main/a.ipynb"
	message := fails(t, gitsource.Options{}, url, nes.ReasonSourceForbidden)
	require.Contains(t, message, "NES_FETCH_ALLOW_CIDRS")
	byName := strings.Replace(url, "127.0.0.1", "localhost", 1)
	fails(t, gitsource.Options{}, byName, nes.ReasonSourceForbidden)
	require.Zero(t, s.Lists(), "no byte reached the server")

	named := gitsource.Options{Reach: gitsource.Reach{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	_, err := fetch(t, newClient(t, named), url)
	require.NoError(t, err)
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": "x"})
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	hops := 0
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{
			"/in/b":    s.URL + "/a/b.git",
			"/out/b":   "http://127.0.0.2" + port + "/a/b.git",
			"/page/b":  s.URL + "/elsewhere",
			"/file/b":  "file:///etc",
			"/creds/b": strings.Replace(s.URL, "//", "//a:b@", 1) + "/a/b.git",
		}
		repo, _, _ := strings.Cut(r.URL.Path, ".git")
		if repo == "/loop/b" {
			hops++
			http.Redirect(w, r, fmt.Sprintf("/loop/b.git/info/refs?service=git-upload-pack&n=%d", hops), http.StatusFound)
			return
		}
		http.Redirect(w, r, to[repo]+"/info/refs?service=git-upload-pack", http.StatusFound)
	}))
	t.Cleanup(door.Close)
	one := gitsource.Options{Reach: gitsource.Reach{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}

	f, err := fetch(t, newClient(t, one), door.URL+"/in/b/blob/main/a.ipynb")
	require.NoError(t, err)
	require.Equal(t, "x", f.text["a.ipynb"])
	fails(t, one, door.URL+"/out/b/blob/main/a.ipynb", nes.ReasonSourceForbidden)
	fails(t, one, door.URL+"/page/b/blob/main/a.ipynb", nes.ReasonSourceNotFound)
	fails(t, one, door.URL+"/file/b/blob/main/a.ipynb", nes.ReasonSourceForbidden)
	fails(t, one, door.URL+"/creds/b/blob/main/a.ipynb", nes.ReasonSourceForbidden)
	message := fails(t, one, door.URL+"/loop/b/blob/main/a.ipynb", nes.ReasonSourceForbidden)
	require.Contains(t, message, "10 redirects")
	require.LessOrEqual(t, hops, 10)
}

func TestAnswersOfServers(t *testing.T) {
	t.Parallel()
	const listType = "application/x-git-upload-pack-advertisement"
	for name, c := range map[string]struct {
		status      int
		contentType string
		body        string
		reason      nes.Reason
		says        string
	}{
		"private":      {401, "", "", nes.ReasonSourceForbidden, "credential"},
		"forbidden":    {403, "", "", nes.ReasonSourceForbidden, "403"},
		"absent":       {404, "", "", nes.ReasonSourceNotFound, "no repository"},
		"gone":         {410, "", "", nes.ReasonSourceNotFound, "no repository"},
		"busy":         {429, "", "", nes.ReasonSourceUnavailable, "try again"},
		"broken":       {500, "", "", nes.ReasonSourceUnavailable, "500"},
		"gateway":      {502, "", "", nes.ReasonSourceUnavailable, "502"},
		"page":         {200, "text/html", "<html>sign in</html>", nes.ReasonSourceNotFound, "no Git repository"},
		"dumb":         {200, "text/plain", "0123 refs/heads/main", nes.ReasonSourceNotFound, "no Git repository"},
		"nothing":      {200, listType, "", nes.ReasonSourceUnavailable, "could not be fetched"},
		"cut":          {200, listType, "001e# service=git-upload-pack\n0000", nes.ReasonSourceUnavailable, "could not be fetched"},
		"nonsense":     {200, listType, "zzzzzzzz", nes.ReasonSourceUnavailable, "could not be fetched"},
		"odd line":     {200, listType, "000bhello\n\n0000", nes.ReasonSourceUnavailable, "could not be fetched"},
		"error":        {200, listType, "0013ERR go away now", nes.ReasonSourceNotFound, "go away"},
		"empty":        {200, listType, "000000480000000000000000000000000000000000000000 capabilities^{}\x00 ofs-delta\n0000", nes.ReasonSourceNotFound, "empty"},
		"sha256 names": {200, listType, "0052" + strings.Repeat("a", 64) + " refs/heads/a\n0000", nes.ReasonSourceUnavailable, "could not be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(s.Close)
			message := fails(t, loopback(gitsource.Limits{}), s.URL+"/a/b/blob/main/a.ipynb", c.reason)
			require.Contains(t, message, c.says)
		})
	}
}

func TestNoServerThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	message := fails(t, loopback(gitsource.Limits{}), "http://"+addr+"/a/b/blob/main/a.ipynb", nes.ReasonSourceUnavailable)
	require.Contains(t, message, "connection refused")
}

func TestNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	repo.Commit("x", map[string]string{"a.ipynb": "x"})
	repo.Branch("develop")
	o := loopback(gitsource.Limits{})
	require.Contains(t, fails(t, o, s.URL+"/a/c/blob/main/a.ipynb", nes.ReasonSourceNotFound), "no repository")
	message := fails(t, o, s.URL+"/a/b/blob/devleop/a.ipynb", nes.ReasonSourceNotFound)
	require.Contains(t, message, `"devleop"`)
	require.Contains(t, message, "nearest: develop")
	require.Contains(t, fails(t, o, s.URL+"/a/b/src/tag/main/a.ipynb", nes.ReasonSourceNotFound), "no tag")
	require.Contains(t, fails(t, o, s.URL+"/a/b/blob/"+strings.Repeat("ab", 20)+"/a.ipynb", nes.ReasonSourceNotFound), "no commit")
	require.Contains(t, fails(t, o, s.URL+"/a/b/blob/abcdef0/a.ipynb", nes.ReasonSourceNotFound), "no commit")
}

func TestLimitsOfSize(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	files := map[string]string{"a.ipynb": "x", "deep/1/2/3/4/x.txt": "x", "big.txt": strings.Repeat("zeros ", 1<<18)}
	for i := range 50 {
		files[fmt.Sprintf("many/%d.txt", i)] = strings.Repeat(fmt.Sprint(i), 100)
	}
	repo.Commit("x", files)
	url := s.URL + "/a/b/blob/main/a.ipynb"
	for name, l := range map[string]gitsource.Limits{
		"received bytes": {Pack: 2 << 10},
		"objects":        {Objects: 20},
		"files":          {Files: 30},
		"one file":       {FileSize: 1 << 20},
		"tree":           {TreeSize: 1 << 20},
		"depth":          {Depth: 4},
		"list of refs":   {Advertisement: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := fails(t, loopback(l), url, nes.ReasonSourceTooLarge)
			require.Contains(t, message, "larger than a fetch may be")
		})
	}
	_, err := fetch(t, local(t), url)
	require.NoError(t, err)
}

func TestSearchThroughHistoryIsBounded(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	repo := s.NewRepository("a/b")
	old := repo.Commit("x", map[string]string{"a.ipynb": "x"})
	for i := range 3 {
		repo.Commit("more", map[string]string{fmt.Sprint("data", i): strings.Repeat(fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)})), 1<<14)})
	}
	url := s.URL + "/a/b/blob/" + old + "/a.ipynb"
	l := gitsource.Limits{Pack: 2 << 10}
	require.Contains(t, fails(t, loopback(l), url, nes.ReasonSourceTooLarge), "make a branch or tag")
	repo.GitInput("", "-C", repo.Bare, "config", "uploadpack.allowReachableSHA1InWant", "true")
	f, err := fetch(t, newClient(t, loopback(l)), url)
	require.NoError(t, err, "a server that gives commits by their id needs no search")
	require.Equal(t, old, f.commit)
	require.Len(t, f.files, 1)
}

// TestMemoryIsBounded fetches a file that is far larger than what is sent of it. The process
// that fetches is killed, and this one holds nothing of it.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewServer(t)
	s.NewRepository("a/b").Commit("x", map[string]string{"a.ipynb": "x", "zeros": strings.Repeat("\x00", 128<<20)})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	message := fails(t, loopback(gitsource.Limits{Memory: 96 << 20}), s.URL+"/a/b/blob/main/a.ipynb", nes.ReasonSourceTooLarge)
	require.Contains(t, message, "96 MiB of memory")
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(100<<20), "the file itself has 128 MiB")
}

func TestEndlessListOfRefs(t *testing.T) {
	t.Parallel()
	sent := make(chan int, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		n, total := 0, 0
		for {
			line := fmt.Sprintf("%s refs/pull/%08d/head\n", strings.Repeat("ab", 20), n)
			written, err := fmt.Fprintf(w, "%04x%s", len(line)+4, line)
			if n, total = n+1, total+written; err != nil || r.Context().Err() != nil {
				sent <- total
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	fails(t, loopback(gitsource.Limits{Advertisement: 1 << 20}), s.URL+"/a/b/blob/main/a.ipynb", nes.ReasonSourceTooLarge)
	require.Less(t, <-sent, 64<<20, "the connection is closed, not drained")
}

// drip answers like a Git server and then sends a byte now and then, for ever.
func drip(t *testing.T, whole func(w http.ResponseWriter, r *http.Request) bool) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if whole(w, r) {
			return
		}
		text := "0008NAK\n" + strings.Repeat("0005\x02", 1<<20)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			text = "001e# service=git-upload-pack\n0000" + strings.Repeat("x", 1<<20)
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ; text = text[1:] {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				_, _ = io.WriteString(w, text[:1])
				w.(http.Flusher).Flush()
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestSlowServers(t *testing.T) {
	t.Parallel()
	list := drip(t, func(http.ResponseWriter, *http.Request) bool { return false })
	began := time.Now()
	message := fails(t, loopback(gitsource.Limits{ListTime: 200 * time.Millisecond}), list.URL+"/a/b/blob/main/a.ipynb", nes.ReasonSourceUnavailable)
	require.Contains(t, message, "in time")
	pack := drip(t, listsOneBranch)
	message = fails(t, loopback(gitsource.Limits{FetchTime: 500 * time.Millisecond}), pack.URL+"/a/b/blob/main/a.ipynb", nes.ReasonSourceUnavailable)
	require.Contains(t, message, "in time")
	require.Less(t, time.Since(began), 20*time.Second)
}

func listsOneBranch(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	line := strings.Repeat("ab", 20) + " refs/heads/main\x00side-band-64k shallow ofs-delta\n"
	_, _ = fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s0000", len(line)+4, line)
	return true
}

func TestNonsenseInsteadOfAPack(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":       "",
		"no pack":       "0008NAK\n000d\x01garbage0000",
		"cut pack":      "0008NAK\n0011\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01",
		"false objects": "0008NAK\n0019\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff0000",
		"error":         "0008NAK\n000c\x03no way0000",
		"page":          "<html>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if listsOneBranch(w, r) {
					return
				}
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				_, _ = io.WriteString(w, body)
			}))
			t.Cleanup(s.Close)
			o := loopback(gitsource.Limits{})
			o.TempDir = t.TempDir()
			c, err := gitsource.New(o)
			require.NoError(t, err)
			_, err = fetch(t, c, s.URL+"/a/b/blob/main/a.ipynb")
			require.Error(t, err)
			require.Contains(t, []nes.Reason{nes.ReasonSourceUnavailable, nes.ReasonSourceNotFound}, nes.ReasonOf(err), "%v", err)
		})
	}
}

// TestCancelledFetchLeavesNothing cancels while the server is silent.
func TestCancelledFetchLeavesNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	s := drip(t, func(w http.ResponseWriter, r *http.Request) bool {
		if listsOneBranch(w, r) {
			return true
		}
		asked <- struct{}{}
		return false
	})
	dir := t.TempDir()
	c, err := gitsource.New(gitsource.Options{TempDir: dir, Reach: gitsource.Reach{AllowLoopback: true}})
	require.NoError(t, err)
	a, err := gitsource.Parse(s.URL + "/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	r, err := c.Resolve(t.Context(), a)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err = c.Fetch(ctx, r)
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestOrphanEnds proves that the process that fetches does not outlive the one that ordered it, and cleans up for it.
func TestOrphanEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	s := drip(t, func(http.ResponseWriter, *http.Request) bool { asked <- struct{}{}; return false })
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "fetch-child")
	cmd.Dir = filepath.Join(t.TempDir(), "nes-fetch-1")
	require.NoError(t, os.Mkdir(cmd.Dir, 0o700))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = fmt.Fprintf(in, `{"repository":"a/b","url":%q,"commit":"%s","tries":[{"wants":["%s"],"depth":1}],
		"limits":{"pack":1000000,"objects":1000,"list_time":60000000000,"fetch_time":60000000000},"reach":{"allow_loopback":true}}`,
		s.URL+"/a/b.git", strings.Repeat("ab", 20), strings.Repeat("ab", 20))
	require.NoError(t, err)
	<-asked
	require.NoError(t, in.Close())
	require.Error(t, cmd.Wait())
	require.Equal(t, 3, cmd.ProcessState.ExitCode())
	require.NoDirExists(t, cmd.Dir)
}

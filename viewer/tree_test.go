package viewer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/dir"
	"github.com/nes-run/nes/storage/file"
	"github.com/nes-run/nes/viewer"
)

// shelf is a viewer of a directory alone.
func shelf(t *testing.T, files map[string]string) (*house, string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	d, err := dir.Open(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	h := &house{t: t, caller: access.Local()}
	pages := viewer.New(viewer.Options{Files: d})
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(w, r.WithContext(access.With(r.Context(), h.caller)))
	}))
	t.Cleanup(h.server.Close)
	return h, root
}

func TestAFolderOfTheTree(t *testing.T) {
	t.Parallel()
	h, root := shelf(t, map[string]string{
		"daily/a b.ipynb": cells("one"), "daily/big.csv": strings.Repeat("x", 5000), "daily/<i>.txt": "x", "daily/sub/x": "", "daily/README.md": "# About\n\n<script>alert(1)</script>\n\n*here*", "daily/.secret": "x",
	})
	require.NoError(t, os.Chtimes(filepath.Join(root, "daily", "big.csv"), time.Now(), time.Unix(1e9, 0)))
	status, header, _ := h.get("/")
	require.Equal(t, http.StatusFound, status)
	require.Equal(t, "/view/", header.Get("Location"))
	page := h.ok("/view/daily/")
	order := func(page string) string {
		var list []string
		for _, m := range regexp.MustCompile(`href="/view/daily/([^"?]+)"`).FindAllStringSubmatch(page, -1) {
			list = append(list, m[1])
		}
		return strings.Join(list, " ")
	}
	require.Equal(t, "sub/ %3Ci%3E.txt README.md a%20b.ipynb big.csv", order(page))
	for _, want := range []string{"5 kB", `datetime="2001-09-09T01:46:40.000Z"`, `>About</h1>`, "<em>here</em>", `aria-sort="ascending"`, `<a href="/view/" aria-current="true">Files</a>`} {
		require.Contains(t, strings.ReplaceAll(page, `About<a`, `About</h1><a`), want)
	}
	require.NotContains(t, page, "<script>alert")
	require.NotContains(t, page, "secret")
	require.Equal(t, "sub/ big.csv a%20b.ipynb README.md %3Ci%3E.txt", order(h.ok("/view/daily/?sort=-size")))
	require.True(t, strings.HasPrefix(order(h.ok("/view/daily/?sort=time")), "sub/ big.csv"))
	require.True(t, strings.HasSuffix(order(h.ok("/view/daily/?sort=-name")), "%3Ci%3E.txt"))
	status, header, _ = h.get("/view/daily")
	require.Equal(t, http.StatusFound, status)
	require.Equal(t, "/view/daily/", header.Get("Location"))
	for _, none := range []string{"/view/none", "/view/none/", "/view/daily/.secret/x", "/files/none", "/api/contents/none"} {
		status, _, _ := h.get(none)
		require.Equal(t, http.StatusNotFound, status, none)
	}
}

func TestNoPathLeadsOut(t *testing.T) {
	t.Parallel()
	h, _ := shelf(t, map[string]string{"a/x": "inside"})
	for _, path := range []string{"/view/a%2F..%2F..%2F..%2F..%2Fetc/passwd", "/files/..%2F..%2F..%2Fetc%2Fpasswd", "/files/%2Fetc%2Fpasswd", "/api/contents/a%2F..%2F..%2Fetc%2Fpasswd", "/files/a%00x", "/object/Li4vLi4vZXRjL3Bhc3N3ZA/1/body/" + strings.Repeat("a", 64)} {
		status, _, body := h.get(path)
		require.NotEqual(t, http.StatusOK, status, path)
		require.Less(t, status, 500, path)
		require.NotContains(t, body, "root:", path)
	}
}

func TestAFolderOfThousands(t *testing.T) {
	t.Parallel()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	h := newHouse(t, func(o *viewer.Options) { o.Files = bucket })
	for n := range 2100 {
		_, err := bucket.Put(t.Context(), fmt.Sprintf("many/%04d.txt", n), strings.NewReader("x"), storage.PutOptions{})
		require.NoError(t, err)
	}
	count := func(page string) int { return strings.Count(page, `class="name`) }
	first := h.ok("/view/many/")
	require.Equal(t, 1000, count(first))
	require.Contains(t, first, `<a rel="next" href="/view/many/?page=1">`)
	last := h.ok("/view/many/?page=2&sort=-name")
	require.Equal(t, 100, count(last))
	require.Contains(t, last, "0000.txt")
	require.Contains(t, last, `rel="prev" href="/view/many/?page=1&amp;sort=-name"`)
	require.Equal(t, 100, count(h.ok("/view/many/?page=77")))
}

func TestFilesAreShownAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	h, _ := shelf(t, map[string]string{
		"n.ipynb": tagged, "bad.ipynb": "<html>", "a.md": "# Title\n\n[x](javascript:alert(1))", "t.csv": "a;b\n1;<b>\n", "j.json": `{"b":[1,2]}`, "s.py": "def f(): pass", "p.svg": "<svg onload=alert(1)>", "h.html": "<script>1</script>",
		"bin": "a\x00b", "log.txt": "plain <b>", "x.parquet": "PAR1",
	})
	for path, want := range map[string][]string{
		"n.ipynb":     {`data-view="code"`, `<h1 id="h-0-top">`, `?view=report`, `class="cell code no-cell`},
		"bad.ipynb":   {"&lt;html&gt;", "problem"},
		"a.md":        {`<h1 id="h-0-title">`},
		"t.csv":       {`<th scope="col">b</th>`, `<td>&lt;b&gt;</td>`},
		"j.json":      {"hl-"},
		"s.py":        {`class="hl-nf">f</span>`},
		"p.svg":       {`<img class="picture" src="/files/p.svg"`},
		"h.html":      {`<iframe class="rich page" sandbox="allow-scripts" src="/files/h.html"`},
		"bin":         {"Files of this kind are not shown."},
		"log.txt":     {"plain &lt;b&gt;"},
		"x.parquet":   {`href="/files/x.parquet" download`},
		"log.txt?x=1": {"<title>log.txt · NES</title>"},
	} {
		page := h.ok("/view/" + path)
		for _, text := range want {
			require.Contains(t, page, text, path)
		}
		require.NotContains(t, page, "javascript:", path)
		require.NotContains(t, page, "onload=", path)
	}
	require.Contains(t, h.ok("/view/n.ipynb?view=everything"), "open><summary>Code")
}

func TestRawFilesCannotAct(t *testing.T) {
	t.Parallel()
	h, _ := shelf(t, map[string]string{"h.html": "<script>1</script>", "s.svg": "<svg/>", "x.js": "1", "n.ipynb": cells("x"), "d.txt": "0123456789"})
	for _, name := range []string{"h.html", "s.svg", "x.js", "n.ipynb", "d.txt"} {
		_, header, _ := h.get("/files/" + name)
		require.Contains(t, header.Get("Content-Security-Policy"), "sandbox", name)
		require.NotContains(t, header.Get("Content-Security-Policy"), "allow-same-origin", name)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	}
	ask := func(header http.Header) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/files/d.txt", nil)
		require.NoError(t, err)
		req.Header = header
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	part := ask(http.Header{"Range": {"bytes=3-5"}})
	require.Equal(t, http.StatusPartialContent, part.StatusCode)
	require.Equal(t, "bytes 3-5/10", part.Header.Get("Content-Range"))
	var body [3]byte
	_, err := part.Body.Read(body[:])
	require.Equal(t, "345", string(body[:]), err)
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, ask(http.Header{"Range": {"bytes=50-"}}).StatusCode)
	require.Equal(t, http.StatusNotModified, ask(http.Header{"If-None-Match": {part.Header.Get("Etag")}}).StatusCode)
}

func TestTheContentsOfJupyter(t *testing.T) {
	t.Parallel()
	h, _ := shelf(t, map[string]string{"d/n.ipynb": cells("one"), "d/x.txt": "text", "d/b.bin": "\xff\xfe", "d/e/f": ""})
	get := func(path string) (m map[string]any) {
		require.NoError(t, json.Unmarshal([]byte(h.ok("/api/contents/"+path)), &m))
		return m
	}
	folder := get("d")
	require.Equal(t, "directory", folder["type"])
	require.Equal(t, false, folder["writable"])
	require.Len(t, folder["content"], 4)
	n := get("d/n.ipynb")
	require.Equal(t, []any{"notebook", "json", "d/n.ipynb", "n.ipynb"}, []any{n["type"], n["format"], n["path"], n["name"]})
	require.EqualValues(t, 4, n["content"].(map[string]any)["nbformat"])
	require.Equal(t, "text", get("d/x.txt")["content"])
	require.Equal(t, "//4=", get("d/b.bin")["content"])
	require.Nil(t, get("d/x.txt?content=0")["content"])
	require.Equal(t, "directory", get("")["type"])
}

// TestTheTreeShowsACallerOnlyTheirRuns: an administrator sees the bucket, a team's member the files of the team's runs.
func TestTheTreeShowsACallerOnlyTheirRuns(t *testing.T) {
	t.Parallel()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	h := newHouse(t, func(o *viewer.Options) { o.Files = bucket })
	run := h.start(spec(), source)
	key := storage.NotebookKey(&run, 1)
	side := storage.AttemptPrefix(&run, 1) + "outputs/x.txt"
	forged := "other/" + string(run.ID) + ".1.ipynb"
	for _, k := range []string{key, side, forged, "notebooks/else.ipynb"} {
		_, err := bucket.Put(t.Context(), k, strings.NewReader(cells("private")), storage.PutOptions{})
		require.NoError(t, err)
	}
	member := access.Principal{Name: "ada", Team: "local", Roles: []access.Role{access.RoleRead}}
	stranger := access.Principal{Name: "eve", Team: "other", Roles: []access.Role{access.RoleOperate}}
	for _, c := range []struct {
		who  access.Principal
		key  string
		want int
	}{
		{access.Local(), key, 200}, {access.Local(), forged, 200}, {member, key, 200}, {member, side, 200}, {member, forged, 403}, {member, "notebooks/else.ipynb", 403}, {member, "none", 403},
		{stranger, key, 403}, {stranger, side, 403}, {access.Principal{}, key, 403},
	} {
		h.caller = c.who
		for _, route := range []string{"/view/", "/files/", "/api/contents/"} {
			status, _, body := h.get(route + c.key)
			require.Equal(t, c.want, status, "%s%s for %q", route, c.key, c.who.Name)
			require.Equal(t, c.want == 200, strings.Contains(body, "private"))
		}
	}
	for _, path := range []string{"/view/", "/view/notebooks/", "/api/contents/", "/api/contents/notebooks"} {
		h.caller = member
		status, _, _ := h.get(path)
		require.Equal(t, http.StatusForbidden, status, path)
	}
}

func TestImagesOfATreesNotebook(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("A", 40_000)
	h, _ := shelf(t, map[string]string{"x/n.ipynb": notebookOf([3]string{"plot()", "png:" + big, "1"})})
	page := h.ok("/view/x/n.ipynb")
	m := regexp.MustCompile(`/object/[\w-]+/\w+/body/[0-9a-f]{64}`).FindString(page)
	require.NotEmpty(t, m)
	status, header, body := h.get(m)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Security-Policy"), "sandbox")
	require.Contains(t, body, big)
	status, _, _ = h.get(regexp.MustCompile(`/\w+/body`).ReplaceAllString(m, "/zzz/body"))
	require.Equal(t, http.StatusNotFound, status, "of another generation")
}

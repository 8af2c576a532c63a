package viewer_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// sweep submits runs of one notebook with parameter n = 1, 2, ...; each ends with a result that has n squared.
func (h *house) sweep(count int, group string) (runs []nes.Run) {
	h.t.Helper()
	for n := 1; n <= count; n++ {
		s := spec()
		s.Group, s.Labels = group, map[string]string{"kind": "sweep"}
		s.Parameters = map[string]json.RawMessage{"n": json.RawMessage(fmt.Sprint(n)), "same": json.RawMessage(`"x"`)}
		run := h.start(s, source)
		reason := nes.ReasonCompleted
		if n == 2 {
			reason = nes.ReasonCellError
		}
		runs = append(runs, h.end(run, reason, "", nes.Outcome{Result: json.RawMessage(fmt.Sprintf(`{"square": %d, "deep": {"word": "w%d", "list": [1]}, "none": null}`, n*n, n))}))
	}
	return runs
}

// shows reports which of the runs a page lists, by their numbers from 1.
func shows(page string, runs []nes.Run) (list []int) {
	for i, run := range runs {
		if strings.Contains(page, `/runs/`+string(run.ID)) {
			list = append(list, i+1)
		}
	}
	return list
}

func TestTheListIsFilteredByItsAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	runs := h.sweep(3, "g <1>")
	for query, want := range map[string][]int{
		"reason=CellError": {2}, "notebook=daily/sales.ipynb": {1, 2, 3}, "notebook=other": nil, "owner=ada": {1, 2, 3}, "owner=eve": nil,
		"parameter=n%3D3": {3}, "parameter=n%3D3&parameter=same%3D%22x%22": nil, "parameter=n%3D3&parameter=same%3Dx": {3}, "label=kind%3Dsweep&status=Failed": {2},
		"status=Succeeded": {1, 3}, "since=1h": {1, 2, 3}, "until=1h": nil, "since=2020-01-01&until=2020-01-02T10:00": nil, "q=g+%3C1": {1, 2, 3}, "repository=git.example/acme/reports&owner=&reason=": {1, 2, 3},
	} {
		require.Equal(t, want, shows(h.ok("/?"+query), runs), query)
	}
	page := h.ok("/?reason=CellError&label=a%3Db&label=c%3Dd&q=x")
	require.Contains(t, page, `label: a=b <a href="/?label=c%3Dd&amp;q=x&amp;reason=CellError"`, "one of two labels goes, the rest stays")
	require.Contains(t, page, `<option value="CellError" selected>`)
	require.Contains(t, page, `data-live-list="/?label=a%3Db&amp;label=c%3Dd&amp;part=runs&amp;q=x&amp;reason=CellError"`)
	for _, bad := range []string{"status=Sideways", "label=x", "parameter=%3D1", "since=yesterday", "until=later"} {
		status, _, body := h.get("/?" + bad)
		require.Equal(t, http.StatusBadRequest, status, bad)
		require.Contains(t, strings.ToLower(body), bad[:strings.IndexByte(bad, '=')])
	}
}

func TestANotebookHasAHistory(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	runs := h.sweep(4, "")
	const at = "/notebooks/git.example/acme/reports/-/daily/sales.ipynb"
	page := h.ok(at)
	require.Equal(t, []int{1, 2, 3, 4}, shows(page, runs))
	for _, want := range []string{
		"<h1>sales</h1>", `<th scope="col" class="p">n</th><th scope="col" class="p">same</th>`, `<th scope="col" class="r num">deep.word</th><th scope="col" class="r num">square</th>`,
		`<td class="p"><code>3</code></td><td class="p"><code>x</code></td><td class="r num">w3</td><td class="r num">9</td>`, `3 Succeeded`, `1 Failed`,
		`href="/latest/git.example/acme/reports/-/daily/sales.ipynb?status=Succeeded"`, `<h2 id="plot-title">square</h2>`, "<span>16</span><span>1</span>",
	} {
		require.Contains(t, page, want)
	}
	require.Len(t, regexp.MustCompile(`<circle class="(ok|failed)"`).FindAllString(page, -1), 4)
	require.Len(t, regexp.MustCompile(`<rect class="(ok|failed)"`).FindAllString(page, -1), 4)
	require.Contains(t, page, `<path class="line" d="M10.0 150.0L336.7 122.0`, "the axis goes from the least to the most")
	require.Contains(t, h.ok(at+"?plot=duration"), `<h2 id="plot-title">Duration</h2>`)
	require.Equal(t, []int{2}, shows(h.ok(at+"?status=Failed"), runs))
	require.Contains(t, h.ok(at+"?status=Failed"), "3 Succeeded", "the counts are of all")
	require.Equal(t, []int{4}, shows(h.ok(at+"?parameter=n%3D4"), runs))
	for _, none := range []string{"/notebooks/git.example/acme/reports/-/daily/none.ipynb", "/notebooks/git.example/acme", "/groups/none"} {
		status, _, _ := h.get(none)
		require.Equal(t, http.StatusNotFound, status, none)
	}
}

func TestAHistoryIsLive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sweep(1, "g/1")
	page := h.ok("/groups/g/1")
	live := strings.ReplaceAll(regexp.MustCompile(`data-live-list="([^"]+)"`).FindStringSubmatch(page)[1], "&amp;", "&")
	version := regexp.MustCompile(`data-version="(\w+)"`).FindStringSubmatch(page)[1]
	got := make(chan string, 1)
	go func() { got <- h.ok(live + "&version=" + version) }()
	runs := h.sweep(2, "g/1")
	require.Equal(t, []int{1}, shows(<-got, runs[:1]))
	page = h.ok("/groups/g/1")
	require.Contains(t, page, "2 Succeeded")
	require.Contains(t, page, `<th scope="col">Notebook</th>`, "a group may have several notebooks")
}

func TestTheNewestRunHasAnAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	runs := h.sweep(3, "g")
	run := h.start(spec(), source)
	const at = "/latest/git.example/acme/reports/-/daily/sales.ipynb"
	for address, want := range map[string]string{
		at:                                       string(run.ID),
		at + "?status=Succeeded":                 string(runs[2].ID),
		at + "?status=Failed":                    string(runs[1].ID),
		at + "?parameter=n%3D1":                  string(runs[0].ID),
		at + "?status=Succeeded&view=report":     string(runs[2].ID) + "?view=report",
		"/latest?group=g&reason=CellError":       string(runs[1].ID),
		"/latest?notebook=daily/sales.ipynb":     string(run.ID),
		"/latest?label=kind%3Dsweep&until=-1h":   "",
		at + "?status=Error":                     "",
		"/latest/git.example/acme/reports/daily": "",
	} {
		status, header, _ := h.get(address)
		if want == "" {
			require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, status, address)
			continue
		}
		require.Equal(t, http.StatusFound, status, address)
		require.Equal(t, "/runs/"+want, header.Get("Location"), address)
	}
}

func TestSearchFindsRunsNotebooksAndGroups(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	runs := h.sweep(2, "nightly")
	status, header, _ := h.get("/search?q=" + strings.ToUpper(string(runs[0].ID)))
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/runs/"+string(runs[0].ID), header.Get("Location"))
	page := h.ok("/search?q=nightly")
	require.Contains(t, page, `href="/groups/nightly"`)
	require.Equal(t, []int{1, 2}, shows(page, runs))
	page = h.ok("/search?q=SALES")
	require.Contains(t, page, `href="/notebooks/git.example/acme/reports/-/daily/sales.ipynb"`)
	require.Contains(t, h.ok("/search?q=%3Cscript%3E"), "Nothing here matches.")
	require.NotContains(t, h.ok("/search?q=%3Cscript%3E"), "<script>")
	require.Contains(t, h.ok("/search"), "Finds runs by notebook")
	for range 25 {
		h.submit(nes.Spec{InputURL: "https://git.example/acme/many/blob/main/x.ipynb"})
	}
	require.Contains(t, h.ok("/search?q=many"), `<a href="/?q=many">All runs that match</a>`)
	require.Contains(t, h.ok("/notebooks"), "git.example/acme/reports/daily/sales.ipynb")
	require.Contains(t, h.ok("/notebooks?q=none"), "No notebook here that was run.")
}

// TestFindingShowsNothingOfOtherTeams: every page that finds runs, for a caller of another team and for nobody.
func TestFindingShowsNothingOfOtherTeams(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	runs := h.sweep(2, "nightly")
	paths := []string{"/", "/notebooks", "/notebooks/git.example/acme/reports/-/daily/sales.ipynb", "/groups/nightly", "/latest?group=nightly", "/search?q=sales",
		"/search?q=" + string(runs[0].ID), "/runs/" + string(runs[0].ID), "/runs/" + string(runs[0].ID) + "/again", "/runs/" + string(runs[0].ID) + "/script"}
	h.caller = access.Principal{Name: "eve", Team: "other", Roles: []access.Role{access.RoleOperate}}
	for _, path := range paths {
		_, _, body := h.get(path)
		require.NotContains(t, body, "git.example", path)
		require.NotContains(t, body, `href="/runs/`+string(runs[0].ID)+`"`, path)
	}
	h.caller = access.Principal{}
	for _, path := range paths {
		status, _, _ := h.get(path)
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, status, path)
	}
}

// TestOddNamesMakeAddressesThatLeadBack: whatever a repository, a notebook or a group is called.
func TestOddNamesMakeAddressesThatLeadBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	link := regexp.MustCompile(`href="((?:/notebooks/|/groups/)[^"]+)"`)
	for _, odd := range []string{"a b", "매출", "100%", "q?x=1", "h#1", `"><b>`, "a/../b", "plus+plus", "semi;colon", "-/-"} {
		src := source
		src.Repository, src.Path = "git.example/"+odd, odd+"/x.ipynb"
		s := spec()
		s.Group = odd
		run := h.start(s, src)
		page := h.ok("/runs/" + string(run.ID))
		require.NotContains(t, page, `"><b>`)
		found := 0
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			at, err := url.Parse(html.UnescapeString(m[1]))
			require.NoError(t, err)
			if strings.Contains(odd, "..") || strings.Contains(odd, "-/-") {
				continue // browsers and servers clean such paths: the list of runs finds these
			}
			status, _, body := h.get(at.String())
			require.Equal(t, http.StatusOK, status, m[1])
			require.Contains(t, body, string(run.ID), m[1])
			found++
		}
		if !strings.Contains(odd, "..") && !strings.Contains(odd, "-/-") {
			require.GreaterOrEqual(t, found, 2, odd)
		}
	}
}

func TestARunningBarGrows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	page := h.ok("/notebooks/git.example/acme/reports/-/daily/sales.ipynb")
	require.Contains(t, page, `<rect class="running"`)
	require.NotContains(t, page, "<circle", "one run makes no plot")
	require.Contains(t, page, "data-since=")
	require.WithinDuration(t, time.Now(), run.CreatedAt, time.Hour)
}

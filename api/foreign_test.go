package api_test

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// open to everybody on purpose; every other operation of the contract needs a role.
var open = []string{"listReasons", "getHealth", "getReadiness", "getDocs", "getSpecification"}

type operation struct{ method, path, id string }

// operations of the contract, as openapi.yaml has them and not as the server does.
func operations(t *testing.T) (all []operation) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(nes.OpenAPI()))
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			all = append(all, operation{method, path, op.OperationID})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return all
}

// at is the operation's path for a run.
func (o operation) at(run nes.RunID) string {
	return strings.NewReplacer("{id}", string(run), "{name}", "a.csv").Replace(o.path)
}

// TestEveryOperationIsJudged: an operation that is added to the contract must say who may use it.
func TestEveryOperationIsJudged(t *testing.T) {
	t.Parallel()
	all := operations(t)
	require.Greater(t, len(all), 20)
	for _, op := range all {
		_, needed := needs[op.id]
		require.NotEqual(t, needed, slices.Contains(open, op.id), "%s must have a least role, or be open on purpose, and not both", op.id)
	}
	require.Len(t, all, len(needs)+len(open), "no row is left over of an operation that is gone")
}

// absent is an id that no run has.
const absent = nes.RunID("01890000-0000-7000-8000-000000000000")

var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// shown is everything of an answer that a caller can see, with the id that was asked for taken out.
func shown(res response, id nes.RunID) (int, http.Header, string) {
	h := res.Header.Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Content-Length"} {
		h.Del(name)
	}
	for name, values := range h {
		for i := range values {
			h[name][i] = strings.ReplaceAll(values[i], string(id), "ID")
		}
	}
	return res.StatusCode, h, requestIDs.ReplaceAllString(strings.ReplaceAll(res.body, string(id), "ID"), "")
}

// TestTheForeignIsAsTheAbsent: to every role of another team, every operation answers of a run of
// this team, in any state, what it answers of a run that does not exist: to the last header and byte.
func TestTheForeignIsAsTheAbsent(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	red := "Authorization: Bearer " + tokenOf("admin", "red")
	queued, running, ended := b.submit(red), b.executing(b.submit(red)), b.executing(b.submit(red))
	for _, run := range []nes.Run{running, ended} {
		b.shelf.change(run.ID, func() {
			b.shelf.notebook[place(&run, 1)], b.shelf.files["a.csv"], b.shelf.progress = `{"cells":[]}`, "x", &nes.Progress{Total: 3}
		})
		b.shelf.print(&run, 1, "text", true)
	}
	ended = b.ended(ended, nes.ReasonCompleted)
	seen := 0
	for _, op := range operations(t) {
		if !strings.Contains(op.path, "{id}") {
			continue
		}
		seen++
		for _, role := range []access.Role{access.RoleRead, access.RoleSubmit, access.RoleOperate} {
			auth := "Authorization: Bearer " + tokenOf(string(role), "blue")
			for _, stream := range []string{"Accept: */*", "Accept: text/event-stream"} {
				for _, query := range []string{"", "?wait=1h&no_such=1&attempt=7&follow"} {
					began := time.Now()
					status, header, body := shown(b.call(op.method, op.at(absent)+query, bodyOf(op.id), auth, stream), absent)
					require.Equal(t, 404, status, "%s%s", op.id, query)
					for _, run := range []nes.Run{queued, running, ended} {
						gotStatus, gotHeader, gotBody := shown(b.call(op.method, op.at(run.ID)+query, bodyOf(op.id), auth, stream), run.ID)
						require.Equal(t, status, gotStatus, "%s%s", op.id, query)
						require.Equal(t, header, gotHeader, "%s%s", op.id, query)
						require.Equal(t, body, gotBody, "%s%s", op.id, query)
					}
					require.Less(t, time.Since(began), 10*time.Second, "nobody waits for what is not theirs")
				}
			}
		}
	}
	require.GreaterOrEqual(t, seen, 11, "operations on one run")
	require.Equal(t, 14, seen, "operations on one run")
	require.Equal(t, queued, b.run(queued.ID), "and nothing was changed by it")
	require.Equal(t, running, b.run(running.ID))
	require.Equal(t, ended, b.run(ended.ID))
}

// TestNoListShowsTheForeign: whatever is asked for, runs of another team are neither shown, counted nor paged over.
func TestNoListShowsTheForeign(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	red, blue := "Authorization: Bearer "+tokenOf("submit", "red"), "Authorization: Bearer "+tokenOf("submit", "blue")
	theirs := b.fetched(b.submit(red))
	b.call("POST", "/v1/runs", `{`+address+`,"group":"g","task_key":"t","labels":{"l":"v"},"parameters":{"p":1}}`, red)
	nothing := marshal(t, b.call("GET", "/v1/runs", "", blue).json(t))
	for _, query := range []string{
		"", "status=Pending", "reason=CellError", "repository=github.com/acme/reports", "notebook=%EB%B3%B4%EA%B3%A0%EC%84%9C/daily+1.ipynb", "commit=" + source.Commit, "group=g", "task_key=t", "parent=" + string(theirs.ID),
		"label=l=v", "parameter=p=1", "text=daily", "since=24h", "limit=1",
	} {
		require.JSONEq(t, nothing, b.call("GET", "/v1/runs?"+query, "", blue).body, query)
		if !strings.HasPrefix(query, "limit") {
			require.Equal(t, 404, b.call("GET", "/v1/latest?"+query, "", blue).StatusCode, query)
		}
	}
	require.Equal(t, 400, b.call("GET", "/v1/runs?team=red", "", blue).StatusCode)
	page := b.call("GET", "/v1/runs?limit=1", "", red).json(t)
	require.NotEmpty(t, page["next"])
	cursor := b.call("GET", "/v1/runs?limit=1&cursor="+page["next"].(string), "", blue)
	require.JSONEq(t, nothing, cursor.body, "a cursor of theirs opens nothing")
	events := b.call("GET", "/v1/events?after=0", "", blue).json(t)
	require.Empty(t, events["events"])
	require.NotEmpty(t, b.call("GET", "/v1/events?after=0", "", red).json(t)["events"])
}

// TestForeignIdempotencyKeysAndTasks: another team's keys neither answer with its runs nor tell that they are taken.
func TestForeignIdempotencyKeysAndTasks(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	red, blue := "Authorization: Bearer "+tokenOf("submit", "red"), "Authorization: Bearer "+tokenOf("submit", "blue")
	body := `{` + address + `,"task_key":"daily","reattach":"active"}`
	theirs := b.call("POST", "/v1/runs", body, red, "Idempotency-Key: k")
	require.Equal(t, 201, theirs.StatusCode)
	ours := b.call("POST", "/v1/runs", body, blue, "Idempotency-Key: k")
	require.Equal(t, 201, ours.StatusCode, "neither the key nor the task of another team is met")
	require.NotEqual(t, theirs.json(t)["id"], ours.json(t)["id"])
	other := b.call("POST", "/v1/runs", `{`+address+`,"parameters":{"x":1}}`, blue, "Idempotency-Key: k2")
	require.Equal(t, 201, other.StatusCode)
	require.Equal(t, 201, b.call("POST", "/v1/runs", `{`+address+`}`, red, "Idempotency-Key: k2").StatusCode)
	require.Equal(t, 200, b.call("POST", "/v1/runs", body, red, "Idempotency-Key: k").StatusCode)
	require.Equal(t, 422, b.call("POST", "/v1/runs", `{`+address+`}`, red, "Idempotency-Key: k").StatusCode)
}

// TestHeadIsGetWithoutABody: for every operation that is read.
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	b.shelf.change(run.ID, func() {
		b.shelf.notebook[place(&run, 1)], b.shelf.files["a.csv"] = `{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}`, "x"
	})
	b.shelf.print(&run, 1, "text", true)
	run = b.ended(run, nes.ReasonCompleted)
	for _, op := range operations(t) {
		if op.method != "GET" || op.id == "getMetrics" {
			continue
		}
		get, head := b.call("GET", op.at(run.ID), ""), b.plain("HEAD", op.at(run.ID))
		require.Equal(t, 200, get.StatusCode, op.id)
		require.Equal(t, 200, head.StatusCode, op.id)
		require.Empty(t, head.body, op.id)
		for _, name := range []string{"Content-Type", "ETag", "Content-Disposition", "Content-Security-Policy", "Cache-Control", "X-Content-Type-Options"} {
			require.Equal(t, get.Header.Get(name), head.Header.Get(name), "%s of %s", name, op.id)
		}
	}
}

// plain sends what the contract does not know.
func (b *bundle) plain(method, path string, headers ...string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, nil)
	require.NoError(b.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return response{res, string(text)}
}

// TestOtherMethodsAreRefusedByName: every path of the contract names the methods that it takes, and takes no other.
func TestOtherMethodsAreRefusedByName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	takes := map[string][]string{}
	for _, op := range operations(t) {
		takes[op.at(run.ID)] = append(takes[op.at(run.ID)], op.method)
	}
	for path, methods := range takes {
		for _, method := range []string{"PUT", "PATCH", "POST", "DELETE", "GET", "PROPFIND"} {
			if slices.Contains(methods, method) {
				continue
			}
			res := b.plain(method, path)
			require.Equal(t, 405, res.StatusCode, "%s %s", method, path)
			allowed := strings.Split(res.Header.Get("Allow"), ", ")
			slices.Sort(allowed)
			slices.Sort(methods)
			require.Equal(t, methods, allowed, path)
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/v1", "/v1/", "/v1/run", "/v1/runs/", "/v1/runs//", "/v1/runs/x/unknown", "/v2", "/v1/../v1/nothing", "/v1/runs/" + string(run.ID) + "/files/"} {
		require.Equal(t, 404, b.call("GET", path, "").StatusCode, path)
	}
}

package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
)

// TestManyCancelAtOnce: whoever asks, a run is asked to end once, by the first.
func TestManyCancelAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			method, path := "POST", "/v1/runs/"+string(run.ID)+"/cancel"
			if i%2 == 0 {
				method, path = "DELETE", "/v1/runs/"+string(run.ID)
			}
			res := b.plain(method, path)
			if res.StatusCode != 200 {
				t.Errorf("%s: %d %s", method, res.StatusCode, res.body)
			}
		})
	}
	all.Wait()
	asked := 0
	for _, e := range b.call("GET", "/v1/runs/"+string(run.ID)+"/events", "").json(t)["events"].([]any) {
		if strings.Contains(fmt.Sprint(e.(map[string]any)["kind"]), "cancel") {
			asked++
		}
	}
	require.Equal(t, 1, asked)
	require.NotNil(t, b.run(run.ID).CancelRequestedAt)
}

// TestTheOriginalsDelete in every state that a run may be in, and of what is no run.
func TestTheOriginalsDelete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queued, fetched, executing := b.submit(), b.fetched(b.submit()), b.executing(b.submit())
	ended := b.ended(b.executing(b.submit()), nes.ReasonCompleted)
	for id, want := range map[string]string{
		string(queued.ID): "Pending", string(fetched.ID): "Pending", string(executing.ID): "Running", string(ended.ID): "NotFound", string(absent): "NotFound", "x": "NotFound", "%00": "NotFound", strings.ToUpper(string(queued.ID)): "NotFound",
	} {
		res := b.plain("DELETE", "/v1/runs/"+id)
		require.Equal(t, want == "NotFound", res.StatusCode == 404, id)
		require.Equal(t, "application/json", res.Header.Get("Content-Type"), "never a problem document")
		require.Equal(t, want, res.json(t)["status"], id)
		require.Len(t, res.json(t), 2)
		require.Equal(t, res.StatusCode == 200 || id == "%00", !strings.Contains(res.body, "NotFound") || id == "%00")
	}
	require.Equal(t, 200, b.call("GET", "/v1/runs/"+string(ended.ID), "").StatusCode, "an ended run is still found")
	for _, id := range []nes.RunID{queued.ID, fetched.ID, executing.ID} {
		require.NotNil(t, b.run(id).CancelRequestedAt)
	}
	require.Nil(t, b.run(ended.ID).CancelRequestedAt)
}

// TestPagesOfAListJoinUp: by cursor or by link, of any size, each run is met once and in order, also while new ones come.
func TestPagesOfAListJoinUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for range 11 {
		want = append([]string{string(b.submit().ID)}, want...)
	}
	for _, size := range []int{1, 2, 5, 10, 11, 12} {
		var got []string
		path, pages := fmt.Sprintf("/v1/runs?limit=%d&text=daily", size), 0
		for path != "" {
			res := b.call("GET", path, "")
			require.Equal(t, 200, res.StatusCode, res.body)
			for _, run := range res.json(t)["runs"].([]any) {
				got = append(got, run.(map[string]any)["id"].(string))
			}
			link := res.Header.Get("Link")
			require.Equal(t, link != "", res.json(t)["next"] != nil)
			path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if path != "" {
				require.True(t, strings.HasSuffix(link, `>; rel="next"`), link)
				require.Contains(t, path, "text=daily", "the question goes with the link")
			}
			if pages++; pages == 1 && size == 5 {
				want = append([]string{string(b.submit().ID)}, want...) // it is newer than every page that is left
				defer func(n int) { require.Len(t, want, n+1) }(len(want) - 1)
			}
		}
		expected := want
		if size == 5 {
			expected = want[1:]
		}
		require.Equal(t, expected, got, "by %d", size)
	}
}

// TestLatestIsTheNewestThatFits, with what is needed to keep it.
func TestLatestIsTheNewestThatFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, 404, b.call("GET", "/v1/latest", "").StatusCode)
	good := b.ended(b.executing(b.submit()), nes.ReasonCompleted)
	bad := b.ended(b.executing(b.submit()), nes.ReasonCellError)
	waiting := b.submit()
	for query, want := range map[string]nes.RunID{"": waiting.ID, "?status=Succeeded": good.ID, "?status=Failed": bad.ID, "?status=Succeeded,Failed": bad.ID, "?reason=CellError": bad.ID, "?status=Error": ""} {
		res := b.call("GET", "/v1/latest"+query, "")
		if want == "" {
			require.Equal(t, 404, res.StatusCode, query)
			continue
		}
		require.Equal(t, string(want), res.json(t)["id"], query)
		require.Equal(t, "/v1/runs/"+string(want), res.Header.Get("Content-Location"))
		require.Equal(t, b.call("GET", "/v1/runs/"+string(want), "").Header.Get("ETag"), res.Header.Get("ETag"))
	}
	for _, query := range []string{"?limit=1", "?cursor=x", "?wait=1s"} {
		require.Equal(t, 400, b.call("GET", "/v1/latest"+query, "").StatusCode, "%s is of lists", query)
	}
}

// TestRerunsDifferAsAsked: parameters are laid over the parent's, removed, or kept; and the commit is the parent's own or the newest.
func TestRerunsDifferAsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := b.call("POST", "/v1/runs", `{`+address+`,"parameters":{"a":1.10,"b":"x","c":null},"labels":{"l":"v"},"group":"g","task_key":"t","reattach":"active"}`)
	require.Equal(t, 201, res.StatusCode, res.body)
	parent := b.fetched(b.run(nes.RunID(res.json(t)["id"].(string))))
	for body, want := range map[string]string{
		"":                                 `{"a":1.10,"b":"x","c":null}`,
		`{}`:                               `{"a":1.10,"b":"x","c":null}`,
		`{"parameters":{"b":"y","d":[1]}}`: `{"a":1.10,"b":"y","c":null,"d":[1]}`,
		`{"remove":["a","nothing"]}`:       `{"b":"x","c":null}`,
		`{"remove":["a"],"parameters":{"a":"z"}}`: `{"a":"z","b":"x","c":null}`,
		`{"commit":"same"}`:                       `{"a":1.10,"b":"x","c":null}`,
		`{"commit":"newest","remove":["b","c"]}`:  `{"a":1.10}`,
	} {
		res := b.call("POST", "/v1/runs/"+string(parent.ID)+"/rerun", body)
		require.Equal(t, 201, res.StatusCode, "%s: %s", body, res.body)
		run := b.run(nes.RunID(res.json(t)["id"].(string)))
		require.NotEqual(t, parent.ID, run.ID, "it is another run, though its task is under way")
		require.Equal(t, parent.ID, run.Parent)
		require.JSONEq(t, want, marshal(t, run.Spec.Parameters), body)
		require.Equal(t, parent.Spec.Labels, run.Spec.Labels)
		require.Equal(t, "g", run.Spec.Group)
		if strings.Contains(body, "newest") {
			require.Equal(t, parent.Spec.InputURL, run.Spec.InputURL)
		} else {
			require.Contains(t, run.Spec.InputURL, source.Commit)
		}
	}
	require.JSONEq(t, `{"a":1.10,"b":"x","c":null}`, marshal(t, b.run(parent.ID).Spec.Parameters), "the parent stays as it was")
	for _, bad := range []string{`{"commit":"main"}`, `{"parameters":{"a; import os":1}}`, `{"remove":"a"}`, `{"comit":"same"}`, `[]`} {
		require.Equal(t, 400, b.call("POST", "/v1/runs/"+string(parent.ID)+"/rerun", bad).StatusCode, bad)
	}
}

// TestRequestsAreNamedInTheLog: one line for each request, with who asked for what and how it ended, and never with a credential.
func TestRequestsAreNamedInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	token := tokenOf("read", "red")
	for path, status := range map[string]int{"/v1/runs": 200, "/v1/runs/" + string(absent): 404, "/v1/runs?limit=x": 400, "/healthz": 200} {
		id := fmt.Sprintf("request-%d-%d", status, strings.Count(path, "/")+len(path))
		b.plain("GET", path, "Authorization: Bearer "+token, "X-Request-Id: "+id)
		require.Eventually(t, func() bool { return strings.Count(b.log.String(), `"request_id":"`+id+`"`) == 1 }, 5*time.Second, time.Millisecond, path)
		for line := range strings.Lines(b.log.String()) {
			if strings.Contains(line, id) {
				require.Contains(t, line, fmt.Sprintf(`"status":%d`, status))
				require.Equal(t, path != "/healthz", strings.Contains(line, `"principal":"read-red"`), line)
				require.Equal(t, path == "/healthz", strings.Contains(line, `"level":"DEBUG"`), line)
			}
		}
	}
	require.NotContains(t, b.log.String(), token)
	for _, odd := range []string{strings.Repeat("x", 65), "a b", "한글", "a\tb", `"quoted"`} {
		require.NotEqual(t, odd, b.plain("GET", "/healthz", "X-Request-Id: "+odd).Header.Get("X-Request-Id"), "what could break a log is not taken")
	}
	require.Equal(t, strings.Repeat("x", 64), b.plain("GET", "/healthz", "X-Request-Id: "+strings.Repeat("x", 64)).Header.Get("X-Request-Id"))
}

// TestReadinessAsksTheWholeServer: what else is not ready, and a server that is stopping.
func TestReadinessAsksTheWholeServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, 200, b.call("GET", "/readyz", "").StatusCode)
	b.server.Close()
	res := b.call("GET", "/readyz", "")
	require.Equal(t, 503, res.StatusCode, "no new request should come to a server that is stopping")
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	require.Equal(t, 200, b.call("GET", "/healthz", "").StatusCode)
	run := b.submit()
	require.Equal(t, http.StatusOK, b.call("GET", "/v1/runs/"+string(run.ID)+"?wait=60s", "").StatusCode, "which is answered at once")
	require.Equal(t, 429, full(t).StatusCode)
}

// full is the answer of a server whose queue has no place.
func full(t *testing.T) response {
	t.Helper()
	b := setup(t, func(o *api.Options) { o.MaxQueued = 1 })
	b.submit()
	return b.call("POST", "/v1/runs", `{`+address+`}`)
}

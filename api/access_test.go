package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/internal/access"
)

// needs is the least role for each operation that is not open to everybody: on
// objects of one's own team that somebody else made.
var needs = map[string]access.Role{
	"submitRun": access.RoleSubmit, "listRuns": access.RoleRead, "getRun": access.RoleRead,
	"deleteRun": access.RoleOperate, "cancelRun": access.RoleOperate, "rerunRun": access.RoleSubmit,
	"getNotebook": access.RoleRead, "getNotebookPage": access.RoleRead, "getLog": access.RoleRead, "getRunEvents": access.RoleRead, "getResult": access.RoleRead,
	"submitOriginalRun": access.RoleSubmit, "getOriginalRun": access.RoleRead, "deleteOriginalRun": access.RoleOperate,
	"listAttempts": access.RoleRead, "listFiles": access.RoleRead, "getFile": access.RoleRead, "getEvents": access.RoleRead,
	"getLatest": access.RoleRead, "inspectNotebook": access.RoleSubmit, "uploadBundle": access.RoleSubmit, "getMetrics": access.RoleRead,
}

// Every operation of the contract is called by every role of both teams and by nobody.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	for _, op := range b.server.Operations() {
		method, path, id := op[0], op[1], op[2]
		need, closed := needs[id]
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			b := setup(t, signedIn(t))
			run := b.executing(b.submit("Authorization: Bearer " + tokenOf("admin", "red")))
			b.shelf.notebook[place(&run, 1)], b.shelf.files["a.csv"] = `{"nbformat":4,"cells":[]}`, "x"
			b.shelf.print(&run, 1, "text", true)
			run = b.ended(run, nes.ReasonCompleted)
			if method != "GET" {
				run = b.submit("Authorization: Bearer " + tokenOf("admin", "red"))
			}
			b.submit("Authorization: Bearer " + tokenOf("admin", "blue")) // so that there is a newest run for them too
			at := strings.NewReplacer(":id", string(run.ID), "*", "a.csv").Replace(path)
			for _, caller := range callers() {
				res := b.call(method, at, bodyOf(id), append(caller.headers, typeOf(id)...)...)
				want := "2xx"
				object := strings.Contains(path, ":id")
				switch {
				case !closed:
				case caller.role == "":
					want = "401"
				case object && caller.team != "red" && caller.role != access.RoleAdmin:
					want = "404"
				case !(access.Principal{Roles: []access.Role{caller.role}}).Has(need):
					want = "403"
				}
				got := fmt.Sprint(res.StatusCode)
				if res.StatusCode < 300 {
					got = "2xx"
				}
				require.Equal(t, want, got, "%s as %s of %s: %s", id, caller.role, caller.team, res.body)
			}
		})
	}
}

type caller struct {
	role    access.Role
	team    string
	headers []string
}

func callers() (all []caller) {
	for _, team := range []string{"blue", "red"} {
		for _, role := range access.Roles() {
			all = append(all, caller{role, team, []string{"Authorization: Bearer " + tokenOf(string(role), team)}})
		}
	}
	return append(all, caller{}, caller{headers: []string{"Authorization: Bearer wrong"}}, caller{headers: []string{"Authorization: Basic eDp5"}})
}

func bodyOf(id string) string {
	switch id {
	case "submitRun", "inspectNotebook":
		return `{` + address + `}`
	case "submitOriginalRun":
		return strings.Replace(`{`+address+`}`, "input_url", "input_nb", 1)
	case "uploadBundle":
		return "bytes"
	}
	return ""
}

func typeOf(id string) []string {
	if id == "uploadBundle" {
		return []string{"Content-Type: application/zstd"}
	}
	return nil
}

func TestSubmittersCancelTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	mine := b.submit("Authorization: Bearer " + tokenOf("submit", "red"))
	theirs := b.submit("Authorization: Bearer " + tokenOf("operate", "red"))
	auth := "Authorization: Bearer " + tokenOf("submit", "red")
	require.Equal(t, 200, b.call("POST", "/v1/runs/"+string(mine.ID)+"/cancel", "", auth).StatusCode)
	require.Equal(t, 403, b.call("POST", "/v1/runs/"+string(theirs.ID)+"/cancel", "", auth).StatusCode)
	require.Equal(t, "submit-red", b.run(mine.ID).CancelRequestedBy)
}

func TestListsKeepToTheTeam(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	as := func(role, team string) string { return "Authorization: Bearer " + tokenOf(role, team) }
	b.submit(as("submit", "red"))
	b.submit(as("submit", "blue"))
	require.Len(t, b.call("GET", "/v1/runs", "", as("read", "red")).json(t)["runs"], 1)
	require.Len(t, b.call("GET", "/v1/runs", "", as("admin", "red")).json(t)["runs"], 2)
	require.Len(t, b.call("GET", "/v1/runs?team=blue", "", as("admin", "red")).json(t)["runs"], 1)
	require.Equal(t, 400, b.call("GET", "/v1/runs?team=blue", "", as("read", "red")).StatusCode)
	// The same key in another team is another run.
	for _, team := range []string{"red", "blue"} {
		require.Equal(t, 201, b.call("POST", "/v1/runs", `{`+address+`,"idempotency_key":"k"}`, as("submit", team)).StatusCode)
	}
	res := b.call("GET", "/v1/runs", "")
	require.Equal(t, 401, res.StatusCode)
	require.Len(t, res.Header.Values("WWW-Authenticate"), 2)
}

func TestOtherWebsitesGetNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		method  string
		headers []string
		status  int
	}{
		"rebound name":            {"GET", []string{"Host: evil.example"}, 403},
		"rebound name and port":   {"POST", []string{"Host: evil.example:8080"}, 403},
		"a page of another site":  {"POST", []string{"Sec-Fetch-Site: cross-site"}, 403},
		"a page on another port":  {"POST", []string{"Sec-Fetch-Site: same-site"}, 403},
		"an older browser":        {"POST", []string{"Origin: https://evil.example"}, 403},
		"a sandboxed frame":       {"POST", []string{"Origin: null"}, 403},
		"our own page":            {"POST", []string{"Sec-Fetch-Site: same-origin", "Origin: " + b.url}, 201},
		"our own page, older":     {"POST", []string{"Origin: " + b.url}, 201},
		"typed into the bar":      {"GET", []string{"Sec-Fetch-Site: none"}, 200},
		"a link on another site":  {"GET", []string{"Sec-Fetch-Site: cross-site"}, 200},
		"localhost":               {"GET", []string{"Host: localhost:1234"}, 200},
		"a name below localhost":  {"GET", []string{"Host: nes.localhost"}, 200},
		"IPv6":                    {"GET", []string{"Host: [::1]:8080"}, 200},
		"an address of a network": {"GET", []string{"Host: 10.0.0.1"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := ""
			if c.method == "POST" {
				body = `{` + address + `}`
			}
			res := b.call(c.method, "/v1/runs", body, c.headers...)
			require.Equal(t, c.status, res.StatusCode, res.body)
			require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
		})
	}
}

func TestEveryAnswerIsSecured(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	b.shelf.notebook[place(&run, 1)], b.shelf.files["보고서/a b\".html"] = `{"cells":[]}`, "<script>alert(1)</script>"
	b.shelf.print(&run, 1, "<script>", true)
	base := "/v1/runs/" + string(run.ID)
	for _, path := range []string{base, base + "/notebook", base + "/log", base + "/files/%EB%B3%B4%EA%B3%A0%EC%84%9C/a%20b%22.html", "/nothing", "/v1/nothing", "/docs", "/metrics", base + "/result"} {
		h := b.call("GET", path, "").Header
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.NotEmpty(t, h.Get("X-Request-Id"), path)
		require.NotEmpty(t, h.Get("Cache-Control"), path)
	}
	for path, name := range map[string]string{
		base + "/notebook": `filename="daily 1-` + string(run.ID) + `.ipynb"`,
		base + "/files/%EB%B3%B4%EA%B3%A0%EC%84%9C/a%20b%22.html": `attachment; filename="a b_.html"; filename*=UTF-8''a%20b%22.html`,
	} {
		res := b.call("GET", path, "")
		require.Equal(t, 200, res.StatusCode)
		require.Contains(t, res.Header.Get("Content-Disposition"), name)
		require.True(t, strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "sandbox;"))
	}
	require.Equal(t, "mine-1", b.call("GET", base, "", "X-Request-Id: mine-1").Header.Get("X-Request-Id"))
	require.NotContains(t, b.call("GET", base, "", "X-Request-Id: a b").Header.Get("X-Request-Id"), " ")
}

func TestPagesComeThroughTheGate(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t), func(o *api.Options) {
		o.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", "its own")
			_, _ = io.WriteString(w, r.URL.Path+" for "+access.From(r.Context()).Name)
		})
	})
	require.Equal(t, 401, b.call("GET", "/runs/x", "").StatusCode)
	res := b.call("GET", "/runs/x", "", "Authorization: Bearer "+tokenOf("read", "red"))
	require.Equal(t, "/runs/x for read-red", res.body)
	require.Equal(t, "its own", res.Header.Get("Content-Security-Policy"))
	require.Equal(t, 404, b.call("GET", "/v1/runs/x/y/z", "", "Authorization: Bearer "+tokenOf("read", "red")).StatusCode)
	require.Equal(t, 405, b.call("PUT", "/healthz", "", "Authorization: Bearer "+tokenOf("read", "red")).StatusCode)
}

func TestPagesThatFollowEndWithTheServer(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	b := setup(t, func(o *api.Options) {
		o.Pages = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
		})
	})
	done := make(chan int, 1)
	go func() { done <- b.open("/runs/x").StatusCode }()
	<-entered
	require.NoError(t, b.server.Shutdown(limit(t)))
	require.Equal(t, 200, <-done)
}

func TestPanicsBecomeProblems(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				_, _ = io.WriteString(w, "half an ans")
				_ = http.NewResponseController(w).Flush()
			}
			panic("secret detail")
		})
	})
	res := b.call("GET", "/boom", "")
	require.Equal(t, 500, res.StatusCode)
	require.NotContains(t, res.body, "secret")
	require.Contains(t, res.body, res.Header.Get("X-Request-Id"))
	require.Contains(t, b.log.String(), "secret detail")
	late := b.open("/late")
	_, err := io.ReadAll(late.Body)
	require.Error(t, err, "half an answer must not look whole")
}

func TestHalfANotebookIsNotTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	b.shelf.change(run.ID, func() {
		b.shelf.notebook[place(&run, 1)] = strings.Repeat("x", 1<<20)
		b.shelf.fail = nes.Errorf(nes.CodeUnavailable, "the bucket is away")
	})
	_, err := io.ReadAll(b.open("/v1/runs/" + string(run.ID) + "/notebook").Body)
	require.Error(t, err)
	require.Contains(t, b.log.String(), "the bucket is away")
}

func TestSlowSendersAreLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Idle = 20 * time.Millisecond })
	conn, err := net.Dial("tcp", b.address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 400, res.StatusCode)

	// But waiting for a change after the body was read is no slowness.
	require.Equal(t, 201, b.call("POST", "/v1/runs?validate=100ms", `{`+address+`}`).StatusCode)
}

func TestSlowReadersAreLetGo(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Idle = 50 * time.Millisecond })
	run := b.executing(b.submit())
	b.shelf.change(run.ID, func() { b.shelf.notebook[place(&run, 1)] = strings.Repeat("x", 64<<20) })
	conn, err := net.Dial("tcp", b.address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /v1/runs/"+string(run.ID)+"/notebook HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(b.log.String(), "/notebook") }, 20*time.Second, 5*time.Millisecond)
}

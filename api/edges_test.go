package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/internal/ledger"
)

// failing is a ledger whose reads of runs end in an error.
type failing struct {
	*ledger.Ledger
	err error
}

func (f failing) Run(context.Context, nes.RunID) (nes.Run, error) { return nes.Run{}, f.err }

// TestEveryCodeIsAnsweredGracefully: whatever goes wrong behind it, the API answers a problem document by the contract.
func TestEveryCodeIsAnsweredGracefully(t *testing.T) {
	t.Parallel()
	for _, row := range problem.Codes() {
		t.Run(string(row.Code), func(t *testing.T) {
			t.Parallel()
			cause := errors.New("postgres://nes:hunter2@db")
			b := setup(t, func(o *api.Options) {
				o.Ledger = failing{o.Ledger.(*ledger.Ledger), &nes.Error{Code: row.Code, Message: "in words", Reason: nes.ReasonParameterError, Problems: []nes.Problem{{Field: "f", Message: "m"}}, Err: cause}}
			})
			path := "/v1/runs/" + string(absent)
			res := b.call("GET", path, "")
			require.Equal(t, row.Status, res.StatusCode)
			require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Equal(t, fmt.Sprint(len(res.body)), res.Header.Get("Content-Length"))
			doc := res.json(t)
			require.Equal(t, string(row.Code), doc["code"])
			require.Equal(t, row.Title, doc["title"])
			require.Equal(t, row.Type, doc["type"])
			require.EqualValues(t, row.Status, doc["status"])
			require.Equal(t, path, doc["instance"])
			require.Equal(t, res.Header.Get("X-Request-Id"), doc["request_id"])
			require.NotContains(t, res.body, "hunter2")
			require.Equal(t, row.Status == 503 || row.Status == 429, res.Header.Get("Retry-After") != "", "who is busy says when to come back, nobody else")
			require.Equal(t, row.Status == 401, res.Header.Get("WWW-Authenticate") != "")
			require.Equal(t, row.Status >= 500, strings.Contains(b.log.String(), "hunter2"), "the log of a fault says why")
			switch row.Code {
			case nes.CodeInternal:
				require.NotContains(t, res.body, "in words", "of a fault nothing is told")
			case nes.CodeNotFound: // in the words of every run that is not there
				require.Contains(t, res.body, "there is no run")
			default:
				require.Equal(t, "in words", doc["detail"])
				require.Equal(t, "ParameterError", doc["reason"])
				require.Equal(t, []any{map[string]any{"field": "f", "message": "m"}}, doc["problems"])
			}
			docs := b.call("GET", "/docs", "").body
			require.Contains(t, docs, `id="`+strings.TrimPrefix(row.Type, "/docs#")+`"`, "the type leads to words about it")
		})
	}
}

// TestFaultsOfEveryCall: a ledger that is away is a fault of NES in every call, and never one of the notebook.
func TestFaultsOfEveryCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	require.NoError(t, b.ledger.Close())
	for _, op := range operations(t) {
		if op.id == "uploadBundle" || op.id == "inspectNotebook" || op.id == "getMetrics" || op.id == "getReadiness" {
			continue // which ask the ledger nothing, or leave out what it does not say
		}
		res := b.call(op.method, op.at(run.ID), bodyOf(op.id))
		if op.id == "listReasons" || op.id == "getHealth" || op.id == "getDocs" || op.id == "getSpecification" {
			require.Equal(t, 200, res.StatusCode, op.id)
			continue
		}
		require.GreaterOrEqual(t, res.StatusCode, 500, op.id)
		require.NotContains(t, res.body, "sql", "%s tells nothing of the inside", op.id)
		require.NotContains(t, res.body, `"reason"`, op.id)
	}
	require.Equal(t, 503, b.call("GET", "/readyz", "").StatusCode)
	require.Equal(t, 200, b.call("GET", "/healthz", "").StatusCode, "a process without its ledger lives")
	require.Equal(t, 200, b.call("GET", "/metrics", "").StatusCode)
}

func TestConditionalGets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	b.shelf.change(run.ID, func() { b.shelf.notebook[place(&run, 1)] = `{"cells":[]}` })
	base := "/v1/runs/" + string(run.ID)
	require.Empty(t, b.call("GET", base+"/notebook", "").Header.Get("ETag"), "a notebook that grows has no tag")
	run = b.ended(run, nes.ReasonCompleted)
	for path, cached := range map[string]string{base: "no-store", base + "/notebook": "private, no-cache"} {
		tag := b.call("GET", path, "").Header.Get("ETag")
		require.NotEmpty(t, tag, path)
		for given, status := range map[string]int{
			tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, tag + `,"x"`: 304, `W/"x" , W/` + tag: 304, "*": 304,
			`"x"`: 200, strings.Trim(tag, `"`): 200, "W/": 200, ",": 200, `"": `: 200, strings.TrimSuffix(tag, `"`) + `0"`: 200,
		} {
			res := b.call("GET", path, "", "If-None-Match: "+given)
			require.Equal(t, status, res.StatusCode, "%s of %s", given, path)
			require.Equal(t, tag, res.Header.Get("ETag"), given)
			require.Equal(t, cached, res.Header.Get("Cache-Control"))
			require.Equal(t, status == 304, res.body == "")
		}
	}
	before := b.call("GET", base, "").Header.Get("ETag")
	waiting := b.submit()
	first := b.call("GET", "/v1/runs/"+string(waiting.ID), "").Header.Get("ETag")
	b.apply(nes.Fetch(&waiting, time.Now()))
	require.NotEqual(t, first, b.call("GET", "/v1/runs/"+string(waiting.ID), "").Header.Get("ETag"), "each change is another tag")
	require.Equal(t, before, b.call("GET", base, "").Header.Get("ETag"))
}

// TestLongPollsBehindAProxy: a weakened tag must not turn waiting into asking without end.
func TestLongPollsBehindAProxy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	got := make(chan response, 1)
	go func() { got <- b.call("GET", "/v1/runs/"+string(run.ID)+"?wait=60s", "", `If-None-Match: W/"1"`) }()
	b.held("1")
	b.apply(nes.Fetch(&run, time.Now()))
	res := <-got
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, `"2"`, res.Header.Get("ETag"))
}

func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	path := "/v1/runs/" + string(run.ID)
	for query, status := range map[string]int{
		"wait=0s": 200, "wait=1ms": 200, "wait=0.001": 200, "version=0": 200, "version=99": 200, "wait=1ms&version=1": 200, "version=9007199254740992": 200,
		"wait=-1s": 400, "wait=soon": 400, "wait=1ms&wait=2ms": 400, "version=-1": 400, "version=1.5": 400, "version=9007199254740993": 400, "version=x": 400, "wiat=1s": 400,
	} {
		res := b.call("GET", path+"?"+query, "")
		require.Equal(t, status, res.StatusCode, "%s: %s", query, res.body)
	}
	require.Contains(t, b.call("GET", path+"?wiat=1s", "").body, `did you mean \"wait\"?`)
	// A caller who goes away is not waited for.
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+path+"?wait=60s", nil)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(req)
		ended <- err
	}()
	b.held("1")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	b.held("0")
	require.Eventually(t, func() bool { return strings.Contains(b.log.String(), `"status":499`) }, 10*time.Second, time.Millisecond)
	require.NotContains(t, b.log.String(), `"level":"ERROR"`, "a caller who goes is no fault")
}

// TestAHeldPlaceIsGivenBack: however a long call ends, its place is free again.
func TestAHeldPlaceIsGivenBack(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxStreams = 1 })
	run := b.executing(b.submit())
	path := "/v1/runs/" + string(run.ID)
	for range 3 {
		for _, short := range []string{"?wait=1ms", "/log", "/log?cursor=0&wait=1ms"} {
			require.Equal(t, 200, b.call("GET", path+short, "").StatusCode, short)
		}
		require.Equal(t, 200, b.call("POST", "/v1/inspect", `{`+address+`}`).StatusCode)
		require.Equal(t, 422, b.call("POST", "/v1/inspect", `{"input_url":"https://github.com/a/b/blob/main/missing.ipynb"}`).StatusCode)
		require.Equal(t, 201, b.call("POST", "/v1/bundles", "x", "Content-Type: application/zstd").StatusCode)
	}
	first := b.open(path+"/events", "Accept: text/event-stream")
	for _, long := range []string{"?wait=1s", "/log?follow", "/log?cursor=0"} {
		require.Equal(t, 503, b.call("GET", path+long, "").StatusCode, long)
	}
	require.Equal(t, 200, b.call("GET", path, "").StatusCode, "what does not wait is served")
	require.NoError(t, first.Body.Close())
	b.held("0")
}

func TestQueriesThatAreWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]string{
		"status=Done":                "status: there is no status",
		"status=succeeded":           `did you mean`,
		"reason=CelError":            `did you mean`,
		"label=x":                    "label: must be written label=<name>=<value>",
		"label==x":                   "label: must be written",
		"parameter=x":                "parameter: must be written",
		"since=yesterday":            "since: must be a time such as",
		"until=2026-13-01":           "until: must be a time",
		"limit=-1":                   "limit: must be a whole number between 0 and 500",
		"limit=501":                  "limit: must be",
		"limit=1&limit=2":            "limit: is given 2 times",
		"cursor=nonsense":            "cursor",
		"colour=red":                 "colour: is no parameter of this call",
		"stauts=Failed":              `did you mean`,
		"limit=x&since=x&status=x":   "(and 2 more)",
		"group=a&group=b":            "group: is given 2 times",
		"repository=a&repository=b":  "given 2 times",
		"status=Failed,Done,Running": `there is no status`,
	} {
		res := b.call("GET", "/v1/runs?"+query, "")
		require.Equal(t, 400, res.StatusCode, query)
		require.Contains(t, strings.ReplaceAll(fmt.Sprint(res.json(t)["detail"]), "\n", "; "), want, query)
	}
	for _, query := range []string{"status=Failed,Running&status=Error", "limit=500", "limit=0", "since=24h", "since=2026-01-31", "until=2026-01-31T08:00:00%2B09:00", "label=a=b=c", "label=a=", "text=%25_%27%22", "parameter=p=%7B%7D", "status="} {
		res := b.call("GET", "/v1/runs?"+query, "")
		require.Contains(t, []int{200, 400}, res.StatusCode, query)
		require.Equal(t, query == "status=", res.StatusCode == 400, "%s: %s", query, res.body)
	}
}

func TestEventEdges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	path := "/v1/runs/" + string(run.ID) + "/events"
	all := b.call("GET", path, "").json(t)
	events := all["events"].([]any)
	require.Len(t, events, 6)
	require.Equal(t, events[5].(map[string]any)["seq"], all["next"])
	after := func(n any) map[string]any { return b.call("GET", fmt.Sprintf("%s?after=%v", path, n), "").json(t) }
	require.Len(t, after(0)["events"], 6)
	require.Empty(t, after(all["next"])["events"])
	require.Equal(t, all["next"], after(all["next"])["next"], "nothing new: the same place")
	require.EqualValues(t, 1<<40, after(int64(1) << 40)["next"])
	for id, n := range map[string]int{"": 6, "0": 6, "-1": 6, "x": 6, "1e3": 6, "1": 5, "99999999999999999999": 6, fmt.Sprint(all["next"]): 0} {
		page := b.call("GET", path, "", "Last-Event-ID: "+id).json(t)
		require.Len(t, page["events"], n, "Last-Event-ID %q", id)
	}
	for query, status := range map[string]int{"limit=0": 200, "limit=1": 200, "limit=1000": 200, "limit=1001": 400, "after=-1": 400, "after=x": 400, "follow": 400} {
		require.Equal(t, status, b.call("GET", path+"?"+query, "").StatusCode, query)
	}
	var walked []any
	for next := any(0); ; {
		page := b.call("GET", fmt.Sprintf("%s?limit=1&after=%v", path, next), "").json(t)
		if len(page["events"].([]any)) == 0 {
			break
		}
		walked, next = append(walked, page["events"].([]any)...), page["next"]
	}
	require.Equal(t, events, walked, "one by one as all at once")
	stream := b.open(path, "Accept: text/event-stream;q=0.9, */*", "Last-Event-ID: "+fmt.Sprint(events[4].(map[string]any)["seq"]))
	head, err := bufio.NewReader(stream.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "retry: 1000\n", head)
	require.Equal(t, "no", stream.Header.Get("X-Accel-Buffering"))
}

func TestLogEdges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	path := "/v1/runs/" + string(run.ID) + "/log"
	require.Contains(t, b.call("GET", path, "").body, "was not launched yet")
	require.Contains(t, b.call("GET", path+"?attempt=1&follow", "").body, "has no attempt 1 yet")
	run = b.executing(run)
	page := b.call("GET", path+"?cursor=0", "").json(t)
	require.Equal(t, map[string]any{"attempt": 1.0, "text": "", "next": 0.0, "ended": false}, page, "an attempt that has printed nothing")
	b.shelf.print(&run, 1, "0123456789한글", false)
	require.Equal(t, "0123456789한글", b.call("GET", path, "").body)
	require.Equal(t, "89한글", b.call("GET", path+"?cursor=8&follow=false", "").json(t)["text"])
	require.Equal(t, "", b.call("GET", path+"?cursor=999&wait=1ms", "").json(t)["text"], "beyond the end")
	b.shelf.print(&run, 1, "", true)
	run = b.ended(run, nes.ReasonCellError)
	require.Equal(t, "0123456789한글", b.call("GET", path+"?follow", "").body, "to follow what has ended is to read it")
	require.Contains(t, b.call("GET", path+"?attempt=2", "").body, "has no attempt 2\"", "and no yet of what will not be")
	require.Equal(t, true, b.call("GET", path+"?cursor=16", "").json(t)["ended"])
	for query, status := range map[string]int{"follow=maybe": 400, "cursor=-1": 400, "attempt=x": 400, "attempt=0": 200, "attempt=1": 200, "tail=5": 400} {
		require.Equal(t, status, b.call("GET", path+"?"+query, "").StatusCode, query)
	}
	res := b.call("GET", path, "")
	require.Equal(t, "text/plain; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(t, "inline", res.Header.Get("Content-Disposition"))
}

func TestHostileFileNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	names := []string{"a b.csv", "보고서.html", `q"uote`, "semi;colon", "a%2fb", "new\nline", "../../etc/passwd", "a/../b", "back\\slash", "<script>", "..", "a\r\nSet-Cookie: x=y"}
	for _, name := range names {
		b.shelf.change(run.ID, func() { b.shelf.files = map[string]string{name: "content of " + name} })
		var escaped strings.Builder
		for _, c := range []byte(name) {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
		res := b.plain("GET", "/v1/runs/"+string(run.ID)+"/files/"+escaped.String())
		require.Equal(t, 200, res.StatusCode, "%q", name)
		require.Equal(t, "content of "+name, res.body)
		given := res.Header.Get("Content-Disposition")
		require.True(t, strings.HasPrefix(given, `attachment; filename="`), given)
		plain, _, _ := strings.Cut(strings.TrimPrefix(given, `attachment; filename="`), `"; filename*=UTF-8''`)
		require.NotContains(t, plain, `"`)
		require.NotContains(t, plain, "/")
		require.Empty(t, res.Header.Get("Set-Cookie"))
	}
}

// TestAddressesAreWhereTheCallerIs: links in answers lead back to the server, by the name that it has outside.
func TestAddressesAreWhereTheCallerIs(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{"": "http://localhost:4321/runs/", "https://nes.example/base/": "https://nes.example/base/runs/", "https://nes.example": "https://nes.example/runs/"} {
		b := setup(t, func(o *api.Options) { o.PublicURL = public })
		run := b.submit()
		res := b.call("GET", "/v1/runs/"+string(run.ID), "", "Host: localhost:4321")
		require.Equal(t, want+string(run.ID), res.json(t)["output_url"])
	}
}

// TestWhoAsked is what the ledger keeps of the program that submitted a run.
func TestWhoAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{[]string{"User-Agent: curl/8"}, "curl/8"},
		{[]string{"User-Agent: x", "Client-Id: airflow"}, "airflow"},
		{[]string{"User-Agent: x", "Client-Id: airflow", `Client-Context: {"dag":"d"}`}, `airflow {"dag":"d"}`},
		{[]string{"User-Agent: x", `Client-Context: {"dag":"d"}`}, `{"dag":"d"}`},
		{[]string{"User-Agent: " + strings.Repeat("u", 1024)}, strings.Repeat("u", 1024)},
		{[]string{"User-Agent: " + strings.Repeat("u", 1025)}, strings.Repeat("u", 1024)},
		{[]string{"User-Agent: " + strings.Repeat("한", 342)}, strings.Repeat("한", 341)},
	} {
		require.Equal(t, c.want, b.submit(c.headers...).Client)
	}
}

// TestABodyThatBreaksOff is refused, and never taken for a whole one.
func TestABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBody, o.MaxBundle = 400, 8 })
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"at the limit":           {"/v1/runs", `{` + address + strings.Repeat(" ", 400-len(address)-2) + `}`, 201},
		"above the limit":        {"/v1/runs", `{` + address + strings.Repeat(" ", 401-len(address)-2) + `}`, 413},
		"a bundle at the limit":  {"/v1/bundles", "12345678", 201},
		"a bundle above":         {"/v1/bundles", "123456789", 413},
		"a bundle cut in a half": {"/v1/bundles", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.status == 0 {
				r, w := io.Pipe()
				req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+c.path, r)
				require.NoError(t, err)
				req.Header.Set("Content-Type", "application/zstd")
				go func() {
					_, _ = w.Write([]byte("123"))
					_ = w.CloseWithError(errors.New("the sender is gone"))
				}()
				_, err = http.DefaultTransport.RoundTrip(req)
				require.ErrorContains(t, err, "the sender is gone")
				return
			}
			kind := "application/json"
			if c.path == "/v1/bundles" {
				kind = "application/zstd"
			}
			require.Equal(t, c.status, b.call("POST", c.path, c.body, "Content-Type: "+kind).StatusCode)
		})
	}
}

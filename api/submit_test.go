package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/gitsource"
)

type jsonText = json.RawMessage

const address = `"input_url":"https://github.com/acme/reports/blob/main/daily.ipynb"`

func TestSameKeySameRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const callers = 200
	ids, created := make(chan string, callers), make(chan int, callers)
	var wg sync.WaitGroup
	for i := range callers {
		// The same request, written in two orders.
		body := `{` + address + `,"parameters":{"a":1.50,"b":{"x":[1,2],"y":null}},"labels":{"k":"v"}}`
		if i%2 == 1 {
			body = `{"labels":{"k":"v"}, "parameters":{"b":{"y":null,"x":[1,2]},"a":1.50}, "runtime":null, ` + address + `}`
		}
		wg.Go(func() {
			req, _ := http.NewRequest("POST", b.url+"/v1/runs", strings.NewReader(body))
			req.Header.Set("Idempotency-Key", "daily/2026-01-31")
			res, err := http.DefaultClient.Do(req)
			if err == nil {
				defer res.Body.Close()
				ids <- res.Header.Get("Location")
				created <- res.StatusCode
			}
		})
	}
	wg.Wait()
	close(ids)
	close(created)
	count := map[int]int{}
	for status := range created {
		count[status]++
	}
	require.Equal(t, map[int]int{201: 1, 200: callers - 1}, count)
	var first string
	for id := range ids {
		if first == "" {
			first = id
		}
		require.Equal(t, first, id)
	}
	require.Len(t, b.call("GET", "/v1/runs", "").json(t)["runs"], 1)
	require.Len(t, b.kicks, 1, "the controller is told of the new run alone")

	res := b.call("POST", "/v1/runs", `{`+address+`,"parameters":{"a":1.5}}`, "Idempotency-Key: daily/2026-01-31")
	require.Equal(t, 422, res.StatusCode)
	require.Equal(t, "key_reused", res.json(t)["code"])
	// The header wins over the body.
	res = b.call("POST", "/v1/runs", `{`+address+`,"idempotency_key":"daily/2026-01-31"}`, "Idempotency-Key: other")
	require.Equal(t, 201, res.StatusCode)
}

func TestParametersKeepTheirForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const given = `{"big":12345678901234567890,"exact":1.10,"exp":1e+5,"none":null,"text":"따옴표 \"와\"\n줄","list":[1,"2",{"z":1,"a":2}],"yes":true}`
	res := b.call("POST", "/v1/runs", `{`+address+`,"parameters":`+given+`}`)
	require.Equal(t, 201, res.StatusCode, res.body)
	require.Contains(t, res.body, `"parameters":{"big":12345678901234567890,"exact":1.10,"exp":1e+5,"list":[1,"2",{"z":1,"a":2}],"none":null,"text":"따옴표 \"와\"\n줄","yes":true}`)
	again := b.call("GET", res.Header.Get("Location"), "")
	require.Contains(t, again.body, `"exact":1.10,"exp":1e+5`)
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := b.call("POST", "/v1/runs", `{
		"imput_url": "https://github.com/acme/reports/blob/main/daily.ipynb",
		"parameters": {"a; import os": 1},
		"timeout": "soon", "cell_timeout": [1],
		"host_network": "yes",
		"resources": {"cpu": "lots", "memori": "2Gi"},
		"retry": {"limit": 99, "on": ["Evictd", "Cancelled"]},
		"priority": 1.5,
		"labels": {"ok": "fine", "not ok": "x"},
		"output_path": "../../etc/passwd",
		"callback_url": "ftp://x",
		"secrets": {"1BAD": {"ref": ""}},
		"reattach": "activ",
		"priority": 3
	}`)
	require.Equal(t, 400, res.StatusCode)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	told := map[string]string{}
	for _, p := range res.json(t)["problems"].([]any) {
		field := p.(map[string]any)["field"].(string)
		told[field] += p.(map[string]any)["message"].(string)
	}
	for field, message := range map[string]string{
		"imput_url":               `is no field; did you mean "input_url"?`,
		"input_url":               "is required",
		"parameters.a; import os": "",
		"timeout":                 "is not a duration",
		"cell_timeout":            "is not a duration",
		"host_network":            "must be a boolean, not a string",
		"resources.cpu":           "is no quantity",
		"resources.memori":        `did you mean "memory"?`,
		"retry.limit":             "between 0 and 10",
		"retry.on[0]":             `did you mean "Evicted"?`,
		"retry.on[1]":             "cannot be retried",
		"priority":                "is given twice",
		"labels.not ok":           "is no name of a label",
		"output_path":             "must be a plain relative path",
		"callback_url":            "must be an absolute http or https address",
		"secrets.1BAD":            "is no name of an environment variable",
		"secrets.1BAD.ref":        "is required",
		"reattach":                `did you mean "active"?`,
	} {
		require.Contains(t, told, field)
		require.Contains(t, told[field], message)
		delete(told, field)
	}
	require.Empty(t, told)
	require.Empty(t, b.call("GET", "/v1/runs", "").json(t)["runs"], "nothing was recorded")
}

func TestBodiesThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxBody = 1000 })
	for name, c := range map[string]struct {
		body, contentType string
		status            int
		detail            string
	}{
		"empty":        {" ", "application/json", 400, "is empty"},
		"no JSON":      {"{\n  \"input_url\": x}", "application/json", 400, "line 2, column 16"},
		"two values":   {"{} {}", "application/json", 400, "is not JSON"},
		"a list":       {"[]", "application/json", 400, "must be an object, not a list"},
		"no UTF-8":     {"{\"input_url\": \"\xff\"}", "application/json", 400, "UTF-8"},
		"too large":    {`{"group":"` + strings.Repeat("x", 2000) + `"}`, "application/json", 413, "larger than 1000 bytes"},
		"a form":       {"input_url=x", "application/x-www-form-urlencoded", 400, "application/json"},
		"text":         {`{` + address + `}`, "text/plain", 400, "application/json"},
		"with charset": {`{` + address + `}`, "application/json; charset=utf-8", 201, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := b.call("POST", "/v1/runs", c.body, "Content-Type: "+c.contentType)
			require.Equal(t, c.status, res.StatusCode, res.body)
			require.Contains(t, res.body, c.detail)
		})
	}
}

func TestSubmissionCanWaitForItsCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ends := func(apply func(run nes.Run)) response {
		got := make(chan response, 1)
		go func() { got <- b.call("POST", "/v1/runs?validate=30s", `{`+address+`}`) }()
		<-b.kicks
		run := nes.RunID(b.call("GET", "/v1/latest", "").json(t)["id"].(string))
		apply(b.run(run))
		return <-got
	}
	res := ends(func(run nes.Run) { b.fetched(run) })
	require.Equal(t, 201, res.StatusCode)
	require.Contains(t, res.body, source.Commit)

	res = ends(func(run nes.Run) {
		run = b.apply(nes.Fetch(&run, time.Now()))
		b.apply(nes.End(&run, nes.ReasonParameterError, `parameters.alhpa: is no parameter; did you mean "alpha"?`, nil, time.Now()))
	})
	require.Equal(t, 422, res.StatusCode)
	body := res.json(t)
	require.Equal(t, "ParameterError", body["reason"])
	require.Equal(t, "unprocessable", body["code"])
	require.Contains(t, body["detail"], "alpha")
	require.NotEmpty(t, body["run"])

	got := make(chan response, 1)
	go func() {
		got <- b.call("POST", "/v1/runs?validate=30s", `{`+address+`, "parameters": {"dai": 1, "day": [2]}}`)
	}()
	<-b.kicks
	run := b.run(nes.RunID(b.call("GET", "/v1/latest", "").json(t)["id"].(string)))
	run = b.apply(nes.Fetch(&run, time.Now()))
	b.apply(nes.End(&run, nes.ReasonParameterError, "two do not fit", nil, time.Now()))
	res = <-got
	require.Equal(t, 422, res.StatusCode)
	problems, err := json.Marshal(res.json(t)["problems"])
	require.NoError(t, err)
	require.JSONEq(t, `[{"field": "parameters.dai", "message": "the notebook has no parameter \"dai\"; did you mean \"day\"?"},
		{"field": "parameters.day", "message": "[2] does not fit: the notebook declares day: str"}]`, string(problems))

	// What is not the submitter's fault is no refusal: the run is there and says so.
	res = ends(func(run nes.Run) {
		run = b.apply(nes.Fetch(&run, time.Now()))
		b.apply(nes.End(&run, nes.ReasonSourceUnavailable, "the Git server is down", nil, time.Now()))
	})
	require.Equal(t, 201, res.StatusCode)
	require.Equal(t, "Error", res.json(t)["status"])
}

func TestFullQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.MaxQueued = 2 })
	b.submit()
	run := b.submit()
	res := b.call("POST", "/v1/runs", `{`+address+`}`)
	require.Equal(t, 429, res.StatusCode)
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	b.executing(run)
	b.submit()
}

func TestListFiltersAndPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for i := range 7 {
		res := b.call("POST", "/v1/runs", fmt.Sprintf(`{%s,"parameters":{"n":%d},"labels":{"team/x":"v=%d"},"group":"g%d"}`, address, i, i%2, i%3))
		require.Equal(t, 201, res.StatusCode, res.body)
		ids = append([]string{res.json(t)["id"].(string)}, ids...)
	}
	var seen []string
	for path := "/v1/runs?limit=3&status=Pending,Running"; path != ""; {
		res := b.call("GET", path, "")
		for _, run := range res.json(t)["runs"].([]any) {
			seen = append(seen, run.(map[string]any)["id"].(string))
		}
		link := res.Header.Get("Link")
		require.Equal(t, link != "", res.json(t)["next"] != nil)
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	require.Equal(t, ids, seen)

	b.ended(b.executing(b.run(nes.RunID(ids[0]))), nes.ReasonCellError)
	for query, n := range map[string]int{
		"":                           7,
		"label=team/x=v%3D1":         3,
		"parameter=n=4":              1,
		"group=g0":                   3,
		"status=Failed":              1,
		"status=Failed&status=Error": 1,
		"reason=CellError":           1,
		"repository=github.com/acme/reports&commit=01234567": 1,
		"text=daily.ipynb":            7,
		"since=1h":                    7,
		"since=2000-01-01&until=2001": 0,
		"until=2001-01-01T00:00:00Z":  0,
		"group=nothing":               0,
	} {
		if strings.HasSuffix(query, "until=2001") {
			require.Equal(t, 7, len(b.call("GET", "/v1/runs?since=2000-01-01", "").json(t)["runs"].([]any)))
			continue
		}
		require.Len(t, b.call("GET", "/v1/runs?"+query, "").json(t)["runs"], n, query)
	}
	require.Equal(t, ids[0], b.call("GET", "/v1/latest?status=Failed", "").json(t)["id"])
	require.Equal(t, 404, b.call("GET", "/v1/latest?status=Error", "").StatusCode)

	res := b.call("GET", "/v1/runs?statu=Failed&limit=x&label=y&since=then&status=Faild&group=a&group=b", "")
	require.Equal(t, 400, res.StatusCode)
	for _, text := range []string{`did you mean \"status\"?`, `did you mean \"Failed\"?`, "whole number", "label=<name>=<value>", "a date", "given 2 times"} {
		require.Contains(t, res.body, text)
	}
}

func TestRerun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.fetched(b.run(nes.RunID(b.call("POST", "/v1/runs",
		`{`+address+`,"parameters":{"a":1,"b":2},"idempotency_key":"k","task_key":"t","reattach":"active"}`).json(t)["id"].(string))))
	path := "/v1/runs/" + string(run.ID) + "/rerun"

	same := b.run(nes.RunID(b.call("POST", path, "").json(t)["id"].(string)))
	require.Equal(t, run.ID, same.Parent)
	require.Equal(t, "git+https://github.com/acme/reports.git@"+source.Commit+"#%EB%B3%B4%EA%B3%A0%EC%84%9C/daily%201.ipynb", same.Spec.InputURL)
	require.Equal(t, run.Spec.Parameters, same.Spec.Parameters)
	require.Empty(t, same.Spec.IdempotencyKey)

	c := b.client("")
	newest, err := c.Rerun(t.Context(), run.ID, client.Rerun{Newest: true, Parameters: map[string]jsonText{"a": jsonText(`3`)}, Remove: []string{"b"}, IdempotencyKey: "again"})
	require.NoError(t, err)
	require.Equal(t, run.Spec.InputURL, newest.Spec.InputURL)
	require.Equal(t, map[string]jsonText{"a": jsonText(`3`)}, newest.Spec.Parameters)
	again, err := c.Rerun(t.Context(), run.ID, client.Rerun{Newest: true, Parameters: map[string]jsonText{"a": jsonText(`3`)}, Remove: []string{"b"}, IdempotencyKey: "again"})
	require.NoError(t, err)
	require.Equal(t, newest.ID, again.ID)

	res := b.call("POST", path, `{"commit":"oldest","parameters":{"a b":1},"comit":"x"}`)
	require.Equal(t, 400, res.StatusCode)
	require.Len(t, res.json(t)["problems"], 3)
}

// What a rerun asks for leads to the same repository, commit and notebook.
func TestPermalinksAreAddresses(t *testing.T) {
	t.Parallel()
	commit := strings.Repeat("c0ffee12", 5)
	for _, clone := range []string{"https://github.com/acme/reports.git", "http://127.0.0.1:8123/a/b.git", "ssh://git@example.com/a/b.git", "ssh://git@example.com:2222/한글/b.git", "git@example.com:a/b.git", "file:///srv/my repos/b"} {
		a, err := gitsource.Parse(nes.Source{CloneURL: clone, Commit: commit, Path: "보고서/daily #1.ipynb"}.Permalink())
		require.NoError(t, err, clone)
		require.Equal(t, commit, a.Ref)
		require.Equal(t, "보고서/daily #1.ipynb", a.Path)
		unescaped, err := url.PathUnescape(a.CloneURL)
		require.NoError(t, err)
		require.Equal(t, clone, unescaped)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.submit()
	for range 2 {
		res := b.call("POST", "/v1/runs/"+string(run.ID)+"/cancel", "")
		require.Equal(t, 200, res.StatusCode)
		require.Equal(t, "local", res.json(t)["cancel_requested_by"])
	}
	run = b.ended(b.executing(b.submit()), nes.ReasonCompleted)
	res := b.call("POST", "/v1/runs/"+string(run.ID)+"/cancel", "")
	require.Equal(t, "Succeeded", res.json(t)["status"])
	require.Nil(t, b.run(run.ID).CancelRequestedAt)
}

package api_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/api/problem"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := b.call("GET", "/docs", "")
	require.Equal(t, 200, res.StatusCode)
	require.NotContains(t, res.Header.Get("Content-Security-Policy"), "script-src")
	require.NotContains(t, res.body, "<script")
	require.NotContains(t, res.body, "ZgotmplZ")
	ids, links := map[string]bool{}, []string{}
	z := html.NewTokenizer(strings.NewReader(res.body))
	for z.Next() != html.ErrorToken {
		for _, a := range z.Token().Attr {
			switch {
			case a.Key == "id":
				require.False(t, ids[a.Val], "id %s twice", a.Val)
				ids[a.Val] = true
			case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
				links = append(links, a.Val[1:])
			case a.Key == "href" || a.Key == "src":
				require.True(t, strings.HasPrefix(a.Val, "/"), "the page needs nothing from elsewhere: %s", a.Val)
			}
		}
	}
	require.ErrorIs(t, z.Err(), io.EOF)
	for _, link := range links {
		require.True(t, ids[link], "nothing is at #%s", link)
	}
	for _, op := range b.server.Operations() {
		require.True(t, ids[op[2]], op[2])
	}
	for _, code := range problem.Codes() {
		require.True(t, ids[strings.TrimPrefix(code.Type, "/docs#")], code.Type)
	}
	require.Contains(t, res.body, "지역")
	require.Contains(t, res.body, "&#34;deep&#34;: {&#34;a&#34;: [1, 2.5, null, true]}")
}

func TestSpecificationIsServed(t *testing.T) {
	t.Parallel()
	require.Equal(t, nes.OpenAPI(), setup(t).call("GET", "/openapi.yaml", "").body)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	ready := errors.New("the bucket is away")
	b := setup(t, func(o *api.Options) { o.Ready = func(context.Context) error { return ready } })
	require.Equal(t, "1.2.3", b.call("GET", "/healthz", "").json(t)["version"])
	res := b.call("GET", "/readyz", "")
	require.Equal(t, 503, res.StatusCode)
	require.NotContains(t, res.body, "bucket")
	require.Contains(t, b.log.String(), "the bucket is away")

	b = setup(t)
	require.Equal(t, 200, b.call("GET", "/readyz", "").StatusCode)
	require.NoError(t, b.ledger.Close())
	require.Equal(t, 503, b.call("GET", "/readyz", "").StatusCode)
	res = b.call("POST", "/v1/runs", `{`+address+`}`)
	require.Contains(t, []int{500, 503}, res.StatusCode)
	require.NotContains(t, res.body, "sql")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("GET", "/metrics", "") // from here on ends are counted
	b.executing(b.submit())
	b.ended(b.executing(b.submit()), nes.ReasonCellError)
	b.call("GET", "/v1/runs/0190b6b8-0000-7000-8000-000000000000", "")
	b.call("GET", "/v1/whatever/"+strings.Repeat("x", 50), "")
	b.call("BREW", "/v1/runs", "")
	text := b.call("GET", "/metrics", "").body
	for _, line := range []string{
		`nes_runs{stage="executing",status="Running"} 1`,
		`nes_runs{stage="queued",status="Pending"} 0`,
		`nes_runs_ended_total{reason="CellError",status="Failed"} 1`,
		`nes_http_requests_total{method="POST",route="/v1/runs",status="201"} 2`,
		`nes_http_requests_total{method="GET",route="/v1/runs/:id",status="404"} 1`,
		`nes_http_requests_total{method="GET",route="none",status="404"} 1`,
		`nes_http_requests_total{method="other",route="none",status="405"} 1`,
		`nes_http_request_seconds_count{method="POST",route="/v1/runs"} 2`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "xxxx")
}

func TestReasonsAreTheTable(t *testing.T) {
	t.Parallel()
	list, err := setup(t).client("").Reasons(t.Context())
	require.NoError(t, err)
	require.Equal(t, nes.Reasons(), list)
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		api.New(api.Options{})
	}
}

func BenchmarkDocs(b *testing.B) {
	for b.Loop() {
		if _, err := api.RenderDocs(); err != nil {
			b.Fatal(err)
		}
	}
}

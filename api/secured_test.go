package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/internal/access"
)

// requireSecured holds an answer to what every answer carries.
func requireSecured(t *testing.T, h http.Header, what string) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
	} {
		require.Equal(t, want, h.Get(name), "%s of %s", name, what)
	}
	require.Empty(t, h.Values("Access-Control-Allow-Origin"), what)
	require.Empty(t, h.Values("Set-Cookie"), what)
	require.Empty(t, h.Values("Server"), what)
}

// TestErrorsAreSecuredToo: every operation, refused in every way that there is.
func TestErrorsAreSecuredToo(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	seen := map[int]int{}
	for _, op := range operations(t) {
		for _, headers := range [][]string{
			nil, {"Authorization: Bearer wrong"}, {"Authorization: Bearer " + tokenOf("read", "blue")}, {"Authorization: Bearer " + tokenOf("admin", "red"), "Origin: http://evil.example"},
			{"Authorization: Bearer " + tokenOf("admin", "red")},
		} {
			for _, method := range []string{op.method, "PATCH", "OPTIONS"} {
				res := b.plain(method, op.at(absent)+"?no_such=1", headers...)
				if res.StatusCode >= 400 {
					seen[res.StatusCode]++
					requireSecured(t, res.Header, fmt.Sprint(method, " ", op.path, " ", headers, " ", res.StatusCode))
				}
			}
		}
	}
	for _, status := range []int{400, 401, 403, 404, 405} {
		require.NotZero(t, seen[status], "no answer was %d: %v", status, seen)
	}
	long := b.plain("GET", "/v1/runs?limit="+strings.Repeat("x", 10_000), "Authorization: Bearer "+tokenOf("admin", "red"))
	require.Equal(t, 400, long.StatusCode)
	requireSecured(t, long.Header, "a wrong query")

	list, err := access.NewTokens([]access.Token{{Name: "a", Team: "t", Token: tokenOf("admin", "red")}})
	require.NoError(t, err)
	start := time.Now()
	slow := setup(t, func(o *api.Options) {
		o.Gate = access.NewGate(access.GateOptions{Tokens: list, Limiter: access.NewLimiter(1, func() time.Time { return start })})
	})
	var last response
	for range 11 {
		last = slow.plain("GET", "/v1/runs", "Authorization: Bearer "+tokenOf("admin", "red"))
	}
	require.Equal(t, 429, last.StatusCode)
	requireSecured(t, last.Header, "too fast")
}

// TestNobodyGetsInByAnotherSpelling: of no address and by no method is more shown to whoever has not signed in than what is open to everybody.
func TestNobodyGetsInByAnotherSpelling(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t), func(o *api.Options) {
		o.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a page")) })
	})
	run := b.submit("Authorization: Bearer " + tokenOf("admin", "red"))
	id := string(run.ID)
	for _, path := range []string{
		"/v1/runs", "/v1/runs/", "//v1/runs", "/v1//runs", "/v1/./runs", "/v1/../v1/runs", "/%761/runs", "/v1%2Fruns", "/v1%2fruns/" + id, "/v1/runs/%2e%2e/runs",
		"/v1/runs/" + id, "/v1/runs/" + id + "/", "/v1/runs/" + id + "%2Fnotebook", "/v1/runs/" + id + "/files/..%2f..%2fnotebook", "/v1/runs/" + id + ";a=b",
		"/healthz/../v1/runs", "/healthz%2f..%2fv1/runs", "/docs/../v1/runs/" + id, "/openapi.yaml/", "/V1/runs", "/v1/runs?_method=GET", "/", "/runs/" + id, "/anything",
		"/healthz/", "/docs/", "/metrics", "/metrics/", "/v2/runs/" + id, "/v1/events",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "TRACE"} {
			res := b.plain(method, path, "X-Http-Method-Override: GET", "X-Original-Url: /healthz", "X-Forwarded-For: 127.0.0.1")
			require.Contains(t, []int{401, 403, 404, 405}, res.StatusCode, "%s %s: %s", method, path, res.body)
			require.NotContains(t, res.body, "a page", path)
			require.NotContains(t, res.body, "acme", path)
		}
	}
}

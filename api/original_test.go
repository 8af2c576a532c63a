package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// raw sends the bytes of a request as the original service's clients put them on
// the wire and reads the answer.
func (b *bundle) raw(request string) response {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	require.NoError(b.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(b.t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(b.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	if !strings.Contains(request, "..%2F") { // what no client would build from the contract
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(request, "\n", "\r\n"))))
		require.NoError(b.t, err)
		sent, err := io.ReadAll(req.Body)
		require.NoError(b.t, err)
		require.NoError(b.t, check(req, sent, res, body))
	}
	return response{res, string(body)}
}

// request frames a request as python-requests does.
func (b *bundle) request(method, path, headers, body string) string {
	length := ""
	if body != "" {
		length = fmt.Sprintf("Content-Length: %d\nContent-Type: application/json\n", len(body))
	} else if method == "DELETE" {
		length = "Content-Length: 0\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\nHost: %s\nUser-Agent: python-requests/2.32.3\nAccept-Encoding: gzip, deflate\nAccept: */*\nConnection: keep-alive\n%s%s\n%s",
		method, path, b.address, headers, length, body)
}

func TestTheOriginalsCommand(t *testing.T) {
	t.Parallel()
	b := setup(t)

	res := b.raw(b.request("POST", "/v1/runs", "", `{"input_url": "https://github.com/acme/reports/blob/main/daily.ipynb", "parameters": {"n": "7", "day": "2026-01-31"}}`))
	require.Equal(t, 201, res.StatusCode, res.body)
	id, output := res.json(t)["id"].(string), res.json(t)["output_url"].(string)
	require.Equal(t, b.url+"/runs/"+id, output)
	require.JSONEq(t, `"7"`, string(b.run(nes.RunID(id)).Spec.Parameters["n"]))

	res = b.raw(b.request("GET", "/v1/runs/"+id, "", ""))
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "Pending", res.json(t)["status"])

	run := b.executing(b.run(nes.RunID(id)))
	require.Equal(t, "Running", b.raw(b.request("GET", "/v1/runs/"+id, "", "")).json(t)["status"])
	b.ended(run, nes.ReasonCompleted)
	require.Equal(t, "Succeeded", b.raw(b.request("GET", "/v1/runs/"+id, "", "")).json(t)["status"])

	// Without parameters the command leaves them out.
	require.Equal(t, 201, b.raw(b.request("POST", "/v1/runs", "", `{"input_url": "https://github.com/acme/reports/blob/main/daily.ipynb"}`)).StatusCode)
}

func TestTheOriginalsOperator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const headers = "Client-Id: nes_operator\nClient-Context: {\"airflow\": \"prod\", \"dag_id\": \"daily\", \"task_id\": \"nb\", \"owner\": \"kim\"}\n"

	// All five keys always, the unset ones as null.
	res := b.raw(b.request("POST", "/v1/runs", headers,
		`{"input_url": "https://github.com/acme/reports/blob/main/daily.ipynb", "parameters": null, "runtime": null, "profile": null, "host_network": null}`))
	require.Equal(t, 201, res.StatusCode, res.body)
	run := b.run(nes.RunID(res.json(t)["id"].(string)))
	require.Equal(t, `nes_operator {"airflow": "prod", "dag_id": "daily", "task_id": "nb", "owner": "kim"}`, run.Client)
	require.False(t, run.Spec.HostNetwork)
	require.Nil(t, run.Spec.Parameters)

	require.Equal(t, "Pending", b.raw(b.request("GET", "/v1/runs/"+string(run.ID), headers, "")).json(t)["status"])

	// Killed: it deletes again and again, until 404 (older ones) and "NotFound" (newer ones).
	run = b.executing(run)
	for range 2 {
		res = b.raw(b.request("DELETE", "/v1/runs/"+string(run.ID), "", ""))
		require.Equal(t, 200, res.StatusCode, res.body)
		require.Equal(t, map[string]any{"id": string(run.ID), "status": "Running"}, res.json(t))
	}
	require.NotNil(t, b.run(run.ID).CancelRequestedAt)
	run = b.run(run.ID)
	b.ended(run, nes.ReasonCancelled)
	for _, id := range []string{string(run.ID), "None", "0190b6b8-0000-7000-8000-000000000000", "..%2F..%2Fx"} {
		res = b.raw(b.request("DELETE", "/v1/runs/"+id, "", ""))
		require.Equal(t, 404, res.StatusCode, id)
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.Equal(t, "NotFound", res.json(t)["status"])
	}
	// What was deleted and has ended is still there to be read.
	require.Equal(t, "Failed", b.raw(b.request("GET", "/v1/runs/"+string(run.ID), headers, "")).json(t)["status"])
}

func TestTheOriginalsClientsSignInByNetrc(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	require.Equal(t, 401, b.raw(b.request("GET", "/v1/runs", "", "")).StatusCode)
	req, err := http.NewRequest("POST", b.url+"/v1/runs", strings.NewReader(`{"input_url": "https://github.com/a/b/blob/main/c.ipynb"}`))
	require.NoError(t, err)
	req.SetBasicAuth("whoever", tokenOf("submit", "red"))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 201, res.StatusCode)
}

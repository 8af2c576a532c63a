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
	"github.com/nes-run/nes/api"
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

// originalRuntime is the runtime of a request of the second contract, as its operator writes it.
const originalRuntime = `{"name": "CPU", "image": "team/python", "tag": "3.12", "spec": "X_LARGE_SPOT"}`

func TestTheOriginalsSecondContract(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const headers = "Client-Id: nes_operator\nClient-Context: {\"airflow_name\": null, \"airflow_dag_id\": \"daily\"}\nX-Gitlab-Token: glpat-very-secret\n"

	res := b.raw(b.request("POST", "/v2/runs", headers,
		`{"runtime": `+originalRuntime+`, "input_nb": "https://github.com/acme/reports/blob/main/daily.ipynb", "parameters": {"\uc9c0\uc5ed": "\uc11c\uc6b8"}}`))
	require.Equal(t, 201, res.StatusCode, res.body)
	run := b.run(nes.RunID(res.json(t)["id"].(string)))
	require.Equal(t, b.url+"/runs/"+string(run.ID), res.json(t)["output_url"])
	require.Equal(t, "https://github.com/acme/reports/blob/main/daily.ipynb", run.Spec.InputURL)
	require.Equal(t, "python-3.12", run.Spec.Runtime)
	require.Equal(t, &nes.Resources{Size: "cpu-x-large-spot"}, run.Spec.Resources)
	require.JSONEq(t, `"서울"`, string(run.Spec.Parameters["지역"]))
	require.NotContains(t, b.log.String(), "glpat-very-secret")
	require.NotContains(t, res.body, "glpat-very-secret")

	require.Equal(t, "Pending", b.raw(b.request("GET", "/v2/runs/"+string(run.ID), headers, "")).json(t)["status"])
	run = b.executing(run)
	require.Equal(t, "Running", b.raw(b.request("DELETE", "/v2/runs/"+string(run.ID), "", "")).json(t)["status"])
	b.ended(b.run(run.ID), nes.ReasonCancelled)
	res = b.raw(b.request("DELETE", "/v2/runs/"+string(run.ID), "", ""))
	require.Equal(t, 404, res.StatusCode)
	require.Equal(t, map[string]any{"id": string(run.ID), "status": "NotFound"}, res.json(t))
	require.Equal(t, "Failed", b.raw(b.request("GET", "/v2/runs/"+string(run.ID), headers, "")).json(t)["status"])
	require.Equal(t, 404, b.raw(b.request("GET", "/v2/nothing", "", "")).StatusCode)
}

func TestTheSecondContractInTheServersWords(t *testing.T) {
	t.Parallel()
	large := nes.Resources{CPU: "4", Memory: "16Gi"}
	b := setup(t, func(o *api.Options) {
		o.Original = api.Original{Runtimes: map[string]string{"team/python:3.12": "reports"}, Sizes: map[string]nes.Resources{"CPU/LARGE": large, "CPU/SMALL": {}}}
	})
	for request, want := range map[string]nes.Spec{
		`{"runtime": {"name": "CPU", "image": "team/python", "tag": "3.12", "spec": "LARGE"}, "input_nb": "gs://dags/2026-01-31/x.ipynb", "parameters": null}`: {Runtime: "reports", Resources: &large},
		`{"runtime": {"name": "CPU", "image": "r", "tag": "4.4", "spec": "SMALL"}, "input_nb": "gs://dags/2026-01-31/x.ipynb"}`:                                {Runtime: "r-4.4"},
		`{"runtime": null, "input_nb": "gs://dags/2026-01-31/x.ipynb", "parameters": {}}`:                                                                      {},
	} {
		res := b.call("POST", "/v2/runs", request)
		require.Equal(t, 201, res.StatusCode, res.body)
		spec := b.run(nes.RunID(res.json(t)["id"].(string))).Spec
		require.Equal(t, "gs://dags/2026-01-31/x.ipynb", spec.InputURL)
		require.Equal(t, want.Runtime, spec.Runtime, request)
		require.Equal(t, want.Resources, spec.Resources, request)
	}
}

func TestTheSecondContractNamesFieldsAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Refuse = func(spec *nes.Spec) []nes.Problem {
			return []nes.Problem{{Field: "runtime", Message: "is not offered"}, {Field: "resources.size", Message: "is not offered"}}
		}
	})
	res := b.call("POST", "/v2/runs", `{"runtime": `+originalRuntime+`, "input_nb": "ftp://x/y.ipynb", "parameters": {"a b": 1}, "input_url": "x"}`)
	require.Equal(t, 400, res.StatusCode, res.body)
	for _, field := range []string{"input_nb", "runtime.image", "runtime.spec", "parameters.a b", "input_url"} {
		require.Contains(t, res.body, `"field":"`+field+`"`)
	}
	require.Equal(t, 400, b.call("POST", "/v2/runs", `{}`).StatusCode)
	signed := setup(t, signedIn(t))
	require.Equal(t, 401, signed.call("POST", "/v2/runs", `{}`).StatusCode)
	require.Equal(t, 403, signed.call("POST", "/v2/runs", `{}`, "Authorization: Bearer "+tokenOf("read", "red")).StatusCode)
}

// The same submission by the second contract is one run under one key.
func TestTheSecondContractTakesAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"runtime": ` + originalRuntime + `, "input_nb": "https://github.com/acme/reports/blob/main/daily.ipynb"}`
	first := b.call("POST", "/v2/runs", body, "Idempotency-Key: k")
	again := b.call("POST", "/v2/runs", body, "Idempotency-Key: k")
	require.Equal(t, 201, first.StatusCode)
	require.Equal(t, 200, again.StatusCode)
	require.Equal(t, first.json(t)["id"], again.json(t)["id"])
}

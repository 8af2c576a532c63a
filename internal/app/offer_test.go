package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
)

// post submits a body and returns the status, the run's id, and the problems by field.
func post(t *testing.T, url, body string) (status int, id string, problems map[string]string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var answer struct {
		ID       string `json:"id"`
		Problems []struct{ Field, Message string }
	}
	require.NoError(t, json.Unmarshal(raw, &answer), string(raw))
	problems = map[string]string{}
	for _, p := range answer.Problems {
		require.NotContains(t, problems, p.Field, "a field is named twice")
		problems[p.Field] = p.Message
	}
	return res.StatusCode, answer.ID, problems
}

// offering is a server that executes nothing, with two runtimes and a profile.
func offering(t *testing.T) *app.App {
	return start(t, app.Options{Passive: true, Config: configure(t, func(c *config.Config) {
		c.Site.Runtimes = []config.Runtime{{Name: "python-3.12", Python: "/usr/bin/python3"}, {Name: "r-4.4", Python: "/opt/r"}}
		c.Site.Profiles = []config.Profile{{Name: "nightly"}}
	})})
}

const someNotebook = `"input_url":"https://git.invalid/a/b/blob/main/x.ipynb"`

func TestWhatIsNotDoneIsRefused(t *testing.T) {
	t.Parallel()
	a := offering(t)
	status, _, told := post(t, a.URL()+"/v1/runs", `{`+someNotebook+`, "priority": 999,
		"runtime": "python-3.21", "profile": "gold", "host_network": true,
		"resources": {"cpu": "2", "memory": "lots", "disk": "1Gi", "gpu": 1},
		"secrets": {"LD_PRELOAD": {"ref": "warehouse"}},
		"retry": {"limit": 1, "memory_factor": 1.5}, "callback_url": "https://hooks.example.com/x"}`)
	require.Equal(t, http.StatusBadRequest, status)
	want := map[string]string{
		"priority":            "between",
		"runtime":             `there is python-3.12, r-4.4; did you mean "python-3.12"?`,
		"profile":             `there is no profile "gold"; there is nightly`,
		"host_network":        "use its network as it is",
		"resources.cpu":       "cannot be held here",
		"resources.memory":    "is no quantity",
		"resources.disk":      "cannot be held here",
		"resources.gpu":       "cannot be held here",
		"secrets.LD_PRELOAD":  "programs start by",
		"retry.memory_factor": "none to multiply",
		"callback_url":        "GET /v1/runs/{id}?wait=25s",
	}
	require.Len(t, told, len(want), "%v", told)
	for field, message := range want {
		require.Contains(t, told[field], message, field)
	}
	status, body := get(t, a.URL()+"/v1/runs", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"runs":[]}`, body, "nothing was taken")
}

// TestSecretsAreThoseOfTheProfile: the default profile's where none is named, and never those of another one.
func TestSecretsAreThoseOfTheProfile(t *testing.T) {
	t.Parallel()
	a := start(t, app.Options{Passive: true, Config: configure(t, func(c *config.Config) {
		c.Site.Profiles = []config.Profile{
			{Name: "default", Secrets: map[string]allowance.Secret{"mail": {Env: "MAIL"}}},
			{Name: "nightly", Secrets: map[string]allowance.Secret{
				"warehouse": {File: "/run/warehouse"}, "licence": {Kubernetes: &allowance.SecretKey{Secret: "a", Key: "b"}},
			}},
			{Name: "bare"},
		}
	})})
	for body, want := range map[string]string{
		`"secrets":{"A":{"ref":"mail"}}`:                            "",
		`"profile":"nightly","secrets":{"A":{"ref":"warehouse"}}`:   "",
		`"secrets":{"A":{"ref":"warehouse"}}`:                       `there is no secret "warehouse"; this profile allows mail`,
		`"profile":"nightly","secrets":{"A":{"ref":"warehose"}}`:    `this profile allows licence, warehouse; did you mean "warehouse"?`,
		`"profile":"nightly","secrets":{"A":{"ref":"licence"}}`:     "processes of the server's machine",
		`"profile":"bare","secrets":{"A":{"ref":"mail"}}`:           "this profile allows none",
		`"profile":"default","secrets":{"A":{"ref":"mail"}}`:        "",
		`"profile":"nightly","secrets":{"A_1":{"ref":"warehouse"}}`: "",
	} {
		status, _, told := post(t, a.URL()+"/v1/runs", `{`+someNotebook+`,`+body+`}`)
		if want == "" {
			require.Equal(t, http.StatusCreated, status, "%s: %v", body, told)
			continue
		}
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, told["secrets.A.ref"], want, body)
	}
}

// TestParametersThatLookLikeCredentials are refused, and the answer does not repeat them, unless the administrator says otherwise.
func TestParametersThatLookLikeCredentials(t *testing.T) {
	t.Parallel()
	const body = `{` + someNotebook + `,"parameters":{"db_password":"hunter2","max_tokens":"5","key":"AKIAIOSFODNN7EXAMPLE"}}`
	status, _, told := post(t, offering(t).URL()+"/v1/runs", body)
	require.Equal(t, http.StatusBadRequest, status)
	require.Len(t, told, 2)
	require.Contains(t, told["parameters.db_password"], "secrets: {VARIABLE: {ref: ...}}")
	require.Contains(t, told["parameters.key"], "an AWS access key")
	require.NotContains(t, told["parameters.db_password"]+told["parameters.key"], "hunter2")
	allowing := start(t, app.Options{Passive: true, Config: configure(t, func(c *config.Config) { c.Site.CredentialParameters = config.AllowCredentials })})
	status, _, told = post(t, allowing.URL()+"/v1/runs", body)
	require.Equal(t, http.StatusCreated, status, told)
}

func TestWhatAsksForNothingIsTaken(t *testing.T) {
	t.Parallel()
	a := offering(t)
	for name, body := range map[string]string{
		"nothing": ``,
		"nulls": `, "runtime": null, "profile": null, "host_network": null, "resources": null, "secrets": null,
			"retry": null, "callback_url": null, "output_path": null, "lease": null, "not_ready": null, "priority": null`,
		"empty":           `, "runtime": "", "profile": "", "host_network": false, "resources": {}, "secrets": {}, "retry": {}, "callback_url": ""`,
		"inner nulls":     `, "resources": {"cpu": null, "memory": "", "gpu": 0, "size": null}, "retry": {"memory_factor": null}`,
		"a factor of one": `, "retry": {"limit": 1, "memory_factor": 1}`,
		"known names":     `, "runtime": "r-4.4", "profile": "nightly"`,
		"what is done": `, "lease": "1m", "priority": 3, "not_ready": {"every": "1m", "until": "1h"}, "output_path": "team/daily.ipynb",
			"retry": {"limit": 2, "on": ["NodeLost"]}`,
	} {
		status, id, told := post(t, a.URL()+"/v1/runs", `{`+someNotebook+body+`}`)
		require.Equal(t, http.StatusCreated, status, "%s: %v", name, told)
		require.NotEmpty(t, id, name)
	}
}

// TestRerunsAreHeldToTheSame: the run was taken by a server that offered more.
func TestRerunsAreHeldToTheSame(t *testing.T) {
	t.Parallel()
	c := configure(t, func(c *config.Config) { c.Site.Runtimes = []config.Runtime{{Name: "old", Python: "/opt/old"}} })
	a := start(t, app.Options{Config: c, Passive: true})
	status, id, _ := post(t, a.URL()+"/v1/runs", `{`+someNotebook+`,"runtime":"old"}`)
	require.Equal(t, http.StatusCreated, status)
	a.Stop()
	c.Site.Runtimes = nil
	a = start(t, app.Options{Config: c, Passive: true})
	status, _, told := post(t, a.URL()+"/v1/runs/"+id+"/rerun", `{"commit":"newest"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, told["runtime"], `there is no runtime "old": this server offers none by name`)
}

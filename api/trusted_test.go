package api_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/internal/access"
)

// trusting is a gate that lets loopback in as one principal with a profile of its own.
func trusting(o *api.Options) {
	o.Gate = access.NewGate(access.GateOptions{Trusted: &access.Trusted{
		Principal: access.Principal{Name: "airflow", Team: "batch", Roles: []access.Role{access.RoleSubmit}, Profile: "nightly"},
		Networks:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}})
}

// TestRunsOfTheTrusted: they belong to the one principal, and their profile is not theirs to choose.
func TestRunsOfTheTrusted(t *testing.T) {
	t.Parallel()
	var judged []string
	b := setup(t, trusting, func(o *api.Options) {
		o.Refuse = func(spec *nes.Spec) []nes.Problem {
			judged = append(judged, spec.Profile)
			return nil
		}
	})
	run := b.submit()
	require.Equal(t, []string{"airflow", "batch", "nightly"}, []string{run.Owner, run.Team, run.Spec.Profile})
	require.Equal(t, []string{"nightly"}, judged, "what is asked for is held against the profile that it gets")
	res := b.call("POST", "/v1/runs", `{`+address+`,"profile":"large"}`)
	require.Equal(t, 400, res.StatusCode, res.body)
	require.Contains(t, res.body, `{"field":"profile","message":"must be \"nightly\" for airflow, or left out"}`)
	require.Equal(t, 201, b.call("POST", "/v1/runs", `{`+address+`,"profile":"nightly"}`).StatusCode)
	again := b.call("POST", "/v1/runs/"+string(run.ID)+"/rerun", "")
	require.Equal(t, 201, again.StatusCode, again.body)
	require.Equal(t, "nightly", b.run(nes.RunID(again.json(t)["id"].(string))).Spec.Profile)
	old := b.call("POST", "/v2/runs", `{"input_nb": "https://github.com/acme/reports/blob/main/daily.ipynb"}`)
	require.Equal(t, 201, old.StatusCode, old.body)
	require.Equal(t, "nightly", b.run(nes.RunID(old.json(t)["id"].(string))).Spec.Profile, "also by the second contract")
	require.Equal(t, 401, b.call("GET", "/v1/runs", "", "X-Forwarded-For: 203.0.113.9").StatusCode)
	require.Equal(t, 403, b.call("GET", "/v1/runs", "", "Origin: http://evil.example", "Host: evil.example").StatusCode)
}

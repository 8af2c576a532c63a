package api_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/internal/access"
)

// audits are the log's lines about who did what.
func (b *bundle) audits() (all []map[string]any) {
	b.t.Helper()
	for line := range strings.Lines(b.log.String()) {
		var said map[string]any
		require.NoError(b.t, json.Unmarshal([]byte(line), &said))
		if said["msg"] == "audit" {
			all = append(all, said)
		}
	}
	return all
}

func TestWhoDidWhatToWhichRun(t *testing.T) {
	t.Parallel()
	b := setup(t, signedIn(t))
	as := func(role, team string) string { return "Authorization: Bearer " + tokenOf(role, team) }
	run := b.submit(as("submit", "red"))
	again := nes.RunID(b.call("POST", "/v1/runs/"+string(run.ID)+"/rerun", "", as("operate", "red"), "X-Request-Id: mine").json(t)["id"].(string))
	require.Equal(t, 200, b.call("POST", "/v1/runs/"+string(run.ID)+"/cancel", "", as("operate", "red")).StatusCode)
	require.Equal(t, 200, b.call("DELETE", "/v1/runs/"+string(again), "", as("admin", "blue")).StatusCode)
	require.Equal(t, 404, b.call("DELETE", "/v1/runs/"+string(again), "", as("operate", "blue")).StatusCode)
	require.Equal(t, 401, b.call("GET", "/v1/runs", "", "Authorization: Bearer a-guess-at-somebodys-token").StatusCode)
	require.Equal(t, 401, b.call("GET", "/v1/runs", "").StatusCode)
	var did []string
	for _, a := range b.audits() {
		did = append(did, fmt.Sprint(a["action"], " ", a["run"], " ", a["principal"], " ", a["team"]))
		require.NotEmpty(t, a["remote"])
		require.NotEmpty(t, a["request_id"])
	}
	require.Equal(t, []string{
		"submit " + string(run.ID) + " submit-red red", "rerun " + string(again) + " operate-red red",
		"cancel " + string(run.ID) + " operate-red red", "cancel " + string(again) + " admin-blue blue", "sign_in_refused <nil> <nil> <nil>",
	}, did, "what was refused by its object or came without a credential is in the log of requests alone")
	require.Equal(t, "mine", b.audits()[1]["request_id"])
	require.NotContains(t, b.log.String(), "a-guess")
	require.NotContains(t, b.log.String(), tokenOf("submit", "red"))

	var actors []string
	for _, id := range []nes.RunID{run.ID, again} {
		events, err := b.ledger.Events(t.Context(), 0, id, 0)
		require.NoError(t, err)
		for _, e := range events {
			actors = append(actors, e.Kind+" "+e.Actor)
		}
	}
	require.Equal(t, []string{"submitted submit-red", "cancel_requested operate-red", "submitted operate-red", "cancel_requested admin-blue"}, actors)
}

func TestWhoAsksTooFastIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	start := time.Now()
	list, err := access.NewTokens([]access.Token{{Name: "a", Team: "t", Token: tokenOf("admin", "red")}})
	require.NoError(t, err)
	b := setup(t, func(o *api.Options) {
		o.Gate = access.NewGate(access.GateOptions{Tokens: list, Limiter: access.NewLimiter(1, func() time.Time { return start })})
	})
	auth := "Authorization: Bearer " + tokenOf("admin", "red")
	for range 10 {
		require.Equal(t, 200, b.call("GET", "/v1/runs", "", auth).StatusCode)
	}
	res := b.call("GET", "/v1/runs", "", auth)
	require.Equal(t, 429, res.StatusCode)
	require.Contains(t, res.body, `"code":"busy"`)
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, 1, seconds)
	require.Equal(t, 200, b.call("GET", "/healthz", "").StatusCode, "what is open to everybody stays so")
}

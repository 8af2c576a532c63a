package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

const token = "correct-horse-battery-staple"

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func known(t *testing.T) *access.Tokens {
	t.Helper()
	tokens, err := access.NewTokens([]access.Token{
		{Name: "plain", Team: "red", Token: token},
		{Name: "hashed", Team: "blue", Token: digest("another-token-entirely"), Roles: []access.Role{access.RoleRead}},
	})
	require.NoError(t, err)
	return tokens
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	tokens := known(t)
	for name, c := range map[string]struct {
		header string
		want   string // name of the principal
	}{
		"bearer":             {"Bearer " + token, "plain"},
		"any case":           {"bearer " + token, "plain"},
		"given by its hash":  {"Bearer another-token-entirely", "hashed"},
		"the hash itself":    {"Bearer " + digest("another-token-entirely"), ""},
		"basic":              {basic("whoever", token), "plain"},
		"basic, as the name": {basic(token, ""), ""},
		"wrong":              {"Bearer wrong", ""},
		"a prefix":           {"Bearer " + token[:20], ""},
		"empty":              {"Bearer ", ""},
		"none":               {"", ""},
		"another scheme":     {"Digest " + token, ""},
		"broken basic":       {"Basic %%%", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			p, err := tokens.Authenticate(r)
			require.Equal(t, c.want, p.Name)
			if c.want == "" {
				require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(err))
				require.NotContains(t, err.Error(), token)
			}
		})
	}
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestNobodySignsInWhereNoTokenIs(t *testing.T) {
	t.Parallel()
	for _, tokens := range []*access.Tokens{nil, {}} {
		p, err := tokens.Authenticate(httptest.NewRequest("GET", "/", nil))
		require.NoError(t, err)
		require.Equal(t, access.Local(), p)
		require.True(t, tokens.Empty())
	}
}

func TestWrongTokensAreAllNamed(t *testing.T) {
	t.Parallel()
	tokens, err := access.NewTokens([]access.Token{
		{Token: "short"},
		{Name: "a", Team: "t", Token: "sha256:abc", Roles: []access.Role{"owner"}},
		{Name: "b", Team: "t", Token: token},
		{Name: "c", Team: "t", Token: digest(token)},
	})
	var e *nes.Error
	require.ErrorAs(t, err, &e)
	var fields []string
	for _, p := range e.Problems {
		fields = append(fields, p.Field)
		require.NotContains(t, p.Message, "short\"")
	}
	require.Equal(t, []string{"tokens[0].name", "tokens[0].team", "tokens[0].token", "tokens[1].roles", "tokens[1].token", "tokens[3].token"}, fields)
	require.False(t, tokens.Empty())
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	run := &nes.Run{ID: "r", Team: "red", Owner: "kim"}
	for _, c := range []struct {
		name, team string
		role       access.Role
		action     access.Action
		run        *nes.Run
		want       nes.Code
	}{
		{"kim", "red", access.RoleRead, access.ActionRead, run, ""},
		{"kim", "red", access.RoleRead, access.ActionCancel, run, nes.CodeForbidden},
		{"kim", "red", access.RoleSubmit, access.ActionCancel, run, ""},
		{"lee", "red", access.RoleSubmit, access.ActionCancel, run, nes.CodeForbidden},
		{"lee", "red", access.RoleOperate, access.ActionCancel, run, ""},
		{"lee", "red", access.RoleSubmit, access.ActionRerun, run, ""},
		{"kim", "blue", access.RoleOperate, access.ActionRead, run, nes.CodeNotFound},
		{"kim", "blue", access.RoleOperate, access.ActionCancel, run, nes.CodeNotFound},
		{"boss", "blue", access.RoleAdmin, access.ActionCancel, run, ""},
		{"lee", "red", access.RoleRead, access.ActionSubmit, nil, nes.CodeForbidden},
		{"lee", "red", access.RoleSubmit, access.ActionSubmit, nil, ""},
		{"lee", "red", access.RoleOperate, "burn it down", run, nes.CodeForbidden},
		{"lee", "red", "invented", access.ActionRead, run, nes.CodeNotFound},
		{"", "", "", access.ActionList, nil, nes.CodeForbidden},
	} {
		err := access.Authorize(access.Principal{Name: c.name, Team: c.team, Roles: []access.Role{c.role}}, c.action, c.run)
		require.Equal(t, c.want, nes.CodeOf(err), "%+v", c)
	}
}

func TestContextWithoutPrincipalIsNobody(t *testing.T) {
	t.Parallel()
	require.Error(t, access.Authorize(access.From(context.Background()), access.ActionList, nil))
	p := access.Local()
	require.Equal(t, p, access.From(access.With(context.Background(), p)))
	require.Nil(t, p.Teams())
	require.Equal(t, []string{"red"}, access.Principal{Team: "red", Roles: []access.Role{access.RoleOperate}}.Teams())
}

func TestRequireAuth(t *testing.T) {
	t.Parallel()
	for addr, loopback := range map[string]bool{
		"127.0.0.1:8080": true, "127.9.9.9:0": true, "[::1]:80": true, "localhost:8080": true, "unix:/run/nes.sock": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:80": false, "10.0.0.1:80": false, "example.com:80": false, "localhost": false, "": false,
		"localhost.example.com:80": false,
	} {
		require.Equal(t, loopback, access.Loopback(addr), addr)
		require.Equal(t, loopback, access.RequireAuth(addr, false, false) == nil, addr)
		require.NoError(t, access.RequireAuth(addr, false, true))
		require.NoError(t, access.RequireAuth(addr, true, false))
	}
}

func TestGateKnowsItsNames(t *testing.T) {
	t.Parallel()
	enter := func(g *access.Gate, host string) error {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		_, err := g.Enter(r)
		return err
	}
	g := access.NewGate(access.GateOptions{PublicURL: "https://nes.example.com/x", Hosts: []string{"nes.sktai.io"}})
	for _, host := range []string{"nes.example.com", "NES.example.com:443", "nes.sktai.io", "127.0.0.1:1", "localhost."} {
		require.NoError(t, enter(g, host), host)
	}
	for _, host := range []string{"", "evil.example", "localhost.evil.example", "nes.example.com.evil.example", "192.168.0.1"} {
		require.Equal(t, nes.CodeForbidden, nes.CodeOf(enter(g, host)), host)
	}
	require.NoError(t, enter(access.NewGate(access.GateOptions{AnyHost: true}), "proxy.example"))
	// With tokens the name does not matter: nothing is sent unasked.
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(enter(access.NewGate(access.GateOptions{Tokens: known(t)}), "any.example")))
}

func TestGateBehindAProxyKnowsItsOrigin(t *testing.T) {
	t.Parallel()
	g := access.NewGate(access.GateOptions{PublicURL: "https://nes.example.com", AnyHost: true})
	r := httptest.NewRequest("POST", "/v1/runs", nil)
	r.Host = "nes.internal:8080" // as the proxy calls it
	r.Header.Set("Origin", "https://nes.example.com")
	_, err := g.Enter(r)
	require.NoError(t, err)
	r.Header.Set("Origin", "https://evil.example")
	_, err = g.Enter(r)
	require.Equal(t, nes.CodeForbidden, nes.CodeOf(err))
}

func TestNamesOfTheServerHaveNoCase(t *testing.T) {
	t.Parallel()
	g := access.NewGate(access.GateOptions{PublicURL: "HTTPS://NES.Example.com", Hosts: []string{"Reports.Example.com"}})
	for _, host := range []string{"nes.example.com", "NES.EXAMPLE.COM:443", "reports.example.com", "REPORTS.example.com."} {
		r := httptest.NewRequest("POST", "/v1/runs", nil)
		r.Host = host
		r.Header.Set("Origin", "https://nes.example.com")
		p, err := g.Enter(r)
		require.NoError(t, err, host)
		require.Equal(t, access.Local(), p)
	}
}

// TestEveryRightOfEveryRole counts out who may do what: to a run of one's own, of the team, and of another team.
func TestEveryRightOfEveryRole(t *testing.T) {
	t.Parallel()
	own, team, other := &nes.Run{Team: "red", Owner: "kim"}, &nes.Run{Team: "red", Owner: "lee"}, &nes.Run{Team: "blue", Owner: "kim"}
	level := map[access.Role]int{"": 0, "invented": 0, access.RoleRead: 1, access.RoleSubmit: 2, access.RoleOperate: 3, access.RoleAdmin: 4}
	needs := map[access.Action]int{access.ActionList: 1, access.ActionRead: 1, access.ActionMetrics: 1, access.ActionSubmit: 2, access.ActionRerun: 2, access.ActionCancel: 3, "": 4, "new": 4}
	for role, has := range level {
		p := access.Principal{Name: "kim", Team: "red", Roles: []access.Role{role}}
		for action, need := range needs {
			require.Equal(t, has >= need, access.Authorize(p, action, team) == nil, "%s, %s", role, action)
			require.Equal(t, has >= 4, access.Authorize(p, action, other) == nil, "%s, %s", role, action)
			if has < 4 {
				require.Equal(t, nes.CodeNotFound, nes.CodeOf(access.Authorize(p, action, other)), "another team's run does not exist")
			}
			if action == access.ActionCancel {
				need = 2
			}
			require.Equal(t, has >= need, access.Authorize(p, action, own) == nil, "%s, %s", role, action)
		}
	}
}

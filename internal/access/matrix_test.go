package access_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// rights says which action each role allows: at nothing, at one's own run, at a run of one's team.
var rights = map[access.Action][3]access.Role{
	access.ActionList:    {access.RoleRead, access.RoleRead, access.RoleRead},
	access.ActionRead:    {access.RoleRead, access.RoleRead, access.RoleRead},
	access.ActionMetrics: {access.RoleRead, access.RoleRead, access.RoleRead},
	access.ActionSubmit:  {access.RoleSubmit, access.RoleSubmit, access.RoleSubmit},
	access.ActionRerun:   {access.RoleSubmit, access.RoleSubmit, access.RoleSubmit},
	access.ActionCancel:  {access.RoleOperate, access.RoleSubmit, access.RoleOperate},
	"invented":           {access.RoleAdmin, access.RoleAdmin, access.RoleAdmin},
}

// TestEveryRoleAndAction tries all of them on nothing, on a run of one's own, of one's team, and of another team.
func TestEveryRoleAndAction(t *testing.T) {
	t.Parallel()
	order := append([]access.Role{""}, access.Roles()...) // the empty one is a principal without a role
	runs := []*nes.Run{nil, {ID: "own", Team: "red", Owner: "kim"}, {ID: "team", Team: "red", Owner: "lee"}, {ID: "foreign", Team: "blue", Owner: "kim"}}
	for action, least := range rights {
		for rank, role := range order {
			p := access.Principal{Name: "kim", Team: "red"}
			if role != "" {
				p.Roles = []access.Role{role}
			}
			for i, run := range runs {
				var want nes.Code
				foreign := i == 3
				switch {
				case role == access.RoleAdmin:
				case foreign, run != nil && role == "":
					want = nes.CodeNotFound
				case rank < slices.Index(order, least[i]):
					want = nes.CodeForbidden
				}
				err := access.Authorize(p, action, run)
				require.Equal(t, want, nes.CodeOf(err), "%s as %q at %d", action, role, i)
				if want == nes.CodeNotFound {
					require.Equal(t, access.NotFound(run.ID).Error(), err.Error(), "as of one that is not there")
				}
				if want == nes.CodeForbidden {
					require.Contains(t, err.Error(), "kim may not "+string(action))
				}
			}
		}
	}
}

func TestRolesAddUp(t *testing.T) {
	t.Parallel()
	for i, have := range access.Roles() {
		for j, need := range access.Roles() {
			require.Equal(t, i >= j, access.Principal{Roles: []access.Role{have}}.Has(need), "%s has %s", have, need)
			require.True(t, access.Principal{Roles: []access.Role{have, need}}.Has(need))
			require.True(t, access.Principal{Roles: []access.Role{need, have}}.Has(need))
		}
		require.False(t, access.Principal{Roles: []access.Role{have}}.Has("owner"), "nobody has a role that is none")
	}
	require.False(t, access.Principal{}.Has(access.RoleRead))
	require.False(t, access.Principal{Roles: []access.Role{"owner"}}.Has(access.RoleRead))
	require.Nil(t, access.Principal{Team: "red", Roles: []access.Role{access.RoleAdmin}}.Teams(), "every team's")
	require.Equal(t, []string{"red"}, access.Principal{Team: "red", Roles: []access.Role{access.RoleOperate}}.Teams())
	require.Equal(t, []string{""}, access.From(context.Background()).Teams(), "nobody sees the runs of no team, and not those of all")
	require.Equal(t, nes.CodeForbidden, nes.CodeOf(access.Authorize(access.From(context.Background()), access.ActionList, nil)))
}

// TestRolesAreNotShared: what is done to the configuration later does not reach principals.
func TestRolesAreNotShared(t *testing.T) {
	t.Parallel()
	roles := []access.Role{access.RoleRead}
	tokens, err := access.NewTokens([]access.Token{{Name: "a", Team: "t", Token: token, Roles: roles}})
	require.NoError(t, err)
	roles[0] = access.RoleAdmin
	p, ok := tokens.Principal(token)
	require.True(t, ok)
	require.Equal(t, []access.Role{access.RoleRead}, p.Roles)
	usual, err := access.NewTokens([]access.Token{{Name: "a", Team: "t", Token: token}})
	require.NoError(t, err)
	p, _ = usual.Principal(token)
	require.Equal(t, []access.Role{access.RoleSubmit}, p.Roles, "a token without roles submits")
	all := access.Roles()
	all[0] = access.RoleAdmin
	require.Equal(t, access.RoleRead, access.Roles()[0])
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ token, says string }{
		"empty":               {"", "shorter than 16"},
		"fifteen":             {strings.Repeat("t", 15), "shorter than 16"},
		"digest cut":          {digest(token)[:70], "64 hexadecimal digits"},
		"digest and more":     {digest(token) + "00", "64 hexadecimal digits"},
		"digest of letters":   {"sha256:" + strings.Repeat("g", 64), "64 hexadecimal digits"},
		"sixteen":             {strings.Repeat("t", 16), ""},
		"digest in capitals":  {"sha256:" + strings.ToUpper(strings.TrimPrefix(digest(token), "sha256:")), ""},
		"text beyond letters": {"비밀번호-비밀번호", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := access.NewTokens([]access.Token{{Name: "a", Team: "t", Token: c.token}})
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
			if c.token != "" {
				require.NotContains(t, err.Error(), c.token, "a message may end in a log")
			}
		})
	}
}

// TestNoTokenIsPrinted: no way of printing what is kept shows a credential.
func TestNoTokenIsPrinted(t *testing.T) {
	t.Parallel()
	tokens := known(t)
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(form, tokens), token)
		require.NotContains(t, fmt.Sprintf(form, *tokens), token)
	}
	_, ok := tokens.Principal("")
	require.False(t, ok)
	_, ok = tokens.Principal(token + "\x00")
	require.False(t, ok)
}

func TestManyCredentialsInOneRequest(t *testing.T) {
	t.Parallel()
	tokens := known(t)
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"blanks around it":      {[]string{"Bearer   " + token + "  "}, "plain"},
		"the first one counts":  {[]string{"Bearer wrong", "Bearer " + token}, ""},
		"a comma is no border":  {[]string{"Bearer " + token + ", Bearer x"}, ""},
		"no scheme":             {[]string{token}, ""},
		"a scheme alone":        {[]string{"Bearer"}, ""},
		"a tab is no blank":     {[]string{"Bearer\t" + token}, ""},
		"basic with colons":     {[]string{basic("a", "b:"+token)}, ""},
		"basic, password first": {[]string{basic("", token)}, "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			for _, h := range c.headers {
				r.Header.Add("Authorization", h)
			}
			p, err := tokens.Authenticate(r)
			require.Equal(t, c.want, p.Name)
			require.Equal(t, c.want == "", nes.CodeOf(err) == nes.CodeUnauthorized)
		})
	}
}

// TestGateHosts: without sign-in, a name that is not ours may be one that another website points here.
func TestGateHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options access.GateOptions
		host    string
		ok      bool
	}{
		"localhost":                  {access.GateOptions{}, "localhost", true},
		"localhost with a port":      {access.GateOptions{}, "LocalHost:8080", true},
		"with a dot":                 {access.GateOptions{}, "localhost.:80", true},
		"below localhost":            {access.GateOptions{}, "a.b.localhost", true},
		"IPv4":                       {access.GateOptions{}, "127.9.9.9:1", true},
		"IPv6":                       {access.GateOptions{}, "[::1]:80", true},
		"IPv6 without a port":        {access.GateOptions{}, "[::1]", true},
		"a mapped address":           {access.GateOptions{}, "[::ffff:127.0.0.1]:80", true},
		"ends like it":               {access.GateOptions{}, "notlocalhost", false},
		"begins like it":             {access.GateOptions{}, "localhost.evil.example", false},
		"looks like an address":      {access.GateOptions{}, "127.0.0.1.evil.example", false},
		"all addresses":              {access.GateOptions{}, "0.0.0.0:80", false},
		"a network's":                {access.GateOptions{}, "192.168.0.1", false},
		"nothing":                    {access.GateOptions{}, "", false},
		"a name that is configured":  {access.GateOptions{Hosts: []string{"Nes.Example"}}, "nes.example:443", true},
		"another name":               {access.GateOptions{Hosts: []string{"nes.example"}}, "nes.example.org", false},
		"a configured address":       {access.GateOptions{Hosts: []string{"10.0.0.1"}}, "10.0.0.1:80", true},
		"that of the public address": {access.GateOptions{PublicURL: "https://NES.example:8443/base"}, "nes.example", true},
		"any":                        {access.GateOptions{AnyHost: true}, "evil.example", true},
		"with sign-in any":           {access.GateOptions{Tokens: &access.Tokens{}}, "evil.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = c.host
			p, err := access.NewGate(c.options).Enter(r)
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, access.Local(), p)
				return
			}
			require.Equal(t, nes.CodeForbidden, nes.CodeOf(err))
			require.Empty(t, p)
		})
	}
}

// TestGateRefusesChangesFromElsewhere also where people sign in: browsers send Basic credentials unasked.
func TestGateRefusesChangesFromElsewhere(t *testing.T) {
	t.Parallel()
	gate := access.NewGate(access.GateOptions{Tokens: known(t), PublicURL: "https://Nes.Example"})
	for _, c := range []struct {
		method, header, value string
		ok                    bool
	}{
		{"POST", "Origin", "https://nes.example", true},
		{"POST", "Origin", "https://evil.example", false},
		{"POST", "Origin", "http://nes.example", false},
		{"POST", "Origin", "https://nes.example:8443", false},
		{"POST", "Origin", "null", false},
		{"DELETE", "Sec-Fetch-Site", "cross-site", false},
		{"PUT", "Sec-Fetch-Site", "same-site", false},
		{"POST", "Sec-Fetch-Site", "same-origin", true},
		{"POST", "Sec-Fetch-Site", "none", true},
		{"GET", "Sec-Fetch-Site", "cross-site", true},
		{"HEAD", "Origin", "https://evil.example", true},
		{"POST", "X-Nothing", "of a program", true},
	} {
		r := httptest.NewRequest(c.method, "http://10.0.0.1/", nil)
		r.Header.Set("Authorization", basic("x", token))
		r.Header.Set(c.header, c.value)
		p, err := gate.Enter(r)
		require.Equal(t, c.ok, err == nil, "%s %s: %s: %v", c.method, c.header, c.value, err)
		require.Equal(t, c.ok, p.Name == "plain")
	}
	r := httptest.NewRequest(http.MethodPost, "https://10.0.0.1/", nil)
	r.TLS = &tls.ConnectionState{}
	_, err := gate.Enter(r)
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(err), "who may come in must still sign in")
}

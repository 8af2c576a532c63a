package access_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// register is one in memory; the ledger's own is held to the same by its suite.
type register struct {
	list  []access.Issued
	reads int
	down  error
}

func (r *register) IssuedTokens(context.Context) ([]access.Issued, error) {
	r.reads++
	return r.list, r.down
}

func issue(t *testing.T, c *clock, r *register, name string, roles ...access.Role) string {
	t.Helper()
	text, issued, err := access.Issue(access.Principal{Name: name, Team: "red", Roles: roles}, "root@here", c.at, nil)
	require.NoError(t, err)
	r.list = append(r.list, issued)
	return text
}

func TestIssuedTokens(t *testing.T) {
	t.Parallel()
	c, r := &clock{time.Unix(1_800_000_000, 0)}, &register{}
	gate := access.NewGate(access.GateOptions{Tokens: known(t), Issuer: access.NewIssuer(r, c.now)})
	ask := asker(gate)
	require.NoError(t, ask("192.0.2.1:1", token), "tokens of the file go on")
	first := issue(t, c, r, "kim", access.RoleOperate)
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth("anything", first)
	p, err := gate.Enter(req)
	require.NoError(t, err)
	require.Equal(t, access.Principal{Name: "kim", Team: "red", Roles: []access.Role{access.RoleOperate}}, p)

	second := issue(t, c, r, "lee", access.RoleRead)
	c.at = c.at.Add(100 * time.Millisecond)
	require.NoError(t, ask("192.0.2.1:1", second), "a new one works at once")
	require.Error(t, ask("192.0.2.1:1", r.list[1].Digest), "its digest is none")
	require.Error(t, ask("192.0.2.1:1", strings.TrimPrefix(r.list[1].Digest, "sha256:")))

	at := c.at
	r.list[0].RevokedAt = &at
	c.at = c.at.Add(2 * time.Second)
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("192.0.2.1:1", first)), "a revoked one is good for two seconds at most")
	require.NoError(t, ask("192.0.2.1:1", second))

	before := r.reads
	for range 1000 {
		require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("192.0.2.1:1", "a-guess-of-some-length")))
		require.NoError(t, ask("192.0.2.1:1", second))
	}
	require.LessOrEqual(t, r.reads-before, 1, "guesses and use cost the register nothing")

	r.down = &nes.Error{Code: nes.CodeUnavailable}
	c.at = c.at.Add(3 * time.Second)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(ask("192.0.2.1:1", second)), "what cannot be known is not let in")
	require.NoError(t, ask("192.0.2.1:1", token), "tokens of the file need no ledger")
}

func TestIssuedTokensEnd(t *testing.T) {
	t.Parallel()
	c, r := &clock{time.Unix(1_800_000_000, 0)}, &register{}
	ask := asker(access.NewGate(access.GateOptions{Issuer: access.NewIssuer(r, c.now)}))
	end := c.at.Add(time.Hour)
	text, issued, err := access.Issue(access.Principal{Name: "kim", Team: "red", Roles: []access.Role{access.RoleRead}}, "", c.at, &end)
	require.NoError(t, err)
	r.list = []access.Issued{issued}
	c.at = end.Add(-time.Second)
	require.NoError(t, ask("192.0.2.1:1", text))
	c.at = end
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("192.0.2.1:1", text)), "to the second, read from memory or not")
	c.at = end.Add(time.Hour)
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("192.0.2.1:1", text)))
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("127.0.0.1:1", "")), "the last one's end opens no door")
}

// TestTheFirstTokenClosesTheServer for good: whoever could do anything without one has to sign in.
func TestTheFirstTokenClosesTheServer(t *testing.T) {
	t.Parallel()
	c, r := &clock{time.Unix(1_800_000_000, 0)}, &register{}
	gate := access.NewGate(access.GateOptions{Issuer: access.NewIssuer(r, c.now)})
	ask := asker(gate)
	require.NoError(t, ask("127.0.0.1:1", ""))
	text := issue(t, c, r, "kim", access.RoleAdmin)
	c.at = c.at.Add(2 * time.Second)
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("127.0.0.1:1", "")))
	require.NoError(t, ask("127.0.0.1:1", text))
	at := c.at
	r.list[0].RevokedAt = &at
	c.at = c.at.Add(2 * time.Second)
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("127.0.0.1:1", "")), "also when it is revoked")
	closed, err := gate.SignIn(t.Context())
	require.NoError(t, err)
	require.True(t, closed)

	r = &register{down: errors.New("down")}
	_, err = access.NewGate(access.GateOptions{Issuer: access.NewIssuer(r, c.now)}).SignIn(t.Context())
	require.Error(t, err, "whether somebody must sign in is not guessed")
	require.Error(t, asker(access.NewGate(access.GateOptions{Issuer: access.NewIssuer(r, c.now)}))("127.0.0.1:1", ""))
}

func TestWhatIsIssued(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	seen := map[string]bool{}
	for range 100 {
		text, issued, err := access.Issue(access.Principal{Name: "kim", Team: "red", Roles: []access.Role{access.RoleRead}}, "me", now, nil)
		require.NoError(t, err)
		require.Regexp(t, `^nes_[A-Za-z0-9_-]{43}$`, text)
		require.False(t, seen[text])
		seen[text] = true
		require.Equal(t, digest(text), issued.Digest)
		require.Equal(t, issued.Digest, access.Digest(text))
		require.True(t, issued.Valid(now))
	}
	past := now.Add(-time.Second)
	_, _, err := access.Issue(access.Principal{Roles: []access.Role{"owner"}}, "me", now, &past)
	var e *nes.Error
	require.ErrorAs(t, err, &e)
	var fields []string
	for _, p := range e.Problems {
		fields = append(fields, p.Field)
	}
	require.Equal(t, []string{"name", "team", "roles", "expires"}, fields)
}

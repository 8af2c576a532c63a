package app_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/ledger"
)

// TestTokensWithoutARestart: what another process writes into the ledger, a server that runs goes by.
func TestTokensWithoutARestart(t *testing.T) {
	t.Parallel()
	c := configure(t, func(c *config.Config) { c.Addr = "0.0.0.0:0" })
	require.ErrorContains(t, app.New(app.Options{Config: c}).Start(t.Context()), "nobody would have to sign in")
	l, err := ledger.Open(t.Context(), c.Ledger, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	issue := func(name string) string {
		token, issued, err := access.Issue(access.Principal{Name: name, Team: "red", Roles: []access.Role{access.RoleRead}}, "me", time.Now(), nil)
		require.NoError(t, err)
		require.NoError(t, l.IssueToken(t.Context(), issued))
		return token
	}
	kim := issue("kim")
	a := start(t, app.Options{Config: c})
	status := func(token string) int {
		code, _ := get(t, a.URL()+"/v1/runs", token)
		return code
	}
	require.Equal(t, http.StatusOK, status(kim), "with a token in the ledger it serves others")
	require.Equal(t, http.StatusUnauthorized, status(""))
	lee := issue("lee")
	require.Eventually(t, func() bool { return status(lee) == http.StatusOK }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, l.RevokeToken(t.Context(), "kim", "me", time.Now()))
	require.Eventually(t, func() bool { return status(kim) == http.StatusUnauthorized }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, l.RevokeToken(t.Context(), "lee", "me", time.Now()))
	require.Eventually(t, func() bool { return status(lee) == http.StatusUnauthorized }, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, http.StatusUnauthorized, status(""), "the last one that goes opens no door")
}

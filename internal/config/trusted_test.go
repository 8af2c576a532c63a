package config_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/config"
)

func TestTrusted(t *testing.T) {
	t.Parallel()
	read := func(file string, c config.Config) *access.Trusted {
		t.Helper()
		c.DataDir, c.File = t.TempDir(), write(t, file)
		c, err := c.Complete()
		require.NoError(t, err)
		return c.Trusts()
	}
	require.Nil(t, read("trusted: {name: airflow, team: batch}\n", config.Config{}), "nobody comes from no network")
	got := read("timeout: 1h\n", config.Config{TrustedCIDRs: []string{"10.0.0.0/8"}})
	require.Equal(t, access.Principal{Name: "trusted", Team: "trusted", Roles: []access.Role{access.RoleSubmit}}, got.Principal)
	got = read("profiles: [{name: nightly}]\ntrusted: {name: airflow, team: batch, roles: [read], profile: nightly}\n",
		config.Config{TrustedCIDRs: []string{"10.0.0.0/8", "192.0.2.1"}, TrustedProxies: []string{"192.0.2.2"}})
	require.Equal(t, &access.Trusted{
		Principal: access.Principal{Name: "airflow", Team: "batch", Roles: []access.Role{access.RoleRead}, Profile: "nightly"},
		Networks:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")},
		Proxies:   []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")},
	}, got)
}

func TestTrustThatGoesTooFar(t *testing.T) {
	t.Parallel()
	for file, told := range map[string]string{
		"trusted: {roles: [operate]}\n":       `trusted: the role "operate" cannot be given`,
		"trusted: {roles: [submit, admin]}\n": `trusted: the role "admin" cannot be given`,
		"trusted: {roles: [owner]}\n":         "it may be read or submit",
		"trusted: {profile: nightly}\n":       `trusted: there is no profile "nightly"`,
		"trusted: {token: x}\n":               `unknown key "token"`,
	} {
		_, err := config.ReadSite(write(t, file))
		require.ErrorContains(t, err, told, file)
	}
}

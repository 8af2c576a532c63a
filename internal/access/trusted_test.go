package access_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

func networks(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

var airflow = access.Principal{Name: "airflow", Team: "batch", Roles: []access.Role{access.RoleSubmit}, Profile: "nightly"}

func trusting() *access.Trusted {
	return &access.Trusted{Principal: airflow, Networks: networks("10.1.0.0/16", "fd00::/8"), Proxies: networks("192.0.2.10/32", "192.0.2.11/32")}
}

func TestTheTrustedAreKnownByWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	gate := access.NewGate(access.GateOptions{Tokens: known(t), Trusted: trusting(), Hosts: []string{"nes.example"}})
	for name, c := range map[string]struct {
		peer    string
		headers []string // name, value, ...
		want    string   // name of the principal
	}{
		"from the network":                    {"10.1.2.3:4000", nil, "airflow"},
		"in IPv6 clothes":                     {"[::ffff:10.1.2.3]:4000", nil, "airflow"},
		"IPv6":                                {"[fd12::1]:4000", nil, "airflow"},
		"from next to it":                     {"10.2.0.1:4000", nil, ""},
		"from loopback":                       {"127.0.0.1:4000", nil, ""},
		"IPv6 with a zone":                    {"[fd12::1%eth0]:4000", nil, ""},
		"from a socket":                       {"@", nil, ""},
		"from nowhere":                        {"", nil, ""},
		"says that it does":                   {"203.0.113.9:4000", []string{"X-Forwarded-For", "10.1.2.3"}, ""},
		"says that it does, otherwise":        {"203.0.113.9:4000", []string{"X-Real-Ip", "10.1.2.3", "Forwarded", "for=10.1.2.3"}, ""},
		"by a proxy inside that nobody named": {"10.1.0.1:4000", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
		"by another that names itself":        {"10.1.0.1:4000", []string{"Via", "1.1 proxy"}, ""},
		"by our proxy":                        {"192.0.2.10:4000", []string{"X-Forwarded-For", "10.1.2.3"}, "airflow"},
		"by our proxy, with a port":           {"192.0.2.10:4000", []string{"X-Forwarded-For", "[fd12::1]:81"}, "airflow"},
		"by two of ours":                      {"192.0.2.10:4000", []string{"X-Forwarded-For", "10.1.2.3, 192.0.2.11"}, "airflow"},
		"by ours, in two lines":               {"192.0.2.10:4000", []string{"X-Forwarded-For", "8.8.8.8", "X-Forwarded-For", "10.1.2.3"}, "airflow"},
		"by our proxy, from elsewhere":        {"192.0.2.10:4000", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
		"forged behind our proxy":             {"192.0.2.10:4000", []string{"X-Forwarded-For", "10.1.2.3, 203.0.113.9"}, ""},
		"forged in a line of its own":         {"192.0.2.10:4000", []string{"X-Forwarded-For", "10.1.2.3", "X-Forwarded-For", "203.0.113.9"}, ""},
		"our proxy itself":                    {"192.0.2.10:4000", nil, ""},
		"ours, which says nonsense":           {"192.0.2.10:4000", []string{"X-Forwarded-For", "unknown"}, ""},
		"ours, which speaks of itself":        {"192.0.2.10:4000", []string{"X-Forwarded-For", "192.0.2.11"}, ""},
		"with a token":                        {"10.1.2.3:4000", []string{"Authorization", "Bearer " + token}, "plain"},
		"with a netrc":                        {"10.1.2.3:4000", []string{"Authorization", basic("x", token)}, "plain"},
		"with a wrong token":                  {"10.1.2.3:4000", []string{"Authorization", "Bearer wrong"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "http://nes.example/v1/runs", nil)
			r.RemoteAddr = c.peer
			for i := 0; i < len(c.headers); i += 2 {
				r.Header.Add(c.headers[i], c.headers[i+1])
			}
			p, err := gate.Enter(r)
			require.Equal(t, c.want, p.Name)
			if c.want == "" {
				require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(err))
			}
		})
	}
}

// A page of another website that sits in a trusted browser is kept out by the name it was loaded under, and by its origin.
func TestTheTrustedAreNoDoorForWebsites(t *testing.T) {
	t.Parallel()
	gate := access.NewGate(access.GateOptions{Trusted: trusting(), Hosts: []string{"nes.example"}})
	enter := func(host, from string) error {
		r := httptest.NewRequest("POST", "http://"+host+"/v1/runs", nil)
		r.RemoteAddr = "10.1.2.3:4000"
		if from != "" {
			r.Header.Set("Origin", from)
		}
		_, err := gate.Enter(r)
		return err
	}
	require.NoError(t, enter("nes.example", ""))
	require.NoError(t, enter("nes.example:8080", "http://nes.example:8080"))
	require.Equal(t, nes.CodeForbidden, nes.CodeOf(enter("evil.example", "http://evil.example")), "rebinding")
	require.Equal(t, nes.CodeForbidden, nes.CodeOf(enter("nes.example", "http://evil.example")), "a form")
	require.ErrorContains(t, enter("nes", ""), "NES_ALLOWED_HOSTS")
}

// Where some are trusted, everybody else has to sign in, although no token is configured.
func TestTrustClosesTheServerToOthers(t *testing.T) {
	t.Parallel()
	gate := access.NewGate(access.GateOptions{Trusted: trusting()})
	for _, header := range []string{"", "Bearer whatever", basic("a", "")} {
		r := httptest.NewRequest("GET", "http://localhost/v1/runs", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		_, err := gate.Enter(r)
		require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(err), header)
	}
	require.Equal(t, []access.Role{access.RoleRead, access.RoleSubmit}, access.TrustedRoles(), "nobody without a credential does more")
}

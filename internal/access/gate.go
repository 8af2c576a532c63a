package access

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// Gate stands before every handler that shows or changes something: it knows the
// caller and refuses what another website sends through the caller's browser.
type Gate struct {
	tokens *Tokens
	hosts  []string
	anyone bool // any Host header will do
	cross  *http.CrossOriginProtection
}

// GateOptions of a [Gate].
type GateOptions struct {
	Tokens *Tokens
	// PublicURL is where browsers reach the server, if it is known.
	PublicURL string
	// Hosts are further names, without port, by which the server may be addressed.
	Hosts []string
	// AnyHost gives up the check of the Host header, which a server without sign-in
	// makes by default: for NES_INSECURE behind a proxy that signs people in.
	AnyHost bool
}

// NewGate makes a gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{tokens: o.Tokens, anyone: o.AnyHost, cross: http.NewCrossOriginProtection()}
	for _, host := range o.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(host))
	}
	// Browsers write names in lower case, whatever the configuration says.
	if u, err := url.Parse(strings.ToLower(o.PublicURL)); err == nil && u.Host != "" {
		g.hosts = append(g.hosts, u.Hostname())
		// A proxy may have changed Host: what browsers call the server's origin is trusted as such.
		_ = g.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host)
	}
	return g
}

// Enter checks r and returns its caller. The error is a *nes.Error with code forbidden or unauthorized.
//
// Where nobody signs in, a page of any website could reach a server on this machine: under a name of its own that it points
// here (so Host must be one of ours), or by sending a form (so a change must not come from another origin).
func (g *Gate) Enter(r *http.Request) (Principal, error) {
	if g.tokens.Empty() && !g.anyone && !g.known(r.Host) {
		return Principal{}, nes.Errorf(nes.CodeForbidden, "this server is not called %q: use localhost, or name the host in NES_ALLOWED_HOSTS", r.Host)
	}
	if err := g.cross.Check(r); err != nil {
		return Principal{}, nes.Errorf(nes.CodeForbidden, "a page of another website may not change anything here")
	}
	return g.tokens.Authenticate(r)
}

// known reports whether a Host header names this server.
func (g *Gate) known(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || slices.Contains(g.hosts, host)
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(g.hosts, host)
}

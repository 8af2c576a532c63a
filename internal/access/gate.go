package access

import (
	"context"
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
	tokens  *Tokens
	issuer  *Issuer
	trusted *Trusted
	limiter *Limiter
	hosts   []string
	anyone  bool // any Host header will do
	cross   *http.CrossOriginProtection
}

// GateOptions of a [Gate].
type GateOptions struct {
	Tokens *Tokens
	// Issuer knows tokens that are created while the server runs; nil is none.
	Issuer *Issuer
	// Trusted are callers without a credential that are let in all the same; nil is nobody.
	Trusted *Trusted
	// Limiter bounds how fast callers may ask where they have to sign in; nil is not at all.
	Limiter *Limiter
	// PublicURL is where browsers reach the server, if it is known.
	PublicURL string
	// Hosts are further names, without port, by which the server may be addressed.
	Hosts []string
	// AnyHost gives up the check of the Host header, which is made of whoever shows no
	// credential: for NES_INSECURE behind a proxy that signs people in.
	AnyHost bool
}

// NewGate makes a gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{tokens: o.Tokens, issuer: o.Issuer, trusted: o.Trusted, limiter: o.Limiter, anyone: o.AnyHost, cross: http.NewCrossOriginProtection()}
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

// Enter checks r and returns its caller. The error is a *nes.Error with code
// forbidden, unauthorized, busy (with a [*TooFast] in its chain) or unavailable.
//
// Who is let in without a credential could have a page of any website in a browser, which would reach the server too: under a name of its
// own that it points here (so Host must be one of ours), or by sending a form (so a change must not come from another origin).
func (g *Gate) Enter(r *http.Request) (Principal, error) {
	p, unasked, err := g.caller(r)
	if busy := g.pace(p, unasked, r); busy != nil {
		return Principal{}, busy
	}
	if unasked && !g.anyone && !g.known(r.Host) {
		return Principal{}, nes.Errorf(nes.CodeForbidden, "this server is not called %q: use localhost, or name the host in NES_ALLOWED_HOSTS", r.Host)
	}
	if g.cross.Check(r) != nil {
		return Principal{}, nes.Errorf(nes.CodeForbidden, "a page of another website may not change anything here")
	}
	return p, err
}

// pace holds up who asks too often. The person at the machine may.
func (g *Gate) pace(p Principal, unasked bool, r *http.Request) error {
	if unasked && g.trusted == nil {
		return nil
	}
	return g.limiter.take(p, r)
}

// SignIn reports whether callers must say who they are: some token is known, or some callers are trusted and so others are not.
func (g *Gate) SignIn(ctx context.Context) (bool, error) {
	if g.trusted != nil || !g.tokens.Empty() {
		return true, nil
	}
	return g.issuer.Any(ctx)
}

// caller knows the caller of r. It is unasked when no credential was needed.
func (g *Gate) caller(r *http.Request) (p Principal, unasked bool, err error) {
	closed, err := g.SignIn(r.Context())
	if err != nil {
		return Principal{}, false, err
	}
	if !closed {
		return Local(), true, nil
	}
	if r.Header.Get("Authorization") == "" && g.trusted.covers(r) {
		return g.trusted.Principal, true, nil
	}
	p, err = authenticate(r, g.tokens.holder, g.issuer.Principal)
	return p, false, err
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

package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Trusted says who callers without a credential are, that come from certain networks: the
// original service's clients send none. Nobody is trusted by nil.
type Trusted struct {
	Principal Principal
	// Networks of the callers.
	Networks []netip.Prefix
	// Proxies whose word counts for where a request comes from.
	Proxies []netip.Prefix
}

// TrustedRoles are the roles that may be given to whoever shows no credential.
func TrustedRoles() []Role { return []Role{RoleRead, RoleSubmit} }

// proxied are the headers by which proxies say that they passed a request on.
var proxied = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"}

// covers reports whether r comes from a trusted network.
func (t *Trusted) covers(r *http.Request) bool {
	if t == nil {
		return false
	}
	from, ok := t.origin(r)
	return ok && within(t.Networks, from)
}

// origin is the address that r comes from. The peer's counts. Only where that is a proxy of ours, its header does, read from the end: what
// stands before the last address that is no proxy of ours was written by the caller. What another proxy passed on comes from nowhere known.
func (t *Trusted) origin(r *http.Request) (netip.Addr, bool) {
	peer, ok := address(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, false
	}
	if !within(t.Proxies, peer) {
		return peer, !slices.ContainsFunc(proxied, func(h string) bool { return r.Header.Get(h) != "" })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		from, ok := address(strings.TrimSpace(hop))
		if !ok || !within(t.Proxies, from) {
			return from, ok
		}
	}
	return netip.Addr{}, false
}

// address reads an address with or without a port. One with a zone is none: it says nothing on this machine.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		p, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = p.Addr()
	}
	return a.Unmap(), a.Zone() == ""
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

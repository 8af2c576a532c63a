package gitsource

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Reach says which network addresses may be fetched from: public ones, and what is named here.
type Reach struct {
	// AllowCIDRs are networks that are allowed although they are not public.
	AllowCIDRs []netip.Prefix `json:"allow_cidrs,omitempty"`
	// AllowLoopback allows this machine: for a server that listens on loopback alone.
	AllowLoopback bool `json:"allow_loopback,omitempty"`
}

// addressError says that a connection was refused because of where it would lead.
type addressError struct{ ip netip.Addr }

func (e *addressError) Error() string { return fmt.Sprintf("%s is not a public address", e.ip) }

// Check returns an error when ip may not be fetched from.
func (r Reach) Check(ip netip.Addr) error {
	ip = ip.Unmap()
	for _, p := range r.AllowCIDRs {
		if p.Contains(ip) {
			return nil
		}
	}
	if ip.IsLoopback() && r.AllowLoopback {
		return nil
	}
	if ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return &addressError{ip}
	}
	for _, p := range special {
		if p.Contains(ip) {
			return &addressError{ip}
		}
	}
	return nil
}

// special are blocks that look like ordinary unicast addresses and are not public, or
// hold an IPv4 address inside, which could be any.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),        // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and other protocols
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("fec0::/10"),
}

// dialer connects to allowed addresses alone. The check sees the address that the connection
// is made to, so neither a redirect nor a name that changes its address gets past it.
func (r Reach) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("read the address that is dialled: %w", err)
			}
			return r.Check(ap.Addr())
		},
	}
}

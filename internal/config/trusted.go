package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nes-run/nes/internal/access"
)

// Trusted says as whom callers from NES_TRUSTED_CIDRS are treated that show no credential.
type Trusted struct {
	Name    string        `yaml:"name"`    // empty is trusted
	Team    string        `yaml:"team"`    // empty is trusted
	Roles   []access.Role `yaml:"roles"`   // read or submit; empty is submit
	Profile string        `yaml:"profile"` // of all their runs; empty leaves it to them
}

// validateTrusted says what is wrong with the key trusted.
func (s Site) validateTrusted() (wrong []string) {
	t := s.Trusted
	for _, r := range t.Roles {
		if !slices.Contains(access.TrustedRoles(), r) {
			wrong = append(wrong, fmt.Sprintf("the role %q cannot be given to whoever shows no credential: it may be read or submit", r))
		}
	}
	if named := func(p Profile) bool { return p.Name == t.Profile }; t.Profile != "" && !slices.ContainsFunc(s.Profiles, named) {
		wrong = append(wrong, fmt.Sprintf("there is no profile %q in the file", t.Profile))
	}
	return wrong
}

// Trusts is who is let in without a credential; nil is nobody.
func (c Config) Trusts() *access.Trusted {
	if len(c.TrustedCIDRs) == 0 {
		return nil
	}
	t := c.Site.Trusted
	roles := t.Roles
	if len(roles) == 0 {
		roles = []access.Role{access.RoleSubmit}
	}
	return &access.Trusted{
		Principal: access.Principal{Name: or(t.Name, "trusted"), Team: or(t.Team, "trusted"), Roles: roles, Profile: t.Profile},
		Networks:  prefixes(c.TrustedCIDRs), Proxies: prefixes(c.TrustedProxies),
	}
}

// prefixes reads networks; what is none was refused by validate.
func prefixes(list []string) (out []netip.Prefix) {
	for _, s := range list {
		if p, err := parsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

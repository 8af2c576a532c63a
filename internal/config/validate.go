package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// validate lists everything that is wrong, variable by variable.
func (c Config) validate() []nes.Problem {
	v := &validator{}
	v.addr("NES_ADDR", c.Addr)
	v.ledgerURL("NES_LEDGER", c.Ledger)
	v.bucketURL("NES_BUCKET", c.Bucket)
	v.oneOf("NES_BACKEND", c.Backend, Local, Kubernetes)
	v.pods(c)
	v.webURL("NES_SERVER", c.Server, "http", "https", "unix")
	v.webURL("NES_PUBLIC_URL", c.PublicURL, "http", "https")
	v.check(c.URLPrefix == "" || strings.HasPrefix(c.URLPrefix, "/") && !strings.HasSuffix(c.URLPrefix, "/") && !strings.ContainsAny(c.URLPrefix, "?# "),
		"NES_URL_PREFIX", "%q is no path: write it like /nes, with a slash at the beginning and none at the end", c.URLPrefix)
	v.networks("NES_FETCH_ALLOW_CIDRS", c.FetchAllowCIDRs)
	v.networks("NES_TRUSTED_CIDRS", c.TrustedCIDRs)
	v.networks("NES_TRUSTED_PROXIES", c.TrustedProxies)
	for _, dir := range c.FetchRoots {
		v.check(filepath.IsAbs(dir), "NES_FETCH_ROOTS", "%q is no absolute path", dir)
	}
	v.readable("NES_FETCH_SSH_KEY", c.FetchSSHKey)
	v.readable("NES_FETCH_SSH_KNOWN_HOSTS", c.FetchKnownHosts)
	for _, source := range c.Site.Sources {
		for _, file := range source.files() {
			v.readable("NES_CONFIG", file)
		}
	}
	v.check(c.RateLimit > 0 && c.RateLimit <= 1_000_000, "NES_RATE_LIMIT", "%d is not between 1 and 1000000", c.RateLimit)
	v.check(c.MaxRunning > 0 && c.MaxRunning <= 10_000, "NES_MAX_RUNNING", "%d is not between 1 and 10000", c.MaxRunning)
	v.check(new(slog.Level).UnmarshalText([]byte(c.LogLevel)) == nil, "NES_LOG_LEVEL", "%q is not debug, info, warn or error", c.LogLevel)
	v.oneOf("NES_LOG_FORMAT", c.LogFormat, "text", "json")
	return v.problems
}

type validator struct{ problems []nes.Problem }

func (v *validator) check(ok bool, variable, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, nes.Problem{Field: variable, Message: fmt.Sprintf(format, args...)})
	}
}

func (v *validator) oneOf(variable, value string, allowed ...string) {
	v.check(slices.Contains(allowed, value), variable, "%q is not known: it may be %s", value, strings.Join(allowed, " or "))
}

func (v *validator) addr(variable, value string) {
	_, port, err := net.SplitHostPort(value)
	n, perr := strconv.Atoi(port)
	v.check(err == nil && perr == nil && n >= 0 && n <= 65535, variable, "%q is no address: write host and port, such as 127.0.0.1:8080", value)
}

func (v *validator) networks(variable string, list []string) {
	for _, s := range list {
		_, err := parsePrefix(s)
		v.check(err == nil, variable, "%q is no network: write addresses like 10.0.0.0/8 or 192.168.1.7, separated by commas", s)
	}
}

// bucketURL checks the address of a bucket: a directory, or a bucket's name and a prefix in it.
func (v *validator) bucketURL(variable, value string) {
	const cure = "write file:///absolute/path, gs://bucket/prefix or s3://bucket/prefix"
	scheme, rest, _ := strings.Cut(value, "://")
	switch scheme {
	case "file":
		v.check(filepath.IsAbs(rest), variable, "%q is no absolute path: %s", redactURL(value), cure)
	case "gs", "s3":
		name, prefix, _ := strings.Cut(rest, "/")
		v.check(bucketName.MatchString(name), variable, "%q names no bucket: %s", redactURL(value), cure)
		v.check(!strings.ContainsAny(prefix, "?#") && (prefix == "" || storage.ValidateKey(strings.TrimSuffix(prefix, "/")) == nil),
			variable, "%q has no prefix that objects can lie below: %s", redactURL(value), cure)
	default:
		v.check(false, variable, "%q is not supported: %s", redactURL(value), cure)
	}
}

// bucketName is what both Google's and Amazon's rules allow, roughly; the store has the last word.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// ledgerURL checks the address of a database: a server's, or a file's.
func (v *validator) ledgerURL(variable, value string) {
	if !strings.HasPrefix(value, "postgres://") && !strings.HasPrefix(value, "postgresql://") {
		path, ok := strings.CutPrefix(value, "sqlite://")
		v.check(ok && filepath.IsAbs(path), variable, "%q is not supported: write sqlite:///absolute/path or postgres://user@host/database", redactURL(value))
		return
	}
	// What cannot be parsed cannot be redacted either, so it is not shown.
	u, err := url.Parse(value)
	v.check(err == nil, variable, "is no address: write postgres://user:password@host:5432/database, with special characters of the password percent-encoded")
	v.check(err != nil || strings.Trim(u.Path, "/") != "", variable, "%q names no database: write postgres://user@host/database", redactURL(value))
}

func (v *validator) webURL(variable, value string, schemes ...string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	ok := err == nil && slices.Contains(schemes, u.Scheme) && (u.Host != "" || u.Scheme == "unix" && u.Path != "") && u.RawQuery == "" && u.Fragment == ""
	v.check(ok, variable, "%q is no address: write it like https://nes.example.com", redactURL(value))
	v.check(err != nil || u.User == nil, variable, "holds a credential: put the token into NES_TOKEN")
}

func (v *validator) readable(variable, path string) {
	if path == "" {
		return
	}
	f, err := os.Open(path)
	v.check(err == nil, variable, "cannot be read: %v", err)
	if err == nil {
		_ = f.Close() // nothing was written
	}
}

// parsePrefix reads a network, or one address.
func parsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" { // a zone may hold anything, "/64" too
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

package gitsource

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// Credential opens private repositories to teams. It is sent to its own host alone, over https or to this
// machine, and never along a redirect elsewhere.
type Credential struct {
	Host   string   // as [Address.Repository] begins: lower case, with a port where it is not the usual one
	Prefix string   // elements that the repository's path begins with, such as "acme" or "acme/reports"; empty is every repository of the host
	Teams  []string // who may use it; nil is every team

	Username  string // beside the token; empty is what the host expects
	Token     Token
	TokenFile string // file with the token, read at each use so that it can be replaced
	SSH       SSH    // instead of a token, for addresses of SSH
}

// Token is a secret that shows itself nowhere.
type Token string

// String hides the token from what prints it.
func (Token) String() string { return "***" }

// GoString hides the token from what prints it with its type.
func (Token) GoString() string { return "***" }

// LogValue hides the token from logs.
func (Token) LogValue() slog.Value { return slog.StringValue("***") }

// For returns the address as a team reaches it: with the credential that the team has for the repository, if
// any, the one with the longest prefix. What is fetched with a credential is kept under a name
// of its own, so that nobody without it finds it: see [Address.RepositoryHash].
func (c *Client) For(team string, a Address) Address {
	a.login = nil
	if a.Kind != KindGit {
		return a
	}
	for i := range c.options.Credentials {
		candidate := &c.options.Credentials[i]
		if candidate.opens(team, a) && (a.login == nil || len(candidate.Prefix) > len(a.login.Prefix)) {
			a.login = candidate
		}
	}
	return a
}

// opens reports whether the credential is for this repository, this way of reaching it, and this team. Hosts take
// names of repositories without regard to case, so it does too.
func (c *Credential) opens(team string, a Address) bool {
	if c.Teams != nil && !slices.Contains(c.Teams, team) {
		return false
	}
	if isWeb(a.CloneURL) != (c.Token != "" || c.TokenFile != "") {
		return false
	}
	want, have := strings.ToLower(c.Host+"/"+strings.Trim(c.Prefix, "/")), strings.ToLower(a.Repository)+"/"
	return strings.HasPrefix(have, strings.TrimSuffix(want, "/")+"/")
}

// scope names who shares what the credential fetched. It stays the same when the token is replaced.
func (c *Credential) scope() string {
	if c == nil {
		return ""
	}
	return "\x00" + strings.ToLower(c.Host+"/"+strings.Trim(c.Prefix, "/")) + "\x00" + strings.Join(c.Teams, "\x00")
}

// name of the credential, for people.
func (c *Credential) name() string {
	return strings.TrimSuffix(c.Host+"/"+strings.Trim(c.Prefix, "/"), "/")
}

func isWeb(clone string) bool {
	return strings.HasPrefix(clone, "https://") || strings.HasPrefix(clone, "http://")
}

// httpLogin is what is sent to one server, and to no other.
type httpLogin struct {
	Origin string `json:"origin"` // scheme and host, such as https://github.com
	User   string `json:"user"`
	Token  string `json:"token"`
	Name   string `json:"name"` // of the credential
}

// httpLogin reads the token. It is nil where the address has no credential for http.
func (a Address) httpLogin() (*httpLogin, error) {
	if a.login == nil || !isWeb(a.CloneURL) {
		return nil, nil
	}
	u, err := url.Parse(a.CloneURL)
	if err != nil {
		return nil, fmt.Errorf("read the repository's address: %w", err)
	}
	if u.Scheme != "https" && !isThisMachine(u.Hostname()) {
		return nil, fail(nes.ReasonSourceForbidden, nil, "the credential for %s is never sent unencrypted: use the https address of %s", a.login.name(), a.Repository)
	}
	token, err := a.login.token()
	if err != nil {
		return nil, err
	}
	user := a.login.Username
	switch {
	case user != "":
	case u.Hostname() == "bitbucket.org":
		user = "x-token-auth"
	default: // GitHub, GitLab and Gitea look at the token alone
		user = "x-access-token"
	}
	return &httpLogin{Origin: u.Scheme + "://" + u.Host, User: user, Token: token, Name: a.login.name()}, nil
}

func (c *Credential) token() (string, error) {
	if c.TokenFile == "" {
		return string(c.Token), nil
	}
	b, err := os.ReadFile(c.TokenFile)
	token := strings.TrimSpace(string(b))
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fail(nes.ReasonSourceForbidden, err, "the token of this server for %s cannot be read: tell its administrator", c.name())
	}
	return token, nil
}

func isThisMachine(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// transport adds the login to requests to its origin, whatever led there, and to no others.
func (l *httpLogin) transport(next http.RoundTripper) http.RoundTripper {
	if l == nil {
		return next
	}
	return authorizing{l, next}
}

type authorizing struct {
	login *httpLogin
	next  http.RoundTripper
}

func (t authorizing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	if sameOrigin(t.login.Origin, req.URL) {
		req.SetBasicAuth(t.login.User, t.login.Token)
	}
	return t.next.RoundTrip(req)
}

// sameOrigin compares scheme, host and port; the usual port may be written or not.
func sameOrigin(origin string, u *url.URL) bool {
	o, err := url.Parse(origin)
	if err != nil || o.Scheme != u.Scheme {
		return false
	}
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return strings.EqualFold(net.JoinHostPort(o.Hostname(), port(o)), net.JoinHostPort(u.Hostname(), port(u)))
}

// explain says what a refusal means where a credential was sent, and takes the token out of whatever a server said.
func (l *httpLogin) explain(repository string, err error) error {
	if l == nil || err == nil {
		return classify(repository, err)
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		switch e.status {
		case http.StatusUnauthorized:
			return fail(nes.ReasonSourceForbidden, e, "the host of %s does not accept the credential for %s (401): it may have expired", repository, l.Name)
		case http.StatusForbidden, http.StatusNotFound:
			return fail(nes.ReasonSourceForbidden, e, "there is no repository %s, or the credential for %s may not read it (%d)", repository, l.Name, e.status)
		}
	}
	failure, ok := errors.AsType[*nes.Error](classify(repository, err))
	if !ok {
		return err
	}
	masked := *failure
	masked.Message = l.mask(failure.Message)
	if failure.Err != nil {
		masked.Err = errors.New(l.mask(failure.Err.Error()))
	}
	return &masked
}

func (l *httpLogin) mask(text string) string { return strings.ReplaceAll(text, l.Token, "***") }

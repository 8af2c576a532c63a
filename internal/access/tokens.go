package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// Token is an entry of the configuration file: a credential and whose it is.
type Token struct {
	Name string `yaml:"name"`
	Team string `yaml:"team"`
	// Token is the credential, or "sha256:" and the hexadecimal SHA-256 of it, so that the file need not hold it.
	Token string `yaml:"token"`
	Roles []Role `yaml:"roles"` // empty is submit
}

// hashPrefix marks a token that is given by its digest.
const hashPrefix = "sha256:"

// minToken is the least length of a token, in bytes; "openssl rand -hex 16" gives 32.
const minToken = 16

// Tokens knows principals by their tokens. It keeps digests alone. The zero value knows nobody.
type Tokens struct{ entries []entry }

type entry struct {
	digest    [sha256.Size]byte
	principal Principal
}

// NewTokens reads the entries of a configuration. Its error is made by nes.Invalid and names every wrong entry.
func NewTokens(list []Token) (*Tokens, error) {
	t, problems := &Tokens{}, []nes.Problem{}
	for i, given := range list {
		field := fmt.Sprintf("tokens[%d]", i)
		e, wrong := newEntry(given)
		for _, p := range wrong {
			problems = append(problems, nes.Problem{Field: field + "." + p.Field, Message: p.Message})
		}
		if len(wrong) > 0 {
			continue
		}
		if slices.ContainsFunc(t.entries, func(o entry) bool { return o.digest == e.digest }) {
			problems = append(problems, nes.Problem{Field: field + ".token", Message: "is the token of another entry too"})
		}
		t.entries = append(t.entries, e)
	}
	return t, nes.Invalid(problems)
}

func newEntry(t Token) (entry, []nes.Problem) {
	var problems []nes.Problem
	add := func(field, message string) {
		problems = append(problems, nes.Problem{Field: field, Message: message})
	}
	if t.Name == "" {
		add("name", "is required: who holds the token")
	}
	if t.Team == "" {
		add("team", "is required: whose runs the token gives access to")
	}
	if len(t.Roles) == 0 {
		t.Roles = []Role{RoleSubmit}
	}
	for _, r := range t.Roles {
		if !slices.Contains(Roles(), r) {
			add("roles", fmt.Sprintf("there is no role %q: the roles are read, submit, operate, admin", r))
		}
	}
	digest, err := digestOf(t.Token)
	if err != nil {
		add("token", err.Error())
	}
	return entry{digest, Principal{Name: t.Name, Team: t.Team, Roles: slices.Clone(t.Roles)}}, problems
}

func digestOf(token string) (digest [sha256.Size]byte, err error) {
	if text, hashed := strings.CutPrefix(token, hashPrefix); hashed {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != sha256.Size {
			return digest, fmt.Errorf("must be 64 hexadecimal digits after %q", hashPrefix)
		}
		return [sha256.Size]byte(raw), nil
	}
	if len(token) < minToken {
		return digest, fmt.Errorf("is shorter than %d characters: make one with openssl rand -hex 32", minToken)
	}
	return sha256.Sum256([]byte(token)), nil
}

// tokenBytes of a token that NES makes are random: nobody guesses 256 bits.
const tokenBytes = 32

// newToken makes a token that secret scanners know by its beginning.
func newToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails
	return "nes_" + base64.RawURLEncoding.EncodeToString(b)
}

// Digest is what is kept of a token, as it is written in the configuration file.
func Digest(token string) string {
	digest := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(digest[:])
}

// Empty reports whether no token is configured, which means that nobody has to sign in.
func (t *Tokens) Empty() bool { return t == nil || len(t.entries) == 0 }

// Principal returns the holder of a token. It takes the same time whether and where it is found.
func (t *Tokens) Principal(token string) (Principal, bool) {
	if t == nil {
		return Principal{}, false
	}
	digest := sha256.Sum256([]byte(token))
	found := -1
	for i := range t.entries {
		if subtle.ConstantTimeCompare(t.entries[i].digest[:], digest[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Principal{}, false
	}
	return t.entries[found].principal, true
}

// Authenticate returns the caller of r by its bearer token, or by HTTP Basic with the token as
// password and any user name, as the original service's clients send it from a netrc.
// Where no token is configured everyone is [Local]. The error has code unauthorized.
func (t *Tokens) Authenticate(r *http.Request) (Principal, error) {
	if t.Empty() {
		return Local(), nil
	}
	return authenticate(r, t.holder)
}

// holder is Principal in the form of an authority that is always there.
func (t *Tokens) holder(_ context.Context, token string) (Principal, bool, error) {
	p, known := t.Principal(token)
	return p, known, nil
}

// authority knows the holder of a token. An error is that it cannot be asked.
type authority func(ctx context.Context, token string) (p Principal, known bool, err error)

// authenticate asks each authority for the holder of r's token.
func authenticate(r *http.Request, authorities ...authority) (Principal, error) {
	token, given := credential(r)
	if !given {
		return Principal{}, nes.Errorf(nes.CodeUnauthorized, "sign in: send a token as \"Authorization: Bearer <token>\", or by HTTP Basic as the password")
	}
	for _, ask := range authorities {
		p, known, err := ask(r.Context(), token)
		if known || err != nil {
			return p, err
		}
	}
	return Principal{}, nes.Errorf(nes.CodeUnauthorized, "the token is not known here")
}

// credential reads the token from r's headers.
func credential(r *http.Request) (token string, given bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// RequireAuth refuses an address that others can reach for a server at which nobody has to
// sign in, unless insecure allows it. addr is as net.Listen takes it, or begins with "unix:".
func RequireAuth(addr string, signIn, insecure bool) error {
	if insecure || signIn || Loopback(addr) {
		return nil
	}
	return nes.Errorf(nes.CodeInvalid, "%s can be reached from other machines, and nobody would have to sign in: "+
		"make a token with \"nes token create\" or configure tokens in the file that NES_CONFIG names, listen on 127.0.0.1, or set NES_INSECURE=true", addr)
}

// Loopback reports whether only this machine can reach addr. A host name counts only if
// it is localhost: what others resolve to may change.
func Loopback(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

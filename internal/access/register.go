package access

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/nes-run/nes"
)

// Issued is a token that was created beside the configuration file. Only its digest is known.
type Issued struct {
	Name      string
	Team      string
	Roles     []Role
	Digest    string // "sha256:" and 64 hexadecimal digits
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt *time.Time // nil is never
	RevokedAt *time.Time // nil is not
	RevokedBy string
}

// Valid reports whether the token may be used at that time.
func (i Issued) Valid(at time.Time) bool {
	return i.RevokedAt == nil && (i.ExpiresAt == nil || at.Before(*i.ExpiresAt))
}

// Register is where issued tokens are kept, those that are revoked too. All servers share it.
type Register interface {
	IssuedTokens(ctx context.Context) ([]Issued, error)
}

const (
	// fresh is how long the register is believed: a token that is revoked is good for no longer.
	fresh = 2 * time.Second
	// freshest is how long a token that is not in it is believed to be none, so that a new one works at
	// once, and guesses cost the register next to nothing.
	freshest = 100 * time.Millisecond
)

// Issuer knows principals by issued tokens. It asks the register when it is asked itself.
type Issuer struct {
	register Register
	now      func() time.Time

	mu     sync.Mutex
	at     time.Time // when the register was read
	any    bool      // it has, or had, a token
	tokens Tokens
	ends   map[[sha256.Size]byte]*time.Time
}

// NewIssuer makes an issuer; now is the clock.
func NewIssuer(r Register, now func() time.Time) *Issuer { return &Issuer{register: r, now: now} }

// Any reports whether a token was ever issued. It stays true when all are revoked: who once
// had to sign in always has to.
func (i *Issuer) Any(ctx context.Context) (bool, error) {
	if i == nil {
		return false, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.any {
		return true, nil
	}
	err := i.read(ctx, fresh)
	return i.any, err
}

// Principal returns the holder of a token that may be used now. The error is that of a register that cannot be read.
func (i *Issuer) Principal(ctx context.Context, token string) (p Principal, known bool, err error) {
	if i == nil {
		return Principal{}, false, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, age := range []time.Duration{fresh, freshest} {
		if err := i.read(ctx, age); err != nil {
			return Principal{}, false, err
		}
		if p, known := i.tokens.Principal(token); known {
			end := i.ends[sha256.Sum256([]byte(token))]
			return p, end == nil || i.now().Before(*end), nil
		}
	}
	return Principal{}, false, nil
}

// read reads the register, unless it was read less than age ago.
func (i *Issuer) read(ctx context.Context, age time.Duration) error {
	if now := i.now(); !i.at.IsZero() && now.Sub(i.at) < age {
		return nil
	}
	list, err := i.register.IssuedTokens(ctx)
	if err != nil {
		return err
	}
	i.at, i.any = i.now(), i.any || len(list) > 0
	i.tokens, i.ends = Tokens{}, map[[sha256.Size]byte]*time.Time{}
	for _, t := range list {
		e, problems := newEntry(Token{Name: t.Name, Team: t.Team, Token: t.Digest, Roles: t.Roles})
		if len(problems) == 0 && t.Valid(i.at) {
			i.tokens.entries = append(i.tokens.entries, e)
			i.ends[e.digest] = t.ExpiresAt
		}
	}
	return nil
}

// Issue makes a token for a principal, and what the register is to keep of it. The error is made by
// nes.Invalid and names what is wrong with the principal.
func Issue(p Principal, by string, at time.Time, ends *time.Time) (token string, issued Issued, err error) {
	token = newToken()
	issued = Issued{
		Name: p.Name, Team: p.Team, Roles: slices.Clone(p.Roles), Digest: Digest(token),
		CreatedAt: at, CreatedBy: by, ExpiresAt: ends,
	}
	_, problems := newEntry(Token{Name: p.Name, Team: p.Team, Token: token, Roles: p.Roles})
	if ends != nil && !at.Before(*ends) {
		problems = append(problems, nes.Problem{Field: "expires", Message: "must lie ahead"})
	}
	return token, issued, nes.Invalid(problems)
}

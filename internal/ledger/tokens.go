package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// IssueToken keeps a token under its name, which no other token that may still be used has: conflict.
func (l *Ledger) IssueToken(ctx context.Context, i access.Issued) error {
	roles, err := encode(i.Roles)
	if err != nil {
		return err
	}
	return l.write(ctx, "issue token "+i.Name, func(t *tx) error {
		if err := t.alone("token " + i.Name); err != nil {
			return err
		}
		var one int
		taken, err := t.row("SELECT 1 FROM tokens WHERE name = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) LIMIT 1",
			[]any{&one}, i.Name, i.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		if taken {
			return nes.Errorf(nes.CodeConflict, "%s has a token already: revoke it, or take another name", i.Name)
		}
		_, err = t.exec("INSERT INTO tokens (digest, name, team, roles, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			i.Digest, i.Name, i.Team, roles, i.CreatedAt.UnixMicro(), i.CreatedBy, micros(i.ExpiresAt))
		return err
	})
}

// RevokeToken ends the use of the tokens of a name. Where none may be used any more it is not_found.
func (l *Ledger) RevokeToken(ctx context.Context, name, by string, at time.Time) error {
	return l.write(ctx, "revoke token "+name, func(t *tx) error {
		n, err := t.exec("UPDATE tokens SET revoked_at = ?, revoked_by = ? WHERE name = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
			at.UnixMicro(), by, name, at.UnixMicro())
		if err == nil && n == 0 {
			err = nes.Errorf(nes.CodeNotFound, "no token of %q may be used: nes token list shows those that were issued", name)
		}
		return err
	})
}

// IssuedTokens lists all tokens that were ever issued, the oldest first. It never holds a token itself.
func (l *Ledger) IssuedTokens(ctx context.Context) ([]access.Issued, error) {
	const q = "SELECT digest, name, team, roles, created_at, created_by, expires_at, revoked_at, revoked_by FROM tokens ORDER BY created_at, name"
	var all []access.Issued
	err := l.readRows(ctx, q, nil, func(rows *sql.Rows) error {
		var i access.Issued
		var roles string
		if err := rows.Scan(&i.Digest, &i.Name, &i.Team, &roles, instant{&i.CreatedAt}, &i.CreatedBy, moment{&i.ExpiresAt}, moment{&i.RevokedAt}, &i.RevokedBy); err != nil {
			return err
		}
		all = append(all, i)
		return json.Unmarshal([]byte(roles), &all[len(all)-1].Roles)
	})
	return all, err
}

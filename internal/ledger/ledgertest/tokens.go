package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/ledger"
)

func issued(name string, seconds int, ends *time.Time) access.Issued {
	return access.Issued{
		Name: name, Team: "빨강", Roles: []access.Role{access.RoleRead, access.RoleOperate},
		Digest: access.Digest(name + at(seconds).String()), CreatedAt: at(seconds), CreatedBy: "root@here", ExpiresAt: ends,
	}
}

func tokens(t *testing.T, l *ledger.Ledger) {
	all, err := l.IssuedTokens(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	soon := at(10)
	kim, lee := issued("kim", 0, nil), issued("lee", 1, &soon)
	require.NoError(t, l.IssueToken(t.Context(), lee))
	require.NoError(t, l.IssueToken(t.Context(), kim))
	all, err = l.IssuedTokens(t.Context())
	require.NoError(t, err)
	require.Equal(t, []access.Issued{kim, lee}, all, "as they were issued, the oldest first")

	requireCode(t, nes.CodeConflict, l.IssueToken(t.Context(), issued("kim", 2, nil)))
	requireCode(t, nes.CodeConflict, l.IssueToken(t.Context(), issued("lee", 9, nil)))
	again := issued("lee", 10, nil)
	require.NoError(t, l.IssueToken(t.Context(), again), "a name is free when its token has run out")

	requireCode(t, nes.CodeNotFound, l.RevokeToken(t.Context(), "park", "boss", at(11)))
	require.NoError(t, l.RevokeToken(t.Context(), "kim", "boss", at(12)))
	requireCode(t, nes.CodeNotFound, l.RevokeToken(t.Context(), "kim", "boss", at(13)))
	require.NoError(t, l.IssueToken(t.Context(), issued("kim", 14, nil)), "and when it was revoked")
	all, err = l.IssuedTokens(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 4, "what was issued is never forgotten")
	require.Equal(t, at(12), *all[0].RevokedAt)
	require.Equal(t, "boss", all[0].RevokedBy)
	require.Equal(t, lee, all[1])
	require.Equal(t, again, all[2])
}

// oneTokenAName: of many that are made at once with one name, one is.
func oneTokenAName(t *testing.T, l *ledger.Ledger) {
	var g errgroup.Group
	made := make(chan struct{}, 20)
	for i := range 20 {
		g.Go(func() error {
			err := l.IssueToken(t.Context(), issued("kim", i, nil))
			if err == nil {
				made <- struct{}{}
			} else if nes.CodeOf(err) != nes.CodeConflict {
				return err
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, made, 1)
}

// oddTokens: names are kept as they are, whatever they look like, and one is not another.
func oddTokens(t *testing.T, l *ledger.Ledger) {
	names := []string{"a", "A", "a ", "a' OR '1'='1", "%", "_", "e\u0301", "\u00e9", "김"}
	for i, name := range names {
		require.NoError(t, l.IssueToken(t.Context(), issued(name, i, nil)), name)
	}
	require.NoError(t, l.RevokeToken(t.Context(), "%", "it", at(100)))
	all, err := l.IssuedTokens(t.Context())
	require.NoError(t, err)
	for i, name := range names {
		require.Equal(t, name, all[i].Name)
		require.Equal(t, name != "%", all[i].Valid(at(101)), name)
	}
}

package ledger_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/internal/ledger/ledgertest"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Run(m) }

func TestSQLite(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) *ledger.Ledger { return open(t, filepath.Join(t.TempDir(), "ledger.db")) })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) *ledger.Ledger { return open(t, postgrestest.New(t)) })
}

func open(t testing.TB, path string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

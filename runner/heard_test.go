package runner

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner/agentapi"
)

// TestCallsThatAnotherServerTook: the server that controls learns of them, and the ledger is not written to for each.
func TestCallsThatAnotherServerTook(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l, err := ledger.Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer l.Close()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	run, _, err := l.Create(ctx, ledger.Submission{Spec: nes.Spec{InputURL: "x"}, At: now})
	require.NoError(t, err)
	run, err = l.Apply(ctx, nes.Launch(&run, HashToken("token"), now))
	require.NoError(t, err)

	const every = 10 * time.Second
	serving := NewController(Options{Ledger: l, HeardEvery: every, Now: func() time.Time { return now }})
	controlling := NewController(Options{Ledger: l, HeardEvery: every, Now: func() time.Time { return now }})
	ref, caller := Ref{Run: run.ID, Attempt: 1}, agentapi.Caller{Run: run.ID, Attempt: 1, Token: "token"}
	known := func() time.Time {
		t.Helper()
		s, err := controlling.desk.seat(ctx, l, ref)
		require.NoError(t, err)
		require.NoError(t, s.catchUp(ctx, l, ref, now, every))
		return s.heardAt()
	}
	require.True(t, known().IsZero())
	first := now
	for range 12 {
		_, err := serving.Reception().admit(ctx, caller)
		require.NoError(t, err)
		if now.Before(first.Add(every)) {
			require.Equal(t, first, known(), "kept coarsely")
		}
		now = now.Add(time.Second)
	}
	require.Equal(t, first.Add(every), known())

	alone := NewController(Options{Ledger: l, Now: func() time.Time { return now.Add(time.Hour) }})
	_, err = alone.Reception().admit(ctx, caller)
	require.NoError(t, err)
	a, err := l.Attempt(ctx, run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, first.Add(every), *a.HeardAt, "a server that is alone writes nothing")
}

package ledger

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := filepath.Join(t.TempDir(), "a b?%한글#", "x.db")
	t0 := time.Now()
	l, err := Open(ctx, "sqlite://"+p, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Log("new", time.Since(t0))
	require.FileExists(t, p)
	run, created, err := l.Create(ctx, Submission{Spec: nes.Spec{InputURL: "x", IdempotencyKey: "k", Labels: map[string]string{"a": "b"}}, At: time.Now()})
	require.NoError(t, err)
	require.True(t, created)
	at := time.Now()
	run, err = l.Apply(ctx, nes.Fetch(&run, at))
	require.NoError(t, err)
	run, err = l.Apply(ctx, nes.FetchDone(&run, nes.Fetched{}, at))
	require.NoError(t, err)
	run, err = l.Apply(ctx, nes.Launch(&run, "h", at))
	require.NoError(t, err)
	run, err = l.Apply(ctx, nes.Executing(&run, at))
	require.NoError(t, err)
	run, err = l.Apply(ctx, nes.Saving(&run, nil, "", at))
	require.NoError(t, err)
	_, err = l.Apply(ctx, nes.Executing(&run, at))
	require.ErrorContains(t, err, "cannot become")
	for range 10 {
		t0 = time.Now()
		_, _, err = l.Create(ctx, Submission{Spec: nes.Spec{InputURL: "x"}, At: time.Now()})
		require.NoError(t, err)
		t.Log("create", time.Since(t0))
	}
	page, err := l.Runs(ctx, Filter{Text: "x", Limit: 5, Labels: map[string]string{"a": "b"}})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	ev, err := l.Events(ctx, 0, run.ID, 0)
	require.NoError(t, err)
	require.Len(t, ev, 6)
	require.NoError(t, l.Close())
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(l.Ping(ctx)))
	for range 3 {
		t0 = time.Now()
		l, err = Open(ctx, p, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Log("existing", time.Since(t0))
		require.NoError(t, l.Close())
	}
}

package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/app"
)

func TestLockHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	first, err := app.TryLock(dir)
	require.NoError(t, err)
	_, err = app.TryLock(dir)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	require.ErrorContains(t, err, dir)

	got := make(chan *app.Lock, 1)
	go func() {
		l, err := app.WaitLock(dir)
		if err == nil {
			got <- l
		}
	}()
	require.Empty(t, got)
	require.NoError(t, first.Unlock())
	second := <-got
	_, err = app.TryLock(dir)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	require.NoError(t, second.Unlock())
}

func TestLockNamesTheOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := app.TryLock(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Unlock()) }()
	b, err := json.Marshal(app.Server{URL: "http://127.0.0.1:4321", PID: 77, Token: "s3cret"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "server.json"), b, 0o600))
	_, err = app.TryLock(dir)
	require.ErrorContains(t, err, "process 77 at http://127.0.0.1:4321")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestLockWithoutARight(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := app.TryLock(filepath.Join(file, "data"))
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "NES_DATA_DIR")
}

func TestReadServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := app.ReadServer(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "server.json"), []byte("{"), 0o600))
	_, err = app.ReadServer(dir)
	require.ErrorContains(t, err, "server.json")
}

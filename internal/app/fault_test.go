package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
)

// TestStartsThatFail: whatever cannot be opened, nothing stays behind, and once it is mended the same directory serves.
func TestStartsThatFail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, c *config.Config) (mend func())
		want  string
	}{
		"a ledger that is no database": {func(t *testing.T, c *config.Config) func() {
			path := filepath.Join(c.DataDir, "ledger.db")
			require.NoError(t, os.WriteFile(path, []byte("this is a text, and longer than the head of a database is ......................................."), 0o600))
			return func() { require.NoError(t, os.Remove(path)) }
		}, "ledger"},
		"a bucket that is a file": {func(t *testing.T, c *config.Config) func() {
			path := filepath.Join(c.DataDir, "bucket")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return func() { require.NoError(t, os.Remove(path)) }
		}, "bucket"},
		"a place for server.json that is taken": {func(t *testing.T, c *config.Config) func() {
			path := filepath.Join(c.DataDir, "server.json")
			require.NoError(t, os.Mkdir(path, 0o700))
			return func() { require.NoError(t, os.Remove(path)) }
		}, "server.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configure(t, nil)
			require.NoError(t, os.MkdirAll(c.DataDir, 0o700))
			mend := tt.spoil(t, &c)
			err := app.New(app.Options{Config: c}).Start(t.Context())
			require.ErrorContains(t, err, tt.want)
			lock, err := app.TryLock(c.DataDir)
			require.NoError(t, err, "the directory is given back")
			require.NoError(t, lock.Unlock())
			left, err := filepath.Glob(filepath.Join(c.DataDir, ".tmp-*"))
			require.NoError(t, err)
			require.Empty(t, left)
			mend()
			start(t, app.Options{Config: c, Passive: true})
		})
	}
}

package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/local"
	"github.com/nes-run/nes/runner/runnertest"
)

func TestBackend(t *testing.T) {
	t.Parallel()
	runnertest.Run(t, func(t *testing.T, p runnertest.Place) func() runner.Backend {
		dir := filepath.Join(t.TempDir(), "attempts")
		self, err := os.Executable()
		require.NoError(t, err)
		return func() runner.Backend {
			b, err := local.New(local.Options{
				Dir: dir, Server: p.Server, Agent: []string{self, "agent"}, Python: p.Python, CacheDir: os.Getenv("NESTEST_CACHE"),
			})
			require.NoError(t, err)
			return b
		}
	})
}

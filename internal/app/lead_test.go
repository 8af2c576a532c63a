package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Run(m) }

// TestSeveralServers: two share a ledger and a bucket; whichever stops, the other one takes runs to their end.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	url, bucket := postgrestest.New(t), "file://"+t.TempDir()
	share := func(c *config.Config) { c.Ledger, c.Bucket = url, bucket }
	first, second := start(t, app.Options{Config: configure(t, share)}), start(t, app.Options{Config: configure(t, share)})
	ends := func(submitted, asked *app.App) {
		t.Helper()
		// Refused by the server that controls, and by no other.
		run, _, err := client.New(submitted.URL(), client.Options{}).Submit(t.Context(), nes.Spec{InputURL: "git+file:///nowhere/x.git#x.ipynb"})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			seen, err := client.New(asked.URL(), client.Options{}).Run(t.Context(), run.ID, 10*time.Second, 0)
			require.NoError(t, err)
			return seen.Ended()
		}, time.Minute, 50*time.Millisecond)
	}
	ends(first, second)
	ends(second, first)
	first.Stop()
	ends(second, second)
}

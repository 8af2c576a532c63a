package scenario

import (
	"testing"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/storage"
)

// Rig is one backend with one kind of ledger and bucket.
type Rig interface {
	// Host returns a server that can play the scenario, or skips the test and says what is missing.
	Host(t *testing.T, sc *Scenario) Site
}

// Site is a server that plays scenarios.
type Site interface {
	Client() *client.Client
	// Publish puts files into a new Git repository that the server can fetch, and returns its address.
	Publish(t *testing.T, files map[string]string) string
	// Strike does to the run what no client can: "kill agent", "kill exec", "kill driver", "restart server", "release".
	Strike(t *testing.T, what string, run nes.Run)
	// Left lists what is left of the run where it was executed: processes, pods, directories.
	Left(t *testing.T, run nes.Run) []string
	// Bucket is where the server keeps its records.
	Bucket(t *testing.T) storage.Bucket
}

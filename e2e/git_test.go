package e2e

import (
	"testing"

	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

// repository is a Git repository that Git's own HTTP server serves with its default settings.
type repository struct {
	*gitsourcetest.Repository
	url string // as a person would copy it from the address bar
}

func newRepository(t *testing.T) repository {
	t.Helper()
	s := gitsourcetest.NewServer(t)
	return repository{s.NewRepository("acme/notebooks"), s.URL + "/acme/notebooks"}
}

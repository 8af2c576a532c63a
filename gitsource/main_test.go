package gitsource_test

import (
	"os"
	"testing"

	"github.com/nes-run/nes/gitsource"
)

// TestMain lets the test binary be the process that fetches, as cmd/nes is in production.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "fetch-child" {
		os.Exit(gitsource.ChildMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

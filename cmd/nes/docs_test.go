package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the documentation")

// TestDocumentation holds docs/cli.md to what the commands say of themselves.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "cli.md")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	before, _, ok := strings.Cut(string(b), "<!-- commands -->\n")
	require.True(t, ok)
	want := before + "<!-- commands -->\n" + reference()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(b), "run go test ./cmd/nes -run TestDocumentation -update")
}

// reference describes every command that is not hidden.
func reference() string {
	var b strings.Builder
	root := newRoot(streams{out: os.Stdout, err: os.Stderr})
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		b.WriteString("\n## " + cmd.CommandPath() + "\n\n" + about(cmd) + "\n\n```\n" + strings.TrimSpace(cmd.UsageString()) + "\n```\n")
	}
	return b.String()
}

func about(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

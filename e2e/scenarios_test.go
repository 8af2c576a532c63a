package e2e

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/e2e/scenario"
)

var update = flag.Bool("update", false, "write the generated part of docs/reliability.md anew")

// TestScenarios plays every scenario with the embedded ledger and bucket.
func TestScenarios(t *testing.T) {
	t.Parallel()
	scenario.Run(t, newRig(t, embedded), scenarios(t))
}

// TestScenariosOnPostgres plays them with the ledger that several servers may share.
func TestScenariosOnPostgres(t *testing.T) {
	t.Parallel()
	scenario.Run(t, newRig(t, shared), scenarios(t))
}

func scenarios(t *testing.T) []scenario.Scenario {
	t.Helper()
	all, err := scenario.Load("testdata/scenarios")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// TestTable holds the table of docs/reliability.md to the scenarios.
func TestTable(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../docs/reliability.md", "<!-- generated: scenarios -->\n", "<!-- end -->"
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	want := before + begin + "\n" + scenario.Table(scenarios(t)) + "\n" + end + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "run: go test ./e2e -run TestTable -update")
}

package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
)

// TestEachDefenceHasATest holds the table of docs/security.md to the tree: each row has a defence and names tests that exist.
func TestEachDefenceHasATest(t *testing.T) {
	t.Parallel()
	rows := 0
	for line := range strings.Lines(readFile(t, filepath.Join(root, "docs", "security.md"))) {
		columns := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(columns) != 3 || strings.TrimSpace(columns[0]) == "vector" {
			continue
		}
		rows++
		require.NotEmpty(t, strings.TrimSpace(columns[1]), line)
		requireTests(t, columns[0], columns[2])
	}
	require.Greater(t, rows, 20)
}

// requireTests reads "`file`: `TestA` `TestB`; `script`".
func requireTests(t *testing.T, vector, text string) {
	t.Helper()
	for entry := range strings.SplitSeq(text, ";") {
		names := quoted.FindAllStringSubmatch(entry, -1)
		require.NotEmpty(t, names, "%s has no test", vector)
		path := names[0][1]
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		require.NoError(t, err, vector)
		if !strings.HasSuffix(path, "_test.go") {
			require.Len(t, names, 1, "%s: %s is a script", vector, path)
			continue
		}
		require.Greater(t, len(names), 1, "%s: which tests of %s?", vector, path)
		for _, name := range names[1:] {
			require.Regexp(t, testName, name[1], vector)
			require.Contains(t, string(source), "\nfunc "+name[1]+"(", "%s: %s", vector, path)
		}
	}
}

package archtest

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// minRatio is how many lines of test there are at least for each line of code, blank lines and comments aside, where tests matter.
const minRatio = 1.2

// tested lists where tests matter: what can state a record, or lose one, and what can let somebody in. Beside its own tests and the
// suites in its ...test packages, a package's proofs are those of the suites named here, which it passes as an implementation, and its scripts.
var tested = map[string]proofs{
	"":                    {},
	"api":                 {},
	"api/client":          {},
	"api/problem":         {},
	"gitsource":           {},
	"internal/access":     {},
	"internal/bundle":     {},
	"internal/intake":     {},
	"internal/jsonspan":   {},
	"internal/ledger":     {},
	"internal/nbformat":   {},
	"internal/parameters": {},
	"internal/strictjson": {},
	"internal/worktree":   {},
	"runner":              {},
	"runner/agent":        {},
	"runner/agentapi":     {},
	"runner/executor":     {},
	"runner/journal":      {},
	"runner/local":        {suites: []string{"runner/runnertest"}},
	"runner/record":       {},
	"runner/reduce":       {},
	"storage/file":        {suites: []string{"storage/storagetest"}},
}

type proofs struct {
	suites  []string // packages
	scripts string   // pattern of files that are tests too
}

func TestTestsOutweighTheCodeWhereTheyMatter(t *testing.T) {
	t.Parallel()
	code, tests := map[string]int{}, map[string]int{}
	for _, s := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(s.path))
		if s.test() {
			tests[dir] += written(t, s.path)
		} else {
			code[dir] += written(t, s.path)
		}
	}
	for pkg, p := range tested {
		own := pkg
		if pkg == "" {
			own = "."
		}
		n := tests[own] + scripts(t, p.scripts)
		for dir, lines := range tests {
			if path.Dir(dir) == own && strings.HasSuffix(dir, "test") && code[dir] == 0 {
				n += lines
			}
		}
		for _, suite := range p.suites {
			require.NotZero(t, tests[suite], "%s names the suite %s, which has no line", pkg, suite)
			n += tests[suite]
		}
		require.NotZero(t, code[own], "package %q has no code: take it out of the table", pkg)
		ratio := float64(n) / float64(code[own])
		require.GreaterOrEqual(t, ratio, minRatio, "package %q has %d lines of test for %d lines of code: write %d more that prove something", pkg, n, code[own], int(minRatio*float64(code[own]))-n+1)
	}
}

// scripts counts the lines of the scripts that pattern finds; an empty one finds none.
func scripts(t *testing.T, pattern string) (n int) {
	t.Helper()
	if pattern == "" {
		return 0
	}
	files, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s finds nothing", pattern)
	for _, f := range files {
		rel, err := filepath.Rel(root, f)
		require.NoError(t, err)
		n += written(t, rel)
	}
	return n
}

// written counts a file's lines that are not blank.
func written(t *testing.T, rel string) (n int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, rel))
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

package nearest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/nearest"
)

func TestTo(t *testing.T) {
	t.Parallel()
	names := []string{"main", "master", "develop", "feature/new", "feature/old", "매출.ipynb", "sales/daily.ipynb"}
	for given, want := range map[string][]string{
		"mian":              {"main"},
		"MAIN":              {"main"},
		"devleop":           {"develop"},
		"feature/now":       {"feature/new", "feature/old"},
		"매츌.ipynb":          {"매출.ipynb"},
		"sales/dialy.ipynb": {"sales/daily.ipynb"},
		"zzzzzzzzzzzzzz":    nil,
		"":                  nil,
	} {
		require.Equal(t, want, nearest.To(given, names, 2), given)
	}
	require.Nil(t, nearest.To("x", nil, 3))
	require.Len(t, nearest.To("main", []string{"main1", "main2", "main3"}, 2), 2)
}

func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	names := make([]string, 200_000)
	for i := range names {
		names[i] = strings.Repeat("x", 50) + strconv.Itoa(i)
	}
	require.Len(t, nearest.To(strings.Repeat("x", 1<<20), names, 3), 0)
	require.Len(t, nearest.To(strings.Repeat("x", 50), names, 3), 3)
}

package allowance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		max, memory string
		factor      float64
		want        string
	}{
		"doubled":                  {"", "2Gi", 2, "4096Mi"},
		"by a half":                {"", "1Gi", 1.5, "1536Mi"},
		"rounded up":               {"", "1000k", 1.1, "2Mi"},
		"up to the maximum":        {"3Gi", "2Gi", 2, "3072Mi"},
		"beyond the maximum":       {"1Gi", "2Gi", 2, "2Gi"},
		"once":                     {"", "2Gi", 1, "2Gi"},
		"a job of an older server": {"", "2Gi", 0, "2Gi"},
		"nothing to multiply":      {"", "", 2, ""},
		"no quantity":              {"", "much", 2, "much"},
		"a very large factor":      {"8Gi", "2Gi", 64, "8192Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Profile{Resources: Bounds{Max: Size{Memory: tt.max}}}
			require.Equal(t, tt.want, p.Grow(tt.memory, tt.factor))
		})
	}
}

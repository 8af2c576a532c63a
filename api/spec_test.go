package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	of := func(body string) string {
		spec, problems := api.ReadSpec([]byte(body), http.Header{})
		require.Empty(t, problems)
		sum, err := api.Fingerprint(spec)
		require.NoError(t, err)
		return sum
	}
	base := of(`{` + address + `,"parameters":{"a":{"x":1,"y":[2]},"b":null},"timeout":"1m"}`)
	for _, same := range []string{
		`{"timeout":60,"parameters":{"b":null,"a":{"y":[2],"x":1}},` + address + `}`,
		`{` + address + `,"parameters":{"a": {"x": 1, "y": [2]},"b":null},"timeout":"60s","idempotency_key":"k","labels":null,"host_network":false}`,
	} {
		require.Equal(t, base, of(same))
	}
	for _, other := range []string{
		`{` + address + `,"parameters":{"a":{"x":1,"y":[2]}},"timeout":"1m"}`,
		`{` + address + `,"parameters":{"a":{"x":1.0,"y":[2]},"b":null},"timeout":"1m"}`,
		`{` + address + `,"parameters":{"a":{"x":1,"y":[2]},"b":null},"timeout":"2m"}`,
	} {
		require.NotEqual(t, base, of(other))
	}
}

// FuzzReadSpec: what is accepted can be stored, shown and sent again, and is the same request then.
func FuzzReadSpec(f *testing.F) {
	f.Add([]byte(`{` + address + `,"parameters":{"a":1.50,"b":[null,{"c":"d"}]},"timeout":90,"retry":{"limit":1}}`))
	f.Add([]byte(`{"input_url":"x","labels":{"a":null},"secrets":{"A":{"ref":"b"}},"not_ready":{"every":"1m","until":"2m"}}`))
	f.Add([]byte(`{"input_url":1,"input_url":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, problems := api.ReadSpec(data, http.Header{})
		if len(problems) > 0 {
			require.Error(t, nes.Invalid(problems))
			return
		}
		stored, err := json.Marshal(spec)
		require.NoError(t, err)
		again, problems := api.ReadSpec(stored, http.Header{})
		require.Empty(t, problems)
		one, err := api.Fingerprint(spec)
		require.NoError(t, err)
		two, err := api.Fingerprint(again)
		require.NoError(t, err)
		require.Equal(t, one, two)
	})
}

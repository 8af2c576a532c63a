package nes_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	good := map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "90": 90 * time.Second, "0.5": 500 * time.Millisecond,
		"0": 0, "1e3": 1000 * time.Second, "87600h": 10 * 365 * 24 * time.Hour,
	}
	for text, want := range good {
		d, err := nes.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, d.Std(), text)
	}
	for _, text := range []string{"", "x", "-1s", "-1", "NaN", "Inf", "-Inf", "1e300", "87601h", "90 s", "1d", "9e18", "[]"} {
		_, err := nes.ParseDuration(text)
		require.Error(t, err, text)
	}
}

func TestDurationAsJSON(t *testing.T) {
	t.Parallel()
	var spec nes.Spec
	require.NoError(t, json.Unmarshal([]byte(`{"timeout":"1m30s","cell_timeout":90,"silence_timeout":"45","deadline":null,"lease":0.25}`), &spec))
	require.Equal(t, 90*time.Second, spec.Timeout.Std())
	require.Equal(t, 90*time.Second, spec.CellTimeout.Std())
	require.Equal(t, 45*time.Second, spec.SilenceTimeout.Std())
	require.Zero(t, spec.Deadline)
	require.Equal(t, 250*time.Millisecond, spec.Lease.Std())
	text, err := json.Marshal(spec)
	require.NoError(t, err)
	require.JSONEq(t, `{"input_url":"","timeout":"1m30s","cell_timeout":"1m30s","silence_timeout":"45s","lease":"250ms"}`, string(text))
	for _, bad := range []string{`{"timeout":true}`, `{"timeout":[]}`, `{"timeout":{}}`, `{"timeout":"soon"}`, `{"timeout":-1}`, `{"timeout":""}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &spec), bad)
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90s", "1h30m", "90", "0.5", "-1", "NaN", "1e300", "", "0x1p-2", "1_000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := nes.ParseDuration(text)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, d, nes.Duration(0))
		again, err := nes.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, again, "what is written can be read")
	})
}

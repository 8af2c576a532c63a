package nes_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestBoundsAreExact: the last value allowed passes, and the first one beyond it does not.
func TestBoundsAreExact(t *testing.T) {
	t.Parallel()
	const year = nes.Duration(365 * 24 * time.Hour)
	nested := func(n int) json.RawMessage {
		return json.RawMessage(strings.Repeat(`[{"\\\"[":`, n/2) + `"]}\\"` + strings.Repeat("}]", n/2))
	}
	for field, c := range map[string]struct{ good, bad func(*nes.Spec) }{
		"priority":            {func(s *nes.Spec) { s.Priority = -100 }, func(s *nes.Spec) { s.Priority = -101 }},
		"resources.gpu":       {func(s *nes.Spec) { s.Resources.GPU = 64 }, func(s *nes.Spec) { s.Resources.GPU = 65 }},
		"lease":               {func(s *nes.Spec) { s.Lease = nes.Duration(10 * time.Second) }, func(s *nes.Spec) { s.Lease = nes.Duration(10*time.Second - 1) }},
		"timeout":             {func(s *nes.Spec) { s.Timeout = 10 * year }, func(s *nes.Spec) { s.Timeout = 10*year + 1 }},
		"retry.limit":         {func(s *nes.Spec) { s.Retry.Limit = 10 }, func(s *nes.Spec) { s.Retry.Limit = -1 }},
		"retry.backoff":       {func(s *nes.Spec) { s.Retry.Backoff = nes.Duration(24 * time.Hour) }, func(s *nes.Spec) { s.Retry.Backoff = -1 }},
		"retry.memory_factor": {func(s *nes.Spec) { s.Retry.MemoryFactor = 8 }, func(s *nes.Spec) { s.Retry.MemoryFactor = 8.01 }},
		"not_ready.every":     {func(s *nes.Spec) { s.NotReady.Every = nes.Duration(time.Second) }, func(s *nes.Spec) { s.NotReady.Every = nes.Duration(time.Second - 1) }},
		"not_ready.until":     {func(s *nes.Spec) { s.NotReady.Until = s.NotReady.Every }, func(s *nes.Spec) { s.NotReady.Until = s.NotReady.Every - 1 }},
		"parameters.a":        {func(s *nes.Spec) { s.Parameters["a"] = nested(64) }, func(s *nes.Spec) { s.Parameters["a"] = nested(66) }},
		"idempotency_key":     {func(s *nes.Spec) { s.IdempotencyKey = strings.Repeat("k", 255) }, func(s *nes.Spec) { s.IdempotencyKey = strings.Repeat("k", 256) }},
		"runtime":             {func(s *nes.Spec) { s.Runtime = strings.Repeat("r", 128) }, func(s *nes.Spec) { s.Runtime = strings.Repeat("r", 129) }},
		"output_path":         {func(s *nes.Spec) { s.OutputPath = strings.Repeat("o", 512) }, func(s *nes.Spec) { s.OutputPath = strings.Repeat("o", 513) }},
		"resources.cpu":       {func(s *nes.Spec) { s.Resources.CPU = ".5" }, func(s *nes.Spec) { s.Resources.CPU = "5." }},
		"resources.memory":    {func(s *nes.Spec) { s.Resources.Memory = "1Ei" }, func(s *nes.Spec) { s.Resources.Memory = "1Ki\n" }},
		"secrets.PATH":        {func(s *nes.Spec) { s.Secrets["PATH_"] = nes.Secret{Ref: "x"} }, func(s *nes.Spec) { s.Secrets["PATH"] = nes.Secret{Ref: "x"} }},
	} {
		s := valid()
		c.good(&s)
		require.Empty(t, s.Validate(), field)
		s = valid()
		c.bad(&s)
		problems := s.Validate()
		require.Len(t, problems, 1, field)
		require.Equal(t, field, problems[0].Field)
	}
}

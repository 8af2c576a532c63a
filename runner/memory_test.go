package runner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

func TestMemoryFactor(t *testing.T) {
	t.Parallel()
	of := func(factor float64, reasons ...nes.Reason) float64 {
		r := nes.Run{Attempt: len(reasons) + 1, Spec: nes.Spec{Retry: &nes.Retry{MemoryFactor: factor}}}
		var attempts []nes.Attempt
		for i, reason := range reasons {
			attempts = append(attempts, nes.Attempt{Number: i + 1, Reason: reason})
		}
		return MemoryFactor(&r, append(attempts, nes.Attempt{Number: r.Attempt}))
	}
	oom := nes.ReasonOutOfMemory
	require.Equal(t, 1.0, of(2))
	require.Equal(t, 2.0, of(2, oom))
	require.Equal(t, 4.0, of(2, oom, oom))
	require.Equal(t, 2.25, of(1.5, oom, nes.ReasonEvicted, oom), "other ends ask for no more")
	require.Equal(t, 1.0, of(0, oom))
	require.Equal(t, 64.0, of(8, oom, oom, oom, oom))
	require.Equal(t, 1.0, MemoryFactor(&nes.Run{Attempt: 2}, []nes.Attempt{{Number: 1, Reason: oom}}), "without a policy")
}

// TestMoreMemoryAfterOutOfMemory: the second attempt is launched with what the policy says, also when the launch has to be repeated.
func TestMoreMemoryAfterOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	retry := &nes.Retry{Limit: 2, Backoff: nes.Duration(time.Second), On: []nes.Reason{nes.ReasonOutOfMemory}, MemoryFactor: 1.5}
	id := s.submit(nes.Spec{Retry: retry, Resources: &nes.Resources{Memory: "2Gi"}}).ID
	s.stepped(id)
	r := s.run(id)
	require.Equal(t, nes.StageScheduling, r.Stage)
	require.Equal(t, 1.0, s.yard.jobs[Ref{id, 1}].MemoryFactor)
	require.NoError(t, s.report(&r, oneCellSaid, journal.Exit{Reason: string(nes.ReasonOutOfMemory), Message: "killed"}))
	s.stepped(id)
	require.Equal(t, nes.StageWaiting, s.run(id).Stage)
	s.now = s.now.Add(time.Minute)
	s.stepped(id)
	again := s.yard.jobs[Ref{id, 2}]
	require.Equal(t, 1.5, again.MemoryFactor)
	require.Equal(t, "2Gi", again.Resources.Memory, "the backend multiplies what the run really gets")
}

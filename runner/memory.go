package runner

import (
	"context"

	"github.com/nes-run/nes"
)

// maxMemoryFactor bounds what repeated multiplication makes of a run's memory.
const maxMemoryFactor = 64

// MemoryFactor is by how much the memory of the run's newest attempt is multiplied: by its policy's factor once for every
// attempt before it that ran out of memory. attempts are all of the run.
func MemoryFactor(r *nes.Run, attempts []nes.Attempt) float64 {
	factor := 1.0
	if r.Spec.Retry == nil || r.Spec.Retry.MemoryFactor <= 1 {
		return factor
	}
	for _, a := range attempts {
		if a.Number < r.Attempt && a.Reason == nes.ReasonOutOfMemory {
			factor = min(factor*r.Spec.Retry.MemoryFactor, maxMemoryFactor)
		}
	}
	return factor
}

// memoryFactor reads what MemoryFactor needs; a run without such a policy needs nothing.
func (s *step) memoryFactor(ctx context.Context) (float64, error) {
	if s.run.Attempt < 2 || s.run.Spec.Retry == nil || s.run.Spec.Retry.MemoryFactor <= 1 {
		return 1, nil
	}
	attempts, err := s.c.o.Ledger.Attempts(ctx, s.run.ID)
	if err != nil {
		return 0, err
	}
	return MemoryFactor(&s.run, attempts), nil
}

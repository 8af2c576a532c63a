package e2e

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
)

// TestCancelAgainstSuccess races a cancel against the end of the notebook, 500 times. Whoever wins, the API, the ledger and
// the notebook tell the same, and both ends are met.
func TestCancelAgainstSuccess(t *testing.T) {
	t.Parallel()
	races := 500
	if testing.Short() {
		races = 50
	}
	s := serve(t, append(quick(t), "NES_MAX_RUNNING=8")...)
	at := &site{server: s}
	address := at.Publish(t, map[string]string{"n.ipynb": notebook("work()")})
	var succeeded, cancelled, left atomic.Int64
	left.Store(int64(races))
	var racers sync.WaitGroup
	for range 8 {
		racers.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				switch reason := raceOnce(t, at, address); reason {
				case nes.ReasonCompleted:
					succeeded.Add(1)
				case nes.ReasonCancelled:
					cancelled.Add(1)
				default:
					t.Errorf("a run ended as %q", reason)
				}
			}
		})
	}
	racers.Wait()
	t.Logf("%d races: the notebook won %d, the cancel %d", races, succeeded.Load(), cancelled.Load())
	require.Positive(t, succeeded.Load(), "the notebook never won: the race was none")
	require.Positive(t, cancelled.Load(), "the cancel never won: the race was none")
	require.EqualValues(t, races, succeeded.Load()+cancelled.Load())
}

// raceOnce cancels a run at about the time when it ends, and returns how it ended.
func raceOnce(t *testing.T, s *site, address string) nes.Reason {
	work := time.Duration(200+rand.N(400)) * time.Millisecond // the agent asks every 200 ms
	run, _, err := s.client.Submit(t.Context(), trivial(address, work))
	if err != nil {
		t.Error(err)
		return nes.ReasonInternal
	}
	for version := int64(0); !run.Ended() && run.Stage != nes.StageExecuting && run.Stage != nes.StageSaving; version = run.Version {
		if run, err = s.client.Run(t.Context(), run.ID, scenario.Patience, version); err != nil {
			t.Error(err)
			return nes.ReasonInternal
		}
	}
	time.Sleep(rand.N(work * 5 / 4)) // anywhere before the end, and shortly behind it
	if _, err := s.client.Cancel(t.Context(), run.ID); err != nil {
		t.Error(err)
	}
	if run, err = s.client.Wait(t.Context(), run.ID); err != nil {
		t.Error(err)
		return nes.ReasonInternal
	}
	if err := scenario.Disagreement(t, s, run.ID); err != nil {
		t.Error(err)
	}
	return run.Reason
}

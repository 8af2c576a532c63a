package nes_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestStatusWords: clients of the original service know these five and no others.
func TestStatusWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, []nes.Status{"Pending", "Running", "Succeeded", "Failed", "Error"}, nes.Statuses())
	ended := map[nes.Status]bool{nes.StatusSucceeded: true, nes.StatusFailed: true, nes.StatusError: true}
	for _, s := range nes.Statuses() {
		require.Equal(t, ended[s], s.Ended(), s)
	}
	require.False(t, nes.Status("Cancelled").Ended())
}

func TestStatusOfStages(t *testing.T) {
	t.Parallel()
	want := map[nes.Stage]nes.Status{
		nes.StageQueued: nes.StatusPending, nes.StageFetching: nes.StatusPending, nes.StageWaiting: nes.StatusPending,
		nes.StageScheduling: nes.StatusPending, nes.StageStarting: nes.StatusPending,
		nes.StageExecuting: nes.StatusRunning, nes.StageSaving: nes.StatusRunning, nes.StageEnded: "",
	}
	require.Len(t, nes.Stages(), len(want))
	for _, s := range nes.Stages() {
		require.Equal(t, want[s], s.Status(), s)
	}
}

func TestStagesLeadToAnEnd(t *testing.T) {
	t.Parallel()
	for _, from := range nes.Stages() {
		require.False(t, from.CanBecome(from), "%s becomes itself", from)
		require.Equal(t, from != nes.StageEnded, reaches(from, nes.StageEnded, map[nes.Stage]bool{}), from)
		require.True(t, from == nes.StageQueued || reaches(nes.StageQueued, from, map[nes.Stage]bool{}), "%s is never met", from)
	}
	require.False(t, nes.StageExecuting.CanBecome(nes.StageEnded), "what was executed is saved before it ends")
	require.False(t, nes.Stage("unknown").CanBecome(nes.StageEnded))
}

func reaches(from, to nes.Stage, seen map[nes.Stage]bool) bool {
	seen[from] = true
	for _, next := range nes.Stages() {
		if from.CanBecome(next) && (next == to || !seen[next] && reaches(next, to, seen)) {
			return true
		}
	}
	return false
}

func TestSourcesAreTheTableReadBackwards(t *testing.T) {
	t.Parallel()
	for _, to := range nes.Stages() {
		for _, from := range nes.Stages() {
			if from.CanBecome(to) {
				require.Contains(t, to.Sources(), from)
			} else {
				require.NotContains(t, to.Sources(), from)
			}
		}
	}
	require.Empty(t, nes.Stage("unknown").Sources())
}

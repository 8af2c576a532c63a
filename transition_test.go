package nes_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// startAttempt is the attempt of the run that the transitions below are made for.
const startAttempt = 2

type transitionRow struct {
	name, when string
	made       nes.Transition
	from       []nes.Stage // where the controller makes it
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// transitions are all that there are, in the order in which a run may meet them.
func transitions() []transitionRow {
	r := &nes.Run{ID: "run", Attempt: startAttempt}
	return []transitionRow{
		{"Fetch", "The controller takes up a queued run whose source is not known.", nes.Fetch(r, noon), []nes.Stage{nes.StageQueued}},
		{"FetchDone", "The source is stored, the notebook and its parameters are checked.", nes.FetchDone(r, nes.Fetched{}, noon), []nes.Stage{nes.StageFetching}},
		{"Requeue", "A fetch was interrupted by a crash, or a wait is over.", nes.Requeue(r, "why", noon), []nes.Stage{nes.StageFetching, nes.StageWaiting}},
		{"Launch", "There is a place: the intent is written down before anything is started.", nes.Launch(r, "hash", noon), []nes.Stage{nes.StageQueued}},
		{"Starting", "The agent reported for the first time.", nes.Starting(r, noon), []nes.Stage{nes.StageScheduling}},
		{"Executing", "The first cell started.", nes.Executing(r, noon), []nes.Stage{nes.StageScheduling, nes.StageStarting}},
		{"Saving", "The attempt is over, however that came.", nes.Saving(r, json.RawMessage("{}"), "why", noon), []nes.Stage{nes.StageScheduling, nes.StageStarting, nes.StageExecuting}},
		{"RetryLater", "The attempt's outcome is kept and another attempt will follow.", nes.RetryLater(r, nes.Outcome{Reason: nes.ReasonNodeLost, Message: "why"}, noon.Add(time.Minute), noon), []nes.Stage{nes.StageSaving}},
		{"End", "The commit: the outcome is kept, with the reason.", nes.End(r, nes.ReasonCellError, "why", &nes.Outcome{}, noon), []nes.Stage{nes.StageQueued, nes.StageFetching, nes.StageWaiting, nes.StageSaving}},
	}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, row := range transitions() {
		require.Equal(t, nes.RunID("run"), row.made.Run, row.name)
		require.Equal(t, noon, row.made.At, row.name)
		require.NotEmpty(t, row.made.Kind, row.name)
		require.False(t, kinds[row.made.Kind], "%s: every transition has its own event", row.name)
		kinds[row.made.Kind] = true
		for _, from := range row.from {
			require.True(t, from.CanBecome(row.made.To), "%s from %s", row.name, from)
		}
		want := startAttempt
		if row.name == "Launch" {
			want++
		}
		require.Equal(t, want, row.made.Attempt, row.name)
	}
}

// TestEveryMoveHasATransition: the table of stages allows what some transition does and, but for
// the way back into the queue while saving, nothing else.
func TestEveryMoveHasATransition(t *testing.T) {
	t.Parallel()
	for _, from := range nes.Stages() {
		for _, to := range nes.Stages() {
			if !from.CanBecome(to) {
				continue
			}
			found := from == nes.StageSaving && to == nes.StageQueued
			for _, row := range transitions() {
				for _, f := range row.from {
					found = found || f == from && row.made.To == to
				}
			}
			require.True(t, found, "nothing moves a run from %s to %s", from, to)
		}
	}
}

func TestTransitionsCarryWhatTheyShould(t *testing.T) {
	t.Parallel()
	made := map[string]nes.Transition{}
	for _, row := range transitions() {
		made[row.name] = row.made
	}
	require.NotNil(t, made["FetchDone"].Fetched)
	require.Equal(t, "hash", made["Launch"].TokenHash)
	require.Equal(t, json.RawMessage("{}"), made["Saving"].Exit)
	require.Equal(t, "why", made["Saving"].Message)
	require.Equal(t, noon.Add(time.Minute), *made["RetryLater"].NotBefore)
	require.Equal(t, nes.ReasonNodeLost, made["RetryLater"].Reason)
	require.Equal(t, "why", made["RetryLater"].Message)
	require.Equal(t, nes.ReasonNodeLost, made["RetryLater"].Outcome.Reason)
	require.Equal(t, nes.ReasonCellError, made["End"].Reason)
	require.NotNil(t, made["End"].Outcome)
	for _, name := range []string{"Fetch", "Requeue", "Launch", "Starting", "Executing", "Saving"} {
		require.Nil(t, made[name].Outcome, name)
		require.Empty(t, made[name].Reason, name)
	}
}

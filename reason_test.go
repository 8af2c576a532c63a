package nes_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestReasonTable(t *testing.T) {
	t.Parallel()
	seen := map[nes.Reason]bool{}
	for _, r := range nes.Reasons() {
		require.False(t, seen[r.Reason], "%s is there twice", r.Reason)
		seen[r.Reason] = true
		require.True(t, r.Reason.Known())
		require.Equal(t, r, r.Reason.Info())
		require.Equal(t, r.Status, r.Reason.Status())
		require.True(t, r.Status.Ended(), "%s ends a run", r.Reason)
		require.Regexp(t, regexp.MustCompile(`^([A-Z][a-z]+|A)*$`), string(r.Reason))
		require.Regexp(t, `^[A-Z].*\.$`, r.Meaning, "a sentence")
		if r.Cure != "" {
			require.Regexp(t, `^[A-Z].*\.$`, r.Cure, "a sentence")
		}
	}
	require.Len(t, seen, 32)
}

// TestReasonsAgree: exit code, status and what a task does cannot contradict each other.
func TestReasonsAgree(t *testing.T) {
	t.Parallel()
	for _, r := range nes.Reasons() {
		switch r.Status {
		case nes.StatusSucceeded:
			require.Zero(t, r.ExitCode, r.Reason)
			require.False(t, r.Retryable, r.Reason)
			require.Contains(t, []nes.Task{nes.TaskSucceed, nes.TaskSkip}, r.Task)
		case nes.StatusFailed:
			want := 1
			if r.Reason == nes.ReasonCancelled {
				want = 4
			}
			require.Equal(t, want, r.ExitCode, r.Reason)
			require.Contains(t, []nes.Task{nes.TaskRetry, nes.TaskFail}, r.Task)
		case nes.StatusError:
			require.Equal(t, 3, r.ExitCode, r.Reason)
			require.True(t, r.Retryable, "%s is not the submitter's fault", r.Reason)
			require.Equal(t, nes.TaskRetry, r.Task)
			require.NotEmpty(t, r.Cure, r.Reason)
		}
		if r.Retryable {
			require.Equal(t, nes.TaskRetry, r.Task, r.Reason)
		}
	}
}

func TestUnknownReasons(t *testing.T) {
	t.Parallel()
	r := nes.Reason("FromTheFuture")
	require.False(t, r.Known())
	require.Equal(t, r, r.Info().Reason)
	require.Equal(t, nes.StatusError, r.Status())
	require.Equal(t, nes.ReasonInternal.Info().ExitCode, r.Info().ExitCode)
}

func TestReasonsAreACopy(t *testing.T) {
	t.Parallel()
	nes.Reasons()[0].ExitCode = 99
	require.Zero(t, nes.Reasons()[0].ExitCode)
}

// TestRunAsJSON pins what clients read of a run that has only begun, and what they must never read.
func TestRunAsJSON(t *testing.T) {
	t.Parallel()
	asked := noon
	run := nes.Run{
		ID: "id", Status: nes.StatusPending, Stage: nes.StageQueued, Spec: nes.Spec{InputURL: "u"}, Owner: "alice", Team: "data",
		Version: 1, CreatedAt: noon, AskedAt: &asked, Published: true,
	}
	text, err := json.Marshal(run)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"id","status":"Pending","stage":"queued","spec":{"input_url":"u"},"owner":"alice","team":"data",
		"version":1,"attempt":0,"created_at":"2026-03-04T12:00:00Z","output_url":""}`, string(text))
	text, err = json.Marshal(nes.Attempt{RunID: "id", Number: 1, TokenHash: "secret", Exit: json.RawMessage(`"secret"`), LaunchedAt: noon})
	require.NoError(t, err)
	require.NotContains(t, string(text), "secret")
}

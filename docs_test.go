package nes_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

var update = flag.Bool("update", false, "write the picture and the generated parts of docs/state-machine.md anew")

// TestStateMachinePage holds the tables of docs/state-machine.md to the code's.
func TestStateMachinePage(t *testing.T) {
	t.Parallel()
	const page = "docs/state-machine.md"
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	want := string(raw)
	parts := map[string]string{"stages": stages(), "transitions": transitionTable(), "reasons": reasonTable()}
	for name, text := range parts {
		want = replacePart(t, want, name, text)
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "run: go test . -update")
}

func replacePart(t *testing.T, page, name, text string) string {
	t.Helper()
	begin := "<!-- generated: " + name + " -->\n"
	before, rest, found := strings.Cut(page, begin)
	require.True(t, found, name)
	_, after, found := strings.Cut(rest, "<!-- end -->")
	require.True(t, found, name)
	return before + begin + "\n" + text + "\n<!-- end -->" + after
}

// stageMeanings are told here, for people; the words of status.go are for those who write code.
var stageMeanings = map[nes.Stage]string{
	nes.StageQueued:     "Waits to be looked at: first for its source, then for a place among the runs that may execute at once.",
	nes.StageFetching:   "The repository is being fetched and the notebook checked.",
	nes.StageWaiting:    "Holds no process: the notebook is not ready, or a retry backs off until `not_before`.",
	nes.StageScheduling: "An attempt is being placed. Its number was written down before anything was started.",
	nes.StageStarting:   "The attempt's agent has reported; the kernel is starting.",
	nes.StageExecuting:  "The first cell has started.",
	nes.StageSaving:     "The attempt is over; its notebook is being made and stored. Its agent is no longer listened to.",
	nes.StageEnded:      "Nothing will change any more.",
}

func stages() string {
	var b strings.Builder
	b.WriteString("| stage | status | meaning |\n|---|---|---|\n")
	for _, s := range nes.Stages() {
		status := string(s.Status())
		if s == nes.StageEnded {
			status = "of its reason"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s, status, stageMeanings[s])
	}
	return b.String()
}

func transitionTable() string {
	var b strings.Builder
	b.WriteString("| transition | to | event | attempt | when |\n|---|---|---|---|---|\n")
	for _, row := range transitions() {
		attempt := "same"
		if row.made.Attempt != startAttempt {
			attempt = "next"
		}
		fmt.Fprintf(&b, "| %s | `%s` | `%s` | %s | %s |\n", row.name, row.made.To, row.made.Kind, attempt, row.when)
	}
	return b.String()
}

func reasonTable() string {
	var b strings.Builder
	b.WriteString("| reason | status | retry | exit code | task | what happened | what to do |\n|---|---|---|---|---|---|---|\n")
	for _, r := range nes.Reasons() {
		name, retry := "`"+string(r.Reason)+"`", "no"
		if r.Reason == nes.ReasonCompleted {
			name = "(none)"
		}
		if r.Retryable {
			retry = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s |\n", name, r.Status, retry, r.ExitCode, r.Task, r.Meaning, r.Cure)
	}
	return b.String()
}

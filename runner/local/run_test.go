package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/local"
	"github.com/nes-run/nes/storage"
)

func TestRunSucceeds(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{})
	began := time.Now()
	run := s.submit(t, nes.Spec{InputURL: notebook("print('hello')", "import neighbour\nprint(neighbour.greet())")})
	run = s.ended(t, run.ID)
	t.Logf("submit to end: %s", time.Since(began))
	require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
	require.Equal(t, 2, run.Outcome.Progress.Done)
	texts, statuses := s.executed(t, run)
	require.Equal(t, []string{"hello\n", "a neighbour\n"}, texts)
	require.Equal(t, []string{"completed", "completed"}, statuses)

	run = s.until(t, run.ID, func(r nes.Run) bool { return r.Published })
	require.Zero(t, processes(run.ID), "processes are left")
	require.NoDirExists(t, filepath.Join(s.dir, "attempts", runner.Ref{Run: run.ID, Attempt: 1}.Name()))
	require.FileExists(t, filepath.Join(s.dir, "bucket", storage.AttemptPrefix(&run, 1), "verdict.json"))
	page, err := s.records.Log(context.Background(), &run, 1, 0, 0)
	require.NoError(t, err)
	require.Contains(t, page.Text, "hello")
	require.True(t, page.Ended)
}

func TestCellErrorFails(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{})
	run := s.ended(t, s.submit(t, nes.Spec{InputURL: notebook("print('before')", "1/0", "print('after')")}).ID)
	require.Equal(t, nes.StatusFailed, run.Status)
	require.Equal(t, nes.ReasonCellError, run.Reason)
	require.Equal(t, "ZeroDivisionError", run.Outcome.Error.Name)
	texts, statuses := s.executed(t, run)
	require.Equal(t, "before\n", texts[0])
	require.Equal(t, []string{"completed", "failed", "pending"}, statuses[len(statuses)-3:])
}

func TestCancelKeepsTheNotebookSoFar(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{})
	id := s.submit(t, nes.Spec{InputURL: notebook("print('kept', flush=True)", "import time\ntry:\n    time.sleep(60)\nfinally:\n    print('finally')")}).ID
	s.until(t, id, executing)
	began := time.Now()
	_, err := s.ledger.RequestCancel(context.Background(), id, "somebody", time.Now())
	require.NoError(t, err)
	run := s.ended(t, id)
	t.Logf("cancel to end: %s", time.Since(began))
	require.Equal(t, nes.ReasonCancelled, run.Reason, run.Message)
	texts, _ := s.executed(t, run)
	require.Equal(t, []string{"kept\n", "finally\n"}, texts[len(texts)-2:])
	s.until(t, id, func(r nes.Run) bool { return r.Published })
	require.Zero(t, processes(id))
}

func TestCancelBeforeLaunchEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{Limits: runner.Limits{Total: 1}})
	first := s.submit(t, nes.Spec{InputURL: notebook("import time; time.sleep(60)")}).ID
	s.until(t, first, func(r nes.Run) bool { return r.Attempt == 1 })
	second := s.submit(t, nes.Spec{InputURL: notebook("1")}).ID
	s.until(t, second, func(r nes.Run) bool { return r.Source != nil && r.Stage == nes.StageQueued })
	for _, id := range []nes.RunID{second, first} {
		_, err := s.ledger.RequestCancel(context.Background(), id, "somebody", time.Now())
		require.NoError(t, err)
	}
	run := s.ended(t, second)
	require.Equal(t, nes.ReasonCancelled, run.Reason)
	require.Zero(t, run.Attempt)
	require.Equal(t, nes.ReasonCancelled, s.ended(t, first).Reason)
}

func TestPlacesGoByPriorityThenAge(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{Limits: runner.Limits{Total: 1}})
	slow := notebook("import time; time.sleep(0.5)")
	first := s.submit(t, nes.Spec{InputURL: slow}).ID
	s.until(t, first, func(r nes.Run) bool { return r.Attempt == 1 })
	var ids []nes.RunID
	for _, priority := range []int{0, 0, 5} {
		ids = append(ids, s.submit(t, nes.Spec{InputURL: notebook("1"), Priority: priority}).ID)
	}
	var at []time.Time
	for _, id := range []nes.RunID{first, ids[2], ids[0], ids[1]} {
		run := s.ended(t, id)
		require.Equal(t, nes.StatusSucceeded, run.Status)
		a, err := s.ledger.Attempt(context.Background(), id, 1)
		require.NoError(t, err)
		if n := len(at); n > 0 {
			require.False(t, a.LaunchedAt.Before(at[n-1]), "it overtook, or two ran at once")
		}
		at = append(at, *a.EndedAt)
	}
}

const ticks = "import time\nfor i in range(40):\n    print('tick', i, flush=True)\n    time.sleep(0.05)"

func wantTicks() string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "tick %d\n", i)
	}
	return b.String()
}

func TestAgentComesBack(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{})
	id := s.submit(t, nes.Spec{InputURL: notebook(ticks)}).ID
	s.until(t, id, executing)
	s.killAgent(t, runner.Ref{Run: id, Attempt: 1})
	run := s.ended(t, id)
	require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
	require.Equal(t, 1, run.Attempt)
	texts, _ := s.executed(t, run)
	require.Equal(t, []string{wantTicks()}, texts)
}

func TestExecKilledIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, runner.Options{})
	id := s.submit(t, nes.Spec{InputURL: notebook("print('said', flush=True)\nimport os, signal, time\ntime.sleep(0.3)\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)")}).ID
	run := s.ended(t, id)
	require.Equal(t, nes.StatusFailed, run.Status, run.Message)
	require.Equal(t, nes.ReasonKernelDied, run.Reason, run.Message)
	texts, _ := s.executed(t, run)
	require.Equal(t, []string{"said\n"}, texts)
	s.until(t, id, func(r nes.Run) bool { return r.Published })
	require.Zero(t, processes(id))
}

// TestRemovalThatACrashInterrupted: what is left of it is taken away by the next backend, and hides no attempt.
func TestRemovalThatACrashInterrupted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "attempts")
	half := filepath.Join(dir, ".gone-nes-x-1", "volume", "work")
	require.NoError(t, os.MkdirAll(half, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(half, "n.ipynb"), nil, 0o600))
	require.NoError(t, os.Chmod(half, 0o500), "as a notebook may leave it")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".new-1"), 0o700))
	b, err := local.New(local.Options{Dir: dir, Agent: []string{"agent"}})
	require.NoError(t, err)
	refs, err := b.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, refs)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "the server's address alone")
}

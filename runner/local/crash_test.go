package local_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner"
)

// server is a whole server in a process of its own, so that it can be killed.
func server(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+dir)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe() // closed when the test dies
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd
}

func TestRunningNotebookSurvivesTheServer(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	first := server(t, dir)
	l, err := ledger.Open(context.Background(), filepath.Join(dir, "ledger.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	outside := &stack{dir: dir, ledger: l}
	id := outside.submit(t, nes.Spec{InputURL: notebook("print('once')", ticks)}).ID
	outside.until(t, id, executing)
	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	require.Positive(t, processes(id), "the notebook died with its server")
	require.NoError(t, l.Close())
	time.Sleep(300 * time.Millisecond) // the server is away for a while

	s, err := newStack(dir, runner.Options{}) // at another port
	require.NoError(t, err)
	t.Cleanup(func() { s.abandon(t) })
	run := s.ended(t, id)
	require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
	require.Equal(t, 1, run.Attempt, "it was adopted, not started again")
	texts, statuses := s.executed(t, run)
	require.Equal(t, []string{"once\n", wantTicks()}, texts)
	require.Equal(t, []string{"completed", "completed"}, statuses)
}

func TestServerKilledAgainAndAgainLosesNoRun(t *testing.T) {
	t.Parallel()
	dir := testDir(t)
	cmd := server(t, dir)
	l, err := ledger.Open(context.Background(), filepath.Join(dir, "ledger.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	outside := &stack{dir: dir, ledger: l}
	var ids []nes.RunID
	for range 4 {
		ids = append(ids, outside.submit(t, nes.Spec{InputURL: notebook("print('once')")}).ID)
	}
	for range 6 { // at moments that fall anywhere in the runs' lives
		time.Sleep(250 * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		cmd = server(t, dir)
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.NoError(t, l.Close())
	s, err := newStack(dir, runner.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.abandon(t) })
	for _, id := range ids {
		run := s.ended(t, id)
		require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
		texts, _ := s.executed(t, run)
		require.Equal(t, []string{"once\n"}, texts)
		require.Equal(t, 1, run.Attempt)
		s.until(t, id, func(r nes.Run) bool { return r.Published })
		require.Zero(t, processes(id))
	}
}

// flaky loses the first launches, as a cluster may.
type flaky struct {
	runner.Backend
	left atomic.Int32
}

func (f *flaky) Launch(ctx context.Context, j runner.Job) error {
	if f.left.Add(-1) >= 0 {
		return nes.Fail(nes.ReasonEvicted, "refused")
	}
	return f.Backend.Launch(ctx, j)
}

func TestAttemptThatNeverStartedIsLaunchedAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refusals int32
		attempts int
		status   nes.Status
	}{
		"in the end it starts": {2, 3, nes.StatusSucceeded},
		"never":                {9, 4, nes.StatusError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &flaky{}
			f.left.Store(tt.refusals)
			s := start(t, runner.Options{Backend: f})
			run := s.ended(t, s.submit(t, nes.Spec{InputURL: notebook("print(1)")}).ID)
			require.Equal(t, tt.status, run.Status, run.Message)
			require.Equal(t, tt.attempts, run.Attempt)
			attempts, err := s.ledger.Attempts(context.Background(), run.ID)
			require.NoError(t, err)
			require.Equal(t, nes.ReasonEvicted, attempts[0].Reason)
			texts, _ := s.executed(t, run)
			require.Len(t, texts, 1, "there is a notebook in any case")
		})
	}
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
	"github.com/nes-run/nes/internal/fault"
)

// TestCrashes kills whichever process comes by a fault point first, there, for every point and on both ledgers; what was
// killed is started again. The run must come to the end that it would have come to.
func TestCrashes(t *testing.T) {
	t.Parallel()
	bin, err := faulty()
	require.NoError(t, err)
	for name, stores := range map[string]stores{"sqlite": embedded, "postgres": shared} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, point := range fault.Points() {
				t.Run(point, func(t *testing.T) {
					t.Parallel()
					crash(t, bin, point, stores(t))
				})
			}
		})
	}
}

// witness appends a line to the file "witness", which is not below anything of NES: it tells how often the notebook ran.
const witness = `import time, os, nes, pathlib
with open(witness, "a") as f:
    f.write("ran\n")
for i in range(5):
    print("line", i, flush=True)
    time.sleep(0.05)
print("x" * (2 << 20))
(pathlib.Path(os.environ["NES_OUTPUT_DIR"]) / "side.txt").write_text("kept")
nes.result({"rows": 3})
nes.checkpoint(7, name="orders")`

// crash plays one run through a death at point.
func crash(t *testing.T, bin, point string, env []string) {
	dir := t.TempDir()
	struck, seen := filepath.Join(dir, "struck"), filepath.Join(dir, "witness")
	s := prepare(t, bin, env...)
	stop := s.keepUp("NESFAULTS=kill=" + point + "=" + struck)
	defer stop()
	address := (&site{server: s}).Publish(t, map[string]string{"n.ipynb": notebook(fmt.Sprintf("witness = %q", seen), witness, "print('after')")})
	spec := nes.Spec{InputURL: address + "/blob/main/n.ipynb", IdempotencyKey: "the key"}
	run := s.submitUntil(spec)
	end := s.wait(run.ID)
	require.Eventually(t, func() bool { _, err := os.Stat(struck); return err == nil }, scenario.Patience, 20*time.Millisecond, "the run never came by %s", point)
	stop()

	require.Equal(t, run.ID, s.submit(spec).ID, "the same key is the same run")
	page, err := s.client.Runs(s.ctx(), nil)
	require.NoError(t, err)
	require.Len(t, page.Runs, 1, "runs")
	require.Equal(t, 1, end.Attempt, "%s: %s", end.Reason, end.Message)
	scenario.Agrees(t, &site{server: s}, end)
	if lost(point, end) {
		return
	}
	require.Equal(t, nes.StatusSucceeded, end.Status, "%s: %s", end.Reason, end.Message)
	require.JSONEq(t, `{"rows":3}`, string(end.Outcome.Result))
	require.JSONEq(t, "7", string(end.Outcome.Checkpoints["orders"]))
	require.Len(t, end.Outcome.Files, 1)
	printed := s.notebook(end.ID).Code()[1].Printed()
	require.Contains(t, printed, "line 0\nline 1\nline 2\nline 3\nline 4\nxxx")
	require.Equal(t, 1, strings.Count(printed, "line 0\n"), "times that a line was kept")
	ran, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.Equal(t, "ran\n", string(ran), "times that the notebook ran")
}

// lost reports whether the notebook itself cannot have survived a death at the point, and holds what is told then: the
// death of exec takes the notebook with it, and is never told as anything good.
func lost(point string, end nes.Run) bool {
	dies := point == string(fault.ExecBegun) || point == string(fault.ExecStarted)
	return dies && end.Status != nes.StatusSucceeded && end.Reason != nes.ReasonCellError
}

// keepUp starts the server, with more in its environment the first time, and starts it again whenever it has died. The
// result ends that, and returns when the server that lives then answers.
func (s *server) keepUp(first ...string) (stop func()) {
	s.launch(first...)
	var stopping atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_ = s.cmd.Wait() // by a signal
			if stopping.Load() {
				return
			}
			s.launch()
		}
	}()
	return func() {
		if stopping.Swap(true) {
			return
		}
		for ended := false; !ended; {
			_ = syscall.Kill(int(s.pid.Load()), syscall.SIGTERM) // it may have died, and the next one may be starting
			select {
			case <-done:
				ended = true
			case <-time.After(100 * time.Millisecond):
			}
		}
		s.start()
	}
}

// submitUntil sends the run until there is an answer, as every caller should who does not know what became of its request.
func (s *server) submitUntil(spec nes.Spec) nes.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), scenario.Patience)
	defer cancel()
	for {
		run, _, err := s.client.Submit(ctx, spec)
		if err == nil {
			return run
		}
		require.NoError(s.t, ctx.Err(), "%v", err)
		require.False(s.t, strings.Contains(string(nes.CodeOf(err)), "invalid"), "%v", err)
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

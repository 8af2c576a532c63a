package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
)

// TestRunOfAnotherMachine: two servers share ledger and bucket, each with a data directory of its own, as two machines
// would have. The one that runs a notebook is killed; the other one leads, runs its own, and leaves that notebook alone;
// the first comes back, while the second still leads, and takes its notebook to its end.
func TestRunOfAnotherMachine(t *testing.T) {
	t.Parallel()
	stores := shared(t)
	first := serve(t, stores...)
	address := (&site{server: first}).Publish(t, map[string]string{
		"long.ipynb":  notebook("import time\nfor i in range(400):\n    print('line', i, flush=True)\n    time.sleep(0.1)"),
		"short.ipynb": notebook("print('short')"),
	})
	long := first.submit(nes.Spec{InputURL: address + "/blob/main/long.ipynb"})
	first.awaitLog(long.ID, "line 3\n")
	second := serve(t, stores...)
	first.kill()

	short := second.submit(nes.Spec{InputURL: address + "/blob/main/short.ipynb"})
	require.Equal(t, nes.StatusSucceeded, second.wait(short.ID).Status, "the second server leads now")
	seen, err := second.client.Run(second.ctx(), long.ID, 0, 0)
	require.NoError(t, err)
	require.Equal(t, nes.StageExecuting, seen.Stage, "%s: %s", seen.Reason, seen.Message)

	first.start()
	end := second.wait(long.ID)
	require.Equal(t, nes.StatusSucceeded, end.Status, "%s: %s", end.Reason, end.Message)
	require.Equal(t, 1, end.Attempt)
	require.Contains(t, second.notebook(long.ID).Code()[0].Printed(), "line 398\nline 399\n")
	scenario.Agrees(t, &site{server: first}, end)
	require.NotContains(t, first.log()[len(first.log())/2:], "panic")
}

// TestCancelOnAnotherMachine: whoever is asked, the server whose machine runs the notebook ends it.
func TestCancelOnAnotherMachine(t *testing.T) {
	t.Parallel()
	stores := shared(t)
	first := serve(t, stores...)
	second := serve(t, stores...)
	address := (&site{server: first}).Publish(t, map[string]string{
		"n.ipynb": notebook("import time\ntry:\n    print('ready', flush=True)\n    time.sleep(600)\nfinally:\n    print('cleaned up', flush=True)"),
	})
	run := second.submit(nes.Spec{InputURL: address + "/blob/main/n.ipynb"})
	second.awaitLog(run.ID, "ready\n")
	began := time.Now()
	_, err := second.client.Cancel(second.ctx(), run.ID)
	require.NoError(t, err)
	end := second.wait(run.ID)
	require.Equal(t, nes.ReasonCancelled, end.Reason)
	require.Less(t, time.Since(began), 20*time.Second)
	require.Contains(t, second.notebook(run.ID).Code()[0].Printed(), "ready\ncleaned up\n")
}

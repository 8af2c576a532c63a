package reduce_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/reduce"
)

// drive executes a script's cells with the real driver and returns the notebook that comes out.
func drive(t *testing.T, script string, orders ...func(*journal.Launch)) document {
	t.Helper()
	python := python(t)
	source, kernel := scripted(t, script)
	v := prepared(t, python, specimen{source: source, kernel: kernel}, orders...)
	v.execute(t, t.TempDir(), "JUPYTER_PATH=")
	state := feed(t, v.read(t, journal.InputFile), string(v.read(t, journal.JournalFile)))
	require.NotNil(t, state.Exit())
	return parsed(t, written(t, state, v.disk(t), reduce.Stamp{}))
}

func TestWhatTheKernelSaysOfAnInterruptIsKept(t *testing.T) {
	t.Parallel()
	script := "# %%\nimport time\n# %%\nprint('before')\ntry:\n    time.sleep(600)\nfinally:\n    print('after')\n# %%\nprint('not run')\n"
	nb := drive(t, script, func(l *journal.Launch) { l.CellTimeout = 3 })
	require.Equal(t, []string{"completed", "failed", "pending"}, nb.statuses())
	outputs := nb.Cells[1].Outputs
	require.Len(t, outputs, 2)
	require.Equal(t, "before\nafter\n", outputs[0]["text"])
	require.Equal(t, "error", outputs[1]["output_type"])
	require.Equal(t, "KeyboardInterrupt", outputs[1]["ename"])
	require.NotEmpty(t, outputs[1]["traceback"])
}

func TestAnOutputWidgetsOutputsAreNotSentToTheKernel(t *testing.T) {
	t.Parallel()
	nb := drive(t, "# %%\nimport ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('captured')\n# %%\nprint(out.outputs)\n")
	require.Empty(t, nb.Cells[0].Outputs)
	require.Equal(t, "()\n", nb.Cells[1].Outputs[0]["text"])
	held := ""
	for _, m := range models(t, nb) {
		state := m.(map[string]any)["state"].(map[string]any)
		if outputs, ok := state["outputs"].([]any); ok {
			held = outputs[0].(map[string]any)["text"].(string)
		}
	}
	require.Equal(t, "captured\n", held)
}

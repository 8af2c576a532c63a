package reduce_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/reduce"
)

func TestTheFixtureOfTheJournalReduces(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../journal/testdata/two_cells.jsonl")
	require.NoError(t, err)
	input := notebook("md:# title", "print('hello')", "1/0", "never")
	s := feed(t, input, string(raw))
	d := onDisk(string(raw))
	d.blobs = map[string]string{"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae": `"iVBOR"`}
	nb := parsed(t, written(t, s, d, reduce.Stamp{NES: map[string]any{"run_id": "r"}}))

	require.Equal(t, []string{"completed", "completed", "failed", "pending"}, nb.statuses())
	require.Equal(t, map[string]any{"output_type": "stream", "name": "stdout", "text": "hello\nworld\n"}, nb.Cells[1].Outputs[0])
	require.Equal(t, map[string]any{"text/plain": "<img>", "image/png": "iVBOR"}, nb.Cells[1].Outputs[1]["data"])
	require.Equal(t, "error", nb.Cells[2].Outputs[0]["output_type"])
	require.Equal(t, true, nb.papermill()["exception"])
	require.Equal(t, "2.7.0", nb.papermill()["version"])
	require.Equal(t, "2024-11-19T07:06:40.100000+00:00", nb.papermill()["start_time"])
	require.Equal(t, map[string]any{"run_id": "r"}, nb.Metadata["nes"])
	require.Equal(t, 61000000.0, nb.Cells[1].Metadata["nes"].(map[string]any)["memory_peak_bytes"])

	require.JSONEq(t, `{"rows":3}`, string(s.Words().Result))
	require.Equal(t, "ValueError", s.CellError().Name)
	require.Equal(t, 2, s.CellError().Cell)
	p := s.Progress()
	require.Equal(t, []int{3, 1, 1, -1}, []int{p.Total, p.Done, p.Failed, p.Current})
	require.Equal(t, "CellError", s.Exit().Reason)
	require.Equal(t, "2.7.0", s.Versions()["papermill"])
	require.Zero(t, s.Ignored())
}

package reduce_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/reduce"
)

func TestStatusesSayWhatReallyRan(t *testing.T) {
	t.Parallel()
	input := notebook("md:title", "a", "", "skip!s", "b", "md:between", "c", "raw:end")
	const p, r, c, f = "pending", "running", "completed", "failed"
	skip := `{"k":"word","word":"skip","value":"why"}`
	end := func(reason nes.Reason) *reduce.End {
		return &reduce.End{Reason: reason, Message: "m", At: time.Unix(1700000100, 0)}
	}
	all := []string{started(1), ended(1, "ok"), started(4), ended(4, "ok"), started(6), ended(6, "ok")}
	tests := []struct {
		name      string
		lines     []string
		end       *reduce.End
		want      []string
		exception any
	}{
		{"nothing yet", nil, nil, []string{p, p, p, p, p, p, p, p}, nil},
		{"never started", nil, end(nes.ReasonKernelNotFound), []string{p, p, p, p, p, p, p, p}, true},
		{"first cell runs", all[:1], nil, []string{c, r, p, p, p, p, p, p}, nil},
		{"between cells", all[:2], nil, []string{c, c, p, p, p, p, p, p}, nil},
		{"second cell runs", all[:3], nil, []string{c, c, c, c, r, p, p, p}, nil},
		{"killed in the second", all[:3], end(nes.ReasonOutOfMemory), []string{c, c, c, c, f, p, p, p}, true},
		{"lost between cells", all[:2], end(nes.ReasonNodeLost), []string{c, c, p, p, p, p, p, p}, true},
		{"a cell raised", append(all[:3:3], ended(4, "error"), `{"k":"exit","code":1,"reason":"CellError"}`), nil, []string{c, c, c, c, f, p, p, p}, true},
		{"a cell may raise", append(all[:3:3], ended(4, "allowed"), started(6)), nil, []string{c, c, c, c, c, c, r, p}, nil},
		{"the kernel died", append(all[:3:3], ended(4, "died")), nil, []string{c, c, c, c, f, p, p, p}, true},
		{"cancelled", append(all[:3:3], ended(4, "stopped"), `{"k":"exit","reason":"Cancelled"}`), nil, []string{c, c, c, c, f, p, p, p}, true},
		{"out of time", append(all[:3:3], ended(4, "timeout")), end(nes.ReasonCellTimeout), []string{c, c, c, c, f, p, p, p}, true},
		{"skipped by the notebook", append(all[:3:3], skip, ended(4, "stopped"), `{"k":"exit","reason":"Skipped"}`), nil, []string{c, c, c, c, c, p, p, p}, nil},
		{"skipped, and the cell's end is lost", append(all[:3:3], skip), end(nes.ReasonSkipped), []string{c, c, c, c, c, p, p, p}, nil},
		{"all cells ran", all, nil, []string{c, c, c, c, c, c, c, p}, nil},
		{"a good end", append(all[:6:6], `{"k":"exit"}`), nil, []string{c, c, c, c, c, c, c, c}, nil},
		{"left early, and well", append(all[:4:4], `{"k":"exit"}`), nil, []string{c, c, c, c, c, p, p, p}, nil},
		{"a cell's end is missing", append(all[:3:3], started(6)), nil, []string{c, c, c, c, f, c, r, p}, true},
		{"an unknown word for an end", append(all[:1:1], ended(1, "puzzled")), nil, []string{c, f, p, p, p, p, p, p}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := lines(tt.lines...)
			nb := parsed(t, written(t, feed(t, input, text), onDisk(text), reduce.Stamp{End: tt.end}))
			require.Equal(t, tt.want, nb.statuses())
			require.Equal(t, tt.exception, nb.papermill()["exception"])
			for _, cell := range nb.Cells {
				requirePapermill(t, cell)
			}
		})
	}
}

// TestTheTimesOfAnExecutionAreTheDrivers feeds a kernel whose own clock is wrong: what counts is when the driver
// sent the cell and when it was over.
func TestTheTimesOfAnExecutionAreTheDrivers(t *testing.T) {
	t.Parallel()
	said := `{"k":"msg","cell":0,"type":"stream","date":"1999-01-01T00:00:00Z","metadata":{"date":"1999-01-01T00:00:00Z"},"content":{"name":"stdout","text":"x"}}`
	all := lines(started(0), said, ended(0, "ok"))
	running := reduced(t, notebook("a"), lines(started(0), said)).Cells[0].Metadata["execution"]
	const sent, over = "2023-11-14T22:13:20.500000Z", "2023-11-14T22:13:22.500000Z"
	require.Equal(t, map[string]any{"iopub.status.busy": sent, "iopub.execute_input": sent}, running)
	require.Equal(t, map[string]any{
		"iopub.status.busy": sent, "iopub.execute_input": sent, "shell.execute_reply": over, "iopub.status.idle": over,
	}, reduced(t, notebook("a"), all).Cells[0].Metadata["execution"])
}

// requirePapermill checks that a cell's metadata agree with each other.
func requirePapermill(t testing.TB, c documentCell) {
	t.Helper()
	pm := c.papermill()
	require.Len(t, pm, 5)
	want := map[string][]bool{ // start_time, end_time and duration, exception
		"pending": {false, false, false}, "running": {true, false, false}, "completed": {true, true, false}, "failed": {true, true, true},
	}[c.status()]
	require.NotNil(t, want, c.status())
	require.Equal(t, want[0], pm["start_time"] != nil)
	require.Equal(t, want[1], pm["end_time"] != nil)
	require.Equal(t, want[1], pm["duration"] != nil)
	require.Equal(t, want[2], pm["exception"] == true)
}

func TestAnEndClosesTheNotebookWithoutChangingTheState(t *testing.T) {
	t.Parallel()
	text := lines(started(0), printed(0, "stdout", "last words"))
	s := feed(t, notebook("a", "b"), text)
	stamp := reduce.Stamp{
		NES: map[string]any{"run_id": "r", "commit": strings.Repeat("a", 40)},
		End: &reduce.End{Reason: nes.ReasonEvicted, Message: "the node drained", At: time.Unix(1700000060, 250_000_000)},
	}
	closed := parsed(t, written(t, s, onDisk(text), stamp))
	require.Equal(t, []string{"failed", "pending"}, closed.statuses())
	require.Equal(t, "2023-11-14T22:14:20.250000+00:00", closed.papermill()["end_time"])
	require.Equal(t, 59.75, closed.papermill()["duration"])
	require.Equal(t, 59.75, closed.Cells[0].papermill()["duration"])
	require.Equal(t, []string{"stdout:last words"}, texts(closed.Cells[0]))
	require.Equal(t, map[string]any{"run_id": "r", "commit": strings.Repeat("a", 40), "reason": "Evicted", "message": "the node drained"}, closed.Metadata["nes"])

	open := parsed(t, written(t, s, onDisk(text), reduce.Stamp{}))
	require.Equal(t, []string{"running", "pending"}, open.statuses())
	require.NotContains(t, open.Metadata, "nes")
	require.Equal(t, 0, s.Progress().Current)

	late := lines(started(0), printed(0, "stdout", "last words"), ended(0, "ok"))
	require.NoError(t, s.Feed(int64(len(text)), []byte(late[len(text):])))
	require.Equal(t, []string{"completed", "pending"}, parsed(t, written(t, s, onDisk(late), reduce.Stamp{})).statuses())
}

func TestTimesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"-5", "1e18", "null", "1700000000"} {
		text := `{"v":1,"t":` + at + `,"k":"cell_start","cell":0}` + "\n" + `{"v":1,"t":3,"k":"cell_end","cell":0,"status":"ok","wall":-1,"cpu":1e300,"mem":-7}` + "\n"
		nb := reduced(t, notebook("a"), text)
		require.Equal(t, "completed", nb.Cells[0].status(), at)
		require.GreaterOrEqual(t, nb.Cells[0].papermill()["duration"], 0.0)
	}
}

func TestWordsOfTheNotebook(t *testing.T) {
	t.Parallel()
	word := func(w, name, value string) string {
		return `{"k":"word","cell":0,"word":"` + w + `","name":"` + name + `","value":` + value + `}`
	}
	s := feed(t, notebook("a"), lines(started(0), word("result", "rows", "3"), word("result", "mean", "NaN"), word("checkpoint", "day", `"2024-01-01"`),
		word("checkpoint", "day", `"2024-01-02"`), word("progress", "", `{"fraction":1.5,"label":"loading"}`), word("not_ready", "", `"no data"`)))
	require.JSONEq(t, `{"rows":3,"mean":null}`, string(s.Words().Result))
	require.Equal(t, `"2024-01-02"`, string(s.Words().Checkpoints["day"]))
	require.Equal(t, "no data", *s.Words().NotReady)
	require.Nil(t, s.Words().Skip)
	require.Equal(t, 1.0, *s.Progress().Fraction)
	require.Equal(t, "loading", s.Progress().Label)
	require.Equal(t, time.Unix(1700000000, 500_000_000).UTC(), *s.Progress().CurrentSince)
	require.Equal(t, time.Unix(1700000000, 500_000_000).UTC(), s.StartedAt())

	s = feed(t, notebook("a"), lines(word("result", "rows", "3"), word("result", "", `[1]`), word("skip", "", `{"why":1}`)))
	require.JSONEq(t, `[1]`, string(s.Words().Result))
	require.Equal(t, `{"why":1}`, *s.Words().Skip)
	require.False(t, s.Started())
}

func TestWordsHaveALimit(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range 30 {
		all = append(all, `{"k":"word","word":"result","name":"`+strings.Repeat("n", i+1)+`","value":"`+strings.Repeat("x", 100_000)+`"}`)
	}
	s := feed(t, notebook("a"), lines(all...))
	require.Less(t, len(s.Words().Result), 1<<20)
	require.Equal(t, 20, s.Ignored())
}

func TestTheFailureIsCutForTheLedger(t *testing.T) {
	t.Parallel()
	trace := `"` + strings.Repeat("x", 50_000) + `"`
	text := lines(started(0), `{"k":"cell_end","cell":0,"status":"error","error":{"ename":"E","evalue":"`+strings.Repeat("v", 90_000)+`","traceback":[`+trace+`,`+trace+`,"last"]}}`)
	e := feed(t, notebook("a"), text).CellError()
	require.Equal(t, "E", e.Name)
	require.Len(t, e.Value, 16<<10)
	require.Equal(t, []string{"...", strings.Repeat("x", 50_000), "last"}, e.Traceback)
}

func TestTheLanguageOfTheKernelIsRecorded(t *testing.T) {
	t.Parallel()
	for info, kept := range map[string]bool{`{"name":"python","version":"3.11"}`: true, `{"version":"3"}`: false, `"python"`: false, `{"name":5}`: false} {
		nb := reduced(t, notebook("a"), lines(`{"k":"start","kernel":{"name":"python3","language":"python","language_info":`+info+`}}`))
		require.Equal(t, kept, nb.Metadata["language_info"] != nil, info)
	}
}

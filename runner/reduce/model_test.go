package reduce_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/reduce"
)

// model is the reducer's business written down a second time, as plainly as it can be: lists of outputs that are
// held whole, and changed where a message says so. It knows nothing of places, pieces and shared views.
type model struct {
	cells   []modelCell
	current int
	latest  int
}

type modelCell struct {
	status  string
	count   int
	outputs []modelOutput
	clear   bool
}

type modelOutput struct{ kind, id, text string }

func newModel(n int) *model {
	m := &model{cells: make([]modelCell, n), current: -1, latest: -1}
	for i := range m.cells {
		m.cells[i] = modelCell{status: "pending", count: -1}
	}
	return m
}

// event is one thing that a driver may say, and its line.
type event struct {
	what, cell, count int
	name, id, text    string
	wait              bool
}

const (
	startEvent = iota
	endEvent
	streamEvent
	displayEvent
	resultEvent
	updateEvent
	errorEvent
	clearEvent
	events
)

func anyEvent(rng *rand.Rand, cells int) event {
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	return event{
		what: rng.IntN(events), cell: rng.IntN(cells+1) - 1, count: rng.IntN(3) + 1, name: pick("stdout", "stdout", "stderr"),
		id: pick("", "x", "y"), text: pick("a", "b\n", "한", "", "c\"\\"), wait: rng.IntN(2) == 0,
	}
}

func (e event) line() string {
	quoted, _ := json.Marshal(e.text)
	data := fmt.Sprintf(`{"text/plain":%s}`, quoted)
	switch e.what {
	case startEvent:
		return started(e.cell)
	case endEvent:
		return fmt.Sprintf(`{"k":"cell_end","cell":%d,"status":"ok","n":%d}`, e.cell, e.count)
	case streamEvent:
		return printed(e.cell, e.name, e.text)
	case displayEvent:
		return display(e.cell, "display_data", e.id, data)
	case resultEvent:
		return strings.Replace(display(e.cell, "execute_result", e.id, data), `"metadata":{}`, fmt.Sprintf(`"metadata":{},"execution_count":%d`, e.count), 1)
	case updateEvent:
		return display(e.cell, "update_display_data", e.id, data)
	case errorEvent:
		return fmt.Sprintf(`{"k":"msg","cell":%d,"type":"error","content":{"ename":%s,"evalue":"v","traceback":[]}}`, e.cell, quoted)
	default:
		return fmt.Sprintf(`{"k":"msg","cell":%d,"type":"clear_output","content":{"wait":%t}}`, e.cell, e.wait)
	}
}

func (m *model) apply(e event) {
	switch e.what {
	case startEvent:
		m.start(e.cell)
	case endEvent:
		if e.cell >= 0 && e.cell == m.current {
			m.cells[e.cell].status, m.cells[e.cell].count, m.current = "completed", e.count, -1
		}
	default:
		i := e.cell
		if i < 0 {
			i = m.latest
		}
		if i >= 0 && m.cells[i].status != "pending" {
			m.message(e, &m.cells[i])
		}
	}
}

func (m *model) start(i int) {
	if i < 0 || m.cells[i].status != "pending" {
		return
	}
	if m.current >= 0 {
		m.cells[m.current].status = "failed"
	}
	m.cells[i].status, m.current, m.latest = "running", i, i
}

func (m *model) message(e event, c *modelCell) {
	switch e.what {
	case streamEvent:
		if e.text == "" {
			return
		}
		c.clearIfAsked()
		if n := len(c.outputs); n > 0 && c.outputs[n-1].kind == e.name {
			c.outputs[n-1].text += e.text
			return
		}
		c.outputs = append(c.outputs, modelOutput{kind: e.name, text: e.text})
	case displayEvent, resultEvent, updateEvent:
		m.update(e)
		if e.what == updateEvent {
			return
		}
		kind := "display_data"
		if e.what == resultEvent {
			kind, c.count = "execute_result", e.count
		}
		c.clearIfAsked()
		c.outputs = append(c.outputs, modelOutput{kind: kind, id: e.id, text: e.text})
	case errorEvent:
		c.clearIfAsked()
		c.outputs = append(c.outputs, modelOutput{kind: "error", text: e.text})
	case clearEvent:
		if c.clear = e.wait; !e.wait {
			c.outputs = nil
		}
	}
}

func (m *model) update(e event) {
	for i := range m.cells {
		for j := range m.cells[i].outputs {
			if o := &m.cells[i].outputs[j]; e.id != "" && o.id == e.id {
				o.text = e.text
			}
		}
	}
}

func (c *modelCell) clearIfAsked() {
	if c.clear {
		c.outputs, c.clear = nil, false
	}
}

// shown is what a notebook shows, in the model's words.
func shown(nb document) (cells []modelCell) {
	for _, c := range nb.Cells {
		m := modelCell{status: c.status(), count: -1}
		if c.Count != nil {
			m.count = *c.Count
		}
		for _, o := range c.Outputs {
			switch kind := o["output_type"].(string); kind {
			case "stream":
				m.outputs = append(m.outputs, modelOutput{kind: o["name"].(string), text: o["text"].(string)})
			case "error":
				m.outputs = append(m.outputs, modelOutput{kind: kind, text: o["ename"].(string)})
			default:
				m.outputs = append(m.outputs, modelOutput{kind: kind, text: o["data"].(map[string]any)["text/plain"].(string)})
			}
		}
		cells = append(cells, m)
	}
	return cells
}

// plainly is the model without what a notebook does not show.
func (m *model) plainly() (cells []modelCell) {
	for _, c := range m.cells {
		c.clear, c.outputs = false, slices.Clone(c.outputs)
		for i := range c.outputs {
			c.outputs[i].id = ""
		}
		if len(c.outputs) == 0 {
			c.outputs = nil
		}
		cells = append(cells, c)
	}
	return cells
}

// TestTheReducerDoesWhatThePlainModelDoes on journals that are made up, at their end and on the way.
func TestTheReducerDoesWhatThePlainModelDoes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	input := notebook("a", "b", "c")
	for round := range 120 {
		m := newModel(3)
		s, err := reduce.New(input)
		require.NoError(t, err)
		var text strings.Builder
		feedLine := func(e event) {
			m.apply(e)
			at := text.Len()
			text.WriteString(lines(e.line()))
			require.NoError(t, s.Feed(int64(at), []byte(text.String()[at:])))
		}
		feedLine(event{what: startEvent})
		for step := range 60 {
			feedLine(anyEvent(rng, 3))
			if step == 30 || step == 59 {
				nb := parsed(t, written(t, s, onDisk(text.String()), reduce.Stamp{}))
				require.Equal(t, m.plainly(), shown(nb), "round %d:\n%s", round, text.String())
				requireProgress(t, m, s.Progress())
			}
		}
	}
}

// requireProgress holds what is counted to what the cells say.
func requireProgress(t *testing.T, m *model, p nes.Progress) {
	t.Helper()
	want := nes.Progress{Total: len(m.cells), Current: m.current}
	for _, c := range m.cells {
		switch c.status {
		case "completed":
			want.Done++
		case "failed":
			want.Failed++
		}
	}
	require.Equal(t, want, nes.Progress{Total: p.Total, Done: p.Done, Failed: p.Failed, Current: p.Current})
	require.Equal(t, m.current >= 0, p.CurrentSince != nil)
}

// failingAt is a writer that takes n bytes.
type failingAt struct{ n int }

func (w *failingAt) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestANotebookThatCannotBeWrittenWholeIsAnError, wherever it breaks off, and the next try is good.
func TestANotebookThatCannotBeWrittenWholeIsAnError(t *testing.T) {
	t.Parallel()
	text := lines(started(0), printed(0, "stdout", strings.Repeat("x", 200_000)), display(0, "display_data", "", `{"text/plain":"y\ud83d","image/png":5}`), ended(0, "error"))
	s := feed(t, notebook("a", "b"), text)
	whole := written(t, s, onDisk(text), reduce.Stamp{})
	rng := rand.New(rand.NewPCG(1, 9))
	for range 60 {
		require.ErrorIs(t, s.Write(&failingAt{rng.IntN(len(whole))}, onDisk(text), reduce.Stamp{}), errFull)
	}
	require.NoError(t, s.Write(&failingAt{len(whole)}, onDisk(text), reduce.Stamp{}))
	require.Equal(t, string(whole), string(written(t, s, onDisk(text), reduce.Stamp{})), "nothing of it stays behind")
}

// brokenJournal is a storage that gives a journal's first n bytes.
type brokenJournal struct {
	disk
	n   int64
	err error
}

func (b brokenJournal) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.n {
		n, _ := b.disk.ReadAt(p[:max(0, min(int64(len(p)), b.n-off))], off)
		return n, b.err
	}
	return b.disk.ReadAt(p, off)
}

// TestAJournalThatCannotBeReadIsAnError, never a hole in the notebook.
func TestAJournalThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	gone := errors.New("the storage went away")
	text := lines(started(0), printed(0, "stdout", strings.Repeat("x", 600_000)), printed(0, "stderr", "end"))
	s := feed(t, notebook("a"), text)
	for _, n := range []int64{0, 100, 300_000, int64(len(text)) - 30} {
		require.ErrorIs(t, s.Write(io.Discard, brokenJournal{onDisk(text), n, gone}, reduce.Stamp{}), gone, n)
		require.ErrorIs(t, s.Write(io.Discard, brokenJournal{onDisk(text), n, io.EOF}, reduce.Stamp{}), io.ErrUnexpectedEOF, n)
		require.ErrorIs(t, s.Write(io.Discard, brokenJournal{onDisk(text), n, nil}, reduce.Stamp{}), io.ErrUnexpectedEOF, n)
	}
	var b strings.Builder
	require.NoError(t, s.Write(&b, brokenJournal{onDisk(text), int64(len(text)), nil}, reduce.Stamp{}))
	require.Contains(t, b.String(), `"name": "stderr", "text": "end"`)
	blob := lines(started(0), `{"k":"msg","cell":0,"type":"display_data","content":{"data":{}},"blobs":{"image/png":"b"}}`)
	s = feed(t, notebook("a"), blob)
	require.ErrorIs(t, s.Write(io.Discard, brokenBlob{onDisk(blob), gone}, reduce.Stamp{}), gone, "half a body is not taken for none")
}

type brokenBlob struct {
	disk
	err error
}

func (b brokenBlob) Blob(string) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(`"half of`), iotest.ErrReader(b.err))), nil
}

// TestAStampThatIsNoJSONIsOurOwnFault, and said before anything is written.
func TestAStampThatIsNoJSONIsOurOwnFault(t *testing.T) {
	t.Parallel()
	s := feed(t, notebook("a"), "")
	var b strings.Builder
	err := s.Write(&b, onDisk(""), reduce.Stamp{NES: map[string]any{"x": func() {}}})
	require.Equal(t, nes.CodeInternal, nes.CodeOf(err))
	require.Zero(t, b.Len())
}

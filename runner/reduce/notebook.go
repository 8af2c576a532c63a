package reduce

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

type fields = map[string]json.RawMessage

// Write writes the notebook as the journal so far makes it, reading bodies from src. It may be called again and again, and
// leaves nothing behind in the State.
//
// Every cell carries papermill's metadata, and ours below "nes". An error is one of w, of src, or of a Stamp that is no JSON.
func (s *State) Write(w io.Writer, src Journal, stamp Stamp) error {
	end := s.ending(stamp.End)
	nb := nbformat.Notebook{Minor: s.input.Minor, Extra: s.input.Extra, Cells: make([]nbformat.Cell, len(s.cells))}
	for i := range s.cells {
		nb.Cells[i] = s.input.Cells[i]
		nb.Cells[i].Metadata = s.cellMetadata(i, end)
		nb.Cells[i].ExecutionCount = s.cells[i].executionCount()
	}
	metadata, err := s.metadata(stamp, end)
	if err != nil {
		return nes.Errorf(nes.CodeInternal, "the stamp of the notebook is no JSON: %w", err)
	}
	nb.Metadata = metadata
	c := newCopier(src)
	bodies := nbformat.Bodies{Outputs: func(i int, w io.Writer) error {
		c.to(w)
		return c.cellOutputs(&s.cells[i].outputs)
	}}
	if len(s.widgets.comms) > 0 {
		bodies.Metadata = map[string]func(io.Writer) error{"widgets": func(w io.Writer) error {
			c.to(w)
			return c.widgets(&s.widgets)
		}}
	}
	return nb.WriteWith(w, bodies)
}

// ending is how the attempt ended; nil while it runs.
func (s *State) ending(e *End) *End {
	if e == nil && s.exit != nil {
		e = &End{Reason: nes.Reason(s.exit.Reason), Message: s.exit.Message, At: timeOf(s.now)}
	}
	return e
}

func (c *cell) executionCount() *int {
	if c.count < 0 {
		return nil
	}
	n := c.count
	return &n
}

// closed is a cell as it is when the attempt ended: what runs then did not complete.
func (c cell) closed(end *End) cell {
	if c.status == running && end != nil {
		c.status = failed
		if end.Reason.Status() == nes.StatusSucceeded {
			c.status = completed
		}
		c.end = max(float64(end.At.UnixMicro())/1e6, c.start)
		c.wall = c.end - c.start
	}
	return c
}

func (s *State) cellMetadata(i int, end *End) fields {
	c := s.cells[i].closed(end)
	f := fields{}
	maps.Copy(f, s.input.Cells[i].Metadata)
	f["papermill"] = c.papermill()
	delete(f, "nes")
	if !c.ran() {
		return f
	}
	f["execution"] = c.execution()
	ours := map[string]any{}
	if c.how != "" {
		ours["status"] = c.how
	}
	if c.status != running {
		ours["wall_seconds"] = micro(c.wall)
	}
	if c.cpu > 0 {
		ours["cpu_seconds"] = micro(c.cpu)
	}
	if c.memory > 0 {
		ours["memory_peak_bytes"] = c.memory
	}
	if len(ours) > 0 {
		f["nes"] = encode(ours)
	}
	return f
}

// papermill is what papermill writes into the metadata of a cell.
func (c *cell) papermill() json.RawMessage {
	f := fields{"status": encode(c.status), "exception": null, "start_time": null, "end_time": null, "duration": null}
	if c.status != pending {
		f["start_time"] = encode(isoTime(timeOf(c.start)))
		f["exception"] = encode(c.status == failed)
	}
	if c.status == completed || c.status == failed {
		f["end_time"] = encode(isoTime(timeOf(c.end)))
		f["duration"] = encode(micro(c.end - c.start))
	}
	return encode(f)
}

// execution is what nbclient writes into the metadata of a cell that it executed.
func (c *cell) execution() json.RawMessage {
	f := map[string]string{"iopub.status.busy": zTime(c.start), "iopub.execute_input": zTime(c.start)}
	if c.status != running {
		f["iopub.status.idle"], f["shell.execute_reply"] = zTime(c.end), zTime(c.end)
	}
	return encode(f)
}

func (s *State) metadata(stamp Stamp, end *End) (fields, error) {
	f := fields{}
	maps.Copy(f, s.input.Metadata)
	f["papermill"] = s.papermill(end)
	if s.language != nil {
		f["language_info"] = s.language
	}
	delete(f, "nes")
	ours := map[string]any{}
	maps.Copy(ours, stamp.NES)
	if end := stamp.End; end != nil {
		set(ours, "reason", string(end.Reason))
		set(ours, "message", end.Message)
	}
	if s.ignored > 0 {
		ours["ignored_lines"] = s.ignored
	}
	if len(ours) == 0 {
		return f, nil
	}
	raw, err := json.Marshal(ours)
	f["nes"] = raw
	return f, err
}

func set(in map[string]any, key, value string) {
	if _, known := in[key]; !known && value != "" {
		in[key] = value
	}
}

// papermill completes what papermill wrote into the input's metadata.
func (s *State) papermill(end *End) json.RawMessage {
	var f fields
	if json.Unmarshal(s.input.Metadata["papermill"], &f) != nil || f == nil {
		f = fields{}
	}
	f["start_time"], f["end_time"], f["duration"], f["exception"] = null, null, null, null
	if s.began > 0 {
		f["start_time"] = encode(isoTime(timeOf(s.began)))
	}
	if end != nil {
		f["end_time"] = encode(isoTime(end.At.UTC()))
	}
	if end != nil && s.began > 0 {
		f["duration"] = encode(micro(max(0, end.At.Sub(timeOf(s.began)).Seconds())))
	}
	bad := end != nil && end.Reason.Status() != nes.StatusSucceeded
	for i := range s.cells {
		bad = bad || s.cells[i].status == failed
	}
	if bad {
		f["exception"] = encode(true)
	}
	return encode(f)
}

var null = json.RawMessage("null")

func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // only called with what JSON can say
	return bytes.TrimSpace(b.Bytes())
}

// micro is a number of seconds as Python writes it, to the microsecond.
type micro float64

// MarshalJSON writes a fraction always, because papermill's readers expect a float.
func (m micro) MarshalJSON() ([]byte, error) {
	f := math.Round(float64(m)*1e6) / 1e6
	b := strconv.AppendFloat(nil, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		b = append(b, ".0"...)
	}
	return b, nil
}

// isoTime writes a time as Python's isoformat does.
func isoTime(t time.Time) string {
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02T15:04:05+00:00")
	}
	return t.Format("2006-01-02T15:04:05.000000+00:00")
}

func zTime(t float64) string { return timeOf(t).Format("2006-01-02T15:04:05.000000Z") }

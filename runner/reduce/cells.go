package reduce

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/runner/journal"
)

// maxTime is the end of the year 9999, in seconds since 1970.
const maxTime = 253402300799

const (
	maxWord  = 1 << 20  // bytes of all results, and of all checkpoints
	maxTrace = 64 << 10 // bytes of a cell error's traceback
	maxText  = 16 << 10 // bytes of its value, of a reason, of a version
	maxLabel = 200
)

// status of a cell, in papermill's words.
type status string

const (
	pending   status = "pending"
	running   status = "running"
	completed status = "completed"
	failed    status = "failed"
)

// cell is what is known of one cell's execution.
type cell struct {
	code       bool // a code cell
	runs       bool // one that is to be executed
	status     status
	start, end float64
	count      int // execution count; -1 is none
	how        journal.CellStatus
	wall, cpu  float64
	memory     int64
	outputs    outputs
}

func newCell(c *nbformat.Cell) cell {
	code := c.Type == nbformat.Code
	blank := strings.TrimFunc(c.Source, pythonSpace) == ""
	return cell{
		code: code, runs: code && !blank && !slices.Contains(c.Tags(), "skip-execution"), status: pending, count: -1,
	}
}

// pythonSpace is what Python's strip takes away.
func pythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// ran tells whether the cell was sent to the kernel.
func (c *cell) ran() bool { return c.code && c.status != pending && c.how != notSent }

// notSent marks cells that the execution passed without sending them to the kernel.
const notSent journal.CellStatus = "passed"

// line applies one line of the journal.
func (s *State) line(at int64, text []byte) {
	r, ok := read(at, text)
	if !ok || s.exit != nil {
		s.ignored++
		return
	}
	s.tick(r.t)
	if !s.apply(&r) {
		s.ignored++
	}
}

// tick follows the driver's clock, which never goes back here.
func (s *State) tick(t float64) {
	s.now = max(s.now, t)
	if s.began == 0 {
		s.began = s.now
	}
}

func (s *State) apply(r *record) bool {
	if r.kind == string(journal.KindMsg) {
		return s.message(r)
	}
	l, ok := r.line()
	if !ok {
		return false
	}
	switch l.K {
	case journal.KindStart:
		return s.begin(&l)
	case journal.KindCellStart:
		return s.startCell(r.cell, &l)
	case journal.KindCellEnd:
		return s.endCell(r.cell, &l)
	case journal.KindWord:
		return s.word(&l)
	case journal.KindExit:
		s.leave(&l)
	}
	return true // kinds of the future are not ours to judge
}

func (s *State) begin(l *journal.Line) bool {
	if s.versions != nil {
		return false
	}
	s.versions = map[string]string{}
	for k, v := range l.Versions {
		if len(s.versions) < maxLabel {
			s.versions[short(k, maxLabel)] = short(v, maxText)
		}
	}
	if k := l.Kernel; k != nil {
		s.versions["kernel"], s.versions["language"] = short(k.Name, maxText), short(k.Language, maxText)
		s.language = languageInfo(k.LanguageInfo)
	}
	return true
}

// languageInfo is a copy of what the kernel says of its language, where a notebook may hold it.
func languageInfo(raw json.RawMessage) json.RawMessage {
	var info struct {
		Name          *string `json:"name"`
		FileExtension string  `json:"file_extension"`
		MIMEType      string  `json:"mimetype"`
		Lexer         string  `json:"pygments_lexer"`
	}
	if len(raw) > maxWord || json.Unmarshal(raw, &info) != nil || info.Name == nil {
		return nil
	}
	return slices.Clone(raw)
}

func (s *State) startCell(i int, l *journal.Line) bool {
	if i < 0 || i >= len(s.cells) || !s.cells[i].code || s.cells[i].status != pending {
		return false
	}
	if s.current >= 0 { // its end was never written
		s.close(&s.cells[s.current], failed, journal.CellStopped)
	}
	s.pass(i)
	c := &s.cells[i]
	c.status, c.start = running, s.now
	if l.N != nil {
		c.count = max(*l.N, -1)
	}
	s.current, s.latest = i, i
	if s.started == 0 {
		s.started = s.now
	}
	if l.MsgID != "" && len(l.MsgID) <= maxID {
		s.widgets.requests[l.MsgID] = i
	}
	s.label = ""
	return true
}

// pass completes the cells before i that are not for the kernel. papermill counts them as executed.
func (s *State) pass(i int) {
	for ; s.passed < i; s.passed++ {
		if c := &s.cells[s.passed]; !c.runs && c.status == pending {
			c.status, c.start, c.end, c.how = completed, s.now, s.now, notSent
		}
	}
}

func (s *State) endCell(i int, l *journal.Line) bool {
	if i < 0 || i != s.current {
		return false
	}
	c := &s.cells[i]
	if l.N != nil {
		c.count = max(*l.N, -1)
	}
	c.wall, c.cpu, c.memory = seconds(l.Wall), seconds(l.CPU), max(l.Mem, 0)
	how := journal.CellStatus(short(string(l.Status), maxLabel))
	to := failed
	if how == journal.CellOK || how == journal.CellAllowed || how == journal.CellStopped && s.said() {
		to = completed
	}
	s.close(c, to, how)
	if how == journal.CellError {
		s.failure = cellError(i, l.Error)
	}
	return true
}

// said tells whether the notebook itself asked to end.
func (s *State) said() bool { return s.skip != nil || s.notReady != nil }

func (s *State) close(c *cell, to status, how journal.CellStatus) {
	c.status, c.how, c.end = to, how, s.now
	s.current = -1
}

// cellError keeps an error for the ledger.
func cellError(i int, e *journal.Error) *nes.CellError {
	if e == nil {
		e = &journal.Error{}
	}
	size := 0
	trace := slices.Clone(e.Traceback)
	for at := len(trace) - 1; at >= 0; at-- { // the end of a traceback says most
		trace[at] = short(trace[at], maxTrace)
		if size += len(trace[at]); size > maxTrace {
			trace = append([]string{"..."}, trace[at+1:]...)
			break
		}
	}
	return &nes.CellError{Cell: i, Name: short(e.Name, maxText), Value: short(e.Value, maxText), Traceback: trace}
}

func (s *State) word(l *journal.Line) bool {
	switch l.Word {
	case "result":
		if l.Name != "" {
			return put(s.results.named, l.Name, l.Value)
		}
		if len(l.Value) == 0 || len(l.Value) > maxWord {
			return false
		}
		s.results.last = l.Value
	case "checkpoint":
		return put(s.checkpoints, l.Name, l.Value)
	case "skip":
		s.skip = reason(l.Value)
	case "not_ready":
		s.notReady = reason(l.Value)
	case "progress":
		return s.report(l.Value)
	}
	return true
}

// put keeps a value under a name, as long as all of them together are not too large.
func put(in map[string]json.RawMessage, name string, value json.RawMessage) bool {
	size := len(name) + len(value)
	for k, v := range in {
		if k != name {
			size += len(k) + len(v)
		}
	}
	if len(value) == 0 || size > maxWord || in[name] == nil && len(in) >= 1000 {
		return false
	}
	in[name] = value
	return true
}

func reason(value json.RawMessage) *string {
	var why string
	if json.Unmarshal(value, &why) != nil {
		why = string(value)
	}
	why = short(why, maxText)
	return &why
}

func (s *State) report(value json.RawMessage) bool {
	var p struct {
		Label    *string  `json:"label"`
		Fraction *float64 `json:"fraction"`
	}
	if json.Unmarshal(value, &p) != nil {
		return false
	}
	if p.Label != nil {
		s.label = short(*p.Label, maxLabel)
	}
	if p.Fraction != nil {
		f := min(max(*p.Fraction, 0), 1)
		s.fraction = &f
	}
	return true
}

// leave applies the driver's last line. After a good end every cell that was not for the kernel is behind it.
func (s *State) leave(l *journal.Line) {
	l.Message, l.Reason = short(l.Message, maxText), short(l.Reason, maxLabel)
	s.exit = l
	if l.Reason != "" || s.current >= 0 {
		return
	}
	for i := range s.cells {
		if s.cells[i].runs && s.cells[i].status == pending {
			return
		}
	}
	s.pass(len(s.cells))
}

// short cuts text to at most n bytes, and copies it.
func short(text string, n int) string {
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	return strings.Clone(text)
}

func seconds(f float64) float64 {
	if math.IsNaN(f) || f < 0 || f > maxTime {
		return 0
	}
	return f
}

func timeOf(seconds float64) time.Time {
	whole := math.Floor(seconds)
	return time.Unix(int64(whole), int64((seconds-whole)*1e6+0.5)*1000).UTC()
}

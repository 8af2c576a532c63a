package reduce

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/runner/journal"
)

// Journal is where a State finds the bodies that it remembers by place.
type Journal interface {
	io.ReaderAt
	// Blob opens the JSON encoding of a body that was too large for a line. Where there is none (yet) it
	// returns an error with code not_found, or one that is fs.ErrNotExist; the notebook then says so in its place.
	Blob(sha256 string) (io.ReadCloser, error)
}

// Stamp is what NES writes into the notebook's metadata beside papermill's.
type Stamp struct {
	// NES becomes metadata.nes: run id, commit, repository, attempt, versions, reason...
	NES map[string]any
	// End is nil while the notebook runs; else it closes what is open: the cell that runs is failed, later ones stay pending.
	End *End
}

// End of an attempt.
type End struct {
	Reason  nes.Reason
	Message string
	At      time.Time
}

// Words are what the notebook said to NES.
type Words struct {
	Result      json.RawMessage            // the last unnamed result, or the named ones and scraps as one object
	Skip        *string                    // why, when it asked to be skipped
	NotReady    *string                    // why, when it is not ready
	Checkpoints map[string]json.RawMessage // by name
}

// State is a notebook under execution: what follows from the journal so far. It is not safe for concurrent use.
type State struct {
	input   *nbformat.Notebook
	cells   []cell
	lines   lines
	ignored int

	began    float64 // time of the first line, and of the newest
	now      float64
	started  float64 // of the first cell; 0 before
	current  int     // the cell that runs, or -1
	latest   int     // the cell that was started last, or -1
	passed   int     // cells before this one are behind the execution
	language json.RawMessage
	versions map[string]string

	kept     int // outputs that are remembered
	displays map[string]*view
	widgets  widgets

	results     results
	skip        *string
	notReady    *string
	checkpoints map[string]json.RawMessage
	label       string
	fraction    *float64

	failure *nes.CellError
	exit    *journal.Line
}

// New starts with a parameterised notebook and an empty journal. It fails, with a
// *nes.Error, only where input is no notebook.
func New(input []byte) (*State, error) {
	nb, err := nbformat.Read(bytes.NewReader(input), journal.MaxInput)
	if err != nil {
		return nil, err
	}
	s := &State{
		input: nb, cells: make([]cell, len(nb.Cells)), current: -1, latest: -1,
		displays: map[string]*view{}, widgets: newWidgets(),
		results: results{named: map[string]json.RawMessage{}}, checkpoints: map[string]json.RawMessage{},
	}
	for i := range nb.Cells {
		s.cells[i] = newCell(&nb.Cells[i])
	}
	return s, nil
}

// Feed takes the journal's bytes that begin at offset. Pieces come in order and may be cut anywhere; bytes
// that were fed before are skipped, so that a piece may be sent again. A gap is an error.
func (s *State) Feed(offset int64, chunk []byte) error {
	known := s.lines.end - offset
	if known < 0 {
		return nes.Errorf(nes.CodeConflict, "the journal is known up to byte %d, and bytes from %d on were given", s.lines.end, offset)
	}
	if known >= int64(len(chunk)) {
		return nil
	}
	s.ignored += s.lines.feed(chunk[known:], s.line)
	return nil
}

// Size is the number of bytes that were fed.
func (s *State) Size() int64 { return s.lines.end }

// Ignored counts the lines that made no sense: no JSON, too long, or about cells that there are not.
func (s *State) Ignored() int { return s.ignored }

// Started tells whether a cell was started.
func (s *State) Started() bool { return s.latest >= 0 }

// StartedAt is when the first cell started, as the driver's clock said; zero before.
func (s *State) StartedAt() time.Time {
	if s.started == 0 {
		return time.Time{}
	}
	return timeOf(s.started)
}

// Exit is the driver's last line, or nil before it came.
func (s *State) Exit() *journal.Line { return s.exit }

// CellError is the error that failed a cell, or nil. Its traceback is cut to a size that a ledger can keep.
func (s *State) CellError() *nes.CellError { return s.failure }

// Versions are those of driver, papermill and Python, and the kernel's name and language, as the start line names them.
func (s *State) Versions() map[string]string { return maps.Clone(s.versions) }

// Words returns what the notebook has said so far.
func (s *State) Words() Words {
	return Words{Result: s.results.value(), Skip: s.skip, NotReady: s.notReady, Checkpoints: maps.Clone(s.checkpoints)}
}

// Progress counts the code cells that are to run: Done are those that completed, Failed those that did not.
func (s *State) Progress() nes.Progress {
	p := nes.Progress{Current: s.current, Label: s.label, Fraction: s.fraction}
	for i := range s.cells {
		c := &s.cells[i]
		if !c.runs && !c.ran() {
			continue
		}
		p.Total++
		switch c.status {
		case completed:
			p.Done++
		case failed:
			p.Failed++
		}
	}
	if s.current >= 0 {
		since := timeOf(s.cells[s.current].start)
		p.CurrentSince = &since
	}
	return p
}

// results keeps the values that the notebook handed over.
type results struct {
	last  json.RawMessage
	named map[string]json.RawMessage
}

func (r *results) value() json.RawMessage {
	if r.last != nil || len(r.named) == 0 {
		return slices.Clone(r.last)
	}
	all, err := json.Marshal(r.named)
	if err != nil {
		return nil
	}
	return all
}

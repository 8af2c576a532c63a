package notebook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/nes-run/nes"
)

// Version of the index's JSON form, index.json.
const Version = 2

// Limits of what an index holds. What lies beyond is left out, and a Problem says so.
const (
	MaxDepth       = 256       // nesting of JSON
	MaxCells       = 20_000    // cells of a notebook
	MaxOutputs     = 2_000     // outputs of a cell
	MaxBodies      = 64        // MIME types of an output, attachments of a cell
	MaxSource      = 1 << 20   // bytes of a cell's source
	MaxInline      = 64 << 10  // bytes of a body that is held in the index
	MaxInlineTotal = 24 << 20  // bytes of all bodies that are held
	MaxTraceback   = 256 << 10 // bytes of a traceback
	maxMetadata    = 64 << 10  // bytes of one cell's metadata, or of one key of the notebook's
	maxName        = 512       // bytes of a name: MIME type, stream, error, attachment
)

// Index is what a page needs to know of a notebook.
type Index struct {
	Version int   `json:"version"`
	Size    int64 `json:"size"` // bytes of the file
	Major   int   `json:"nbformat"`
	Minor   int   `json:"nbformat_minor"`

	Title      string `json:"title,omitempty"`
	Kernel     string `json:"kernel,omitempty"`      // name of the kernel
	KernelName string `json:"kernel_name,omitempty"` // the kernel's name for people
	Language   string `json:"language,omitempty"`    // lower case

	Execution *Execution      `json:"execution,omitempty"` // metadata.papermill
	NES       json.RawMessage `json:"nes,omitempty"`       // metadata.nes

	Cells []Cell `json:"cells"`
	// Problems of the file as a whole, in sentences for people.
	Problems []string `json:"problems,omitempty"`
}

// Execution is what papermill's metadata says of the whole notebook.
type Execution struct {
	Start      *time.Time      `json:"start,omitempty"`
	End        *time.Time      `json:"end,omitempty"`
	Seconds    float64         `json:"seconds,omitempty"`
	Failed     bool            `json:"failed,omitempty"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

// Cell of a notebook. Type is code, markdown, raw, or a word of the future.
type Cell struct {
	Type    string   `json:"type"`
	ID      string   `json:"id,omitempty"`
	Source  string   `json:"source"`
	Count   *int     `json:"count,omitempty"` // execution count
	Tags    []string `json:"tags,omitempty"`
	Level   int      `json:"level,omitempty"`    // of a heading cell of nbformat 3
	RawMIME string   `json:"raw_mime,omitempty"` // of a raw cell

	SourceHidden  bool `json:"source_hidden,omitempty"`
	OutputsHidden bool `json:"outputs_hidden,omitempty"`

	Run Timing `json:"run"`

	Outputs     []Output     `json:"outputs,omitempty"`
	Attachments []Attachment `json:"attachments,omitempty"`
	Problem     string       `json:"problem,omitempty"`
}

// Timing is how a cell ran, from papermill's and NES's metadata.
type Timing struct {
	// Status is pending, running, completed or failed; empty where the notebook does not say.
	Status string `json:"status,omitempty"`
	// Detail is NES's finer word, such as died, timeout, stopped or allowed.
	Detail  string     `json:"detail,omitempty"`
	Start   *time.Time `json:"start,omitempty"`
	Seconds float64    `json:"seconds,omitempty"`
	CPU     float64    `json:"cpu,omitempty"`    // seconds of processor time
	Memory  int64      `json:"memory,omitempty"` // peak bytes of the kernel so far
}

// The statuses of a cell.
const (
	Pending   = "pending"
	Running   = "running"
	Completed = "completed"
	Failed    = "failed"
)

// Output of a code cell. Type is stream, display_data, execute_result, error, or a word of the future.
type Output struct {
	Type   string `json:"type"`
	Name   string `json:"name,omitempty"` // of a stream: stdout or stderr
	Count  *int   `json:"count,omitempty"`
	Bodies []Body `json:"bodies,omitempty"` // in the file's order; of a stream, its text
	Error  *Error `json:"error,omitempty"`
	// Problem says what could not be read.
	Problem string `json:"problem,omitempty"`
}

// Error is an output of type error.
type Error struct {
	Name      string   `json:"name"`
	Value     string   `json:"value"`
	Traceback []string `json:"traceback,omitempty"` // with ANSI escapes
}

// Attachment of a Markdown or raw cell.
type Attachment struct {
	Name   string `json:"name"`
	Bodies []Body `json:"bodies"`
}

// Body is the content of one MIME type. A list of lines is joined.
type Body struct {
	MIME string `json:"mime"`
	// Offset and Length are the place of the JSON value in the file.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// JSON says that the body is the JSON value itself; else the value is a string, or a list of them, that holds it.
	JSON   bool   `json:"json,omitempty"`
	Size   int64  `json:"size"`   // bytes of the body
	SHA256 string `json:"sha256"` // of the body
	// Inline says that Text is the whole body.
	Inline bool   `json:"inline,omitempty"`
	Text   string `json:"text,omitempty"`
	// Width and Height in pixels of an image, as its own header or the output's metadata says; 0 is unknown.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
}

// Fingerprint names what a reader sees of the cell: it changes when that does, and not when the
// cell only moves within its file.
func (c *Cell) Fingerprint() string {
	seen := *c
	seen.Outputs = make([]Output, len(c.Outputs))
	for i, o := range c.Outputs {
		o.Bodies = withoutPlace(o.Bodies)
		seen.Outputs[i] = o
	}
	seen.Attachments = make([]Attachment, len(c.Attachments))
	for i, a := range c.Attachments {
		seen.Attachments[i] = Attachment{Name: a.Name, Bodies: withoutPlace(a.Bodies)}
	}
	raw, err := json.Marshal(seen)
	if err != nil {
		panic(fmt.Sprintf("a cell is always JSON: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}

func withoutPlace(bodies []Body) []Body {
	out := make([]Body, len(bodies))
	for i, b := range bodies {
		b.Offset, b.Length, b.Text = 0, 0, ""
		out[i] = b
	}
	return out
}

// Body finds the body with a digest among those whose MIME type is wanted.
func (x *Index) Body(sha256 string, wanted func(mime string) bool) (Body, bool) {
	for i := range x.Cells {
		for _, b := range x.Cells[i].bodies() {
			if b.SHA256 == sha256 && wanted(b.MIME) {
				return b, true
			}
		}
	}
	return Body{}, false
}

func (c *Cell) bodies() []Body {
	var all []Body
	for _, o := range c.Outputs {
		all = append(all, o.Bodies...)
	}
	for _, a := range c.Attachments {
		all = append(all, a.Bodies...)
	}
	return all
}

// Open reports whether the cell waits or runs, so that the end of the notebook changes how it is read.
func (c *Cell) Open() bool { return c.Run.Status == Pending || c.Run.Status == Running }

// HasTag reports whether the cell carries tag.
func (c *Cell) HasTag(tag string) bool {
	for _, t := range c.Tags {
		if t == tag {
			return true
		}
	}
	return false
}

// Write writes the index as JSON.
func (x *Index) Write(w io.Writer) error { return json.NewEncoder(w).Encode(x) }

// Read reads what Write wrote. An index of another version gives CodeNotFound: make it anew.
func Read(r io.Reader) (*Index, error) {
	var x Index
	if err := json.NewDecoder(r).Decode(&x); err != nil {
		return nil, fmt.Errorf("read a notebook's index: %w", err)
	}
	if x.Version != Version {
		return nil, nes.Errorf(nes.CodeNotFound, "the index has version %d, not %d", x.Version, Version)
	}
	return &x, nil
}

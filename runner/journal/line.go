package journal

import "encoding/json"

// Version of the format.
const Version = 1

// Kind of a line.
type Kind string

// The kinds of version 1.
const (
	KindStart     Kind = "start"      // the kernel is ready; Start is set
	KindCellStart Kind = "cell_start" // a code cell was sent to the kernel
	KindCellEnd   Kind = "cell_end"   // a code cell is over
	KindMsg       Kind = "msg"        // an IOPub message, as it came
	KindBlob      Kind = "blob"       // a body that is kept as a file beside the journal
	KindWord      Kind = "word"       // what the notebook says to NES
	KindLog       Kind = "log"        // what the driver itself has to say
	KindExit      Kind = "exit"       // the driver is done; always the last line
)

// Line is any line of a journal. Which fields are set depends on K.
type Line struct {
	V   int     `json:"v"`
	Seq int64   `json:"seq"`
	T   float64 `json:"t"` // seconds since 1970
	K   Kind    `json:"k"`

	// Cell is the index, in the parameterised notebook, of the cell that the line
	// belongs to: for a message, the cell whose request it answers, which need not be
	// the one that runs now. Nil where no cell is concerned.
	Cell *int `json:"cell,omitempty"`

	// cell_start: the id of the request that was sent to the kernel, by which Output widgets name the cell they capture.
	MsgID string `json:"msg_id,omitempty"`

	// start
	Notebook *NotebookRef      `json:"notebook,omitempty"`
	Kernel   *Kernel           `json:"kernel,omitempty"`
	Versions map[string]string `json:"versions,omitempty"` // driver, papermill, python, jupyter_client

	// cell_end
	Status CellStatus `json:"status,omitempty"`
	N      *int       `json:"n,omitempty"`    // execution count
	Wall   float64    `json:"wall,omitempty"` // seconds
	CPU    float64    `json:"cpu,omitempty"`  // seconds of processor time of the kernel and its children; 0 is unknown
	Mem    int64      `json:"mem,omitempty"`  // peak resident bytes of the kernel so far; 0 is unknown
	Error  *Error     `json:"error,omitempty"`

	// msg: Type is the message's type: stream, display_data, execute_result, error,
	// update_display_data, clear_output, comm_open, comm_msg, comm_close. Consecutive
	// stream messages of one cell and name come merged.
	Type      string          `json:"type,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`  // of the message, where not empty
	Transient json.RawMessage `json:"transient,omitempty"` // such as {"display_id": "..."}
	// Blobs names, by MIME type, the bodies that were taken out of content.data: the
	// SHA-256 of run/blobs/<sha256>, which holds the body's JSON encoding.
	Blobs map[string]string `json:"blobs,omitempty"`
	// Buffers are the binary buffers of a comm message, base64, in the order of content.data.buffer_paths.
	Buffers []string `json:"buffers,omitempty"`
	// Cut says that output was left out at this place of a stream, before the line's own text.
	Cut *Cut `json:"cut,omitempty"`

	// blob
	SHA256 string `json:"sha256,omitempty"`
	Size   int64  `json:"size,omitempty"`
	MIME   string `json:"mime,omitempty"`

	// word: result, skip, not_ready, checkpoint or progress, with its value: of a result
	// or checkpoint the value itself; of skip and not_ready the reason, a string; of
	// progress {"fraction": 0.5, "label": "..."}, each optional.
	Word  string          `json:"word,omitempty"`
	Name  string          `json:"name,omitempty"` // of a checkpoint or a named result
	Value json.RawMessage `json:"value,omitempty"`

	// log
	Text string `json:"text,omitempty"`

	// exit
	Code    int    `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"` // nes.Reason; empty is success
	Message string `json:"message,omitempty"`
}

// NotebookRef names the parameterised notebook, which lies in run/input.ipynb.
type NotebookRef struct {
	SHA256 string `json:"sha256"`
	Cells  int    `json:"cells"`
	Code   int    `json:"code"` // code cells that will run
}

// Kernel that executes the notebook.
type Kernel struct {
	Name         string          `json:"name"`
	Language     string          `json:"language"`
	LanguageInfo json.RawMessage `json:"language_info,omitempty"` // as kernel_info_reply gives it
	PID          int             `json:"pid,omitempty"`
}

// CellStatus is how a cell ended.
type CellStatus string

// The ends of a cell.
const (
	CellOK       CellStatus = "ok"
	CellError    CellStatus = "error"   // it raised; Line.Error says what
	CellAllowed  CellStatus = "allowed" // it raised and may (tag raises-exception)
	CellStopped  CellStatus = "stopped" // interrupted by cancel, timeout or a word that ends the run
	CellDied     CellStatus = "died"    // the kernel died under it
	CellTimedOut CellStatus = "timeout" // its own time was over
)

// Error that a cell raised.
type Error struct {
	Name      string   `json:"ename"`
	Value     string   `json:"evalue"`
	Traceback []string `json:"traceback,omitempty"`
}

// Cut marks output that was left out.
type Cut struct {
	Bytes int64  `json:"bytes"`          // left out here
	File  string `json:"file,omitempty"` // side file in run/outputs that has the whole
}

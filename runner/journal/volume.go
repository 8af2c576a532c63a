package journal

// The files of an attempt's work volume, relative to its root.
const (
	WorkDir     = "work"              // the tree at the commit
	RunDir      = "run"               // everything below
	LaunchFile  = "run/launch.json"   // Launch
	ControlFile = "run/control.json"  // Control: agent to exec, renamed into place
	JournalFile = "run/journal.jsonl" // the journal
	InputFile   = "run/input.ipynb"   // the parameterised notebook
	BlobDir     = "run/blobs"         // <sha256>
	OutputDir   = "run/outputs"       // side files, $NES_OUTPUT_DIR
	LogFile     = "run/log.txt"       // what driver and exec wrote to stdout and stderr
	ExitFile    = "run/exit.json"     // Exit: last, by fsync and rename
	LockFile    = "run/exec.lock"     // locked (flock) by exec as long as it lives, and before it makes any other file
	HelperDir   = "run/python"        // driver and helper module, on PYTHONPATH
)

// Size limits of what is read from a work volume, in bytes.
const (
	MaxControl = 64 << 10
	MaxLaunch  = 16 << 20
	MaxExit    = 64 << 10
	MaxInput   = 256 << 20
	MaxLine    = 16 << 20 // of the journal; larger bodies go to blobs
	MaxChunk   = 1 << 20  // of the journal, in one call to the server
	MaxBlob    = 512 << 20
	MaxJournal = 4 << 30
)

// Launch says what to run. It holds no secret.
type Launch struct {
	V       int    `json:"v"`
	RunID   string `json:"run_id"`
	Attempt int    `json:"attempt"`

	Notebook   string         `json:"notebook"` // path below work/
	Parameters map[string]any `json:"parameters,omitempty"`
	KernelName string         `json:"kernel_name,omitempty"` // empty is the notebook's own
	Python     string         `json:"python,omitempty"`      // interpreter that has papermill; empty is python3 on PATH

	// Seconds; 0 is none, but for StartTimeout, where it is 60.
	StartTimeout   float64 `json:"start_timeout,omitempty"`
	CellTimeout    float64 `json:"cell_timeout,omitempty"`
	RunTimeout     float64 `json:"timeout,omitempty"`
	SilenceTimeout float64 `json:"silence_timeout,omitempty"`
	// Grace is how long a cancelled notebook has after SIGINT, and again after SIGTERM, in seconds; 0 is 10.
	Grace float64 `json:"grace,omitempty"`

	// InputPath and OutputPath are what papermill's metadata names as such.
	InputPath  string            `json:"input_path"`
	OutputPath string            `json:"output_path"`
	Env        map[string]string `json:"env,omitempty"`     // plain variables for the kernel
	Secrets    []string          `json:"secrets,omitempty"` // variables of the kernel that hold secrets, by name alone
	Limits     Limits            `json:"limits"`
}

// Limits of output, in bytes; 0 is the default in parentheses.
type Limits struct {
	CellText int64 `json:"cell_text,omitempty"` // stream text of one cell kept in the notebook (8 MiB: head and tail)
	Journal  int64 `json:"journal,omitempty"`   // the whole journal (1 GiB); over it the run ends OutputTooLarge
	Files    int64 `json:"files,omitempty"`     // all side files (1 GiB)
	Body     int64 `json:"body,omitempty"`      // body of one MIME type in a line (1 MiB); larger ones become blobs
}

// Control is what the agent tells exec.
type Control struct {
	V      int    `json:"v"`
	Cancel bool   `json:"cancel"`
	Reason string `json:"reason,omitempty"` // nes.Reason with which to end; empty is Cancelled
	Why    string `json:"why,omitempty"`
}

// Exit is the marker that exec leaves when everything is over and nothing of the notebook lives any more.
type Exit struct {
	V       int     `json:"v"`
	Reason  string  `json:"reason"` // nes.Reason; empty is success
	Message string  `json:"message,omitempty"`
	Code    int     `json:"code"`               // exit code of the driver; -1 when a signal ended it
	Signal  string  `json:"signal,omitempty"`   // such as SIGKILL
	At      float64 `json:"at"`                 // seconds since 1970
	Journal int64   `json:"journal"`            // size of the journal in bytes
	LogTail string  `json:"log_tail,omitempty"` // last 4 KiB of log.txt
	MemPeak int64   `json:"mem_peak,omitempty"`
	// Inferred says that exec left no marker: somebody else concluded how it ended.
	Inferred bool `json:"inferred,omitempty"`
	// Unstarted says, of an inferred end, that exec surely was never started.
	Unstarted bool `json:"unstarted,omitempty"`
}

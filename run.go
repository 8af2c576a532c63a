package nes

import (
	"encoding/json"
	"time"
)

// RunID names a run: a UUIDv7 in its canonical lower-case form, so that ids sort by time of submission.
type RunID string

// Run is the record of one request, as the ledger keeps it and the API shows it.
type Run struct {
	ID      RunID  `json:"id"`
	Status  Status `json:"status"`
	Stage   Stage  `json:"stage"`
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message,omitempty"` // one sentence for people about why it is as it is

	Spec    Spec    `json:"spec"`
	Source  *Source `json:"source,omitempty"` // nil until the source is resolved
	Owner   string  `json:"owner"`            // the principal that submitted it
	Team    string  `json:"team"`
	Client  string  `json:"client,omitempty"` // what the caller's program says of itself
	Parent  RunID   `json:"parent,omitempty"` // the run that this one runs again
	Version int64   `json:"version"`          // grows with every change; the entity tag

	// Attempt is the number of the newest attempt; 0 before the first.
	Attempt int `json:"attempt"`
	// Conversions that were made to fit parameters to the notebook's declared types.
	Conversions []Conversion `json:"conversions,omitempty"`
	// Parameters as they were given to the notebook, after conversion; nil until the source is checked.
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"`

	CreatedAt time.Time  `json:"created_at"`
	StartedAt *time.Time `json:"started_at,omitempty"` // first cell of the newest attempt
	EndedAt   *time.Time `json:"ended_at,omitempty"`
	// NotBefore holds back the next launch: back-off, or a notebook that is not ready.
	NotBefore *time.Time `json:"not_before,omitempty"`
	// CancelRequestedAt is set once and never taken back.
	CancelRequestedAt *time.Time `json:"cancel_requested_at,omitempty"`
	CancelRequestedBy string     `json:"cancel_requested_by,omitempty"`

	Outcome *Outcome `json:"outcome,omitempty"` // of the newest attempt that is over
	// AskedAt is when somebody last asked about the run, within some seconds; kept only for a run with a lease.
	AskedAt *time.Time `json:"-"`
	// Published is set when the verdict is stored and callbacks are done.
	Published bool `json:"-"`

	Progress  *Progress `json:"progress,omitempty"` // filled by whoever follows the run; not stored
	OutputURL string    `json:"output_url"`         // the run's page; filled by the API
}

// Ended reports whether the run is over.
func (r *Run) Ended() bool { return r.Stage == StageEnded }

// Source is what an input address was resolved to, once per run.
type Source struct {
	Repository string `json:"repository"`       // canonical: host/path without .git, no credential, e.g. github.com/acme/reports
	CloneURL   string `json:"clone_url"`        // where it was fetched, no credential
	Ref        string `json:"ref,omitempty"`    // as given; empty is the default branch
	Commit     string `json:"commit,omitempty"` // 40 hexadecimal digits; of an object, its generation
	Path       string `json:"path"`             // of the notebook, below the repository's root
	// Bundle is the bucket key of the archive of the tree.
	Bundle string `json:"bundle"`
	// BundleSHA256 is the hexadecimal digest of that archive.
	BundleSHA256 string `json:"bundle_sha256"`
	Dirty        bool   `json:"dirty,omitempty"`       // a working tree with changes beside Commit
	WebURL       string `json:"web_url,omitempty"`     // the notebook at that commit on the host's pages
	KernelName   string `json:"kernel_name,omitempty"` // the notebook's own
	Language     string `json:"language,omitempty"`    // the notebook's own, lower case
}

// Conversion records that a parameter's value was changed to the type that the notebook declares.
type Conversion struct {
	Name string          `json:"name"`
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
	Type string          `json:"type"` // as declared, such as "int"
}

// Attempt is one launch of a run.
type Attempt struct {
	RunID      RunID      `json:"run_id"`
	Number     int        `json:"number"`
	Reason     Reason     `json:"reason,omitempty"`
	Message    string     `json:"message,omitempty"`
	Status     Status     `json:"status"` // Pending, Running, or that of its reason
	LaunchedAt time.Time  `json:"launched_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	// HeardAt is about when the agent last reported, where several servers share the ledger.
	HeardAt *time.Time `json:"heard_at,omitempty"`
	// Place names the only machine that can reach the attempt's processes; empty where every server can.
	Place string `json:"-"`
	// TokenHash is the hexadecimal SHA-256 of the token that the attempt's agent shows.
	TokenHash string `json:"-"`
	// Exit is what the agent reported at the end, as it came; nil when it never did.
	Exit    json.RawMessage `json:"-"`
	Outcome *Outcome        `json:"outcome,omitempty"`
}

// Outcome is what an attempt came to, as far as the ledger keeps it.
type Outcome struct {
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Notebook is the bucket key of the executed notebook; empty when there is none.
	Notebook string `json:"notebook,omitempty"`
	// Index is the bucket key of the notebook's index.
	Index string `json:"index,omitempty"`
	// Log is the bucket key of the text log.
	Log string `json:"log,omitempty"`
	// Files are the side files that the notebook left in its output directory.
	Files []File `json:"files,omitempty"`
	// Result is what the notebook handed over by nes.result, or its scraps; at most 64 KiB.
	Result json.RawMessage `json:"result,omitempty"`
	// Checkpoints that the notebook set, by name. They become the team's when the run
	// succeeds, in the same transaction, and are forgotten when it does not.
	Checkpoints map[string]json.RawMessage `json:"checkpoints,omitempty"`
	// Error of the failed cell, when a cell failed.
	Error    *CellError `json:"error,omitempty"`
	Progress Progress   `json:"progress"`
	Versions Versions   `json:"versions"`
}

// CellError is the error that a cell raised.
type CellError struct {
	Cell      int      `json:"cell"` // index in the executed notebook
	Name      string   `json:"name"`
	Value     string   `json:"value"`
	Traceback []string `json:"traceback,omitempty"` // with ANSI colours
}

// Progress counts code cells.
type Progress struct {
	Total   int `json:"total"`
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	Current int `json:"current"` // index in the executed notebook of the cell that runs; -1 when none does
	// CurrentSince is when that cell started.
	CurrentSince *time.Time `json:"current_since,omitempty"`
	// Label is the notebook's own word on its progress, or the running cell's description.
	Label string `json:"label,omitempty"`
	// Fraction between 0 and 1 as the notebook itself reported it; nil when it did not.
	Fraction *float64 `json:"fraction,omitempty"`
}

// Versions says with what the notebook was executed.
type Versions struct {
	NES       string `json:"nes,omitempty"`
	Papermill string `json:"papermill,omitempty"`
	Python    string `json:"python,omitempty"` // of the driver
	Kernel    string `json:"kernel,omitempty"` // kernel name
	Language  string `json:"language,omitempty"`
	Image     string `json:"image,omitempty"`
}

// File is a side file of a run.
type File struct {
	Name   string `json:"name"` // slash-separated, relative
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Type   string `json:"type,omitempty"` // MIME type by name
}

// Checkpoint is the last point up to which a team's notebooks have processed something.
type Checkpoint struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
	RunID RunID           `json:"run_id,omitempty"` // the run that set it; empty when a person did
	At    time.Time       `json:"at"`
}

// Event is one thing that happened to a run; the ledger numbers them.
type Event struct {
	Seq     int64     `json:"seq"` // grows over all runs: the cursor
	RunID   RunID     `json:"run_id"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // submitted, fetched, launched, started, saving, ended, cancel_requested, published, note
	Status  Status    `json:"status"`
	Stage   Stage     `json:"stage"`
	Attempt int       `json:"attempt,omitempty"`
	Reason  Reason    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Actor   string    `json:"actor,omitempty"` // the principal, for what somebody asked for
}

// LogPage is a piece of an attempt's text log.
type LogPage struct {
	Attempt int    `json:"attempt"`
	Text    string `json:"text"`
	Next    int64  `json:"next"`  // the cursor of what follows
	Ended   bool   `json:"ended"` // nothing will follow in this attempt
}

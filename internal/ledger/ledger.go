package ledger

import (
	"time"

	"github.com/nes-run/nes"
)

// Submission is a run to be created.
type Submission struct {
	Spec   nes.Spec
	Owner  string
	Team   string
	Client string
	Parent nes.RunID
	// Fingerprint of the request: what must be equal when its idempotency key comes back.
	Fingerprint string
	At          time.Time
}

// Filter of a list of runs; empty fields do not filter.
type Filter struct {
	Teams      []string // nil is all teams
	Status     []nes.Status
	Reason     []nes.Reason
	Repository string
	Notebook   string // path in the repository
	Commit     string // a prefix of at least 4 digits
	Group      string
	TaskKey    string
	Labels     map[string]string
	Parameters map[string]string // by name; compared with the value as text
	Text       string            // in address, message, labels
	Since      time.Time
	Until      time.Time
	Cursor     string // Page.Next of the page before
	Limit      int    // 0 is 50, at most 500
}

// Page of runs, newest first.
type Page struct {
	Runs []nes.Run
	Next string
}

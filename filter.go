package nes

import "time"

// RunFilter chooses runs for a list; empty fields do not filter.
type RunFilter struct {
	Teams      []string // nil is all teams; empty is none
	Status     []Status
	Reason     []Reason
	Repository string
	Notebook   string // path in the repository
	Commit     string // a prefix of at least 4 digits
	Group      string
	Owner      string
	TaskKey    string
	Parent     RunID
	Labels     map[string]string
	Parameters map[string]string // by name; compared with the value as text, where that has at most 256 bytes
	Text       string            // in address, message, group, labels; ASCII letters match in either case
	Since      time.Time         // submitted then or later
	Until      time.Time         // submitted before
	Cursor     string            // RunPage.Next of the page before
	Limit      int               // 0 is 50, at most 500
}

// RunPage is a page of runs, newest first.
type RunPage struct {
	Runs []Run
	Next string // empty on the last page
}

// NotebookFilter chooses notebooks that were run; empty fields do not filter.
type NotebookFilter struct {
	Teams      []string // nil is all teams; empty is none
	Repository string
	Text       string // in repository and path; ASCII letters match in either case
	Limit      int    // 0 is 50, at most 500
}

// NotebookRuns says how often a notebook was run.
type NotebookRuns struct {
	Repository, Notebook string
	Runs                 int
	Newest               RunID
}

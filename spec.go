package nes

import "encoding/json"

// Spec is what a caller asks for: the body of POST /v1/runs. Absent and null are the same.
type Spec struct {
	// InputURL addresses the notebook: a Git host's page of it, git+https://host/repo.git@ref#path,
	// ssh://, file:// below an allowed root, gs://, s3://, or bundle://<sha256>/<path> for a sent working tree.
	InputURL string `json:"input_url"`
	// Parameters by name; values are JSON and keep their exact form.
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"`

	Runtime     string            `json:"runtime,omitempty"`     // a runtime the administrator offers; empty is the default one
	Profile     string            `json:"profile,omitempty"`     // an allowance; empty is the caller's default
	KernelName  string            `json:"kernel_name,omitempty"` // instead of the notebook's own
	HostNetwork bool              `json:"host_network,omitempty"`
	Resources   *Resources        `json:"resources,omitempty"`
	Secrets     map[string]Secret `json:"secrets,omitempty"` // environment variables by name, from references

	Timeout        Duration `json:"timeout,omitempty"`         // executing time of an attempt; 0 is the profile's
	CellTimeout    Duration `json:"cell_timeout,omitempty"`    // time of one cell; 0 is none
	SilenceTimeout Duration `json:"silence_timeout,omitempty"` // longest time without a message from the kernel; 0 is none
	StartTimeout   Duration `json:"start_timeout,omitempty"`   // time for the kernel to start; 0 is 60 s
	Deadline       Duration `json:"deadline,omitempty"`        // counted from submission; 0 is none
	Lease          Duration `json:"lease,omitempty"`           // the run is cancelled when nobody asks about it for so long; 0 is none

	Retry    *Retry    `json:"retry,omitempty"`
	NotReady *NotReady `json:"not_ready,omitempty"`
	Priority int       `json:"priority,omitempty"` // higher starts first; -100 to 100

	Labels     map[string]string `json:"labels,omitempty"`
	Group      string            `json:"group,omitempty"`
	OutputPath string            `json:"output_path,omitempty"` // key below notebooks/ instead of the usual one

	IdempotencyKey string   `json:"idempotency_key,omitempty"` // the same key is always the same run
	TaskKey        string   `json:"task_key,omitempty"`        // names the task of a DAG that this run is of
	Reattach       Reattach `json:"reattach,omitempty"`        // how TaskKey attaches
	CallbackURL    string   `json:"callback_url,omitempty"`
}

// Resources of the notebook's container. Quantities are written as Kubernetes writes them: "500m", "2Gi".
type Resources struct {
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
	Disk   string `json:"disk,omitempty"`
	GPU    int    `json:"gpu,omitempty"`
	Size   string `json:"size,omitempty"` // a named size instead of the others
}

// Secret refers to a value that the profile allows; the value itself is never part of a request.
type Secret struct {
	Ref string `json:"ref"`
}

// Retry is a policy by reason. It is off for a zero Limit.
type Retry struct {
	Limit        int      `json:"limit,omitempty"`   // further attempts at most
	Backoff      Duration `json:"backoff,omitempty"` // before the second attempt; doubles, with jitter
	On           []Reason `json:"on,omitempty"`      // empty means every retryable reason whose status is Error
	MemoryFactor float64  `json:"memory_factor,omitempty"`
}

// NotReady says what happens when a notebook is not ready: it is started again every Every, at the latest at Until after submission.
type NotReady struct {
	Every Duration `json:"every"`
	Until Duration `json:"until"`
}

// Reattach says to which earlier run of the same task a submission attaches.
type Reattach string

// The forms of attaching. The empty one is ReattachNever.
const (
	ReattachNever             Reattach = "never"
	ReattachActive            Reattach = "active"
	ReattachActiveOrSucceeded Reattach = "active_or_succeeded"
)

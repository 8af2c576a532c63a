// Package agentapi is the wire format between an attempt's agent and the server:
//
//	GET  {base}/launch                 journal.Launch as JSON
//	GET  {base}/bundle                 the tree at the commit, tar.zst
//	POST {base}/journal?offset=N       bytes of the journal from offset N (empty body: heartbeat); answers Pace
//	PUT  {base}/files/{name}           with header X-Nes-Sha256; name is input.ipynb, log.txt, blobs/<sha256> or outputs/<path>
//	POST {base}/exit                   journal.Exit; answered once it is recorded
//
// where base is <server>/agent/v1/runs/<run id>/attempts/<number>. Each call carries
// "Authorization: Bearer <token>" with the token of that attempt. Every call may be
// repeated without harm. Errors are problem details. 409 means that the attempt is no
// longer the run's: the agent stops the notebook and goes away. 401 and 404 mean the same.
package agentapi

// Pace answers a journal call.
type Pace struct {
	// Offset up to which the server has the journal: where to go on, which may lie behind or beyond what was sent.
	Offset int64 `json:"offset"`
	// Cancel asks the agent to end the notebook, for Reason (a nes.Reason; empty is Cancelled) and with a sentence Why.
	Cancel bool   `json:"cancel,omitempty"`
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
	// EveryMS is how long to wait before the next call, at most 10000.
	EveryMS int `json:"every_ms"`
}

// SHA256Header carries the hexadecimal digest of a file's body.
const SHA256Header = "X-Nes-Sha256"

package reduce

import (
	"encoding/json"
	"io"
	"time"

	"github.com/nes-run/nes"
)

// Journal is where a State finds the bodies that it remembers by place.
type Journal interface {
	io.ReaderAt
	// Blob opens the JSON encoding of a body that was too large for a line.
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

package viewer

import (
	"context"
	"net/http"
	"time"

	"github.com/nes-run/nes"
)

// cells answers with what has changed of a run's page since the query's since (the number of a state of the notebook)
// and state (the versions of the page's parts): parts and cells as elements with the ids that they have in the page.
// It waits for a change; when there was none in time the answer is 204. Browsers ask it where streams do not get through.
func (v *viewer) cells(w http.ResponseWriter, r *http.Request) error {
	p, _, err := v.changes(r, stateOf(r), v.MaxWait)
	if err != nil {
		return err
	}
	if p == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return v.show(w, r, http.StatusOK, "changes.html", p)
}

// waker returns channels that are closed at the next change of the run, and of its record.
func (v *viewer) waker(r *http.Request) (moved, grown <-chan struct{}) {
	id := nes.RunID(r.PathValue("id"))
	return v.Runs.Changed(id), v.Records.Changed(id)
}

// await waits for one of two changes, and then for a moment, so that a burst of them is one. It
// reports false when the time is over.
func (v *viewer) await(ctx context.Context, moved, grown <-chan struct{}, deadline <-chan time.Time) bool {
	select {
	case <-moved:
	case <-grown:
	case <-deadline:
		return false
	case <-ctx.Done():
		return false
	}
	return pause(ctx, v.Pace)
}

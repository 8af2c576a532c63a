package viewer

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nes-run/nes"
)

// cells answers with what has changed of a run's page since the query's since (the number of a state of the notebook)
// and state (the versions of the page's parts): parts and cells as elements with the ids that they have in the page.
// It waits for a change; when there was none in time the answer is 204.
func (v *viewer) cells(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	since, _ := strconv.ParseInt(q.Get("since"), 10, 64)
	deadline := time.NewTimer(v.MaxWait)
	defer deadline.Stop()
	for {
		id := nes.RunID(r.PathValue("id"))
		moved, grown := v.Runs.Changed(id), v.Records.Changed(id)
		run, err := v.allowed(r)
		if err != nil {
			return err
		}
		p, err := v.runPage(r.Context(), run, q.Get("attempt"))
		if err != nil {
			return err
		}
		if p.Gen > since || p.State() != q.Get("state") {
			p.Cells = slices.DeleteFunc(slices.Clone(p.Cells), func(c cell) bool { return c.Gen <= since })
			return v.show(w, r, http.StatusOK, "changes.html", p)
		}
		if run.Ended() {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if p.Behind { // it was read a moment ago: the change that woke us is not in it
			if !pause(r.Context(), v.Pace) {
				return nil
			}
			continue
		}
		if !v.await(r.Context(), moved, grown, deadline.C) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
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

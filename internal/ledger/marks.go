package ledger

import (
	"context"
	"time"

	"github.com/nes-run/nes"
)

// RequestCancel marks a run as to be cancelled, once: asked again, it returns the
// run as it is. An ended run is CodeConflict.
func (l *Ledger) RequestCancel(ctx context.Context, id nes.RunID, by string, at time.Time) (nes.Run, error) {
	var run nes.Run
	asked := false
	err := l.write(ctx, "cancel run "+string(id), func(t *tx) (err error) {
		const q = `UPDATE runs SET cancel_requested_at = ?, cancel_requested_by = ?, version = version + 1
			WHERE id = ? AND stage <> 'ended' AND cancel_requested_at IS NULL RETURNING ` + runColumns
		if asked, err = t.row(q, runFields(&run), at.UnixMicro(), by, string(id)); err != nil {
			return err
		}
		if asked {
			return t.event(&run, nes.Event{At: at, Kind: "cancel_requested", Actor: by})
		}
		if run, err = t.run(id); err == nil && run.Ended() {
			err = nes.Errorf(nes.CodeConflict, "run %s has already ended: %s", id, run.Status)
		}
		return err
	})
	if err != nil {
		return nes.Run{}, err
	}
	if asked {
		l.hub.changed(id)
	}
	return run, nil
}

// Published records that an ended run's verdict is stored and its callbacks are done. Repeating it does nothing.
func (l *Ledger) Published(ctx context.Context, id nes.RunID) error {
	at, published := time.Now(), false
	err := l.write(ctx, "publish run "+string(id), func(t *tx) (err error) {
		var run nes.Run
		const q = "UPDATE runs SET published = 1 WHERE id = ? AND stage = 'ended' AND published = 0 RETURNING " + runColumns
		if published, err = t.row(q, runFields(&run), string(id)); err != nil {
			return err
		}
		if published {
			return t.event(&run, nes.Event{At: at, Kind: "published"})
		}
		if run, err = t.run(id); err == nil && !run.Ended() {
			err = nes.Errorf(nes.CodeConflict, "run %s has not ended: it is %s", id, run.Stage)
		}
		return err
	})
	if published && err == nil {
		l.hub.changed(id)
	}
	return err
}

// askedEvery is how fresh Run.AskedAt is kept: polling must not cost a write each time.
const askedEvery = 5 * time.Second

// Asked records that somebody asked about r at that time, where r has a lease and
// the last time known is some seconds old; else it costs nothing. It is no change of the run.
func (l *Ledger) Asked(ctx context.Context, r *nes.Run, at time.Time) error {
	fresh := r.AskedAt != nil && at.Sub(*r.AskedAt) < askedEvery
	if r.Spec.Lease == 0 || r.Ended() || fresh {
		return nil
	}
	return l.write(ctx, "renew lease of run "+string(r.ID), func(t *tx) error {
		_, err := t.exec("UPDATE runs SET asked_at = ? WHERE id = ? AND stage <> 'ended' AND (asked_at IS NULL OR asked_at < ?)",
			at.UnixMicro(), string(r.ID), at.UnixMicro())
		return err
	})
}

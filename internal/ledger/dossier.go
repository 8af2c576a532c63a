package ledger

import (
	"context"
	"database/sql"

	"github.com/nes-run/nes"
)

// Dossier collects all that the ledger knows of a run. Of a run that has ended it is always the same, but for
// idempotency keys that attached to it later and the event that it was published.
func (l *Ledger) Dossier(ctx context.Context, id nes.RunID) (nes.Dossier, error) {
	d := nes.Dossier{V: 1}
	var err error
	if d.Run, err = l.Run(ctx, id); err != nil {
		return d, err
	}
	d.AskedAt = d.Run.AskedAt
	attempts, err := l.Attempts(ctx, id)
	if err != nil {
		return d, err
	}
	for _, a := range attempts {
		d.Attempts = append(d.Attempts, nes.KeptAttempt{Attempt: a, TokenHash: a.TokenHash, Place: a.Place, Exit: a.Exit})
	}
	for after := int64(0); ; {
		events, err := l.Events(ctx, after, id, 1000)
		if err != nil {
			return d, err
		}
		if len(events) == 0 {
			break
		}
		d.Events = append(d.Events, events...)
		after = events[len(events)-1].Seq
	}
	d.Keys, err = l.keysOf(ctx, id)
	return d, err
}

func (l *Ledger) keysOf(ctx context.Context, id nes.RunID) (keys []nes.KeptKey, err error) {
	err = l.readRows(ctx, "SELECT name, fingerprint FROM idempotency_keys WHERE run_id = ? ORDER BY name", []any{string(id)}, func(rows *sql.Rows) error {
		var k nes.KeptKey
		if err := rows.Scan(&k.Name, &k.Fingerprint); err != nil {
			return err
		}
		keys = append(keys, k)
		return nil
	})
	return keys, err
}

// restoredGap is left in the numbers of events behind what was restored: the lost ledger
// had given out numbers that no dossier tells of, and a reader must not take new events for ones that it has seen.
const restoredGap = 1_000_000

// Restore puts a run back as its dossier says, in one transaction; it reports false, and changes nothing, where the ledger has the run.
// A run that has ended counts as published.
func (l *Ledger) Restore(ctx context.Context, d nes.Dossier) (restored bool, err error) {
	err = l.write(ctx, "restore run "+string(d.Run.ID), func(t *tx) error {
		n, err := t.restoreRun(d)
		if restored = n > 0; err != nil || !restored {
			return err
		}
		for _, a := range d.Attempts {
			if err := t.restoreAttempt(a); err != nil {
				return err
			}
		}
		for _, k := range d.Keys {
			if _, err := t.exec("INSERT INTO idempotency_keys (team, name, fingerprint, run_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
				d.Run.Team, k.Name, k.Fingerprint, string(d.Run.ID)); err != nil {
				return err
			}
		}
		if err := t.restoreCheckpoints(&d.Run); err != nil {
			return err
		}
		return t.restoreEvents(d.Events)
	})
	if restored && err == nil {
		l.hub.changed(d.Run.ID)
	}
	return restored && err == nil, err
}

func (t *tx) restoreRun(d nes.Dossier) (int64, error) {
	r := d.Run
	set := &assignments{}
	for _, c := range []struct {
		name  string
		value any
	}{
		{"id", string(r.ID)}, {"status", string(r.Status)}, {"stage", string(r.Stage)}, {"reason", string(r.Reason)}, {"message", words(r.Message)},
		{"input_url", r.Spec.InputURL}, {"owner", r.Owner}, {"team", r.Team}, {"client", r.Client}, {"parent", string(r.Parent)},
		{"group_name", r.Spec.Group}, {"task_key", r.Spec.TaskKey}, {"attempt", r.Attempt}, {"version", r.Version}, {"published", published(&r)},
		{"created_at", r.CreatedAt.UnixMicro()}, {"started_at", micros(r.StartedAt)}, {"ended_at", micros(r.EndedAt)}, {"not_before", micros(r.NotBefore)},
		{"asked_at", micros(d.AskedAt)}, {"cancel_requested_at", micros(r.CancelRequestedAt)}, {"cancel_requested_by", r.CancelRequestedBy},
	} {
		set.put(c.name, c.value)
	}
	set.document("spec", r.Spec)
	parameters := r.Spec.Parameters
	if r.Source != nil {
		set.document("source", r.Source)
		set.document("parameters", r.Parameters)
		set.document("conversions", r.Conversions)
		set.put("repository", r.Source.Repository)
		set.put("notebook", r.Source.Path)
		set.put("commit_id", r.Source.Commit)
		parameters = r.Parameters
	}
	if r.Outcome != nil {
		set.document("outcome", r.Outcome)
	}
	if set.err != nil {
		return 0, set.err
	}
	n, err := t.exec("INSERT INTO runs ("+set.columns()+") VALUES ("+marks(len(set.args))+") ON CONFLICT (id) DO NOTHING", set.args...)
	if n == 0 || err != nil {
		return n, err
	}
	for name, value := range r.Spec.Labels {
		if _, err := t.exec("INSERT INTO labels (run_id, name, value) VALUES (?, ?, ?)", string(r.ID), name, value); err != nil {
			return n, err
		}
	}
	return n, t.insertParameters(r.ID, parameters)
}

func published(r *nes.Run) int {
	if r.Ended() {
		return 1
	}
	return 0
}

func (t *tx) restoreAttempt(a nes.KeptAttempt) error {
	set := &assignments{}
	set.put("run_id", string(a.RunID))
	set.put("number", a.Number)
	set.put("token_hash", a.TokenHash)
	set.put("place", a.Place)
	set.put("status", string(a.Status))
	set.put("reason", string(a.Reason))
	set.put("message", words(a.Message))
	set.put("launched_at", a.LaunchedAt.UnixMicro())
	set.put("started_at", micros(a.StartedAt))
	set.put("ended_at", micros(a.EndedAt))
	set.put("heard_at", micros(a.HeardAt))
	if len(a.Exit) > 0 {
		set.put("exit_marker", string(a.Exit))
	}
	if a.Outcome != nil {
		set.document("outcome", a.Outcome)
	}
	if set.err != nil {
		return set.err
	}
	_, err := t.exec("INSERT INTO attempts ("+set.columns()+") VALUES ("+marks(len(set.args))+")", set.args...)
	return err
}

// restoreCheckpoints makes those of a run that succeeded its team's again, where no later run has set them.
func (t *tx) restoreCheckpoints(r *nes.Run) error {
	if r.Status != nes.StatusSucceeded || r.Outcome == nil {
		return nil
	}
	for name, value := range r.Outcome.Checkpoints {
		_, err := t.exec(`INSERT INTO checkpoints (team, name, value, run_id, at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (team, name) DO UPDATE SET value = excluded.value, run_id = excluded.run_id, at = excluded.at WHERE excluded.at > checkpoints.at`,
			r.Team, name, string(value), string(r.ID), r.EndedAt.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreEvents keeps their numbers. One whose number was given out meanwhile is numbered anew.
func (t *tx) restoreEvents(events []nes.Event) error {
	for _, e := range events {
		if _, err := t.exec("UPDATE counters SET value = ? WHERE name = 'events' AND value < ?", e.Seq+restoredGap, e.Seq+restoredGap); err != nil {
			return err
		}
		n, err := t.restoreEvent(e)
		if err == nil && n == 0 {
			if _, err = t.row("UPDATE counters SET value = value + 1 WHERE name = 'events' RETURNING value", []any{&e.Seq}); err == nil {
				_, err = t.restoreEvent(e)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) restoreEvent(e nes.Event) (int64, error) {
	return t.exec(`INSERT INTO events (seq, run_id, at, kind, status, stage, attempt, reason, message, actor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING`, e.Seq, string(e.RunID), e.At.UnixMicro(), e.Kind,
		string(e.Status), string(e.Stage), e.Attempt, string(e.Reason), words(e.Message), e.Actor)
}

package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/nes-run/nes"
)

// event adds e to the events, with the state of run as it is now. It comes last in its
// transaction: other writers wait for the counter until that commits.
func (t *tx) event(run *nes.Run, e nes.Event) error {
	t.kind = e.Kind
	if _, err := t.row("UPDATE counters SET value = value + 1 WHERE name = 'events' RETURNING value", []any{&t.seq}); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO events (seq, run_id, at, kind, status, stage, attempt, reason, message, actor, change_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+t.pool.dialect.announce, t.seq, string(run.ID), e.At.UnixMicro(), e.Kind, string(run.Status),
		string(run.Stage), run.Attempt, string(e.Reason), words(e.Message), e.Actor, t.change)
	return err
}

// Events returns what happened behind the cursor after, oldest first; run "" means
// all runs. Numbers become visible in their order, so the last one seen is the
// next cursor and nothing is missed. A limit of 0 is 100, and at most 1000 are returned.
func (l *Ledger) Events(ctx context.Context, after int64, run nes.RunID, limit int) ([]nes.Event, error) {
	q := "SELECT seq, run_id, at, kind, status, stage, attempt, reason, message, actor FROM events WHERE seq > ?"
	args := []any{after}
	if run != "" {
		q += " AND run_id = ?"
		args = append(args, string(run))
	}
	if limit <= 0 {
		limit = 100
	}
	args = append(args, min(limit, 1000))
	var events []nes.Event
	err := l.readRows(ctx, q+" ORDER BY seq LIMIT ?", args, func(rows *sql.Rows) error {
		var e nes.Event
		if err := rows.Scan(&e.Seq, &e.RunID, instant{&e.At}, &e.Kind, &e.Status, &e.Stage, &e.Attempt, &e.Reason, &e.Message, &e.Actor); err != nil {
			return err
		}
		events = append(events, e)
		return nil
	})
	return events, err
}

// Note adds an event of kind "note" to a run: something that people should know
// of it and that changes nothing.
func (l *Ledger) Note(ctx context.Context, id nes.RunID, message string, at time.Time) error {
	err := l.write(ctx, "note", func(t *tx) error {
		run, err := t.run(id)
		if err != nil {
			return err
		}
		return t.event(&run, nes.Event{At: at, Kind: "note", Message: message})
	})
	if err == nil {
		l.hub.changed(id)
	}
	return err
}

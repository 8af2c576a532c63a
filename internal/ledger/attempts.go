package ledger

import (
	"context"
	"database/sql"
	"errors"

	"github.com/nes-run/nes"
)

// recordAttempt keeps what a change says of the run's attempt.
func (t *tx) recordAttempt(c nes.Transition) error {
	var err error
	switch c.To {
	case nes.StageScheduling:
		_, err = t.exec("INSERT INTO attempts (run_id, number, token_hash, place, status, launched_at) VALUES (?, ?, ?, ?, ?, ?)",
			string(c.Run), c.Attempt, c.TokenHash, c.Place, string(nes.StatusPending), c.At.UnixMicro())
	case nes.StageExecuting:
		_, err = t.exec("UPDATE attempts SET status = ?, started_at = ? WHERE run_id = ? AND number = ?",
			string(nes.StatusRunning), c.At.UnixMicro(), string(c.Run), c.Attempt)
	case nes.StageSaving:
		var exit any
		if c.Exit != nil {
			exit = string(c.Exit)
		}
		_, err = t.exec("UPDATE attempts SET exit_marker = ?, ended_at = ? WHERE run_id = ? AND number = ?",
			exit, c.At.UnixMicro(), string(c.Run), c.Attempt)
	default:
		err = t.settleAttempt(c)
	}
	return err
}

// settleAttempt writes how an attempt came out, once: the run may end long after
// it, while it waits for another one.
func (t *tx) settleAttempt(c nes.Transition) error {
	if c.Attempt == 0 || (c.Outcome == nil && c.To != nes.StageEnded) {
		return nil
	}
	reason, message, outcome := c.Reason, c.Message, any(nil)
	if c.Outcome != nil {
		text, err := encode(c.Outcome)
		if err != nil {
			return err
		}
		reason, message, outcome = c.Outcome.Reason, c.Outcome.Message, text
	}
	_, err := t.exec(`UPDATE attempts SET status = ?, reason = ?, message = ?, outcome = ?, ended_at = COALESCE(ended_at, ?)
		WHERE run_id = ? AND number = ? AND status IN ('Pending', 'Running')`,
		string(reason.Status()), string(reason), words(message), outcome, c.At.UnixMicro(), string(c.Run), c.Attempt)
	return err
}

// Attempts returns the attempts of a run, the first one first.
func (l *Ledger) Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error) {
	var attempts []nes.Attempt
	q := "SELECT " + attemptColumns + " FROM attempts WHERE run_id = ? ORDER BY number"
	err := l.readRows(ctx, q, []any{string(id)}, func(rows *sql.Rows) error {
		var a nes.Attempt
		if err := rows.Scan(attemptFields(&a)...); err != nil {
			return err
		}
		attempts = append(attempts, a)
		return nil
	})
	return attempts, err
}

// Attempt returns one attempt of a run.
func (l *Ledger) Attempt(ctx context.Context, id nes.RunID, number int) (nes.Attempt, error) {
	var a nes.Attempt
	q := "SELECT " + attemptColumns + " FROM attempts WHERE run_id = ? AND number = ?"
	err := l.readRow(ctx, q, attemptFields(&a), string(id), number)
	if errors.Is(err, sql.ErrNoRows) {
		err = nes.Errorf(nes.CodeNotFound, "run %s has no attempt %d", id, number)
	}
	return a, err
}

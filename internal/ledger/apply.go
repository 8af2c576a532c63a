package ledger

import (
	"context"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// Apply makes one guarded change of a run and records it with its attempt and an
// event, in one transaction. Where the run is no longer in a stage from which the change
// may follow, or no longer at that attempt, it answers CodeConflict, says what it found, and changes nothing.
func (l *Ledger) Apply(ctx context.Context, c nes.Transition) (nes.Run, error) {
	var run nes.Run
	err := l.write(ctx, "change run "+string(c.Run), func(t *tx) error {
		if err := t.move(c, &run); err != nil {
			return err
		}
		if err := t.recordAttempt(c); err != nil {
			return err
		}
		if err := t.recordFetched(c); err != nil {
			return err
		}
		if err := t.commitCheckpoints(&run, c); err != nil {
			return err
		}
		return t.event(&run, nes.Event{At: c.At, Kind: c.Kind, Reason: c.Reason, Message: c.Message})
	})
	if err != nil {
		return nes.Run{}, err
	}
	l.hub.changed(run.ID)
	return run, nil
}

// move is the guarded update itself: "move the run to c.To if it is still where c supposes it".
func (t *tx) move(c nes.Transition, run *nes.Run) error {
	set, err := changes(c)
	if err != nil {
		return err
	}
	from := c.To.Sources()
	if len(from) == 0 {
		return nes.Errorf(nes.CodeConflict, "nothing may become %q", c.To)
	}
	q := "UPDATE runs SET " + set.updates() + ", version = version + 1 WHERE id = ? AND attempt = ? AND stage IN (" + marks(len(from)) + ") RETURNING " + runColumns
	args := append(set.args, string(c.Run), expected(c))
	for _, s := range from {
		args = append(args, string(s))
	}
	moved, err := t.row(q, runFields(run), args...)
	if moved || err != nil {
		return err
	}
	found, err := t.run(c.Run)
	if err != nil {
		return err
	}
	return nes.Errorf(nes.CodeConflict, "run %s is %s at attempt %d: it cannot become %s at attempt %d", c.Run, found.Stage, found.Attempt, c.To, c.Attempt)
}

// expected is the attempt that the run must be at: a launch alone makes the next one.
func expected(c nes.Transition) int {
	if c.To == nes.StageScheduling {
		return c.Attempt - 1
	}
	return c.Attempt
}

// changes lists what c sets in the run's row.
func changes(c nes.Transition) (*assignments, error) {
	set := &assignments{}
	status, reason := c.To.Status(), nes.Reason("")
	if c.To == nes.StageEnded {
		status, reason = c.Reason.Status(), c.Reason
		set.put("ended_at", c.At.UnixMicro())
	}
	set.put("stage", string(c.To))
	set.put("status", string(status))
	set.put("reason", string(reason))
	set.put("message", words(c.Message))
	set.put("attempt", c.Attempt)
	set.put("not_before", micros(c.NotBefore))
	switch c.To {
	case nes.StageScheduling:
		set.put("started_at", nil) // of the newest attempt, which has not started
	case nes.StageExecuting:
		set.put("started_at", c.At.UnixMicro())
	}
	if c.Outcome != nil {
		set.document("outcome", c.Outcome)
	}
	if f := c.Fetched; f != nil {
		set.document("source", f.Source)
		set.document("parameters", f.Parameters)
		set.document("conversions", f.Conversions)
		set.put("repository", f.Source.Repository)
		set.put("notebook", f.Source.Path)
		set.put("commit_id", f.Source.Commit)
	}
	return set, set.err
}

// recordFetched makes the run findable by the parameters that the notebook is really given.
func (t *tx) recordFetched(c nes.Transition) error {
	if c.Fetched == nil {
		return nil
	}
	if _, err := t.exec("DELETE FROM run_parameters WHERE run_id = ?", string(c.Run)); err != nil {
		return err
	}
	return t.insertParameters(c.Run, c.Fetched.Parameters)
}

// run reads a run inside the transaction, and keeps others from changing it.
func (t *tx) run(id nes.RunID) (nes.Run, error) {
	var r nes.Run
	found, err := t.row("SELECT "+runColumns+" FROM runs WHERE id = ?"+t.pool.dialect.locked, runFields(&r), string(id))
	if err == nil && !found {
		err = noRun(id)
	}
	return r, err
}

func noRun(id nes.RunID) error { return nes.Errorf(nes.CodeNotFound, "there is no run %s", id) }

// assignments of an UPDATE.
type assignments struct {
	names []string
	args  []any
	err   error
}

func (a *assignments) put(column string, value any) {
	a.names = append(a.names, column)
	a.args = append(a.args, value)
}

func (a *assignments) document(column string, value any) {
	text, err := encode(value)
	if err != nil {
		a.err = err
	}
	a.put(column, text)
}

// updates is the list for UPDATE.
func (a *assignments) updates() string { return strings.Join(a.names, " = ?, ") + " = ?" }

// columns is the list for INSERT.
func (a *assignments) columns() string { return strings.Join(a.names, ", ") }

// marks is n question marks, for IN.
func marks(n int) string { return strings.Join(slices.Repeat([]string{"?"}, n), ", ") }

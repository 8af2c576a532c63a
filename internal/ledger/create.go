package ledger

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/nes-run/nes"
)

// Submission is a run to be created.
type Submission struct {
	Spec   nes.Spec
	Owner  string
	Team   string
	Client string
	Parent nes.RunID
	// Fingerprint of the request: what must be equal when its idempotency key comes back.
	Fingerprint string
	At          time.Time
}

// Create records a submission, in one transaction, and returns its run: a new one
// (created is true), the one that its idempotency key belongs to, or the one of the same task that it
// attaches to. A key that comes back with another fingerprint is CodeKeyReused. Keys and tasks are a team's own.
func (l *Ledger) Create(ctx context.Context, s Submission) (run nes.Run, created bool, err error) {
	err = l.write(ctx, "create run", func(t *tx) error {
		created = false // of two with a new key one is undone, and begins again
		known, err := t.keyed(s, &run)
		if known || err != nil {
			return err
		}
		attached, err := t.attach(s, &run)
		if err != nil {
			return err
		}
		if attached {
			return t.keepKey(s, run.ID)
		}
		created = true
		if err := t.insertRun(s, &run); err != nil {
			return err
		}
		if err := t.keepKey(s, run.ID); err != nil {
			return err
		}
		return t.event(&run, nes.Event{At: s.At, Kind: "submitted", Actor: s.Owner})
	})
	if err != nil {
		return nes.Run{}, false, err
	}
	if created {
		l.hub.changed(run.ID)
	}
	return run, created, nil
}

// keyed finds the run that the submission's idempotency key belongs to.
func (t *tx) keyed(s Submission, run *nes.Run) (bool, error) {
	if s.Spec.IdempotencyKey == "" {
		return false, nil
	}
	var id, fingerprint string
	found, err := t.row("SELECT run_id, fingerprint FROM idempotency_keys WHERE team = ? AND name = ?",
		[]any{&id, &fingerprint}, s.Team, s.Spec.IdempotencyKey)
	if !found || err != nil {
		return false, err
	}
	if fingerprint != s.Fingerprint {
		return false, nes.Errorf(nes.CodeKeyReused, "the idempotency key %q was used for another request, which made run %s: use a new key", s.Spec.IdempotencyKey, id)
	}
	return t.row("SELECT "+runColumns+" FROM runs WHERE id = ?", runFields(run), id)
}

// attach finds the newest run of the submission's task that it may attach to.
func (t *tx) attach(s Submission, run *nes.Run) (bool, error) {
	if s.Spec.TaskKey == "" {
		return false, nil
	}
	which := "stage <> 'ended' AND cancel_requested_at IS NULL"
	switch s.Spec.Reattach {
	case nes.ReattachActive:
	case nes.ReattachActiveOrSucceeded:
		which = "((" + which + ") OR status = 'Succeeded')"
	default:
		return false, nil
	}
	if err := t.alone("task " + s.Team + " " + s.Spec.TaskKey); err != nil {
		return false, err
	}
	q := "SELECT " + runColumns + " FROM runs WHERE team = ? AND task_key = ? AND task_key <> '' AND " + which + " ORDER BY id DESC LIMIT 1"
	return t.row(q, runFields(run), s.Team, s.Spec.TaskKey)
}

// keepKey gives the submission's idempotency key to a run for ever.
func (t *tx) keepKey(s Submission, id nes.RunID) error {
	if s.Spec.IdempotencyKey == "" {
		return nil
	}
	_, err := t.exec("INSERT INTO idempotency_keys (team, name, fingerprint, run_id) VALUES (?, ?, ?, ?)",
		s.Team, s.Spec.IdempotencyKey, s.Fingerprint, string(id))
	return err
}

func (t *tx) insertRun(s Submission, run *nes.Run) error {
	spec, err := encode(s.Spec)
	if err != nil {
		return err
	}
	const q = `INSERT INTO runs (id, status, stage, input_url, spec, owner, team, client, parent, group_name, task_key, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING ` + runColumns
	_, err = t.row(q, runFields(run), string(NewID()), string(nes.StatusPending), string(nes.StageQueued), s.Spec.InputURL, spec,
		s.Owner, s.Team, s.Client, string(s.Parent), s.Spec.Group, s.Spec.TaskKey, s.At.UnixMicro())
	if err != nil {
		return err
	}
	for name, value := range s.Spec.Labels {
		if _, err := t.exec("INSERT INTO labels (run_id, name, value) VALUES (?, ?, ?)", string(run.ID), name, value); err != nil {
			return err
		}
	}
	return t.insertParameters(run.ID, s.Spec.Parameters)
}

// maxFiltered is the longest value of a parameter that runs can be found by.
const maxFiltered = 256

// insertParameters makes a run findable by its parameters.
func (t *tx) insertParameters(id nes.RunID, parameters map[string]json.RawMessage) error {
	for name, value := range parameters {
		text := plain(value)
		if len(text) > maxFiltered || strings.ContainsRune(text, 0) { // PostgreSQL stores no NUL in text
			continue
		}
		if _, err := t.exec("INSERT INTO run_parameters (run_id, name, value) VALUES (?, ?, ?)", string(id), name, text); err != nil {
			return err
		}
	}
	return nil
}

// plain is a value as people write it in a filter: a string without its quotes, all else as JSON.
func plain(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && string(value) != "null" {
		return s
	}
	return string(value)
}

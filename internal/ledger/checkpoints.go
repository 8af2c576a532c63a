package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nes-run/nes"
)

// commitCheckpoints makes the checkpoints of a run that succeeds its team's.
func (t *tx) commitCheckpoints(run *nes.Run, c nes.Transition) error {
	if run.Status != nes.StatusSucceeded || c.Outcome == nil {
		return nil
	}
	// In the order of their names, so that two runs with the same ones never wait for each other.
	for _, name := range slices.Sorted(maps.Keys(c.Outcome.Checkpoints)) {
		value := c.Outcome.Checkpoints[name]
		if err := t.setCheckpoint(run.Team, nes.Checkpoint{Name: name, Value: value, RunID: run.ID, At: c.At}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) setCheckpoint(team string, c nes.Checkpoint) error {
	_, err := t.exec(`INSERT INTO checkpoints (team, name, value, run_id, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (team, name) DO UPDATE SET value = excluded.value, run_id = excluded.run_id, at = excluded.at`,
		team, c.Name, string(c.Value), string(c.RunID), c.At.UnixMicro())
	return err
}

// SetCheckpoint sets a checkpoint of a team by hand.
func (l *Ledger) SetCheckpoint(ctx context.Context, team, name string, value json.RawMessage, at time.Time) error {
	return l.write(ctx, "set checkpoint "+name, func(t *tx) error {
		return t.setCheckpoint(team, nes.Checkpoint{Name: name, Value: value, At: at})
	})
}

// Checkpoint returns a checkpoint of a team.
func (l *Ledger) Checkpoint(ctx context.Context, team, name string) (nes.Checkpoint, error) {
	c := nes.Checkpoint{Name: name}
	err := l.readRow(ctx, "SELECT value, run_id, at FROM checkpoints WHERE team = ? AND name = ?",
		[]any{(*[]byte)(&c.Value), &c.RunID, instant{&c.At}}, team, name)
	if errors.Is(err, sql.ErrNoRows) {
		err = nes.Errorf(nes.CodeNotFound, "there is no checkpoint %q", name)
	}
	return c, err
}

package ledger

import (
	"context"
	"time"

	"github.com/nes-run/nes"
)

// Hold takes the lease of a name for a term, or renews it, and reports whether holder has it now. Of all
// that share the ledger one at a time has it, by the database's clock: when it is not renewed in
// time, whoever asks next gets it.
func (l *Ledger) Hold(ctx context.Context, name, holder string, term time.Duration) (held bool, err error) {
	now := l.dialect.now
	q := "INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, " + now + ` + ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= ` + now
	err = l.write(ctx, "hold lease "+name, func(t *tx) error {
		n, err := t.exec(q, name, holder, term.Microseconds())
		held = n == 1
		return err
	})
	return held && err == nil, err
}

// Release gives a lease back before it runs out, if holder has it.
func (l *Ledger) Release(ctx context.Context, name, holder string) error {
	return l.write(ctx, "release lease "+name, func(t *tx) error {
		_, err := t.exec("DELETE FROM leases WHERE name = ? AND holder = ?", name, holder)
		return err
	})
}

// Shared reports whether other processes may have opened the same ledger, so that a lease means something.
func (l *Ledger) Shared() bool { return l.dialect.shared }

// Heard records that the agent of a run's attempt called at that time. It is no
// change of the run; the time does not go back.
func (l *Ledger) Heard(ctx context.Context, id nes.RunID, attempt int, at time.Time) error {
	return l.write(ctx, "hear attempt of run "+string(id), func(t *tx) error {
		_, err := t.exec("UPDATE attempts SET heard_at = ? WHERE run_id = ? AND number = ? AND (heard_at IS NULL OR heard_at < ?)",
			at.UnixMicro(), string(id), attempt, at.UnixMicro())
		return err
	})
}

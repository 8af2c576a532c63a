package ledger

import (
	"context"
	"database/sql"

	"github.com/nes-run/nes"
)

// Counts returns how many runs that have not ended are in each stage.
func (l *Ledger) Counts(ctx context.Context) (map[nes.Stage]int, error) {
	counts := map[nes.Stage]int{}
	const q = "SELECT stage, COUNT(*) FROM runs WHERE stage <> 'ended' GROUP BY stage"
	err := l.readRows(ctx, q, nil, func(rows *sql.Rows) error {
		var stage nes.Stage
		var n int
		err := rows.Scan(&stage, &n)
		counts[stage] = n
		return err
	})
	return counts, err
}

// LastEvent returns the number of the newest event, 0 when there is none.
func (l *Ledger) LastEvent(ctx context.Context) (seq int64, err error) {
	err = l.readRow(ctx, "SELECT COALESCE(MAX(seq), 0) FROM events", []any{&seq})
	return seq, err
}

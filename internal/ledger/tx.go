package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nes-run/nes/internal/fault"
)

// tx is one transaction that writes.
type tx struct {
	ctx  context.Context
	sql  *sql.Tx
	pool *pool
	// change names the transaction in the event that it writes; seq is that event's number, 0 while there is none.
	change string
	seq    int64
	kind   string // of that event
	// fresh are statements to keep for later transactions. They are prepared after this
	// one, because on SQLite it holds the only connection that writes.
	fresh []string
}

const (
	// patience bounds every call, whatever has become of the way to the database.
	patience = 30 * time.Second
	// maxTries of a transaction that others undo.
	maxTries = 5
)

// errUndone says that a commit whose outcome was unknown was surely not done.
var errUndone = errors.New("the connection was lost, and the change was not made")

// write runs f in one transaction, again when a transaction beside it undid it; what says what was
// tried, for the error. What f writes outside of the transaction it has to begin anew each time.
func (l *Ledger) write(ctx context.Context, what string, f func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	for try := 1; ; try++ {
		err = l.writeOnce(ctx, f)
		if err == nil || try == maxTries || !(errors.Is(err, errUndone) || l.dialect.raced(err)) {
			return l.fault(what, err)
		}
		select { // whoever was in the way is not met again at once
		case <-ctx.Done():
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		}
	}
}

func (l *Ledger) writeOnce(ctx context.Context, f func(*tx) error) error {
	if _, err := l.writes.known(""); err != nil {
		return err
	}
	begun, err := l.writes.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, sql: begun, pool: l.writes, change: l.self + "." + strconv.FormatInt(l.changes.Add(1), 10)}
	if err := f(t); err != nil {
		// What made f fail is the news; a failed rollback leaves nothing behind either.
		_ = begun.Rollback()
		return err
	}
	fault.Of(fault.LedgerWriting, t.kind)
	if err := begun.Commit(); err != nil {
		if t.seq == 0 || !l.dialect.unsure(err) {
			return err
		}
		if err := l.resolve(ctx, t, err); err != nil {
			return err
		}
	}
	fault.Of(fault.LedgerWritten, t.kind)
	for _, query := range t.fresh {
		if _, err := l.writes.statement(ctx, query); err != nil {
			break // it is committed; the statement is prepared another time
		}
	}
	return nil
}

// resolve finds out whether a transaction whose commit got no answer was done: nil when it was, and
// errUndone when it was not and never will be. It asks by the number and the name that the transaction
// gave its event. When that cannot be found out either, the answer is cause.
func (l *Ledger) resolve(ctx context.Context, lost *tx, cause error) error {
	// Whoever asked may be gone, and that may be why; what was done must be told to others all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience/3)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		done, err := l.wasDone(ctx, lost)
		switch {
		case err == nil && done:
			return nil
		case err == nil:
			return errUndone
		}
		select {
		case <-ctx.Done():
			l.hub.all() // it may have been done
			return cause
		case <-time.After(pause):
		}
	}
}

// wasDone takes the counter of events first: so it waits until the lost transaction has ended one way or the other.
func (l *Ledger) wasDone(ctx context.Context, lost *tx) (done bool, err error) {
	begun, err := l.writes.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = begun.Rollback() }() // it only reads
	t := &tx{ctx: ctx, sql: begun, pool: l.writes}
	var last int64
	if _, err := t.row("SELECT value FROM counters WHERE name = 'events'"+l.dialect.locked, []any{&last}); err != nil {
		return false, err
	}
	var one int
	return t.row("SELECT 1 FROM events WHERE seq = ? AND change_id = ?", []any{&one}, lost.seq, lost.change)
}

// alone waits until no other transaction is between here and its end with the same name.
func (t *tx) alone(name string) error {
	if t.pool.dialect.alone == "" {
		return nil
	}
	_, err := t.exec(t.pool.dialect.alone, name)
	return err
}

func (t *tx) statement(query string) (*sql.Stmt, error) {
	s, err := t.pool.known(query)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return t.sql.StmtContext(t.ctx, s), nil
	}
	t.fresh = append(t.fresh, query)
	return t.sql.PrepareContext(t.ctx, t.pool.dialect.rebind(query))
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.statement(query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row scans the only row of a query into dest; found is false where there is none.
func (t *tx) row(query string, dest []any, args ...any) (found bool, err error) {
	s, err := t.statement(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(t.ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// readRow scans the only row of a query; none is sql.ErrNoRows, as it is.
func (l *Ledger) readRow(ctx context.Context, query string, dest []any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := l.reads.statement(ctx, query)
	if err != nil {
		return l.fault("read", err)
	}
	err = s.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return l.fault("read", err)
}

// readRows calls scan for each row of a query that is one of a few, and kept prepared.
func (l *Ledger) readRows(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := l.reads.statement(ctx, query)
	if err != nil {
		return l.fault("read", err)
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return l.fault("read", err)
	}
	return l.fault("read", each(rows, scan))
}

func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

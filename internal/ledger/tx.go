package ledger

import (
	"context"
	"database/sql"
	"errors"
)

// tx is one transaction that writes.
type tx struct {
	ctx  context.Context
	sql  *sql.Tx
	pool *pool
	// fresh are statements to keep for later transactions. They are prepared after this
	// one, because on SQLite it holds the only connection that writes.
	fresh []string
}

// write runs f in one transaction; what says what was tried, for the error.
func (l *Ledger) write(ctx context.Context, what string, f func(*tx) error) error {
	if _, err := l.writes.known(""); err != nil {
		return l.fault(what, err)
	}
	begun, err := l.writes.db.BeginTx(ctx, nil)
	if err != nil {
		return l.fault(what, err)
	}
	t := &tx{ctx: ctx, sql: begun, pool: l.writes}
	if err := f(t); err != nil {
		// What made f fail is the news; a failed rollback leaves nothing behind either.
		_ = begun.Rollback()
		return l.fault(what, err)
	}
	if err := begun.Commit(); err != nil {
		return l.fault(what, err)
	}
	for _, query := range t.fresh {
		if _, err := l.writes.statement(ctx, query); err != nil {
			break // it is committed; the statement is prepared another time
		}
	}
	return nil
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

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

var errClosed = errors.New("the ledger is closed")

// pool is a set of connections with the statements that were prepared on them.
type pool struct {
	db      *sql.DB
	dialect dialect

	mu       sync.Mutex
	prepared map[string]*sql.Stmt // nil once closed
}

func newPool(db *sql.DB, d dialect) *pool {
	return &pool{db: db, dialect: d, prepared: map[string]*sql.Stmt{}}
}

// known returns the statement for query, or nil where it was not prepared yet.
func (p *pool) known(query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prepared == nil {
		return nil, errClosed
	}
	return p.prepared[query], nil
}

// statement returns the statement for query and prepares it on first use. It
// takes a connection, so it is not for use inside a transaction.
func (p *pool) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, err := p.known(query); s != nil || err != nil {
		return s, err
	}
	s, err := p.db.PrepareContext(ctx, p.dialect.rebind(query))
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prepared == nil {
		return nil, errors.Join(errClosed, s.Close())
	}
	if other := p.prepared[query]; other != nil {
		return other, s.Close()
	}
	p.prepared[query] = s
	return s, nil
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.prepared {
		errs = append(errs, s.Close())
	}
	p.prepared = nil
	return errors.Join(append(errs, p.db.Close())...)
}

package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/nes-run/nes"
)

// Ledger is an open database. Its methods may be called concurrently. Errors are
// *nes.Error with code not_found, conflict, key_reused, invalid, or unavailable
// when the database could not be asked and the call may be tried again.
//
// On PostgreSQL, any number of processes may share a ledger. On SQLite, one process at a time may
// write: the owner of the data directory makes sure of that by a lock of its own. A second process that writes
// all the same breaks nothing, but its changes do not close the channels of [Ledger.Changed].
type Ledger struct {
	dialect  dialect
	writes   *pool
	reads    *pool
	hub      *hub
	listener *listener // nil on SQLite
	log      *slog.Logger
	self     string       // of this opening, among all
	changes  atomic.Int64 // counts its transactions
}

// Open opens the ledger at url and brings its schema up to date: "sqlite:///var/lib/nes/ledger.db"
// or a plain path, where it is made if need be, or "postgres://user:password@host/database", which must exist.
func Open(ctx context.Context, url string, log *slog.Logger) (*Ledger, error) {
	l, err := connect(ctx, url, log)
	if err != nil {
		return nil, err
	}
	if err := l.migrate(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// connect opens the database as it is.
func connect(ctx context.Context, url string, log *slog.Logger) (*Ledger, error) {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		scheme, rest = "sqlite", url
	}
	l := &Ledger{hub: newHub(), log: log, self: rand.Text()}
	var err error
	switch {
	case scheme == "sqlite" && rest != "":
		l.dialect = sqliteDialect
		err = l.openSQLite(ctx, rest)
	case scheme == "postgres" || scheme == "postgresql":
		l.dialect = postgresDialect
		err = l.openPostgres(ctx, url)
	default:
		err = nes.Errorf(nes.CodeInvalid, "ledger %q is not supported: write sqlite:///absolute/path, a plain path, or postgres://user@host/database", scheme)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Close waits for what is under way and closes the database.
func (l *Ledger) Close() error {
	if l.listener != nil {
		l.listener.close()
	}
	if err := errors.Join(l.reads.close(), l.writes.close()); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// Ping reports whether the ledger can be read.
func (l *Ledger) Ping(ctx context.Context) error {
	var one int
	return l.readRow(ctx, "SELECT 1", []any{&one})
}

// NewID makes an id. Ids of one process sort in the order in which they were made.
func NewID() nes.RunID { return nes.RunID(uuid.Must(uuid.NewV7()).String()) }

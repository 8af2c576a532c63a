package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"github.com/nes-run/nes"
)

// Ledger is an open database. Its methods may be called concurrently. Errors are
// *nes.Error with code not_found, conflict, key_reused, invalid, or unavailable
// when the database could not be asked and the call may be tried again.
//
// On SQLite, one process at a time may write: the owner of the data directory
// makes sure of that by a lock of its own. A second process that writes all the same breaks
// nothing, but its changes do not close the channels of [Ledger.Changed].
type Ledger struct {
	dialect dialect
	writes  *pool
	reads   *pool
	hub     *hub
	log     *slog.Logger
}

// Open opens the ledger at url, "sqlite:///var/lib/nes/ledger.db" or a plain
// path, creates it where there is none, and brings its schema up to date.
func Open(ctx context.Context, url string, log *slog.Logger) (*Ledger, error) {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		scheme, rest = "sqlite", url
	}
	if scheme != "sqlite" || rest == "" {
		return nil, nes.Errorf(nes.CodeInvalid, "ledger %q: only sqlite:///absolute/path or a plain path is supported", scheme)
	}
	l := &Ledger{dialect: sqliteDialect, hub: newHub(), log: log}
	if err := l.openSQLite(ctx, rest); err != nil {
		return nil, err
	}
	if err := l.migrate(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close waits for what is under way and closes the database.
func (l *Ledger) Close() error {
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

// openSQLite opens one connection that writes and a few that read.
func (l *Ledger) openSQLite(ctx context.Context, path string) error {
	if err := prepareSQLite(path); err != nil {
		return err
	}
	writer, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	writer.SetMaxOpenConns(1)
	l.writes = newPool(writer, l.dialect)
	if err := writer.PingContext(ctx); err != nil {
		return errors.Join(l.fault("open ledger "+path, err), writer.Close())
	}
	reader, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return errors.Join(fmt.Errorf("open ledger: %w", err), writer.Close())
	}
	reader.SetMaxOpenConns(sqliteReaders)
	reader.SetMaxIdleConns(sqliteReaders)
	l.reads = newPool(reader, l.dialect)
	return nil
}

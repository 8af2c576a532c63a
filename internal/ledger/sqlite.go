package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/nes-run/nes"
)

// sqliteReaders is how many connections read at once; SQLite in WAL mode reads beside its writer.
const sqliteReaders = 4

var sqliteDialect = dialect{
	goose:       goose.DialectSQLite3,
	rebind:      func(query string) string { return query },
	like:        "LIKE",
	now:         "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
	unavailable: sqliteUnavailable,
	raced:       func(error) bool { return false },
	unsure:      func(error) bool { return false },
}

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

// sqliteDSN names the database and how each connection uses it. synchronous=FULL
// makes a commit survive the loss of power, not only of the process.
func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{}
	q.Add("_pragma", "busy_timeout(5000)")
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous(FULL)")
		q.Add("_pragma", "foreign_keys(1)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// sqliteUnavailable knows the conditions that pass: locks, a full or failing disk, a missing directory.
func sqliteUnavailable(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return true
	}
	return false
}

// prepareSQLite makes the database's directory and file, and refuses network file systems,
// where WAL loses data: its shared memory works on one machine alone.
func prepareSQLite(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("make the ledger's directory: %v", err), Err: err}
	}
	// Parameters are nobody else's business; SQLite makes its other files with the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("make the ledger: %v", err), Err: err}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	return refuseNetwork(dir)
}

func refuseNetwork(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the ledger's file system: %w", err)
	}
	if name, ok := networkFileSystem(int64(fs.Type)); ok {
		return nes.Errorf(nes.CodeInvalid, "%s is on %s, where SQLite is not safe: put the ledger on a local disk (NES_LEDGER)", dir, name)
	}
	return nil
}

func networkFileSystem(magic int64) (string, bool) {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS", true
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB", true
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph", true
	}
	return "", false
}

package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/nes-run/nes"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema says how far a ledger is.
type Schema struct {
	Have  int // version of the schema; 0 before the first migration
	Knows int // newest version that this program knows
}

// Inspect reads the schema's version of the ledger at url, and changes nothing. A file of SQLite that does not exist is made, empty.
func Inspect(ctx context.Context, url string, log *slog.Logger) (Schema, error) {
	l, err := connect(ctx, url, log)
	if err != nil {
		return Schema{}, err
	}
	s, err := l.schema(ctx)
	return s, errors.Join(err, l.Close())
}

func (l *Ledger) schema(ctx context.Context) (Schema, error) {
	newest, err := newestMigration()
	if err != nil {
		return Schema{}, err
	}
	return Schema{Have: l.schemaVersion(ctx), Knows: newest}, l.Ping(ctx)
}

// Err is what is wrong with a ledger that a newer program has used; nil where it can be migrated.
func (s Schema) Err() error {
	if s.Have <= s.Knows {
		return nil
	}
	return nes.Errorf(nes.CodeConflict, "the ledger's schema is version %d and this program knows up to %d: use a newer NES, or restore the backup that was made before it was migrated", s.Have, s.Knows)
}

// migrate brings the schema up to date. A ledger that is up to date costs two queries.
func (l *Ledger) migrate(ctx context.Context) error {
	s, err := l.schema(ctx)
	if err != nil {
		return err
	}
	if s.Have >= s.Knows {
		return s.Err()
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("embedded migrations: %w", err)
	}
	options, err := l.oneMigrates()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(l.dialect.goose, l.writes.db, files, append(options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return fmt.Errorf("prepare the ledger's migration: %w", err)
	}
	began := time.Now()
	if _, err := p.Up(ctx); err != nil {
		return l.fault("migrate the ledger", err)
	}
	l.log.InfoContext(ctx, "ledger migrated", "from", s.Have, "to", s.Knows, "took", time.Since(began))
	return nil
}

// oneMigrates lets one of several processes that start together migrate while the others wait for it.
func (l *Ledger) oneMigrates() ([]goose.ProviderOption, error) {
	if !l.dialect.shared {
		return nil, nil
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, fmt.Errorf("prepare the ledger's migration: %w", err)
	}
	return []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// schemaVersion asks goose's own table; 0 where there is none yet.
func (l *Ledger) schemaVersion(ctx context.Context) int {
	var v int
	q := "SELECT COALESCE(MAX(version_id), 0) FROM " + goose.DefaultTablename
	if l.writes.db.QueryRowContext(ctx, q).Scan(&v) != nil {
		return 0
	}
	return v
}

// newestMigration is the number that the last of the embedded files begins with.
func newestMigration() (int, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no embedded migrations: %w", err)
	}
	name := strings.TrimPrefix(files[len(files)-1], "migrations/")
	number, _, _ := strings.Cut(name, "_")
	return strconv.Atoi(number)
}

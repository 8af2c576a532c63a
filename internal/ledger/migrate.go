package ledger

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. A ledger that is up to date costs one query.
func (l *Ledger) migrate(ctx context.Context) error {
	newest, err := newestMigration()
	if err != nil {
		return err
	}
	have := l.schemaVersion(ctx)
	if have == newest {
		return nil
	}
	if have > newest {
		return fmt.Errorf("the ledger's schema is version %d and this program knows %d: use a newer NES", have, newest)
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
	l.log.InfoContext(ctx, "ledger migrated", "from", have, "to", newest, "took", time.Since(began))
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

package ledger

import (
	"context"
	"database/sql"

	"github.com/nes-run/nes"
)

// Notebooks lists the notebooks that were run and that f lets through, the one that was run last first.
func (l *Ledger) Notebooks(ctx context.Context, f nes.NotebookFilter) ([]nes.NotebookRuns, error) {
	w := &where{}
	w.add("repository <> ''")
	w.add("notebook <> ''")
	if f.Teams != nil {
		among(w, "team", f.Teams)
	}
	w.equal("repository", f.Repository)
	if f.Text != "" {
		pattern, match := containing(f.Text, l.dialect.like)
		w.add("(repository"+match+" OR notebook"+match+")", pattern, pattern)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	var list []nes.NotebookRuns
	query := "SELECT repository, notebook, COUNT(*), MAX(id) FROM runs" + w.where() + " GROUP BY repository, notebook ORDER BY MAX(id) DESC LIMIT ?"
	err := l.rows(ctx, "list notebooks", query, append(w.args, min(limit, largestPage)), func(rows *sql.Rows) error {
		var n nes.NotebookRuns
		if err := rows.Scan(&n.Repository, &n.Notebook, &n.Runs, &n.Newest); err != nil {
			return err
		}
		list = append(list, n)
		return nil
	})
	return list, err
}

// Tally counts the runs that f lets through by status; its cursor and limit do not matter.
func (l *Ledger) Tally(ctx context.Context, f Filter) (map[nes.Status]int, error) {
	f.Cursor = ""
	c, err := conditions(f, l.dialect)
	if err != nil {
		return nil, err
	}
	counts := map[nes.Status]int{}
	err = l.rows(ctx, "count runs", "SELECT status, COUNT(*) FROM runs"+c.where()+" GROUP BY status", c.args, func(rows *sql.Rows) error {
		var status nes.Status
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return err
		}
		counts[status] = n
		return nil
	})
	return counts, err
}

// rows reads what a query finds. It keeps no statement prepared: filters make too many different ones.
func (l *Ledger) rows(ctx context.Context, what, query string, args []any, scan func(*sql.Rows) error) error {
	if _, err := l.reads.known(""); err != nil {
		return l.fault(what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := l.reads.db.QueryContext(ctx, l.dialect.rebind(query), args...)
	if err != nil {
		return l.fault(what, err)
	}
	return l.fault(what, each(rows, scan))
}

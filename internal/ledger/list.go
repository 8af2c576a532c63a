package ledger

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/nes-run/nes"
)

// Filter and Page are words of the domain, so that whoever lists runs need not know the database.
type (
	Filter = nes.RunFilter
	Page   = nes.RunPage
)

const (
	defaultPage = 50
	largestPage = 500
)

// Run returns a run.
func (l *Ledger) Run(ctx context.Context, id nes.RunID) (nes.Run, error) {
	var r nes.Run
	err := l.readRow(ctx, "SELECT "+runColumns+" FROM runs WHERE id = ?", runFields(&r), string(id))
	if errors.Is(err, sql.ErrNoRows) {
		err = noRun(id)
	}
	return r, err
}

// Runs returns a page of the runs that f lets through, newest first. Pages stay
// in step while runs are added: a run is on one page at most.
func (l *Ledger) Runs(ctx context.Context, f Filter) (Page, error) {
	c, err := conditions(f, l.dialect)
	if err != nil {
		return Page{}, err
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, largestPage)
	runs, err := l.query(ctx, c.where()+" ORDER BY id DESC LIMIT ?", append(c.args, limit+1)...)
	if err != nil {
		return Page{}, err
	}
	p := Page{Runs: runs}
	if len(runs) > limit {
		p.Runs = runs[:limit]
		p.Next = string(runs[limit-1].ID)
	}
	return p, nil
}

// Unsettled returns every run that is not ended, or ended and not published, oldest first.
func (l *Ledger) Unsettled(ctx context.Context) ([]nes.Run, error) {
	return l.query(ctx, " WHERE stage <> 'ended' OR published = 0 ORDER BY id")
}

// query reads runs.
func (l *Ledger) query(ctx context.Context, rest string, args ...any) ([]nes.Run, error) {
	var runs []nes.Run
	err := l.rows(ctx, "list runs", "SELECT "+runColumns+" FROM runs"+rest, args, func(rows *sql.Rows) error {
		var r nes.Run
		if err := rows.Scan(runFields(&r)...); err != nil {
			return err
		}
		runs = append(runs, r)
		return nil
	})
	return runs, err
}

// where is a list of conditions that must all hold.
type where struct {
	all      []string
	args     []any
	problems []nes.Problem
}

func (w *where) add(condition string, args ...any) {
	w.all = append(w.all, condition)
	w.args = append(w.args, args...)
}

func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) where() string {
	if len(w.all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.all, " AND ")
}

// conditions turns a filter into SQL; all values are arguments.
func conditions(f Filter, d dialect) (*where, error) {
	w := &where{}
	if f.Teams != nil {
		among(w, "team", f.Teams)
	}
	if len(f.Status) > 0 {
		among(w, "status", f.Status)
	}
	if len(f.Reason) > 0 {
		among(w, "reason", f.Reason)
	}
	w.equal("repository", f.Repository)
	w.equal("notebook", f.Notebook)
	w.equal("group_name", f.Group)
	w.equal("owner", f.Owner)
	w.equal("task_key", f.TaskKey)
	w.equal("parent", string(f.Parent))
	paired(w, "labels", f.Labels)
	paired(w, "run_parameters", f.Parameters)
	if !f.Since.IsZero() {
		w.add("created_at >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		w.add("created_at < ?", f.Until.UnixMicro())
	}
	searched(w, f.Text, d.like)
	w.commit(f.Commit)
	w.behind(f.Cursor)
	return w, nes.Invalid(w.problems)
}

func (w *where) commit(prefix string) {
	if prefix == "" {
		return
	}
	if len(prefix) < 4 || strings.Trim(prefix, "0123456789abcdefABCDEF") != "" {
		w.problems = append(w.problems, nes.Problem{Field: "commit", Message: "write at least 4 hexadecimal digits"})
	}
	w.add("commit_id LIKE ?", strings.ToLower(prefix)+"%")
}

func (w *where) behind(cursor string) {
	if cursor == "" {
		return
	}
	id, err := uuid.Parse(cursor)
	if err != nil {
		w.problems = append(w.problems, nes.Problem{Field: "cursor", Message: "give the cursor of the page before, as it was"})
	}
	w.add("id < ?", id.String())
}

func among[S ~string](w *where, column string, values []S) {
	if len(values) == 0 {
		w.add("1 = 0")
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	w.add(column+" IN ("+marks(len(values))+")", args...)
}

// paired asks for rows of a side table that have these names with these values.
func paired(w *where, table string, pairs map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		w.add("id IN (SELECT run_id FROM "+table+" WHERE name = ? AND value = ?)", name, pairs[name])
	}
}

// searched looks for text where people would expect to find it.
func searched(w *where, text, like string) {
	if text == "" {
		return
	}
	pattern, match := containing(text, like)
	w.add("(input_url"+match+" OR message"+match+" OR group_name"+match+" OR id IN (SELECT run_id FROM labels WHERE name"+match+" OR value"+match+"))",
		pattern, pattern, pattern, pattern, pattern)
}

// containing is a comparison with whatever contains a text.
func containing(text, like string) (pattern, match string) {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%", " " + like + ` ? ESCAPE '\'`
}

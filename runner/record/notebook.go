package record

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/reduce"
	"github.com/nes-run/nes/storage"
)

// provenance is what the executed notebook says of where it comes from, below metadata.nes.
func provenance(run *nes.Run, a nes.Attempt, o nes.Outcome, end time.Time) map[string]any {
	p := identity(run, a.Number)
	p["status"], p["ended_at"] = o.Reason.Status(), end
	p["launched_at"], p["versions"] = a.LaunchedAt, o.Versions
	set(p, "reason", string(o.Reason))
	set(p, "message", o.Message)
	if a.StartedAt != nil {
		p["started_at"] = *a.StartedAt
	}
	return p
}

// identity is what is known of an attempt before it ends.
func identity(run *nes.Run, attempt int) map[string]any {
	p := map[string]any{
		"run_id": run.ID, "attempt": attempt, "owner": run.Owner, "team": run.Team,
		"input_url": run.Spec.InputURL, "submitted_at": run.CreatedAt, "status": run.Status,
	}
	set(p, "runtime", run.Spec.Runtime)
	set(p, "profile", run.Spec.Profile)
	set(p, "group", run.Spec.Group)
	set(p, "parent", string(run.Parent))
	if len(run.Conversions) > 0 {
		p["conversions"] = run.Conversions
	}
	if len(run.Spec.Labels) > 0 {
		p["labels"] = run.Spec.Labels
	}
	if s := run.Source; s != nil {
		p["repository"], p["path"] = s.Repository, s.Path
		set(p, "ref", s.Ref)
		set(p, "commit", s.Commit)
		set(p, "web_url", s.WebURL)
		if s.Dirty {
			p["dirty"] = true
		}
	}
	return p
}

func set(p map[string]any, key, value string) {
	if value != "" {
		p[key] = value
	}
}

// WriteNotebook writes the executed notebook of an attempt, or the one so far while it is under way. It is
// not_found, before anything is written, when there is nothing yet.
func (s *Store) WriteNotebook(ctx context.Context, run *nes.Run, attempt int, w io.Writer) error {
	if attempt < 1 || attempt > run.Attempt {
		return nes.Errorf(nes.CodeNotFound, "run %s has no attempt %d", run.ID, attempt)
	}
	if under(run, attempt) {
		return s.writePartial(ctx, run, attempt, w)
	}
	_, r, err := s.o.Bucket.Open(ctx, storage.NotebookKey(run, attempt), 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("send the notebook: %w", err)
	}
	return nil
}

// writePartial makes the notebook aside first, so that a slow reader does not hold up the journal.
func (s *Store) writePartial(ctx context.Context, run *nes.Run, attempt int, w io.Writer) error {
	aside, err := anonymous(s.o.TempDir)
	if err != nil {
		return nes.Errorf(nes.CodeUnavailable, "make room for the notebook: %w", err)
	}
	defer aside.Close()
	err = s.read(ctx, run, attempt, func(l *live) error {
		if l.state == nil {
			return nes.Errorf(nes.CodeNotFound, "the notebook of run %s has not been started yet", run.ID)
		}
		return l.state.Write(aside, l.reader(ctx), reduce.Stamp{NES: identity(run, attempt)})
	})
	if err != nil {
		return err
	}
	if _, err := aside.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(w, aside); err != nil {
		return fmt.Errorf("send the notebook: %w", err)
	}
	return nil
}

// maxPage bounds a page of a log, and is its size where the caller names none.
const maxPage = 1 << 20

// Log returns the attempt's text log from cursor on, at most limit bytes of it (0: 1 MiB).
func (s *Store) Log(ctx context.Context, run *nes.Run, attempt int, cursor int64, limit int) (nes.LogPage, error) {
	if cursor < 0 {
		return nes.LogPage{}, nes.Errorf(nes.CodeInvalid, "the cursor of a log is not negative")
	}
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	limit = max(limit, 16) // a page holds at least one character
	page := nes.LogPage{Attempt: attempt, Next: cursor}
	if attempt < 1 || attempt > run.Attempt {
		page.Ended = run.Ended()
		return page, nil
	}
	var err error
	if under(run, attempt) {
		err = s.read(ctx, run, attempt, func(l *live) (err error) {
			page.Text, err = l.text.page(cursor, limit)
			return err
		})
	} else {
		page.Text, page.Ended, err = s.storedLog(ctx, run, attempt, cursor, limit)
	}
	page.Next += int64(len(page.Text))
	return page, err
}

// storedLog reads from the log of an attempt that is over, and tells whether that was the last of it.
func (s *Store) storedLog(ctx context.Context, run *nes.Run, attempt int, cursor int64, limit int) (string, bool, error) {
	o, err := s.o.Bucket.Stat(ctx, storage.AttemptPrefix(run, attempt)+"log.txt")
	if nes.CodeOf(err) == nes.CodeNotFound {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	if cursor >= o.Size {
		return "", true, nil
	}
	_, r, err := s.o.Bucket.Open(ctx, o.Key, cursor, int64(limit))
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if cursor+int64(len(text)) < o.Size {
		text = wholeRunes(text)
	}
	return string(text), cursor+int64(len(text)) >= o.Size, err
}

// OpenIndex opens the index that was written with an attempt's executed notebook. It is not_found while the attempt is under
// way, and where none was written.
func (s *Store) OpenIndex(ctx context.Context, run *nes.Run, attempt int) (io.ReadCloser, error) {
	if err := over(run, attempt); err != nil {
		return nil, err
	}
	_, r, err := s.o.Bucket.Open(ctx, storage.AttemptPrefix(run, attempt)+indexFile, 0, -1)
	return r, err
}

// OpenNotebook opens length bytes of an executed notebook from offset on; not_found while the attempt is under way.
func (s *Store) OpenNotebook(ctx context.Context, run *nes.Run, attempt int, offset, length int64) (io.ReadCloser, error) {
	if err := over(run, attempt); err != nil {
		return nil, err
	}
	_, r, err := s.o.Bucket.Open(ctx, storage.NotebookKey(run, attempt), offset, length)
	return r, err
}

// over gives not_found for an attempt that has no executed notebook yet.
func over(run *nes.Run, attempt int) error {
	if attempt < 1 || attempt > run.Attempt || under(run, attempt) {
		return nes.Errorf(nes.CodeNotFound, "attempt %d of run %s has no executed notebook yet", attempt, run.ID)
	}
	return nil
}

// indexFile is the name of the index beside the journal.
const indexFile = "index.json"

package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// maxLogPage is the size of one piece of a log, in bytes.
const maxLogPage = 1 << 20

// attempt returns which attempt a call is about; without the parameter it is the newest.
func (q *query) attempt() (pick func(*nes.Run) (int, error)) {
	n := int(q.number("attempt", 1<<20))
	return func(run *nes.Run) (int, error) {
		switch {
		case n > run.Attempt:
			return 0, nes.Errorf(nes.CodeNotFound, "run %s has no attempt %d%s", run.ID, n, yet(run))
		case n == 0 && run.Attempt == 0:
			return 0, nes.Errorf(nes.CodeNotFound, "run %s was not launched%s", run.ID, yet(run))
		case n == 0:
			return run.Attempt, nil
		}
		return n, nil
	}
}

// findAttempt returns the run that a call wants to read of, and which of its attempts.
func (s *Server) findAttempt(c echo.Context) (nes.Run, int, error) {
	q := queryOf(c)
	pick := q.attempt()
	run, err := s.find(c, access.ActionRead, q)
	if err != nil {
		return nes.Run{}, 0, err
	}
	attempt, err := pick(&run)
	return run, attempt, err
}

// notebook takes GET /v1/runs/{id}/notebook.
func (s *Server) notebook(c echo.Context) error {
	run, attempt, err := s.findAttempt(c)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	contain(h, "application/x-ipynb+json", notebookName(&run))
	if run.Ended() {
		etag := strconv.Quote(string(run.ID) + "." + strconv.Itoa(attempt))
		h.Set("ETag", etag)
		h.Set("Cache-Control", "private, no-cache")
		if matches(c.Request().Header.Get("If-None-Match"), etag) {
			return c.NoContent(http.StatusNotModified)
		}
	}
	return s.o.Records.WriteNotebook(c.Request().Context(), &run, attempt, c.Response())
}

// notebookName is what a browser calls the notebook when it saves it.
func notebookName(run *nes.Run) string {
	name := "notebook"
	if run.Source != nil {
		name = strings.TrimSuffix(path.Base(run.Source.Path), ".ipynb")
	}
	return name + "-" + string(run.ID) + ".ipynb"
}

// contain sets the headers of bytes that a notebook made: a browser keeps them as a file
// and, where it shows them after all, shows them without any right of this site.
func contain(h http.Header, contentType, name string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Disposition", disposition(name))
}

// disposition names a file for old and new browsers.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			return '_'
		}
		return r
	}, name)
	return `attachment; filename="` + plain + `"; filename*=UTF-8''` + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

// files takes GET /v1/runs/{id}/files.
func (s *Server) files(c echo.Context) error {
	run, attempt, err := s.findAttempt(c)
	if err != nil {
		return err
	}
	list, err := s.o.Records.Files(c.Request().Context(), &run, attempt)
	if err != nil {
		return err
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, struct {
		Files []nes.File `json:"files"`
	}{append([]nes.File{}, list...)})
	return nil
}

// file takes GET /v1/runs/{id}/files/{name}.
func (s *Server) file(c echo.Context) error {
	run, attempt, err := s.findAttempt(c)
	if err != nil {
		return err
	}
	// The decoded path, because echo gives the wildcard as it was escaped.
	name := strings.TrimPrefix(c.Request().URL.Path, "/v1/runs/"+string(run.ID)+"/files/")
	file, body, err := s.o.Records.OpenFile(c.Request().Context(), &run, attempt, name)
	if err != nil {
		return err
	}
	defer body.Close()
	contain(c.Response().Header(), contentType(file), path.Base(file.Name))
	if file.Size > 0 {
		c.Response().Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
	}
	_, err = io.Copy(c.Response(), body)
	return err
}

func contentType(f nes.File) string {
	if _, _, err := mime.ParseMediaType(f.Type); err != nil {
		return "application/octet-stream"
	}
	return f.Type
}

// log takes GET /v1/runs/{id}/log: a piece as JSON when a cursor is given, else the text.
func (s *Server) log(c echo.Context) error {
	q := queryOf(c)
	pick, wait, follow := q.attempt(), q.wait("wait"), q.flag("follow")
	cursor := q.number("cursor", 1<<53)
	run, err := s.find(c, access.ActionRead, q)
	if err != nil {
		return err
	}
	attempt, err := pick(&run)
	newest := q.values.Get("attempt") == "" || q.values.Get("attempt") == "0"
	if err != nil && (!follow || !newest || run.Ended()) {
		return err
	}
	if !follow && q.values.Has("cursor") {
		return s.logPage(c, &run, attempt, cursor, wait)
	}
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	contain(c.Response().Header(), "text/plain; charset=utf-8", string(run.ID)+".log")
	c.Response().Header().Set("Content-Disposition", "inline")
	t := &tail{s: s, run: run, attempt: attempt, cursor: cursor, w: c.Response(), follow: follow, onward: newest && follow}
	return t.write(c.Request().Context())
}

// logPage answers with a piece of a log, waiting for one where there is nothing new.
func (s *Server) logPage(c echo.Context, run *nes.Run, attempt int, cursor int64, wait time.Duration) error {
	ctx, stop := context.WithTimeout(c.Request().Context(), wait)
	defer stop()
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	for {
		ran, changed := s.o.Records.Changed(run.ID), s.o.Ledger.Changed(run.ID)
		page, err := s.logOf(c.Request().Context(), run, attempt, cursor)
		if err != nil {
			return err
		}
		if page.Text != "" || page.Ended || !s.either(ctx, ran, changed) {
			writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, page)
			return nil
		}
		if *run, err = s.o.Ledger.Run(c.Request().Context(), run.ID); err != nil {
			return err
		}
	}
}

// logOf reads a piece of a log. An attempt that has written nothing has an empty one.
func (s *Server) logOf(ctx context.Context, run *nes.Run, attempt int, cursor int64) (nes.LogPage, error) {
	page, err := s.o.Records.Log(ctx, run, attempt, cursor, maxLogPage)
	if nes.CodeOf(err) == nes.CodeNotFound {
		page, err = nes.LogPage{Next: cursor, Ended: run.Ended() || attempt < run.Attempt}, nil
	}
	page.Attempt = attempt
	return page, err
}

// either waits for one of two signals; false means that ctx or the server ended first.
func (s *Server) either(ctx context.Context, one, other <-chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(reread)
	defer timer.Stop()
	select {
	case <-one:
	case <-other:
	case <-timer.C:
	case <-ctx.Done():
		return false
	case <-s.closing.Done():
		return false
	}
	return true
}

// tail writes a log as text, as it grows.
type tail struct {
	s       *Server
	run     nes.Run
	attempt int
	cursor  int64
	w       *echo.Response
	follow  bool // until the attempt has ended
	onward  bool // then with the next attempt, until the run has ended
}

func (t *tail) write(ctx context.Context) error {
	for {
		ran, changed := t.s.o.Records.Changed(t.run.ID), t.s.o.Ledger.Changed(t.run.ID)
		run, err := t.s.o.Ledger.Run(ctx, t.run.ID)
		if err != nil {
			return err
		}
		t.run = run
		over, err := t.drain(ctx)
		if err != nil || !t.follow {
			return err
		}
		if over && t.next() {
			continue
		}
		if over && (!t.onward || t.run.Ended()) || !t.s.either(ctx, ran, changed) {
			return nil
		}
	}
}

// drain writes what there is of the attempt's log; over says that nothing will follow.
func (t *tail) drain(ctx context.Context) (over bool, err error) {
	if t.attempt == 0 {
		return true, t.flush()
	}
	for {
		page, err := t.s.logOf(ctx, &t.run, t.attempt, t.cursor)
		if err != nil {
			return false, err
		}
		if page.Text == "" {
			return page.Ended, t.flush()
		}
		if _, err := io.WriteString(t.w, page.Text); err != nil {
			return false, err
		}
		t.cursor = page.Next
	}
}

func (t *tail) flush() error {
	if !t.w.Committed {
		t.w.WriteHeader(http.StatusOK)
	}
	if t.follow {
		t.w.Flush()
	}
	return nil
}

// next moves on to the next attempt, if there is one.
func (t *tail) next() bool {
	if !t.onward || t.attempt >= t.run.Attempt {
		return false
	}
	t.attempt, t.cursor = t.attempt+1, 0
	return true
}

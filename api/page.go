package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// notebookPage takes GET /v1/runs/{id}/notebook.html.
func (s *Server) notebookPage(c echo.Context) error {
	q := queryOf(c)
	pick, report := q.attempt(), q.flag("report")
	run, err := s.find(c, access.ActionRead, q)
	if err != nil {
		return err
	}
	attempt, err := pick(&run)
	if err != nil {
		return err
	}
	spool, err := s.spool(c.Request().Context(), &run, attempt)
	if err != nil {
		return err
	}
	defer spool.Close()
	index, err := notebook.Parse(spool)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(notebookName(&run), ".ipynb")
	h := c.Response().Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	render.PageHeaders(h)
	h.Set("Content-Disposition", strings.Replace(disposition(name+".html"), "attachment", "inline", 1))
	h.Set("Cache-Control", "private, no-cache")
	if c.Request().Method == http.MethodHead {
		return nil
	}
	d := &render.Document{Index: index, File: spool, Ended: run.Ended() || attempt < run.Attempt, Report: report}
	return s.renderer.Page(c.Response(), d, name)
}

// spool puts the attempt's notebook into a file without a name, which is gone when it is closed.
func (s *Server) spool(ctx context.Context, run *nes.Run, attempt int) (*os.File, error) {
	file, err := os.CreateTemp(s.o.TempDir, "nes-page-*")
	if err != nil {
		return nil, fmt.Errorf("make room for the notebook: %w", err)
	}
	err = os.Remove(file.Name())
	if err == nil {
		err = s.o.Records.WriteNotebook(ctx, run, attempt, file)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// readyTimeout bounds how long a check of readiness may take.
const readyTimeout = 3 * time.Second

// health takes GET /healthz: the process lives.
func (s *Server) health(c echo.Context) error {
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, struct {
		Status  string `json:"status"`
		Version string `json:"version"`
	}{"ok", s.o.Version})
	return nil
}

// ready takes GET /readyz: requests can be served.
func (s *Server) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	err := s.o.Ledger.Ping(ctx)
	if err == nil && s.o.Ready != nil {
		err = s.o.Ready(ctx)
	}
	if s.closing.Err() != nil {
		err = nes.Errorf(nes.CodeUnavailable, "the server is stopping")
	}
	if err != nil {
		return &nes.Error{Code: nes.CodeUnavailable, Message: "not ready", Err: err}
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, struct {
		Status string `json:"status"`
	}{"ok"})
	return nil
}

// showMetrics takes GET /metrics.
func (s *Server) showMetrics(c echo.Context) error {
	if err := access.Authorize(access.From(c.Request().Context()), access.ActionMetrics, nil); err != nil {
		return err
	}
	promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	return nil
}

// specification takes GET /openapi.yaml.
func (s *Server) specification(c echo.Context) error {
	return c.Stream(http.StatusOK, "application/yaml", strings.NewReader(nes.OpenAPI()))
}

// docsPolicy allows the page its own style and nothing else.
const docsPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// showDocs takes GET /docs.
func (s *Server) showDocs(c echo.Context) error {
	page, err := s.docs()
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Security-Policy", docsPolicy)
	return c.HTMLBlob(http.StatusOK, page)
}

package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// inspect takes POST /v1/inspect.
func (s *Server) inspect(c echo.Context) error {
	ctx := c.Request().Context()
	if err := access.Authorize(access.From(ctx), access.ActionSubmit, nil); err != nil {
		return err
	}
	var body struct {
		InputURL string `json:"input_url"`
	}
	problems, err := s.decode(c, &body)
	if err != nil {
		return err
	}
	// The address is checked as that of a run.
	spec := nes.Spec{InputURL: body.InputURL}
	if err := nes.Invalid(merge(problems, spec.Validate())); err != nil {
		return err
	}
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	found, err := s.o.Intake.Inspect(ctx, access.From(ctx).Team, body.InputURL)
	if err != nil {
		return err
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, found)
	return nil
}

// upload takes POST /v1/bundles.
func (s *Server) upload(c echo.Context) error {
	ctx, r := c.Request().Context(), c.Request()
	if err := access.Authorize(access.From(ctx), access.ActionSubmit, nil); err != nil {
		return err
	}
	switch r.Header.Get("Content-Type") {
	case "application/zstd", "application/octet-stream":
	default:
		return nes.Invalid([]nes.Problem{{Field: "Content-Type", Message: "must be application/zstd: the body is a tar archive compressed by zstd"}})
	}
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	limited := http.MaxBytesReader(c.Response(), r.Body, s.o.MaxBundle)
	sha256, err := s.o.Intake.Upload(ctx, &patient{limited, http.NewResponseController(c.Response()), s.o.Idle})
	if err != nil {
		return uploadError(err)
	}
	writeJSON(c.Response(), http.StatusCreated, echo.MIMEApplicationJSON, struct {
		SHA256 string `json:"sha256"`
	}{sha256})
	return nil
}

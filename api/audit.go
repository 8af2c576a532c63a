package api

import (
	"log/slog"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// audit logs that the caller did something to a run. The run's events say the same, with the caller as actor.
func (s *Server) audit(c echo.Context, action string, run nes.RunID) {
	r, p := c.Request(), access.From(c.Request().Context())
	s.o.Log.LogAttrs(r.Context(), slog.LevelInfo, "audit", slog.String("action", action), slog.String("run", string(run)),
		slog.String("principal", p.Name), slog.String("team", p.Team), slog.String("remote", r.RemoteAddr), slog.String("request_id", exchangeOf(r.Context()).id))
}

// submitted is what a submission is called: a run of its own, or another one's again.
func submitted(parent nes.RunID) string {
	if parent != "" {
		return "rerun"
	}
	return "submit"
}

// refused logs that a credential was shown and not let in. It is not shown itself.
func (s *Server) refused(c echo.Context, err error) {
	r := c.Request()
	if r.Header.Get("Authorization") == "" || nes.CodeOf(err) != nes.CodeUnauthorized {
		return
	}
	s.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "audit", slog.String("action", "sign_in_refused"),
		slog.String("remote", r.RemoteAddr), slog.String("request_id", exchangeOf(r.Context()).id))
}

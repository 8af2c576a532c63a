package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/internal/access"
)

// exchange is what is known of one request and its answer, for log and metrics.
type exchange struct {
	id        string
	route     string
	principal string
	started   time.Time
	err       error
	cut       bool // the answer cannot be completed
	gone      bool // because the caller went away
}

// statusGone stands in log and metrics for an answer that nobody waited for.
const statusGone = 499

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

// serve is around every request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{id: requestID(r), route: "none", started: s.o.Now()}
	out := &answer{ResponseWriter: w, control: http.NewResponseController(w), idle: s.o.Idle}
	secure(out.Header())
	out.Header().Set("X-Request-Id", x.id)
	if r.ContentLength != 0 {
		// Whoever reads the body lifts this again. It also bounds what net/http reads of a body that nobody wanted.
		_ = out.control.SetReadDeadline(time.Now().Add(s.o.Idle))
	}
	defer s.finish(out, r, x)
	s.echo.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// finish turns a panic into an answer, and logs and counts what was answered.
func (s *Server) finish(out *answer, r *http.Request, x *exchange) {
	if v := recover(); v != nil {
		x.cut = out.status != 0
		if v != http.ErrAbortHandler {
			x.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			if !x.cut {
				writeProblem(out, r, x, problem.From(x.err))
			}
		}
	}
	if x.gone && out.status == 0 {
		out.status = statusGone
	}
	s.metrics.observe(r, x, out)
	s.logAccess(r, x, out)
	if x.cut {
		// A broken connection is the only way left to say that the answer is not whole.
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) logAccess(r *http.Request, x *exchange, out *answer) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("route", x.route),
		slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Duration("took", s.o.Now().Sub(x.started)),
		slog.String("request_id", x.id), slog.String("principal", x.principal), slog.String("remote", r.RemoteAddr),
	}
	switch {
	case x.err != nil && !x.gone && (out.status >= 500 || x.cut):
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", x.err))
		if cause := errors.Unwrap(x.err); cause != nil {
			attrs = append(attrs, slog.Any("cause", cause))
		}
	case x.route == "/healthz" || x.route == "/readyz" || x.route == "/metrics":
		level = slog.LevelDebug
	}
	s.o.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// handleError is where every error of a handler becomes an answer.
func (s *Server) handleError(err error, c echo.Context) {
	r, x := c.Request(), exchangeOf(c.Request().Context())
	if _, ok := errors.AsType[*echo.HTTPError](err); ok {
		err = s.nothing(c) // the router found no handler, as of another method on a path that ends in "*"
	}
	x.err = err
	// What went wrong because the caller went away is told to nobody.
	x.gone = r.Context().Err() != nil && problem.Status(nes.CodeOf(err)) >= http.StatusInternalServerError
	if c.Response().Committed || x.gone {
		x.cut = true
		return
	}
	d := problem.From(err)
	if errors.Is(err, errMethod) {
		d.Status = http.StatusMethodNotAllowed
	}
	if e, ok := errors.AsType[*access.TooFast](err); ok {
		c.Response().Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.Wait.Seconds())))))
	}
	if a, ok := errors.AsType[*aboutRun](err); ok {
		d.Run = a.run
	}
	writeProblem(c.Response(), r, x, d)
}

// retryAfter is how many seconds a caller should stay away from what is busy or broken.
const retryAfter = "5"

func writeProblem(w http.ResponseWriter, r *http.Request, x *exchange, d problem.Details) {
	d.Instance, d.RequestID = r.URL.Path, x.id
	switch d.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", retryAfter)
		}
	case http.StatusUnauthorized:
		w.Header().Add("WWW-Authenticate", `Bearer realm="NES"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="NES: any name, the token as password", charset="UTF-8"`)
	}
	w.Header().Del("Content-Disposition")
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, d.Status, problem.ContentType, d)
}

// aboutRun is an error that names the run that it is about.
type aboutRun struct {
	error
	run nes.RunID
}

// Unwrap returns the error itself.
func (a *aboutRun) Unwrap() error { return a.error }

// secure sets what every answer carries. Handlers that show notebooks or pages tighten or replace it.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID is the caller's own name for its request, where it is a plain one.
func requestID(r *http.Request) string {
	if given := r.Header.Get("X-Request-Id"); idPattern.MatchString(given) {
		return given
	}
	return rand.Text()
}

// chunk is how much is written before the time for it begins anew.
const chunk = 64 << 10

// answer counts what is written and bounds how long a slow reader may take for each piece.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	status  int
	bytes   int64
}

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.extend()
	a.ResponseWriter.WriteHeader(status)
}

// Write writes b in pieces.
func (a *answer) Write(b []byte) (n int, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	for first := true; first || n < len(b); first = false {
		a.extend()
		m, err := a.ResponseWriter.Write(b[n:min(n+chunk, len(b))])
		n += m
		a.bytes += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush sends what was written so far.
func (a *answer) Flush() {
	a.extend()
	_ = a.control.Flush()
}

func (a *answer) extend() {
	// A writer that is no connection, as in a test, has no deadline.
	_ = a.control.SetWriteDeadline(time.Now().Add(a.idle))
}

// serverLog is where net/http complains about broken connections.
func serverLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}

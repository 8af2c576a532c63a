package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer/render"
)

// Limits of a connection. There is no limit on a whole request, because notebooks,
// logs and events may take their time: Options.Idle bounds each step of them instead.
const (
	readHeaderTimeout = 10 * time.Second
	keepAliveTimeout  = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Server is the HTTP API.
type Server struct {
	o       Options
	echo    *echo.Echo
	http    *http.Server
	metrics *metrics
	streams atomic.Int64 // long polls and streams that are open
	docs    func() ([]byte, error)
	// renderer makes pages of notebooks.
	renderer *render.Renderer

	// closing is done when the server begins to stop: whatever waits then answers at once.
	closing context.Context
	close   context.CancelFunc
}

// New makes a server. It reads nothing and starts nothing.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, echo: echo.New(), docs: sync.OnceValues(renderDocs), renderer: render.New()}
	s.closing, s.close = context.WithCancel(context.Background())
	s.metrics = newMetrics(o, s.streams.Load)
	s.echo.HTTPErrorHandler = s.handleError
	s.echo.JSONSerializer = jsonWriter{}
	s.register()
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       keepAliveTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          serverLog(o.Log),
	}
	return s
}

// Handler serves the API, and Options.Pages for everything else. Whoever puts it into a server of
// their own calls [Server.Close] before that server's Shutdown.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve answers on l until [Server.Shutdown]; then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close makes long polls and streams end. Their clients come back to whoever serves next.
func (s *Server) Close() { s.close() }

// Shutdown takes no further requests, lets those under way finish until ctx is done, and then cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	return err
}

// route is one operation of openapi.yaml.
type route struct {
	method  string
	path    string // as echo writes it
	id      string // operationId
	handler echo.HandlerFunc
	open    bool // to everybody, whoever they are
}

func (s *Server) routes() []route {
	const run = "/v1/runs/:id"
	return []route{
		{"POST", "/v1/runs", "submitRun", s.submit, false},
		{"GET", "/v1/runs", "listRuns", s.list, false},
		{"GET", run, "getRun", s.get, false},
		{"DELETE", run, "deleteRun", s.delete, false},
		{"POST", "/v2/runs", "submitOriginalRun", s.submitOriginal, false},
		{"GET", "/v2/runs/:id", "getOriginalRun", s.get, false},
		{"DELETE", "/v2/runs/:id", "deleteOriginalRun", s.delete, false},
		{"POST", run + "/cancel", "cancelRun", s.cancel, false},
		{"POST", run + "/rerun", "rerunRun", s.rerun, false},
		{"GET", run + "/notebook", "getNotebook", s.notebook, false},
		{"GET", run + "/notebook.html", "getNotebookPage", s.notebookPage, false},
		{"GET", run + "/log", "getLog", s.log, false},
		{"GET", run + "/events", "getRunEvents", s.runEvents, false},
		{"GET", run + "/result", "getResult", s.result, false},
		{"GET", run + "/attempts", "listAttempts", s.attempts, false},
		{"GET", run + "/files", "listFiles", s.files, false},
		{"GET", run + "/files/*", "getFile", s.file, false},
		{"GET", "/v1/events", "getEvents", s.allEvents, false},
		{"GET", "/v1/latest", "getLatest", s.latest, false},
		{"POST", "/v1/inspect", "inspectNotebook", s.inspect, false},
		{"POST", "/v1/bundles", "uploadBundle", s.upload, false},
		{"GET", "/v1/reasons", "listReasons", s.reasons, true},
		{"GET", "/healthz", "getHealth", s.health, true},
		{"GET", "/readyz", "getReadiness", s.ready, true},
		{"GET", "/metrics", "getMetrics", s.showMetrics, false},
		{"GET", "/docs", "getDocs", s.showDocs, true},
		{"GET", "/openapi.yaml", "getSpecification", s.specification, true},
	}
}

func (s *Server) register() {
	for _, r := range s.routes() {
		handler := s.enter(r.handler, r.open)
		s.echo.Add(r.method, r.path, handler)
		if r.method == http.MethodGet {
			s.echo.Add(http.MethodHead, r.path, handler)
		}
		if strings.HasSuffix(r.path, "*") { // else the router answers OPTIONS there itself, to everybody
			s.echo.RouteNotFound(r.path, s.enter(s.nothing, false))
		}
	}
	s.echo.RouteNotFound("/v1/*", s.enter(s.nothing, false))
	s.echo.RouteNotFound("/v2/*", s.enter(s.nothing, false))
	s.echo.RouteNotFound("/*", s.enter(s.pages, false))
}

// enter lets a caller in before handler, and notes for log and metrics which route was taken.
func (s *Server) enter(handler echo.HandlerFunc, open bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c.Request().Context())
		x.route = c.Path()
		if open {
			return handler(c)
		}
		p, err := s.o.Gate.Enter(c.Request())
		if err != nil {
			s.refused(c, err)
			return err
		}
		x.principal = p.Name
		c.SetRequest(c.Request().WithContext(access.With(c.Request().Context(), p)))
		return handler(c)
	}
}

// pages hands everything that is not the API's to Options.Pages.
func (s *Server) pages(c echo.Context) error {
	if s.o.Pages == nil || len(s.takes(c.Request().URL.Path)) > 0 {
		return s.nothing(c)
	}
	exchangeOf(c.Request().Context()).route = "pages"
	// A page that follows a run ends with the server, as the API's own streams do.
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	s.o.Pages.ServeHTTP(c.Response(), c.Request().WithContext(ctx))
	return nil
}

// errMethod is the error of a path that exists, for another method.
var errMethod = errors.New("method not allowed")

// nothing answers for a path that does not exist, or not with this method.
func (s *Server) nothing(c echo.Context) error {
	r := c.Request()
	exchangeOf(r.Context()).route = "none"
	methods := s.takes(r.URL.Path)
	if len(methods) == 0 {
		return nes.Errorf(nes.CodeNotFound, "there is nothing at %s; /docs lists what there is", r.URL.Path)
	}
	c.Response().Header().Set("Allow", strings.Join(methods, ", "))
	message := fmt.Sprintf("%s takes %s, not %s", r.URL.Path, strings.Join(methods, " and "), r.Method)
	return &nes.Error{Code: nes.CodeInvalid, Message: message, Err: errMethod}
}

// takes lists the methods of the API that a path takes.
func (s *Server) takes(path string) (methods []string) {
	parts := strings.Split(path, "/")
	for _, r := range s.routes() {
		pattern := strings.Split(r.path, "/")
		fits := len(pattern) == len(parts) || pattern[len(pattern)-1] == "*" && len(parts) > len(pattern)
		for i := 0; fits && i < len(pattern); i++ {
			fits = pattern[i] == parts[i] || (pattern[i] == ":id" || pattern[i] == "*") && parts[i] != ""
		}
		if fits {
			methods = append(methods, r.method)
		}
	}
	return methods
}

// base is where the caller reaches the server, without a last slash.
func (s *Server) base(r *http.Request) string {
	if s.o.PublicURL != "" {
		return strings.TrimRight(s.o.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

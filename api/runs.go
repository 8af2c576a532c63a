package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/internal/parameters"
)

// submit takes POST /v1/runs.
func (s *Server) submit(c echo.Context) error {
	if err := access.Authorize(access.From(c.Request().Context()), access.ActionSubmit, nil); err != nil {
		return err
	}
	q := queryOf(c)
	validate := q.wait("validate")
	if err := q.err(); err != nil {
		return err
	}
	data, err := s.body(c)
	if err != nil {
		return err
	}
	spec, problems := readSpec(data, c.Request().Header)
	problems = merge(problems, s.refuse(c, &spec))
	if err := nes.Invalid(problems); err != nil {
		return err
	}
	return s.create(c, spec, "", validate)
}

// refuse gives spec what the caller cannot choose, and lists what it would not get.
func (s *Server) refuse(c echo.Context, spec *nes.Spec) []nes.Problem {
	problems := access.From(c.Request().Context()).Allot(spec)
	return append(problems, s.o.Refuse(spec)...)
}

// create records a submission and answers with its run.
func (s *Server) create(c echo.Context, spec nes.Spec, parent nes.RunID, validate time.Duration) error {
	ctx := c.Request().Context()
	same, err := fingerprint(spec)
	if err != nil {
		return err
	}
	if err := s.room(ctx); err != nil {
		return err
	}
	p := access.From(ctx)
	run, created, err := s.o.Ledger.Create(ctx, ledger.Submission{
		Spec: spec, Owner: p.Name, Team: p.Team, Client: client(c.Request()),
		Parent: parent, Fingerprint: same, At: s.o.Now(),
	})
	if err != nil {
		return err
	}
	if created {
		s.audit(c, submitted(parent), run.ID)
		s.o.Kick()
	}
	if validate > 0 {
		if run, err = s.checked(ctx, run, validate); err != nil {
			return err
		}
	}
	c.Response().Header().Set("Location", "/v1/runs/"+string(run.ID))
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.show(c, status, run)
}

// room refuses a submission while too many runs wait.
func (s *Server) room(ctx context.Context) error {
	counts, err := s.o.Ledger.Counts(ctx)
	if err != nil {
		return err
	}
	if n := counts[nes.StageQueued]; n >= s.o.MaxQueued {
		return nes.Errorf(nes.CodeBusy, "%d runs are waiting already, which is as many as may: try again later", n)
	}
	return nil
}

// checked waits until the source and the parameters of a run are known to fit, or not to.
func (s *Server) checked(ctx context.Context, run nes.Run, wait time.Duration) (nes.Run, error) {
	run, err := s.await(ctx, run, wait, func(r *nes.Run) bool { return r.Source != nil || r.Ended() })
	if err != nil {
		return run, err
	}
	if run.Attempt == 0 && run.Status == nes.StatusFailed && run.Reason != nes.ReasonCancelled {
		err := &nes.Error{Code: nes.CodeUnprocessable, Reason: run.Reason, Message: run.Message, Problems: s.misfits(ctx, &run)}
		return run, &aboutRun{err, run.ID}
	}
	return run, nil
}

// misfits lists which parameters of a run do not fit its notebook, so that a form can say it beside each. The run's
// message says the same in one text.
func (s *Server) misfits(ctx context.Context, run *nes.Run) []nes.Problem {
	if run.Reason != nes.ReasonParameterError {
		return nil
	}
	found, err := s.o.Intake.Inspect(ctx, run.Team, run.Spec.InputURL)
	if err != nil {
		return nil
	}
	_, _, err = parameters.Fit(found.Schema, run.Spec.Parameters)
	if e, ok := errors.AsType[*nes.Error](err); ok {
		return e.Problems
	}
	return nil
}

// maxClient is how much is kept of what a caller's program says of itself, in bytes.
const maxClient = 1024

// client is what the caller's program says of itself: the original service's clients
// send a name and a JSON text about the task they run for, others have a User-Agent.
func client(r *http.Request) string {
	said := strings.TrimSpace(r.Header.Get("Client-Id") + " " + r.Header.Get("Client-Context"))
	if said == "" {
		said = r.UserAgent()
	}
	return strings.ToValidUTF8(said[:min(len(said), maxClient)], "")
}

// list takes GET /v1/runs.
func (s *Server) list(c echo.Context) error {
	f, err := s.filter(c, true)
	if err != nil {
		return err
	}
	page, err := s.o.Ledger.Runs(c.Request().Context(), f)
	if err != nil {
		return err
	}
	body := struct {
		Runs []nes.Run `json:"runs"`
		Next string    `json:"next,omitempty"`
	}{Runs: []nes.Run{}, Next: page.Next}
	for _, run := range page.Runs {
		body.Runs = append(body.Runs, s.dress(c.Request(), run))
	}
	if page.Next != "" {
		u := *c.Request().URL
		values := u.Query()
		values.Set("cursor", page.Next)
		u.RawQuery = values.Encode()
		c.Response().Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", u.RequestURI()))
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, body)
	return nil
}

// filter reads which runs the caller wants to see, of those it may see.
func (s *Server) filter(c echo.Context, paged bool) (ledger.Filter, error) {
	p := access.From(c.Request().Context())
	if err := access.Authorize(p, access.ActionList, nil); err != nil {
		return ledger.Filter{}, err
	}
	q := queryOf(c)
	f := q.filter(s.o.Now())
	f.Teams = p.Teams()
	if team := q.text("team"); team != "" {
		if f.Teams != nil && team != p.Team {
			q.add("team", "is not yours")
		}
		f.Teams = []string{team}
	}
	if paged {
		f.Cursor = q.text("cursor")
		f.Limit = int(q.number("limit", 500))
	}
	return f, q.err()
}

// latest takes GET /v1/latest.
func (s *Server) latest(c echo.Context) error {
	f, err := s.filter(c, false)
	if err != nil {
		return err
	}
	f.Limit = 1
	page, err := s.o.Ledger.Runs(c.Request().Context(), f)
	if err != nil {
		return err
	}
	if len(page.Runs) == 0 {
		return nes.Errorf(nes.CodeNotFound, "no run fits")
	}
	c.Response().Header().Set("Content-Location", "/v1/runs/"+string(page.Runs[0].ID))
	return s.show(c, http.StatusOK, page.Runs[0])
}

// get takes GET /v1/runs/{id}.
func (s *Server) get(c echo.Context) error {
	q := queryOf(c)
	wait, version := q.wait("wait"), q.number("version", 1<<53)
	run, err := s.find(c, access.ActionRead, q)
	if err != nil {
		return err
	}
	known := c.Request().Header.Get("If-None-Match")
	moved := func(now *nes.Run) bool { return now.Status != run.Status || now.Stage != run.Stage }
	switch {
	case version > 0:
		moved = func(now *nes.Run) bool { return now.Version != version }
	case known != "":
		moved = func(now *nes.Run) bool { return !matches(known, tag(now)) }
	}
	if wait > 0 && !run.Ended() {
		if run, err = s.await(c.Request().Context(), run, wait, moved); err != nil {
			return err
		}
	}
	if matches(known, tag(&run)) {
		c.Response().Header().Set("ETag", tag(&run))
		return c.NoContent(http.StatusNotModified)
	}
	return s.show(c, http.StatusOK, run)
}

// tag is the entity tag of a run.
func tag(run *nes.Run) string { return fmt.Sprintf("%q", fmt.Sprint(run.Version)) }

// matches reports whether an If-None-Match names a tag. Proxies that compress weaken the tags that they pass on.
func matches(header, tag string) bool {
	for given := range strings.SplitSeq(header, ",") {
		given = strings.TrimSpace(given)
		if given == "*" || strings.TrimPrefix(given, "W/") == tag {
			return true
		}
	}
	return false
}

// show answers with a run.
func (s *Server) show(c echo.Context, status int, run nes.Run) error {
	c.Response().Header().Set("ETag", tag(&run))
	writeJSON(c.Response(), status, echo.MIMEApplicationJSON, s.dress(c.Request(), run))
	return nil
}

// dress fills what only the API knows of a run.
func (s *Server) dress(r *http.Request, run nes.Run) nes.Run {
	run.OutputURL = s.base(r) + "/runs/" + string(run.ID)
	if !run.Ended() {
		run.Progress = s.o.Records.Progress(&run)
	} else if run.Outcome != nil {
		run.Progress = &run.Outcome.Progress
	}
	return run
}

var runPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// find returns the run that the address names, if the caller may do a with it. What is wrong with the query is told
// only to those who may.
func (s *Server) find(c echo.Context, a access.Action, q *query) (nes.Run, error) {
	ctx := c.Request().Context()
	id := nes.RunID(c.Param("id"))
	if !runPattern.MatchString(string(id)) {
		return nes.Run{}, access.NotFound(id)
	}
	run, err := s.o.Ledger.Run(ctx, id)
	if nes.CodeOf(err) == nes.CodeNotFound {
		return nes.Run{}, access.NotFound(id) // in the words that are used of what the caller may not know of
	}
	if err != nil {
		return nes.Run{}, err
	}
	if err := access.Authorize(access.From(ctx), a, &run); err != nil {
		return nes.Run{}, err
	}
	if err := q.err(); err != nil {
		return nes.Run{}, err
	}
	// A lease that is not renewed now is renewed at the next call.
	if err := s.o.Ledger.Asked(ctx, &run, s.o.Now()); err != nil {
		s.o.Log.WarnContext(ctx, "cannot renew a lease", "run", id, "error", err)
	}
	return run, nil
}

// cancel takes POST /v1/runs/{id}/cancel.
func (s *Server) cancel(c echo.Context) error {
	run, err := s.find(c, access.ActionCancel, queryOf(c))
	if err != nil {
		return err
	}
	run, err = s.end(c, run)
	if err != nil {
		return err
	}
	return s.show(c, http.StatusOK, run)
}

// end asks for the end of a run. One that has ended already stays as it is.
func (s *Server) end(c echo.Context, run nes.Run) (nes.Run, error) {
	ctx := c.Request().Context()
	if run.Ended() {
		return run, nil
	}
	asked, err := s.o.Ledger.RequestCancel(ctx, run.ID, access.From(ctx).Name, s.o.Now())
	if nes.CodeOf(err) == nes.CodeConflict {
		return s.o.Ledger.Run(ctx, run.ID) // it ended in between
	}
	if err == nil {
		s.audit(c, "cancel", run.ID)
		s.o.Kick()
	}
	return asked, err
}

// delete takes DELETE /v1/runs/{id} as the original service did: its clients repeat the call
// until they read "NotFound", or until the status is 404.
func (s *Server) delete(c echo.Context) error {
	answer := struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}{c.Param("id"), "NotFound"}
	run, err := s.find(c, access.ActionCancel, queryOf(c))
	if nes.CodeOf(err) == nes.CodeNotFound || err == nil && run.Ended() {
		writeJSON(c.Response(), http.StatusNotFound, echo.MIMEApplicationJSON, answer)
		return nil
	}
	if err != nil {
		return err
	}
	if run, err = s.end(c, run); err != nil {
		return err
	}
	answer.Status = string(run.Status)
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, answer)
	return nil
}

// again is the body of a rerun.
type again struct {
	Commit     string                     `json:"commit"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Remove     []string                   `json:"remove"`
}

// rerun takes POST /v1/runs/{id}/rerun.
func (s *Server) rerun(c echo.Context) error {
	parent, err := s.find(c, access.ActionRerun, queryOf(c))
	if err != nil {
		return err
	}
	var how again
	var problems []nes.Problem
	if c.Request().ContentLength != 0 {
		if problems, err = s.decode(c, &how); err != nil {
			return err
		}
	}
	spec, more := how.spec(parent)
	spec.IdempotencyKey = c.Request().Header.Get("Idempotency-Key")
	problems = merge(problems, append(more, checkSpec(&spec)...))
	problems = merge(problems, s.refuse(c, &spec))
	if err := nes.Invalid(problems); err != nil {
		return err
	}
	return s.create(c, spec, parent.ID, 0)
}

// spec is what the new run is asked for.
func (a again) spec(parent nes.Run) (nes.Spec, []nes.Problem) {
	var problems []nes.Problem
	spec := parent.Spec
	spec.Reattach = "" // it is to be another run
	spec.Parameters = map[string]json.RawMessage{}
	for name, value := range parent.Spec.Parameters {
		spec.Parameters[name] = value
	}
	for _, name := range a.Remove {
		delete(spec.Parameters, name)
	}
	for name, value := range a.Parameters {
		spec.Parameters[name] = value
	}
	switch a.Commit {
	case "newest":
	case "", "same":
		if parent.Source != nil && parent.Source.Permalink() != "" && !strings.HasPrefix(spec.InputURL, "bundle:") {
			spec.InputURL = parent.Source.Permalink()
		}
	default:
		problems = append(problems, nes.Problem{Field: "commit", Message: `must be "same" or "newest"`})
	}
	return spec, problems
}

// attempts takes GET /v1/runs/{id}/attempts.
func (s *Server) attempts(c echo.Context) error {
	run, err := s.find(c, access.ActionRead, queryOf(c))
	if err != nil {
		return err
	}
	list, err := s.o.Ledger.Attempts(c.Request().Context(), run.ID)
	if err != nil {
		return err
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, struct {
		Attempts []nes.Attempt `json:"attempts"`
	}{append([]nes.Attempt{}, list...)})
	return nil
}

// result takes GET /v1/runs/{id}/result.
func (s *Server) result(c echo.Context) error {
	run, err := s.find(c, access.ActionRead, queryOf(c))
	if err != nil {
		return err
	}
	if run.Outcome == nil || len(run.Outcome.Result) == 0 {
		return nes.Errorf(nes.CodeNotFound, "the notebook of run %s has handed over no result%s", run.ID, yet(&run))
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, run.Outcome.Result)
}

// yet ends a sentence about what a run that goes on may still do.
func yet(run *nes.Run) string {
	if run.Ended() {
		return ""
	}
	return " yet"
}

// reasons takes GET /v1/reasons.
func (s *Server) reasons(c echo.Context) error {
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, struct {
		Reasons []nes.ReasonInfo `json:"reasons"`
	}{nes.Reasons()})
	return nil
}

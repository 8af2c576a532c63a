package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

const (
	eventPage   = 200         // events that are read at once
	paceOfCells = time.Second // progress is told no more often
	reconnectMS = 1000        // after which a browser comes back
)

// runEvents takes GET /v1/runs/{id}/events.
func (s *Server) runEvents(c echo.Context) error {
	q := queryOf(c)
	after, limit := q.after(c), q.number("limit", 1000)
	run, err := s.find(c, access.ActionRead, q)
	if err != nil {
		return err
	}
	if !wantsStream(c) {
		return s.eventList(c, run.ID, after, int(limit))
	}
	if run.Ended() && c.Request().Header.Get("Last-Event-ID") != "" {
		news, err := s.o.Ledger.Events(c.Request().Context(), after, run.ID, 1)
		if err != nil {
			return err
		}
		if len(news) == 0 {
			return c.NoContent(http.StatusNoContent) // which tells a browser not to come back
		}
	}
	return s.stream(c, &feed{s: s, run: run.ID, after: after})
}

// allEvents takes GET /v1/events. A stream without a place to resume from begins now.
func (s *Server) allEvents(c echo.Context) error {
	if err := access.Authorize(access.From(c.Request().Context()), access.ActionList, nil); err != nil {
		return err
	}
	q := queryOf(c)
	after, limit := q.after(c), q.number("limit", 1000)
	if err := q.err(); err != nil {
		return err
	}
	if !wantsStream(c) {
		return s.eventList(c, "", after, int(limit))
	}
	if after == 0 {
		last, err := s.o.Ledger.LastEvent(c.Request().Context())
		if err != nil {
			return err
		}
		after = last
	}
	return s.stream(c, &feed{s: s, after: after})
}

// after is the event to go on behind: what a browser that comes back says, else the parameter.
func (q *query) after(c echo.Context) int64 {
	n := q.number("after", 1<<53)
	if resumed, err := strconv.ParseInt(c.Request().Header.Get("Last-Event-ID"), 10, 64); err == nil && resumed >= 0 {
		return resumed
	}
	return n
}

func wantsStream(c echo.Context) bool {
	return strings.Contains(c.Request().Header.Get("Accept"), "text/event-stream")
}

// eventList answers with a page of events.
func (s *Server) eventList(c echo.Context, run nes.RunID, after int64, limit int) error {
	ctx := c.Request().Context()
	events, err := s.o.Ledger.Events(ctx, after, run, or(limit, eventPage))
	if err != nil {
		return err
	}
	body := struct {
		Events []nes.Event `json:"events"`
		Next   int64       `json:"next"`
	}{Events: []nes.Event{}, Next: after}
	f := &feed{s: s, run: run}
	for _, e := range events {
		body.Next = e.Seq
		if f.visible(ctx, e) {
			body.Events = append(body.Events, e)
		}
	}
	writeJSON(c.Response(), http.StatusOK, echo.MIMEApplicationJSON, body)
	return nil
}

// feed is what one stream of events has told so far.
type feed struct {
	s        *Server
	w        *echo.Response
	run      nes.RunID // empty is every run that the caller may see
	after    int64
	ended    bool // the run's end was told
	seen     map[nes.RunID]bool
	progress string
	looked   time.Time // when progress was looked at last
}

// stream sends events until the run has ended, the caller goes or the server stops.
func (s *Server) stream(c echo.Context, f *feed) error {
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	ctx := c.Request().Context()
	f.w = c.Response()
	h := f.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must not keep events back
	if err := f.begin(); err != nil {
		return err
	}
	beat := time.NewTicker(s.o.Heartbeat)
	defer beat.Stop()
	for {
		changed, ran := s.o.Ledger.Changed(f.run), f.wrote()
		if err := f.tell(ctx); err != nil {
			return err
		}
		f.w.Flush()
		if f.ended {
			return nil
		}
		select {
		case <-changed:
		case <-ran:
		case <-beat.C:
			if _, err := fmt.Fprint(f.w, ": alive\n\n"); err != nil {
				return err
			}
		case <-s.closing.Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// begin says when to come back, and from where should that be before the first event.
func (f *feed) begin() error {
	head := fmt.Sprintf("retry: %d\n", reconnectMS)
	if f.run == "" && f.after > 0 { // which may be now, and would be later by then
		head += fmt.Sprintf("id: %d\n", f.after)
	}
	_, err := fmt.Fprintln(f.w, head)
	return err
}

// wrote signals that the run's notebook has come further; never for a stream of all runs, and
// not before it may be told again.
func (f *feed) wrote() <-chan struct{} {
	if f.run == "" {
		return nil
	}
	wrote := f.s.o.Records.Changed(f.run)
	rest := paceOfCells - time.Since(f.looked)
	if rest <= 0 {
		return wrote
	}
	later := make(chan struct{})
	time.AfterFunc(rest, func() { close(later) })
	return later
}

// tell sends what is new.
func (f *feed) tell(ctx context.Context) error {
	ended, err := f.over(ctx)
	if err != nil {
		return err
	}
	for {
		events, err := f.s.o.Ledger.Events(ctx, f.after, f.run, eventPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			f.after = e.Seq
			if !f.visible(ctx, e) {
				continue
			}
			if err := f.send(strconv.FormatInt(e.Seq, 10), e.Kind, e); err != nil {
				return err
			}
		}
		if len(events) < eventPage {
			break
		}
	}
	if ended {
		f.ended = true
		return f.send("", "end", struct{}{})
	}
	return nil
}

// over reports whether the run has ended, and tells how far its notebook is.
func (f *feed) over(ctx context.Context) (bool, error) {
	if f.run == "" {
		return false, nil
	}
	run, err := f.s.o.Ledger.Run(ctx, f.run)
	if err != nil || run.Ended() {
		return err == nil, err
	}
	if time.Since(f.looked) < paceOfCells {
		return false, nil
	}
	f.looked = time.Now()
	p := f.s.o.Records.Progress(&run)
	if p == nil {
		return false, nil
	}
	b, err := encode(p)
	if err != nil || string(b) == f.progress {
		return false, err
	}
	f.progress = string(b)
	return false, f.send("", "progress", p)
}

// send writes one event.
func (f *feed) send(id, kind string, data any) error {
	b, err := encode(data)
	if err != nil {
		return err
	}
	head := "event: " + kind + "\n"
	if id != "" {
		head = "id: " + id + "\n" + head
	}
	_, err = fmt.Fprintf(f.w, "%sdata: %s\n", head, b) // encode ends with a newline
	return err
}

// maxSeen bounds what a stream of all runs remembers of them.
const maxSeen = 10_000

// visible reports whether the caller may know of an event's run.
func (f *feed) visible(ctx context.Context, e nes.Event) bool {
	if f.run != "" || access.From(ctx).Teams() == nil {
		return true
	}
	if ok, known := f.seen[e.RunID]; known {
		return ok
	}
	run, err := f.s.o.Ledger.Run(ctx, e.RunID)
	ok := err == nil && access.Authorize(access.From(ctx), access.ActionRead, &run) == nil
	if f.seen == nil || len(f.seen) >= maxSeen {
		f.seen = map[nes.RunID]bool{}
	}
	f.seen[e.RunID] = ok
	return ok
}

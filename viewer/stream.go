package viewer

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Of a stream of changes.
const (
	beat       = 15 * time.Second // of a comment that keeps the connection open
	maxStream  = 30 * time.Minute // after which the browser comes again, and its rights are looked at again
	retryDelay = 2 * time.Second  // of a browser that lost the connection
)

// stream sends what changes of a run's page as server-sent events: "changes" with what [viewer.cells] answers, under an
// id by which a browser that comes back goes on, and "end" when there will be no more.
func (v *viewer) stream(w http.ResponseWriter, r *http.Request) error {
	seen := stateOf(r)
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	if _, err := attemptOf(run, r.URL.Query().Get("attempt")); err != nil {
		return err
	}
	s := &events{w: w, control: http.NewResponseController(w)}
	s.begin()
	for end := v.Now().Add(maxStream); v.Now().Before(end); {
		p, ended, err := v.changes(r, seen, beat)
		if err != nil {
			return nil // the stream has begun: the browser comes again and is told
		}
		switch {
		case p != nil:
			seen = pageState{p.Gen, p.State()}
			err = v.sendChanges(s, p, seen)
		case ended:
			return s.send("end", "", nil)
		default:
			err = s.comment()
		}
		if err != nil || r.Context().Err() != nil {
			return nil // nobody is there any more
		}
	}
	return nil
}

func (v *viewer) sendChanges(s *events, p *runPage, state pageState) error {
	var b bytes.Buffer
	if err := v.pages[p.Lang].ExecuteTemplate(&b, "changes.html", p); err != nil {
		return err
	}
	return s.send("changes", state.String(), b.Bytes())
}

// pageState is what a browser shows: the number of a state of the notebook, and the versions of the page's parts.
type pageState struct {
	gen   int64
	parts string
}

func (s pageState) String() string { return fmt.Sprintf("%d.%s", s.gen, s.parts) }

// stateOf reads what the browser shows: from the last event that it had, else from the address.
func stateOf(r *http.Request) pageState {
	q := r.URL.Query()
	gen, parts := q.Get("since"), q.Get("state")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		gen, parts, _ = strings.Cut(last, ".")
	}
	n, _ := strconv.ParseInt(gen, 10, 64)
	return pageState{n, parts}
}

// changes waits for what differs from seen. The page holds only the cells that changed; it is nil when
// nothing did in time, or when nothing will because the run has ended.
func (v *viewer) changes(r *http.Request, seen pageState, patience time.Duration) (p *runPage, ended bool, err error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		moved, grown := v.waker(r)
		run, err := v.allowed(r)
		if err != nil {
			return nil, false, err
		}
		p, err := v.runPage(r, run)
		if err != nil {
			return nil, false, err
		}
		if p.Gen > seen.gen || p.State() != seen.parts {
			p.Cells = slices.DeleteFunc(slices.Clone(p.Cells), func(c cell) bool { return c.Gen <= seen.gen })
			return p, run.Ended(), nil
		}
		if run.Ended() {
			return nil, true, nil
		}
		if p.Behind { // it was read a moment ago: the change that woke us is not in it
			if !pause(r.Context(), v.Pace) {
				return nil, false, nil
			}
			continue
		}
		if !v.await(r.Context(), moved, grown, deadline.C) {
			return nil, false, nil
		}
	}
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *events) begin() {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that collect answers must not
	s.w.WriteHeader(http.StatusOK)
	fmt.Fprintf(s.w, "retry: %d\n\n", retryDelay.Milliseconds())
	_ = s.control.Flush()
}

func (s *events) send(kind, id string, data []byte) error {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "event: %s\n", kind)
	for line := range bytes.Lines(append(data, '\n')) {
		// A carriage return would end the line for the browser.
		b.WriteString("data: " + strings.ReplaceAll(strings.TrimRight(string(line), "\n"), "\r", "&#13;") + "\n")
	}
	b.WriteByte('\n')
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *events) comment() error {
	if _, err := s.w.Write([]byte(":\n\n")); err != nil {
		return err
	}
	return s.control.Flush()
}

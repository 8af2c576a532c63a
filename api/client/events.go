package client

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
)

// Event is one thing that happened to a run or, with Progress set, how far its
// notebook has come; progress has no number and is not told again.
type Event struct {
	nes.Event
	Progress *nes.Progress
}

// Events tells what happens to a run from an event number on (0: from the beginning), until the run has ended; with
// an empty id, what happens to every run that the caller may see, for ever (0: from now on). It
// lives through restarts of the server without repeating or losing an event.
func (c *Client) Events(ctx context.Context, id nes.RunID, after int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &stream{c: c, path: "/v1/events", after: after, yield: yield}
		if id != "" {
			s.path = of(id) + "/events"
		}
		if err := c.persist(ctx, func() error { return s.read(ctx) }); err != nil {
			yield(Event{}, err)
		}
	}
}

// stream reads server-sent events.
type stream struct {
	c     *Client
	path  string
	after int64
	yield func(Event, error) bool
}

const eventStream = "text/event-stream"

// errBroken makes persist connect again after a stream that ended in its middle.
var errBroken = &nes.Error{Code: nes.CodeUnavailable, Message: "the stream of events broke off"}

// read reads one connection. It returns nil when there is nothing more to come.
func (s *stream) read(ctx context.Context) error {
	k := get(s.path, nil)
	k.accept = eventStream
	if s.after > 0 {
		k.header = http.Header{"Last-Event-Id": {strconv.FormatInt(s.after, 10)}}
	}
	res, err := s.c.do(ctx, k)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return nil
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != eventStream {
		return foreign(res)
	}
	return s.scan(bufio.NewReader(res.Body))
}

// scan reads blocks of "field: value" lines, each ended by an empty line.
func (s *stream) scan(r *bufio.Reader) error {
	var kind, data, id string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return errBroken
		}
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch field {
		case "event":
			kind = strings.TrimPrefix(value, " ")
		case "id":
			id = strings.TrimPrefix(value, " ")
		case "data":
			data += strings.TrimPrefix(value, " ")
		case "":
			if value != "" {
				continue // a comment, which keeps the connection alive
			}
			if done, err := s.tell(kind, data); done || err != nil {
				return err
			}
			if seq, err := strconv.ParseInt(id, 10, 64); err == nil && seq > 0 {
				s.after = seq // also without an event: it says where the stream begins
			}
			kind, data, id = "", "", ""
		}
	}
}

// tell hands on one event.
func (s *stream) tell(kind, data string) (done bool, err error) {
	if kind == "end" {
		return true, nil
	}
	if data == "" {
		return false, nil
	}
	var e Event
	into := any(&e.Event)
	if kind == "progress" {
		e.Kind, e.Progress = kind, &nes.Progress{}
		into = e.Progress
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return false, nes.Errorf(nes.CodeInternal, "an event cannot be read: %v", err)
	}
	if e.Seq > 0 {
		s.after = e.Seq
	}
	return !s.yield(e, nil), nil
}

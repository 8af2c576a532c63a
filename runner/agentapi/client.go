package agentapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/runner/journal"
)

// ErrSuperseded means that the server no longer listens to this attempt: stop the notebook and go away.
var ErrSuperseded = errors.New("the attempt is superseded")

// Options of a [Client].
type Options struct {
	// Server gives the server's base address; it is asked before every try, because a server may come back elsewhere.
	Server  func() (string, error)
	Run     nes.RunID
	Attempt int
	Token   string
	Log     *slog.Logger
	// MinBackoff and MaxBackoff bound the pause between two tries; 0 is 20 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
}

// Client makes the agent's calls. Each one is repeated, with growing pauses, until it is
// answered or its context ends. Errors: [ErrSuperseded], the context's, or the *nes.Error
// of a call that will never succeed.
type Client struct {
	o    Options
	http *http.Client
}

// NewClient makes a client. It connects to nothing.
func NewClient(o Options) *Client {
	if o.MinBackoff == 0 {
		o.MinBackoff = 20 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 5 * time.Second
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 2 * time.Minute,
		DisableCompression:    true,
	}
	return &Client{o: o, http: &http.Client{Transport: transport, CheckRedirect: stay}}
}

// stay follows no redirect: the server sends none, and whoever does is not to be told what comes of an attempt.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Launch asks what to run.
func (c *Client) Launch(ctx context.Context) (journal.Launch, error) {
	var l journal.Launch
	err := c.call(ctx, request{method: http.MethodGet, path: "launch", into: &l})
	return l, err
}

// Bundle gives the archive of the tree to take, and begins again with a fresh body when
// reading it fails. An error of take that is a *nes.Error is final.
func (c *Client) Bundle(ctx context.Context, take func(io.Reader) error) error {
	return c.call(ctx, request{method: http.MethodGet, path: "bundle", take: take})
}

// Journal sends bytes of the journal from offset on; none is a heartbeat.
func (c *Client) Journal(ctx context.Context, offset int64, chunk []byte) (Pace, error) {
	var p Pace
	err := c.call(ctx, request{
		method: http.MethodPost, path: fmt.Sprintf("journal?offset=%d", offset),
		size: int64(len(chunk)), body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(chunk)), nil }, into: &p,
	})
	return p, err
}

// PutFile sends a file of size bytes; open opens it anew for every try.
func (c *Client) PutFile(ctx context.Context, name, sha256 string, size int64, open func() (io.ReadCloser, error)) error {
	return c.call(ctx, request{method: http.MethodPut, path: "files/" + escape(name), sha256: sha256, size: size, body: open})
}

// Exit reports the end.
func (c *Client) Exit(ctx context.Context, e journal.Exit) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return c.call(ctx, request{
		method: http.MethodPost, path: "exit", size: int64(len(raw)),
		body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	})
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

type request struct {
	method, path string
	sha256       string
	size         int64
	body         func() (io.ReadCloser, error)
	into         any                   // the answer is JSON
	take         func(io.Reader) error // the answer is bytes
}

// success is the one status by which the server says that it is done.
func (r request) success() int {
	if r.into == nil && r.take == nil {
		return http.StatusNoContent
	}
	return http.StatusOK
}

// call tries until there is an answer.
func (c *Client) call(ctx context.Context, r request) error {
	pause, warned := c.o.MinBackoff, false
	for {
		err := c.try(ctx, r)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		switch nes.CodeOf(err) {
		case nes.CodeConflict, nes.CodeUnauthorized, nes.CodeForbidden, nes.CodeNotFound:
			return fmt.Errorf("%w: %w", ErrSuperseded, err)
		case nes.CodeInvalid, nes.CodeTooLarge, nes.CodeUnprocessable:
			return err
		}
		if pause > time.Second && !warned {
			warned = true
			c.o.Log.Warn("the server does not answer; trying on", "call", r.method+" "+r.path, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		}
		pause = min(2*pause, c.o.MaxBackoff)
	}
}

func (c *Client) try(ctx context.Context, r request) error {
	req, err := c.request(ctx, r)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nes.Errorf(nes.CodeUnavailable, "call the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != r.success() {
		return readError(resp)
	}
	switch {
	case r.take != nil:
		err = r.take(resp.Body)
	case r.into != nil:
		dec := json.NewDecoder(io.LimitReader(resp.Body, journal.MaxLaunch))
		dec.UseNumber() // parameters keep every digit
		err = dec.Decode(r.into)
	}
	if _, ours := errors.AsType[*nes.Error](err); err != nil && !ours {
		return nes.Errorf(nes.CodeUnavailable, "read the server's answer: %w", err)
	}
	return err
}

// readError takes a refusal for ours only where it is written as ours: whatever else
// answers at the address, such as a proxy or a stranger on a port that was given up, says nothing about the attempt.
func readError(resp *http.Response) error {
	unknown := nes.Errorf(nes.CodeUnavailable, "the server answered %s", resp.Status)
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != problem.ContentType {
		return unknown
	}
	var d problem.Details
	if err := json.NewDecoder(io.LimitReader(resp.Body, problem.MaxSize)).Decode(&d); err != nil || d.Code == "" {
		return unknown
	}
	return d.Err()
}

func (c *Client) request(ctx context.Context, r request) (*http.Request, error) {
	server, err := c.o.Server()
	if err != nil {
		return nil, nes.Errorf(nes.CodeUnavailable, "find the server: %w", err)
	}
	address := fmt.Sprintf("%s%sruns/%s/attempts/%d/%s", strings.TrimRight(server, "/"), Prefix, c.o.Run, c.o.Attempt, r.path)
	req, err := http.NewRequestWithContext(ctx, r.method, address, nil)
	if err != nil {
		return nil, nes.Errorf(nes.CodeUnavailable, "the server's address: %w", err)
	}
	if r.body != nil && r.size > 0 { // a body of no bytes must be no body, else it would be sent chunked
		if req.Body, err = r.body(); err != nil {
			return nil, nes.Errorf(nes.CodeInvalid, "open what is to be sent: %w", err)
		}
		req.ContentLength = r.size
	}
	req.Header.Set("Authorization", "Bearer "+c.o.Token)
	if r.sha256 != "" {
		req.Header.Set(SHA256Header, r.sha256)
	}
	return req, nil
}

// escape makes the name of a file a path, element by element.
func escape(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// Package client is the Go client of the HTTP API. It needs no library beside Go's own.
//
// Calls that may be repeated without harm are repeated, with growing pauses, when
// the server cannot be reached or says that it is busy; a submission is one of them,
// because it always carries an idempotency key. Errors of the server come back as
// the *nes.Error that they were there.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
)

// Options of a [Client]. The zero value is usable.
type Options struct {
	// Token to sign in with; empty sends none.
	Token string
	// HTTP is used for every call; nil is a client of its own. It must not have a
	// Timeout, which would cut long polls and streams: use contexts.
	HTTP *http.Client
	// Name of the calling program, which runs keep as their client; empty is "nes-go".
	Name string
	// Retries of a call that may be repeated; 0 is 4, negative is none.
	Retries int
	// Backoff before the first repetition, doubled for each further one; 0 is 200 ms.
	Backoff time.Duration
}

// Client calls one server. It may be used by many goroutines at once.
type Client struct {
	base string
	o    Options
	http *http.Client
	bad  error // what is wrong with the base address, told by every call
}

// New makes a client of the server at base, such as http://127.0.0.1:8080 or
// unix:///run/nes.sock. A base that is no address shows at the first call.
func New(base string, o Options) *Client {
	c := &Client{base: strings.TrimRight(base, "/"), o: defaults(o), http: o.HTTP}
	u, err := url.Parse(base)
	switch {
	case err == nil && u.Scheme == "unix" && u.Path != "":
		c.base, c.http = "http://localhost", overSocket(u.Path)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.bad = nes.Errorf(nes.CodeInvalid, "%q is not the address of a server: write http://host:port", base)
	case c.http == nil:
		c.http = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	return c
}

func defaults(o Options) Options {
	if o.Name == "" {
		o.Name = "nes-go"
	}
	if o.Retries == 0 {
		o.Retries = 4
	}
	if o.Backoff == 0 {
		o.Backoff = 200 * time.Millisecond
	}
	return o
}

func overSocket(path string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}}
}

// Close closes connections that are kept for later calls.
func (c *Client) Close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

// call is one request.
type call struct {
	method string
	path   string // below the base, escaped
	query  url.Values
	header http.Header
	body   []byte    // sent again with each repetition
	stream io.Reader // instead of body; a call with a stream is sent once
	accept string
	once   bool // must not be repeated
}

// do sends k, repeating it where that is safe, and returns an answer that is no error. The caller closes its body.
func (c *Client) do(ctx context.Context, k call) (*http.Response, error) {
	pause := c.o.Backoff
	for left := c.o.Retries; ; left-- {
		res, wait, err := c.try(ctx, k)
		if err == nil || ctx.Err() != nil || left <= 0 || k.once || k.stream != nil || !mayPass(err) {
			return res, err
		}
		select {
		case <-time.After(max(wait, jitter(pause))):
		case <-ctx.Done():
			return nil, err
		}
		pause *= 2
	}
}

// try sends k once. wait is how long the server asks to stay away.
func (c *Client) try(ctx context.Context, k call) (res *http.Response, wait time.Duration, err error) {
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, 0, err
	}
	res, err = c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		return nil, 0, &nes.Error{Code: nes.CodeUnavailable, Message: "cannot reach the server: " + cause(err), Err: err}
	}
	if res.StatusCode < 400 {
		return res, 0, nil
	}
	defer res.Body.Close()
	return nil, min(retryAfter(res.Header), time.Minute), problem.Read(res)
}

// retryAfter is how long an answer asks to stay away, which it says in seconds or as a date.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if at, err := http.ParseTime(value); err == nil {
		return time.Until(at)
	}
	seconds, _ := strconv.Atoi(value)
	return time.Duration(min(seconds, 3600)) * time.Second
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	if c.bad != nil {
		return nil, c.bad
	}
	body := k.stream
	if body == nil && k.body != nil {
		body = bytes.NewReader(k.body)
	}
	address := c.base + k.path
	if len(k.query) > 0 {
		address += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, body)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "cannot make a request for %s: %v", address, err)
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if k.accept != "" {
		req.Header.Set("Accept", k.accept)
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	req.Header.Set("User-Agent", c.o.Name)
	return req, nil
}

// json sends k and decodes the answer into out, where out is not nil. It returns the answer's status.
func (c *Client) json(ctx context.Context, k call, out any) (int, error) {
	k.accept = "application/json"
	res, err := c.do(ctx, k)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
	} else {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	switch {
	case err == nil:
		return res.StatusCode, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case isForeign(err):
		return 0, foreign(res)
	}
	return 0, &nes.Error{Code: nes.CodeUnavailable, Message: "the server's answer broke off: " + err.Error(), Err: err}
}

// isForeign reports whether an answer came whole, but in another form than NES gives it.
func isForeign(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
}

// foreign is the error of an answer that NES did not make, such as the page on which a proxy lets
// people sign in. It does not pass, so that nobody waits for it to.
func foreign(res *http.Response) error {
	return nes.Errorf(nes.CodeInvalid, "%s did not answer as NES does, but with %s (%s): check the server's address, and what stands before it",
		res.Request.URL.Host, res.Status, res.Header.Get("Content-Type"))
}

// mayPass reports whether the same call may work a little later.
func mayPass(err error) bool {
	code := nes.CodeOf(err)
	return code == nes.CodeUnavailable || code == nes.CodeBusy
}

// cause is what is below the address that net/http puts before every error.
func cause(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return err.Error()
}

// jitter is between half of d and d, so that many clients do not come back together.
func jitter(d time.Duration) time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:])
	return d/2 + d/2*time.Duration(b[0])/255
}

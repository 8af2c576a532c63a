package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/footprint"
)

// session is a command's way to a server: one elsewhere, the one that owns the data
// directory, or one in this process. When the owner of the data directory ends, one of the
// processes that talk to it takes its place, and the others find that one.
type session struct {
	*client.Client
	config config.Config
	remote bool // NES_SERVER names it
	start  func(context.Context, *app.Lock) (*app.App, error)
	own    chan *app.App // holds the server of this process, when it has become one
}

// need says what a command needs of a server in its own process.
type need int

const (
	look   need = iota // show what there is
	settle             // execute what is to be executed
)

// leanGC trades processor time, of which a server for one run needs little, for memory: the
// notebook on the same machine needs it more.
const leanGC = 10

// connect finds or makes a server.
func connect(ctx context.Context, s streams, n need) (*session, error) {
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	if c.Server != "" {
		return &session{Client: client.New(c.Server, client.Options{Token: c.Token, Name: "nes"}), config: c, remote: true}, nil
	}
	ses := &session{config: c, own: make(chan *app.App, 1)}
	ses.Client = client.New("http://localhost", client.Options{Name: "nes", HTTP: &http.Client{Transport: &owner{dir: c.DataDir, token: c.Token}}})
	ses.start = func(ctx context.Context, l *app.Lock) (*app.App, error) {
		debug.SetGCPercent(leanGC)
		a := app.New(app.Options{Config: c, Log: quiet(c, s), Version: version(), Lock: l, Private: true, Passive: n == look})
		err := a.Start(ctx)
		footprint.Shrink()
		return a, err
	}
	lock, err := app.TryLock(c.DataDir)
	switch {
	case err == nil:
		return ses, ses.become(ctx, lock)
	case nes.CodeOf(err) != nes.CodeConflict:
		return nil, err
	}
	return ses, nil
}

// quiet logs what a person at a terminal wants to know of a server that serves one command: only what is wrong.
func quiet(c config.Config, s streams) *slog.Logger {
	if c.Level() >= slog.LevelInfo {
		c.LogLevel = "error"
	}
	return c.Logger(s.err)
}

// become makes this process the server.
func (s *session) become(ctx context.Context, lock *app.Lock) error {
	a, err := s.start(ctx, lock)
	if err != nil {
		return err
	}
	s.own <- a
	return nil
}

// embedded reports whether this process is the server.
func (s *session) embedded() bool { return len(s.own) > 0 }

// standBy makes this process the server as soon as the one that owns the data
// directory ends, so that what it ran is carried on. taken is called then.
func (s *session) standBy(ctx context.Context, taken func(error)) {
	if s.remote || s.embedded() {
		return
	}
	go func() {
		lock, err := app.WaitLock(s.config.DataDir)
		if err != nil || ctx.Err() != nil {
			return // the command is over, and its end gives the lock back
		}
		taken(s.become(ctx, lock))
	}()
}

// close takes down the server of this process. Notebooks that run go on.
func (s *session) close() {
	s.Client.Close()
	select {
	case a := <-s.own:
		a.Stop()
	default:
	}
}

// owner carries requests to whichever process owns the data directory by then.
type owner struct {
	dir   string
	token string // instead of the one in the data directory
	http.Transport
}

// patience is how long the owner may take from taking the lock to answering.
const patience = 5 * time.Second

// RoundTrip asks for the address anew each time, because it changes when another process takes over.
func (o *owner) RoundTrip(r *http.Request) (*http.Response, error) {
	s, err := o.server(r.Context())
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("read the address of the server: %w", err)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = u.Scheme, u.Host, u.Host
	if r.URL.RawPath != "" {
		r.URL.RawPath = u.EscapedPath() + r.URL.RawPath
	}
	r.URL.Path = u.Path + r.URL.Path
	token := o.token
	if s.Token != "" {
		token = s.Token
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return o.Transport.RoundTrip(r)
}

// server waits until the owner has said where it is.
func (o *owner) server(ctx context.Context) (app.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s, err := app.ReadServer(o.dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return app.Server{}, &net.OpError{Op: "find", Net: "server of " + o.dir, Err: err}
		case <-time.After(10 * time.Millisecond): // another process writes the file
		}
	}
}

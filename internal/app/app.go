package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/config"
)

// Options of an [App].
type Options struct {
	Config  config.Config
	Log     *slog.Logger
	Version string
	// Lock is the right to the data directory, where the caller has it already; the App takes it over.
	Lock *Lock
	// Private makes a server for this user alone: on a loopback port of its own, with a token
	// that is only written to the data directory. Config.Addr and its tokens are not used.
	Private bool
	// Passive shows what there is and executes nothing.
	Passive bool
}

// App is one NES in this process. Start it once, then Stop it.
type App struct {
	o        Options
	log      *slog.Logger
	token    string // of a private server
	listener net.Listener
	failed   chan error
	cleanups []cleanup
	stopping sync.Once
}

// cleanup is something to take down, with a name for the log.
type cleanup struct {
	name string
	do   func(context.Context) error
}

// New makes an App. It opens nothing.
func New(o Options) *App {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, log: o.Log, failed: make(chan error, 2)}
	if o.Private {
		a.token = rand.Text()
		a.o.Config.Addr = "127.0.0.1:0"
		a.o.Config.PublicURL = ""
		me := access.Local()
		a.o.Config.Site.Tokens = []access.Token{{Name: me.Name, Team: me.Team, Token: a.token, Roles: me.Roles}}
		a.o.Config.TrustedCIDRs = nil
	}
	return a
}

// Start opens everything and returns when the server can be reached. After an error nothing is left open.
func (a *App) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			a.Stop()
		}
	}()
	tokens, err := access.NewTokens(a.o.Config.Site.Tokens)
	if err != nil {
		return err
	}
	if err := a.own(); err != nil {
		return err
	}
	// Listening comes first, so that a port that is taken is known before anything is opened;
	// connections wait until the handler is there.
	l, err := a.listen(ctx, a.o.Config.Addr, "NES_ADDR")
	if err != nil {
		return err
	}
	a.listener = l
	handler, end, err := a.assemble(ctx, tokens)
	if err != nil {
		return err
	}
	a.serve("http server", a.listener, handler, end)
	return a.announce()
}

// own takes the data directory.
func (a *App) own() error {
	lock := a.o.Lock
	if lock == nil {
		var err error
		if lock, err = TryLock(a.o.Config.DataDir); err != nil {
			return err
		}
	}
	a.later("data directory", func(context.Context) error { return lock.Unlock() })
	// What an earlier owner left half done is nobody's any more.
	if err := errors.Join(os.RemoveAll(a.tempDir()), os.Mkdir(a.tempDir(), 0o700)); err != nil {
		return nes.Errorf(nes.CodeInvalid, "clear %s: %w", a.tempDir(), reason(err))
	}
	return nil
}

func (a *App) listen(ctx context.Context, addr, variable string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "listen on %s: %w: set %s to an address that is free", addr, cause(err), variable)
	}
	a.later("listener", func(context.Context) error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// cause is what the system said, without the address, which the message has named already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return e.Err
	}
	return err
}

// serve answers on l until the App stops. end makes calls that wait for something answer at
// once, so that the others can finish; without it every call is told to end.
func (a *App) serve(name string, l net.Listener, h http.Handler, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("%s: %w", name, err)
		}
	}()
	if end == nil {
		end = cancel
	}
	a.later(name, func(stop context.Context) error {
		defer cancel()
		end() // long polls and streams would otherwise keep Shutdown waiting
		if err := s.Shutdown(stop); err != nil {
			return s.Close()
		}
		return nil
	})
}

// announce tells other processes of this machine where the server is.
func (a *App) announce() error {
	b, err := json.Marshal(Server{URL: a.local(), PID: os.Getpid(), Token: a.token})
	if err != nil {
		return err
	}
	path := filepath.Join(a.o.Config.DataDir, serverFile)
	if err := writeFile(path, b); err != nil {
		return nes.Errorf(nes.CodeUnavailable, "write %s: %w", path, reason(err))
	}
	a.later(serverFile, func(context.Context) error { return os.Remove(path) })
	return nil
}

// Addr is the address that is listened on.
func (a *App) Addr() string { return a.listener.Addr().String() }

// local is the address by which this machine reaches the server.
func (a *App) local() string {
	return "http://" + onThisMachine(a.Addr()) + a.o.Config.URLPrefix
}

// URL is the address by which people reach the server.
func (a *App) URL() string {
	if a.o.Config.PublicURL != "" {
		return a.o.Config.PublicURL
	}
	return a.local()
}

// Token is what to sign in with at a private server.
func (a *App) Token() string { return a.token }

// Failed gives the error that ended a listener, if one ends by itself.
func (a *App) Failed() <-chan error { return a.failed }

// later registers what Stop has to do, the last one first.
func (a *App) later(name string, do func(context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{name, do})
}

// stopTime is how long taking down may take before connections are cut.
const stopTime = 10 * time.Second

// Stop takes everything down. Notebooks that run go on, and are adopted by
// whoever owns the data directory next. It may be called twice.
func (a *App) Stop() {
	a.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		for i := len(a.cleanups) - 1; i >= 0; i-- {
			c := a.cleanups[i]
			if err := c.do(ctx); err != nil {
				a.log.Warn("stop", "what", c.name, "err", err)
			}
		}
	})
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/storage/dir"
	"github.com/nes-run/nes/storage/gcs"
	"github.com/nes-run/nes/storage/s3"
	"github.com/nes-run/nes/viewer"
)

// ViewOptions of [View].
type ViewOptions struct {
	Where  string // a directory, or gs://bucket/prefix or s3://bucket/prefix
	Addr   string // host and port
	Prefix string // of all addresses
	// Insecure lets everyone who reaches the server read everything, also from other machines.
	Insecure bool
	Log      *slog.Logger
	// Ready is called with the server's address.
	Ready func(url string)
}

// View serves the notebooks and other files of a directory or bucket to be read, until ctx ends. It keeps nothing and changes nothing.
func View(ctx context.Context, o ViewOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !access.Loopback(o.Addr) && !o.Insecure {
		return nes.Errorf(nes.CodeInvalid, "%s can be reached by others, and nobody signs in here: use a loopback address, or --insecure behind something that signs people in", o.Addr)
	}
	files, end, err := viewed(ctx, o.Where)
	if err != nil {
		return err
	}
	defer end()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nes.Errorf(nes.CodeInvalid, "listen on %s: %w", o.Addr, cause(err))
	}
	pages := viewer.New(viewer.Options{Files: files, Log: o.Log, Prefix: o.Prefix})
	server := &http.Server{Handler: gated(o, pages), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	if o.Ready != nil {
		o.Ready("http://" + listener.Addr().String() + o.Prefix + "/view/")
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return server.Shutdown(stop)
	}
}

// viewed opens what is to be viewed.
func viewed(ctx context.Context, where string) (files viewer.Files, end func(), err error) {
	scheme, rest, ok := strings.Cut(where, "://")
	name, prefix, _ := strings.Cut(rest, "/")
	var b remote
	switch {
	case ok && scheme == "gs":
		b, err = gcs.Open(ctx, gcs.Options{Bucket: name, Prefix: prefix})
	case ok && scheme == "s3":
		b, err = s3.Open(s3.Options{Bucket: name, Prefix: prefix})
	case ok && scheme != "file":
		return nil, nil, nes.Errorf(nes.CodeInvalid, "%s is neither a directory nor a gs:// or s3:// address", where)
	default:
		d, err := dir.Open(strings.TrimPrefix(where, "file://"))
		if err != nil {
			return nil, nil, err
		}
		return d, func() { _ = d.Close() }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return b, func() { _ = b.Close() }, nil
}

// gated lets in whoever reaches a loopback address by its name, and nobody who is sent by another website.
func gated(o ViewOptions, pages http.Handler) http.Handler {
	host, _ := os.Hostname()
	gate := access.NewGate(access.GateOptions{AnyHost: o.Insecure, Hosts: []string{host}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := gate.Enter(r)
		if err == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
			err = errors.New("this server only shows files")
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, err.Error(), http.StatusMethodNotAllowed)
			return
		}
		if err != nil {
			http.Error(w, err.Error(), problem.Status(nes.CodeOf(err)))
			return
		}
		pages.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	})
}

package app

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/nes-run/nes/api"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/viewer"
)

// assemble opens what the server stands on, starts what executes runs, and returns the server's handler
// and what makes its long polls and streams end.
func (a *App) assemble(ctx context.Context, tokens *access.Tokens) (h http.Handler, end func(), err error) {
	c := a.o.Config
	bucket, err := a.bucket(ctx)
	if err != nil {
		return nil, nil, err
	}
	led, err := ledger.Open(ctx, c.Ledger, a.log)
	if err != nil {
		return nil, nil, err
	}
	a.later("ledger", func(context.Context) error { return led.Close() })
	gate, err := a.gate(ctx, tokens, led)
	if err != nil {
		return nil, nil, err
	}
	git, err := gitsource.New(a.gitOptions())
	if err != nil {
		return nil, nil, err
	}
	objects, err := a.inputs(ctx)
	if err != nil {
		return nil, nil, err
	}
	in := intake.New(intake.Options{Bucket: bucket, Git: git, Objects: objects, TempDir: a.tempDir(), Log: a.log})
	records, kick, err := a.execute(ctx, led, bucket, in)
	if err != nil {
		return nil, nil, err
	}
	pages := a.pages(viewer.Options{Runs: led, Catalogue: led, Records: records, Files: bucket, Committed: records, Inspect: in.Inspect, Log: a.log, Prefix: c.URLPrefix, PublicURL: c.PublicURL, SpoolDir: a.tempDir()})
	server := api.New(api.Options{
		Ledger: led, Records: records, Intake: in, TempDir: a.tempDir(),
		Gate: gate, Log: a.log, Pages: pages, Kick: kick, Refuse: a.offer().refuse, PublicURL: a.publicURL(), Version: a.o.Version,
		Original: api.Original{Runtimes: c.Site.Original.Runtimes, Sizes: c.Site.Original.Sizes},
	})
	return below(c.URLPrefix, server.Handler()), server.Close, nil
}

// gate makes what lets callers in, and refuses to serve others when nobody would have to sign in.
func (a *App) gate(ctx context.Context, tokens *access.Tokens, led *ledger.Ledger) (*access.Gate, error) {
	c := a.o.Config
	o := access.GateOptions{Tokens: tokens, Trusted: c.Trusts(), PublicURL: c.PublicURL, Hosts: c.AllowedHosts, AnyHost: c.Insecure}
	if !a.o.Private {
		o.Issuer, o.Limiter = access.NewIssuer(led, time.Now), access.NewLimiter(c.RateLimit, time.Now)
	}
	gate := access.NewGate(o)
	closed, err := gate.SignIn(ctx)
	if err != nil {
		return nil, err
	}
	return gate, access.RequireAuth(c.Addr, closed, c.Insecure)
}

func (a *App) gitOptions() gitsource.Options {
	c := a.o.Config
	return gitsource.Options{
		Reach:       gitsource.Reach{AllowCIDRs: c.AllowedPrefixes(), AllowLoopback: access.Loopback(c.Addr)},
		SSH:         gitsource.SSH{KeyFile: c.FetchSSHKey, KnownHosts: c.FetchKnownHosts},
		Credentials: credentials(c.Site.Sources),
		FileRoots:   c.FetchRoots, TempDir: a.tempDir(), Log: a.log,
	}
}

// credentials are the sources of the configuration as package gitsource takes them.
func credentials(sources []config.Source) (all []gitsource.Credential) {
	for _, s := range sources {
		all = append(all, gitsource.Credential{
			Host: s.Host, Prefix: s.Repositories, Teams: s.Teams, Username: s.Username, Token: gitsource.Token(s.Token), TokenFile: s.TokenFile,
			SSH: gitsource.SSH{KeyFile: s.SSHKey, KnownHosts: s.KnownHosts},
		})
	}
	return all
}

// tempDir is on the same disk as everything else, so that large files are never copied across.
func (a *App) tempDir() string { return filepath.Join(a.o.Config.DataDir, "tmp") }

// publicURL is empty where links are best made of the address that each request used.
func (a *App) publicURL() string {
	if a.o.Config.PublicURL == "" && a.o.Config.URLPrefix != "" {
		return a.local()
	}
	return a.o.Config.PublicURL
}

// pages makes the viewer when somebody first looks: a command that runs one notebook never does.
func (a *App) pages(o viewer.Options) http.Handler {
	made := sync.OnceValue(func() http.Handler { return viewer.New(o) })
	prefix := a.o.Config.URLPrefix
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix != "" { // which the viewer expects, and below has taken away
			r = r.Clone(r.Context())
			r.URL.Path = prefix + r.URL.Path
			if r.URL.RawPath != "" {
				r.URL.RawPath = prefix + r.URL.RawPath
			}
		}
		made().ServeHTTP(w, r)
	})
}

// below serves h below a path.
func below(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
	return mux
}

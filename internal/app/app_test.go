package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
)

// configure returns a configuration over an empty data directory, on a free port.
func configure(t *testing.T, change func(*config.Config)) config.Config {
	t.Helper()
	c := config.Config{Addr: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "data")}
	if change != nil {
		change(&c)
	}
	site := c.Site
	c, err := c.Complete()
	require.NoError(t, err)
	c.Site = site
	return c
}

func start(t *testing.T, o app.Options) *app.App {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	a := app.New(o)
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(a.Stop)
	return a
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	c := configure(t, nil)
	a := start(t, app.Options{Config: c, Version: "1.2.3"})
	found, err := app.ReadServer(c.DataDir)
	require.NoError(t, err)
	require.Equal(t, app.Server{URL: a.URL(), PID: os.Getpid()}, found)

	for path, want := range map[string]string{"/healthz": "1.2.3", "/readyz": "", "/openapi.yaml": "openapi:", "/metrics": "nes_", "/": "<html", "/docs": "<html", "/v1/runs": `"runs"`} {
		status, body := get(t, a.URL()+path, "")
		require.Equal(t, http.StatusOK, status, path)
		require.Contains(t, body, want, path)
	}
	status, _ := get(t, a.URL()+"/agent/v1/runs/x/attempts/1/launch", "")
	require.Equal(t, http.StatusNotFound, status, "agents have a listener of their own")

	agents, err := os.ReadFile(filepath.Join(c.DataDir, "attempts", "server"))
	require.NoError(t, err)
	status, _ = get(t, strings.TrimSpace(string(agents))+"/agent/v1/runs/x/attempts/1/launch", "")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = get(t, strings.TrimSpace(string(agents))+"/v1/runs", "")
	require.Equal(t, http.StatusNotFound, status)

	a.Stop()
	a.Stop()
	_, err = app.ReadServer(c.DataDir)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = net.Dial("tcp", a.Addr())
	require.Error(t, err)
	again := start(t, app.Options{Config: c})
	status, _ = get(t, again.URL()+"/healthz", "")
	require.Equal(t, http.StatusOK, status)
}

func TestTwoInOneProcess(t *testing.T) {
	t.Parallel()
	first, second := start(t, app.Options{Config: configure(t, nil)}), start(t, app.Options{Config: configure(t, nil)})
	require.NotEqual(t, first.URL(), second.URL())
	run, _, err := client.New(first.URL(), client.Options{}).Submit(t.Context(), nes.Spec{InputURL: "https://git.invalid/a/b/blob/main/x.ipynb"})
	require.NoError(t, err)
	_, err = client.New(second.URL(), client.Options{}).Run(t.Context(), run.ID, 0, 0)
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	c := configure(t, nil)
	start(t, app.Options{Config: c})
	err := app.New(app.Options{Config: c}).Start(t.Context())
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	require.ErrorContains(t, err, "another process owns the data directory")
	_, err = app.ReadServer(c.DataDir)
	require.NoError(t, err, "the owner's file is left alone")
}

func TestAddressesOthersReach(t *testing.T) {
	t.Parallel()
	open := func(c *config.Config) { c.Addr = "0.0.0.0:0" }
	err := app.New(app.Options{Config: configure(t, open)}).Start(t.Context())
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "nobody would have to sign in")

	const token = "0123456789abcdef0123456789abcdef"
	a := start(t, app.Options{Config: configure(t, func(c *config.Config) {
		open(c)
		c.Site.Tokens = []access.Token{{Name: "ana", Team: "risk", Token: token}}
	})})
	require.Contains(t, a.URL(), "127.0.0.1", "this machine reaches it so")
	status, _ := get(t, a.URL()+"/v1/runs", "")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = get(t, a.URL()+"/v1/runs", token)
	require.Equal(t, http.StatusOK, status)

	a = start(t, app.Options{Config: configure(t, func(c *config.Config) { open(c); c.Insecure = true })})
	status, _ = get(t, a.URL()+"/v1/runs", "")
	require.Equal(t, http.StatusOK, status)
}

func TestPortThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := configure(t, func(c *config.Config) { c.Addr = l.Addr().String() })
	err = app.New(app.Options{Config: c}).Start(t.Context())
	require.ErrorContains(t, err, "listen on "+l.Addr().String()+": address already in use: set NES_ADDR")
	lock, err := app.TryLock(c.DataDir)
	require.NoError(t, err, "nothing is left open")
	require.NoError(t, lock.Unlock())
	require.NoFileExists(t, filepath.Join(c.DataDir, "ledger.db"))
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	c := configure(t, func(c *config.Config) { c.Addr = "0.0.0.0:1"; c.PublicURL = "https://nes.example.com" })
	a := start(t, app.Options{Config: c, Private: true, Passive: true})
	require.True(t, strings.HasPrefix(a.URL(), "http://127.0.0.1:"), a.URL())
	status, _ := get(t, a.URL()+"/v1/runs", "")
	require.Equal(t, http.StatusUnauthorized, status, "other users of this machine are not let in")
	found, err := app.ReadServer(c.DataDir)
	require.NoError(t, err)
	status, _ = get(t, a.URL()+"/v1/runs", found.Token)
	require.Equal(t, http.StatusOK, status)
	info, err := os.Stat(filepath.Join(c.DataDir, "server.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoFileExists(t, filepath.Join(c.DataDir, "attempts", "server"), "a passive one takes no agents")
}

func TestBelowAPath(t *testing.T) {
	t.Parallel()
	a := start(t, app.Options{Config: configure(t, func(c *config.Config) { c.URLPrefix = "/nes" })})
	require.True(t, strings.HasSuffix(a.URL(), "/nes"))
	status, body := get(t, a.URL()+"/", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"/nes/static/`)
	c := client.New(a.URL(), client.Options{})
	run, _, err := c.Submit(t.Context(), nes.Spec{InputURL: "https://git.invalid/a/b/blob/main/x.ipynb"})
	require.NoError(t, err)
	require.Equal(t, a.URL()+"/runs/"+string(run.ID), run.OutputURL)
	status, _ = get(t, run.OutputURL, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = get(t, strings.TrimSuffix(a.URL(), "/nes")+"/v1/runs", "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	a := start(t, app.Options{Config: configure(t, nil), Passive: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+"/v1/events", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	stopped := make(chan struct{})
	go func() {
		a.Stop()
		close(stopped)
	}()
	_, _ = io.Copy(io.Discard, res.Body)
	select {
	case <-stopped:
	case <-ctx.Done():
		require.Fail(t, "the stream keeps the server from stopping")
	}
}

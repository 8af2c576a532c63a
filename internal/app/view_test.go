package app_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/app"
)

// viewing starts a viewer and returns its address.
func viewing(t *testing.T, o app.ViewOptions) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	o.Ready = func(url string) { ready <- url }
	go func() { done <- app.View(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case url := <-ready:
		return url
	case err := <-done:
		done <- nil
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the viewer did not start")
	}
	return ""
}

func TestADirectoryIsViewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "n.ipynb"), []byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"markdown","id":"a","metadata":{},"source":"# Hello"}]}`), 0o600))
	url := viewing(t, app.ViewOptions{Where: dir, Addr: "127.0.0.1:0", Prefix: "/nb"})
	ask := func(method, path, host string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		require.NoError(t, err)
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(raw)
	}
	status, page := ask(http.MethodGet, "", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, `href="/nb/view/n.ipynb"`)
	require.NotContains(t, page, "/docs", "there are no runs and no API here")
	status, page = ask(http.MethodGet, "n.ipynb", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "Hello")
	status, _ = ask(http.MethodDelete, "n.ipynb", "")
	require.Equal(t, http.StatusMethodNotAllowed, status)
	status, _ = ask(http.MethodGet, "", "evil.example")
	require.Equal(t, http.StatusForbidden, status, "another website's name for this machine")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is written there")
}

func TestWhatCannotBeViewed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    app.ViewOptions
		says string
	}{
		{app.ViewOptions{Where: filepath.Join(t.TempDir(), "none"), Addr: "127.0.0.1:0"}, "no directory"},
		{app.ViewOptions{Where: "ftp://host/x", Addr: "127.0.0.1:0"}, "neither a directory nor"},
		{app.ViewOptions{Where: t.TempDir(), Addr: "0.0.0.0:0"}, "nobody signs in"},
		{app.ViewOptions{Where: t.TempDir(), Addr: "127.0.0.1:99999"}, "listen on"},
	} {
		err := app.View(t.Context(), c.o)
		require.ErrorContains(t, err, c.says)
		require.Contains(t, []nes.Code{nes.CodeInvalid, nes.CodeNotFound}, nes.CodeOf(err))
		require.NotContains(t, strings.ToLower(err.Error()), "panic")
	}
}

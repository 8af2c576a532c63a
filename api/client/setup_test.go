package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/api/problem"
)

// asked is one request as the server saw it.
type asked struct {
	method, uri, body string
	header            http.Header
}

// script answers the first request by its first part, the second by its second, and all that are left by the last.
type script struct {
	mu    sync.Mutex
	parts []http.HandlerFunc
	asked []asked
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	part := s.parts[min(len(s.asked), len(s.parts)-1)]
	s.asked = append(s.asked, asked{r.Method, r.RequestURI, string(body), r.Header.Clone()})
	s.mu.Unlock()
	part(w, r)
}

func (s *script) seen() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// play serves parts and returns a client of them that does not pause for long.
func play(t *testing.T, parts ...http.HandlerFunc) (*client.Client, *script) {
	t.Helper()
	s := &script{parts: parts}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	// On a connection that was used before, Go itself repeats what was cut off.
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	c := client.New(server.URL, client.Options{Backoff: time.Microsecond, HTTP: once})
	t.Cleanup(c.Close)
	return c, s
}

// limit ends what would wait for ever.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// status is a bare answer, as a proxy may give it.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// answer is JSON.
func answer(code int, v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
}

// refuse is an error of NES itself.
func refuse(err error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		d := problem.From(err)
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(d.Status)
		_ = json.NewEncoder(w).Encode(d)
	}
}

// page is what a proxy shows to people.
func page(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		fmt.Fprint(w, "<!doctype html>\n<title>Sign in</title>\n")
	}
}

// broken sends a part of an answer and cuts the connection.
func broken(kind, part string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, part)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// rebuilt is the error of NES that err must be.
func rebuilt(t *testing.T, err error) *nes.Error {
	t.Helper()
	var e *nes.Error
	require.ErrorAs(t, err, &e)
	return e
}

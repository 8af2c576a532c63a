package gitsourcetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Server serves the repositories below a directory over smart HTTP by git http-backend,
// with Git's default settings: whoever can reach it may read.
type Server struct {
	URL  string // such as http://127.0.0.1:41234
	Root string // directory of the repositories
	t    T

	lists, packs atomic.Int64
	token        atomic.Pointer[string]
}

// NewServer starts a server on a free port of the loopback address. It ends with t.
func NewServer(t T) *Server {
	t.Helper()
	return NewServerAt(t, "127.0.0.1:0", t.TempDir())
}

// NewServerAt starts a server on an address, for the repositories below root.
func NewServerAt(t T, addr, root string) *Server {
	t.Helper()
	s := &Server{Root: root, t: t}
	backend, err := s.backend()
	if err != nil {
		t.Fatalf("find git http-backend: %v", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	s.URL = "http://" + l.Addr().String()
	server := &http.Server{Handler: backend, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Fatalf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
		<-done
	})
	return s
}

// NewRepository makes an empty repository that this server serves at URL/name.git.
func (s *Server) NewRepository(name string) *Repository {
	s.t.Helper()
	return NewRepository(s.t, s.Root, name)
}

// RequireToken makes the server private: it answers 401 to whoever does not send the token as the password of Basic
// authentication, as GitHub, GitLab and Gitea do.
func (s *Server) RequireToken(token string) { s.token.Store(&token) }

// Lists is how often the list of refs was asked for.
func (s *Server) Lists() int64 { return s.lists.Load() }

// Packs is how often objects were asked for.
func (s *Server) Packs() int64 { return s.packs.Load() }

func (s *Server) backend() (http.Handler, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		return nil, err
	}
	handler := &cgi.Handler{
		Path: program,
		Env: []string{
			"GIT_PROJECT_ROOT=" + s.Root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
		InheritEnv: []string{"PATH"},
		Stderr:     io.Discard, // what goes wrong is answered too
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/info/refs"):
			s.lists.Add(1)
		case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
			s.packs.Add(1)
		}
		if want := s.token.Load(); want != nil {
			if _, have, ok := r.BasicAuth(); !ok || have != *want {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		handler.ServeHTTP(w, r)
	}), nil
}

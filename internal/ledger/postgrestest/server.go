package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Server is a private PostgreSQL, reached by a socket in its directory.
type Server struct {
	bin, dir, port string
	as             *syscall.Credential // nil is this user

	mu  sync.Mutex
	cmd *exec.Cmd // nil while it is down
	log bytes.Buffer
}

// Start starts a PostgreSQL for one test, which may stop and start it as it likes.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := create(installed(t))
	require.NoError(t, err)
	t.Cleanup(s.destroy)
	return s
}

var started struct {
	mu     sync.Mutex
	server *Server
}

func startShared() (*Server, error) {
	bin, _ := find()
	s, err := create(bin)
	started.mu.Lock()
	defer started.mu.Unlock()
	started.server = s
	return s, err
}

func stopShared() {
	started.mu.Lock()
	defer started.mu.Unlock()
	if started.server != nil {
		started.server.destroy()
	}
}

// create makes a cluster and starts it.
func create(bin string) (*Server, error) {
	dir, err := os.MkdirTemp("", "nes-pg-") // short: the path of a socket has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, port: "5432"}
	if err := s.init(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.up(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) init() error {
	if os.Geteuid() == 0 { // as whom PostgreSQL refuses to run
		const nobody = 65534
		s.as = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
		if err := os.Chown(s.dir, nobody, nobody); err != nil {
			return err
		}
	}
	cmd := s.command("initdb", "--pgdata", s.data(), "--username", "nes", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	// It must not outlive the test, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	return cmd
}

// up starts the server and waits until it answers.
func (s *Server) up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = s.command("postgres", "-D", s.data(), "-c", "listen_addresses=", "-c", "port="+s.port, "-c", "unix_socket_directories="+s.dir,
		"-c", "fsync=on", "-c", "shared_buffers=16MB", "-c", "max_connections=400", "-c", "autovacuum=off", "-c", "max_wal_size=256MB",
		"-c", "log_min_messages=fatal", "-c", "jit=off")
	s.log.Reset()
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := startProcess(s.cmd); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w: %s", err, s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Up starts the server again.
func (s *Server) Up(t testing.TB) {
	t.Helper()
	require.NoError(t, s.up())
}

// Down stops the server at once, as a crash would: connections are cut, and what was not committed is lost.
func (s *Server) Down() { s.down(syscall.SIGQUIT) }

func (s *Server) down(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended
	_ = s.cmd.Wait()              // by a signal
	s.cmd = nil
}

func (s *Server) destroy() {
	s.down(syscall.SIGINT)
	_ = os.RemoveAll(s.dir) // of /tmp, if need be
}

// Package postgrestest gives tests databases on a real PostgreSQL. The first that asks starts a
// private cluster in a temporary directory; it ends with the process that started it. Where
// PostgreSQL is not installed, tests are skipped.
package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// shared is the cluster of this test binary.
var shared = sync.OnceValues(startShared)

// New makes an empty database and returns its address. It is dropped with the cluster.
func New(t testing.TB) string {
	t.Helper()
	installed(t)
	s, err := shared()
	require.NoError(t, err)
	return s.Database(t)
}

// Run runs the tests of a binary and takes the cluster down after them: for TestMain.
func Run(m *testing.M) { os.Exit(Code(m)) }

// Code is Run for a TestMain that has to clean up after it: it returns the exit code.
func Code(m *testing.M) int {
	defer stopShared()
	return m.Run()
}

// Database makes an empty database in the cluster, and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "nes_" + strings.ToLower(rand.Text()[:12])
	s.exec(t, "CREATE DATABASE "+name)
	return s.url(name)
}

func (s *Server) exec(t testing.TB, query string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), query)
	require.NoError(t, errors.Join(err, conn.Close(context.WithoutCancel(t.Context()))))
}

func (s *Server) url(database string) string {
	q := url.Values{"host": {s.dir}, "port": {s.port}, "sslmode": {"disable"}}
	return fmt.Sprintf("postgres://nes@/%s?%s", database, q.Encode())
}

// find returns the directory of PostgreSQL's programs: on the path, or where Debian has those of its newest version.
func find() (dir string, ok bool) {
	dirs := []string{os.Getenv("NES_POSTGRES_BIN")}
	dirs = append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	slices.Reverse(debian)
	for _, dir := range append(dirs, debian...) {
		_, initdb := os.Stat(filepath.Join(dir, "initdb"))
		_, postgres := os.Stat(filepath.Join(dir, "postgres"))
		if dir != "" && initdb == nil && postgres == nil {
			return dir, true
		}
	}
	return "", false
}

// installed skips the test where there is no PostgreSQL, and returns where its programs are.
func installed(t testing.TB) string {
	t.Helper()
	dir, ok := find()
	if !ok {
		t.Skip("PostgreSQL is not installed: apt-get install postgresql, or name the directory of initdb and postgres in NES_POSTGRES_BIN")
	}
	return dir
}

package ledger

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

func TestNumbered(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": "", "SELECT 1": "SELECT 1", "? a ?": "$1 a $2", strings.Repeat("?", 10): "$1$2$3$4$5$6$7$8$9$10"} {
		require.Equal(t, want, numbered(query))
	}
}

// soon bounds waiting for what must happen.
const soon = time.Minute

func requireClosed(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(soon):
		require.Fail(t, "nothing was heard of it", what)
	}
}

// TestProcessesHearOfEachOther: two ledgers on one database, as two servers have them.
func TestProcessesHearOfEachOther(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	one, two := openAt(t, url), openAt(t, url)
	defer func() { require.NoError(t, one.Close()); require.NoError(t, two.Close()) }()
	ctx, now := t.Context(), time.Now()

	any := two.Changed("")
	run := create(t, one, "")
	requireClosed(t, any, "a new run")
	steps := map[string]func() error{
		"apply":   func() (err error) { run, err = one.Apply(ctx, nes.Fetch(&run, now)); return err },
		"cancel":  func() error { _, err := one.RequestCancel(ctx, run.ID, "bob", now); return err },
		"note":    func() error { return one.Note(ctx, run.ID, "hello", now) },
		"end":     func() (err error) { run, err = one.Apply(ctx, nes.End(&run, "", "", nil, now)); return err },
		"publish": func() error { return one.Published(ctx, run.ID) },
	}
	for _, name := range []string{"apply", "cancel", "note", "end", "publish"} {
		changed, any := two.Changed(run.ID), two.Changed("")
		require.NoError(t, steps[name](), name)
		requireClosed(t, changed, name)
		requireClosed(t, any, name)
		seen, err := two.Run(ctx, run.ID)
		require.NoError(t, err)
		mine, err := one.Run(ctx, run.ID)
		require.NoError(t, err)
		require.Equal(t, mine, seen, "what is heard of can be read")
	}
}

func TestOneOfManyMigrates(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	var g errgroup.Group
	for range 6 {
		g.Go(func() error {
			l, err := Open(t.Context(), url, silent)
			if err != nil {
				return err
			}
			return l.Close()
		})
	}
	require.NoError(t, g.Wait())
	l := openAt(t, url)
	newest, err := newestMigration()
	require.NoError(t, err)
	require.Equal(t, newest, l.schemaVersion(t.Context()))
	require.NoError(t, l.Close())
}

func TestPostgresSessions(t *testing.T) {
	t.Parallel()
	l := openAt(t, postgrestest.New(t)+"&pool_max_conns=3&statement_timeout=7s")
	defer func() { require.NoError(t, l.Close()) }()
	want := map[string]string{
		"synchronous_commit": "on", "transaction_isolation": "read committed", "statement_timeout": "7s", "lock_timeout": "10s",
		"idle_in_transaction_session_timeout": "10s", "transaction_read_only": "off", "fsync": "on",
	}
	for name, value := range want {
		var is string
		require.NoError(t, l.writes.db.QueryRow("SHOW "+name).Scan(&is))
		require.Equal(t, value, is, name)
	}
	_, err := l.reads.db.Exec("DELETE FROM runs")
	require.ErrorContains(t, err, "read-only")
	require.Equal(t, 3, l.writes.db.Stats().MaxOpenConnections)
	require.Equal(t, 3, l.reads.db.Stats().MaxOpenConnections)
}

func TestOpenSaysWhyNot(t *testing.T) {
	t.Parallel()
	good := postgrestest.New(t)
	tests := map[string]string{
		"postgres://ana:s3cret@127.0.0.1:1/nes":                "127.0.0.1:1/nes",
		strings.Replace(good, "/nes_", "/none_", 1):            "does not exist",
		"postgres://ana:s3cret@127.0.0.1:1/x?sslmode=whenever": "cannot be read",
	}
	for url, want := range tests {
		_, err := Open(t.Context(), url, silent)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// TestPostgresGoesAway: a server that crashes makes calls fail with a code that says "again later", loses nothing, and
// when it is back everyone looks again.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	l := openAt(t, server.Database(t))
	defer func() { require.NoError(t, l.Close()) }()
	run := create(t, l, "k")
	for range 2 {
		server.Down()
		_, err := l.Run(t.Context(), run.ID)
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		_, err = l.Runs(t.Context(), Filter{})
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		_, err = l.Apply(t.Context(), nes.Fetch(&run, time.Now()))
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		_, _, err = l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x"}, At: time.Now()})
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(l.Ping(t.Context())))
		_, err = l.Hold(t.Context(), "control", "x", time.Hour)
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)

		changed := l.Changed(run.ID)
		server.Up(t)
		requireClosed(t, changed, "the database is back")
		seen, err := l.Run(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, run, seen)
		_, created, err := l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x", IdempotencyKey: "k"}, At: time.Now()})
		require.NoError(t, err)
		require.False(t, created)
	}
}

// TestAFrozenWriterIsCutOff: a process that stands still while others wait for what it holds loses it.
func TestAFrozenWriterIsCutOff(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	frozen, l := openAt(t, url+"&idle_in_transaction_session_timeout=200ms"), openAt(t, url)
	defer func() { require.NoError(t, frozen.Close()); require.NoError(t, l.Close()) }()
	begun, err := frozen.writes.db.Begin()
	require.NoError(t, err)
	_, err = begun.Exec("UPDATE counters SET value = value + 1")
	require.NoError(t, err)
	create(t, l, "") // waits for the counter
	require.Error(t, begun.Commit())
}

// TestCommitWithoutAnAnswer cuts the connection at commits, before or after the server has it: each
// change is made once, and the caller is told the truth.
func TestCommitWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, arrives := range map[string]bool{"the commit arrives": true, "the commit is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgrestest.New(t)
			p := newCutter(t, url, arrives)
			l := openAt(t, p.url)
			defer func() { require.NoError(t, l.Close()) }()

			p.cut.Store(1)
			run, created, err := l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x"}, At: time.Now()})
			require.NoError(t, err)
			require.True(t, created)
			p.cut.Store(1)
			launched, err := l.Apply(t.Context(), nes.Launch(&run, "token", time.Now()))
			require.NoError(t, err)
			require.EqualValues(t, 2, launched.Version)
			p.cut.Store(2) // and the next try as well
			_, err = l.RequestCancel(t.Context(), run.ID, "bob", time.Now())
			require.NoError(t, err)
			require.LessOrEqual(t, p.cut.Load(), int32(1))

			p.cut.Store(0)
			page, err := l.Runs(t.Context(), Filter{})
			require.NoError(t, err)
			require.Len(t, page.Runs, 1)
			require.EqualValues(t, 3, page.Runs[0].Version)
			events, err := l.Events(t.Context(), 0, "", 0)
			require.NoError(t, err)
			require.Len(t, events, 3)
			require.EqualValues(t, 3, events[2].Seq, "without gaps")
		})
	}
}

// TestCommitThatNobodyCanAskAbout: the database does not come back in time, and nothing is claimed.
func TestCommitThatNobodyCanAskAbout(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	p := newCutter(t, url, true)
	l := openAt(t, p.url)
	defer l.Close()
	p.cut.Store(1)
	p.closed.Store(true) // to new connections, from the cut on
	began := time.Now()
	_, _, err := l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x", IdempotencyKey: "k"}, At: began})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	require.Less(t, time.Since(began), patience)
	p.closed.Store(false)
	_, created, err := l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x", IdempotencyKey: "k"}, At: began})
	require.NoError(t, err)
	require.False(t, created, "it had been done, and its key says so")
}

// cutter passes connections on to a database and cuts some at their commit.
type cutter struct {
	url     string
	socket  string
	arrives bool         // the server gets the commit that is cut
	cut     atomic.Int32 // how many commits
	closed  atomic.Bool
}

func newCutter(t *testing.T, url string, arrives bool) *cutter {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	p := &cutter{url: "postgres://nes@" + listener.Addr().String() + "/" + config.Database + "?sslmode=disable", socket: config.Host + "/.s.PGSQL.5432", arrives: arrives}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.pass(client)
		}
	}()
	return p
}

func (p *cutter) pass(client net.Conn) {
	defer client.Close()
	if p.closed.Load() && p.cut.Load() == 0 {
		return
	}
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	var silent atomic.Bool // the server's answers are dropped
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if silent.Load() || err != nil {
				_ = client.Close()
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) && p.take() {
			if p.arrives {
				silent.Store(true)
				_, _ = server.Write(buf[:n])
				<-answered
			}
			return
		}
		if _, err := io.Copy(server, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// take reports whether this commit is one to be cut.
func (p *cutter) take() bool {
	for n := p.cut.Load(); n > 0; n = p.cut.Load() {
		if p.cut.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

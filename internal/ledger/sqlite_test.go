package ledger

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
)

var silent = slog.New(slog.DiscardHandler)

func openAt(t testing.TB, url string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), url, silent)
	require.NoError(t, err)
	return l
}

func create(t testing.TB, l *Ledger, key string) nes.Run {
	t.Helper()
	run, _, err := l.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x", IdempotencyKey: key}, At: time.Now()})
	require.NoError(t, err)
	return run
}

func TestOpenNamesTheFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ledger.db", "a b.db", "what?.db", "50%41.db", "a#b.db", "원장.db", "deep/er/x.db"} {
		for _, scheme := range []string{"", "sqlite://"} {
			path := filepath.Join(t.TempDir(), name)
			l := openAt(t, scheme+path)
			run := create(t, l, "")
			require.NoError(t, l.Close())
			require.FileExists(t, path)
			require.NoFileExists(t, path+"-wal", "closing leaves one file")
			l = openAt(t, path)
			again, err := l.Run(t.Context(), run.ID)
			require.NoError(t, err)
			require.Equal(t, run, again)
			require.NoError(t, l.Close())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"sqlite://", "mysql://x", "postgres://%zz@/x", "postgres://h/d?pool_max_conns=many"} {
		_, err := Open(t.Context(), url, silent)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), url)
	}
	_, err := Open(t.Context(), "/dev/null/x/ledger.db", silent)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	dir := filepath.Join(t.TempDir(), "is-a-directory.db")
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err = Open(t.Context(), dir, silent)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	garbage := filepath.Join(t.TempDir(), "ledger.db")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1000)), 0o600))
	_, err = Open(t.Context(), garbage, silent)
	require.Error(t, err)
	raw, err := os.ReadFile(garbage)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(raw), "no database "), "what is no ledger is left alone")
}

func TestNetworkFileSystemsAreRefused(t *testing.T) {
	t.Parallel()
	for magic, want := range map[int64]bool{unix.NFS_SUPER_MAGIC: true, unix.CIFS_SUPER_MAGIC: true, unix.EXT4_SUPER_MAGIC: false, unix.TMPFS_MAGIC: false} {
		_, refused := networkFileSystem(magic)
		require.Equal(t, want, refused)
	}
}

func TestEveryCommitIsSynced(t *testing.T) {
	t.Parallel()
	l := openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"}
	for pragma, value := range want {
		var is string
		require.NoError(t, l.writes.db.QueryRow("PRAGMA "+pragma).Scan(&is))
		require.Equal(t, value, is, pragma)
	}
	var readOnly int
	require.NoError(t, l.reads.db.QueryRow("PRAGMA query_only").Scan(&readOnly))
	require.Equal(t, 1, readOnly)
	_, err := l.writes.db.Exec("INSERT INTO attempts (run_id, number, token_hash, status, launched_at) VALUES ('none', 1, '', 'Pending', 0)")
	require.ErrorContains(t, err, "FOREIGN KEY")
	require.NoError(t, l.Close())
}

// TestSchemaHoldsTheStages: the database itself refuses words that the domain does not have.
func TestSchemaHoldsTheStages(t *testing.T) {
	t.Parallel()
	l := openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
	run := create(t, l, "")
	for _, set := range []string{"stage = 'done'", "status = 'Cancelled'", "status = 'Failed'", "stage = 'ended'", "ended_at = 1", "stage = 'ended', status = 'Failed'"} {
		_, err := l.writes.db.Exec("UPDATE runs SET "+set+" WHERE id = ?", string(run.ID))
		require.ErrorContains(t, err, "CHECK", set)
	}
	for _, stage := range nes.Stages() {
		if stage == nes.StageEnded {
			continue
		}
		_, err := l.writes.db.Exec("UPDATE runs SET stage = ?, status = ? WHERE id = ?", string(stage), string(stage.Status()), string(run.ID))
		require.NoError(t, err)
	}
	for _, status := range []nes.Status{nes.StatusSucceeded, nes.StatusFailed, nes.StatusError} {
		_, err := l.writes.db.Exec("UPDATE runs SET stage = 'ended', ended_at = 1, status = ? WHERE id = ?", string(status), string(run.ID))
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
}

func TestMigratesFromNothingAndOnlyOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := openAt(t, path)
	newest, err := newestMigration()
	require.NoError(t, err)
	require.Equal(t, newest, l.schemaVersion(t.Context()))
	require.NoError(t, l.Close())

	var said strings.Builder
	l, err = Open(t.Context(), path, slog.New(slog.NewTextHandler(&said, nil)))
	require.NoError(t, err)
	require.Empty(t, said.String(), "nothing was migrated")
	_, err = l.writes.db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = Open(t.Context(), path, silent)
	require.ErrorContains(t, err, "use a newer NES")
}

func TestALockedLedgerIsUnavailable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := openAt(t, path)
	defer l.Close()
	run := create(t, l, "")
	other, err := sql.Open("sqlite", sqliteDSN(path, false))
	require.NoError(t, err)
	defer other.Close()
	held, err := other.Begin()
	require.NoError(t, err)

	_, err = l.writes.db.Exec("PRAGMA busy_timeout = 20")
	require.NoError(t, err)
	_, err = l.Apply(t.Context(), nes.Fetch(&run, time.Now()))
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	require.NotContains(t, err.Error(), "SQLITE", "the database's own words are for the log")
	_, err = l.writes.db.Exec("PRAGMA busy_timeout = 5000")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = l.Apply(ctx, nes.Fetch(&run, time.Now()))
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	seen, err := l.Run(t.Context(), run.ID)
	require.NoError(t, err, "it can be read all the time")
	require.Equal(t, run, seen)

	require.NoError(t, held.Rollback())
	_, err = l.Apply(t.Context(), nes.Fetch(&run, time.Now()))
	require.NoError(t, err, "and goes on when the lock is gone")
}

func TestAClosedLedgerIsUnavailable(t *testing.T) {
	t.Parallel()
	l := openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
	run := create(t, l, "")
	require.NoError(t, l.Close())
	_, err := l.Run(t.Context(), run.ID)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	_, err = l.Runs(t.Context(), Filter{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	_, err = l.Apply(t.Context(), nes.Fetch(&run, time.Now()))
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(l.Ping(t.Context())))
}

// TestAFailedChangeLeavesNothing breaks each statement of a change in turn: the transaction is undone as a whole.
func TestAFailedChangeLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"attempts", "run_parameters", "checkpoints", "counters", "events"} {
		l := openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
		run := create(t, l, "k")
		c := nes.Launch(&run, "token", time.Now())
		c.Fetched = &nes.Fetched{Parameters: map[string]json.RawMessage{"n": json.RawMessage("1")}}
		if table == "checkpoints" {
			c = nes.End(&run, "", "", &nes.Outcome{Checkpoints: map[string]json.RawMessage{"n": json.RawMessage("1")}}, time.Now())
		}
		breakTable(t, l, table)
		_, err := l.Apply(t.Context(), c)
		require.Error(t, err, table)
		seen, err := l.Run(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, run, seen, table)
		for _, count := range []string{"SELECT count(*) FROM attempts", "SELECT count(*) FROM run_parameters", "SELECT count(*) - 1 FROM events"} {
			var n int
			require.NoError(t, l.readRow(t.Context(), count, []any{&n}))
			require.Zero(t, n, "%s: %s", table, count)
		}
		require.NoError(t, l.Close())
	}
}

// breakTable makes every write to a table fail.
func breakTable(t *testing.T, l *Ledger, table string) {
	t.Helper()
	for _, kind := range []string{"INSERT", "UPDATE"} {
		_, err := l.writes.db.Exec(fmt.Sprintf("CREATE TRIGGER break_%s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'broken'); END", kind, kind, table))
		require.NoError(t, err)
	}
}

// TestKilledWriter kills a process that creates and changes runs: all that it was told to be committed is there.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	const home = "NES_TEST_KILLED_LEDGER"
	if path := os.Getenv(home); path != "" {
		writeUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	told := map[nes.RunID]nes.Stage{}
	for round := range 4 {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		child.Env = append(os.Environ(), home+"="+path)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for range 30 + 7*round {
			require.True(t, lines.Scan())
		}
		require.NoError(t, child.Process.Kill())
		for ok := true; ok; ok = lines.Scan() { // and what it still said before it died
			id, stage, found := strings.Cut(lines.Text(), " ")
			require.True(t, found)
			told[nes.RunID(id)] = nes.Stage(stage)
		}
		require.Error(t, child.Wait())
		requireAcknowledged(t, path, told)
	}
}

func writeUntilKilled(t *testing.T, path string) {
	l := openAt(t, path)
	for {
		run := create(t, l, "")
		fmt.Println(run.ID, run.Stage)
		run, err := l.Apply(t.Context(), nes.Launch(&run, "token", time.Now()))
		require.NoError(t, err)
		fmt.Println(run.ID, run.Stage)
	}
}

// requireAcknowledged requires each run to be where it was told to be, or one step further, with the events and attempts that belong to it.
func requireAcknowledged(t *testing.T, path string, told map[nes.RunID]nes.Stage) {
	t.Helper()
	l := openAt(t, path)
	for id, stage := range told {
		run, err := l.Run(t.Context(), id)
		require.NoError(t, err)
		require.True(t, run.Stage == stage || stage.CanBecome(run.Stage), "%s was %s and is %s", id, stage, run.Stage)
		events, err := l.Events(t.Context(), 0, id, 0)
		require.NoError(t, err)
		require.Len(t, events, int(run.Version), "each version has its event")
		attempts, err := l.Attempts(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, attempts, run.Attempt)
	}
	var check string
	require.NoError(t, l.readRow(t.Context(), "PRAGMA integrity_check", []any{&check}))
	require.Equal(t, "ok", check)
	require.NoError(t, l.Close())
}

func TestHubForgetsWhoNeverComesBack(t *testing.T) {
	t.Parallel()
	h := newHub()
	first := h.wait("run-0")
	for i := range hubMax {
		h.wait(nes.RunID(fmt.Sprint("run-", i)))
	}
	require.LessOrEqual(t, len(h.waiters), hubMax)
	h.wait("one more")
	<-first // told to look again
	require.Len(t, h.waiters, 1)
}

// TestHotQueriesUseAnIndex: what is asked all the time does not read all runs, however many there are.
func TestHotQueriesUseAnIndex(t *testing.T) {
	t.Parallel()
	l := openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
	tests := map[string]string{
		"SELECT id FROM runs WHERE stage <> 'ended' OR published = 0 ORDER BY id":                       "INDEX runs_unsettled",
		"SELECT COUNT(*) FROM runs WHERE stage <> 'ended'":                                              "INDEX runs_unsettled",
		"SELECT spec FROM runs WHERE team = 'a' AND task_key = 'b' AND task_key <> '' ORDER BY id DESC": "INDEX runs_task",
		"SELECT spec FROM runs WHERE team IN ('a') ORDER BY id DESC LIMIT 50":                           "INDEX runs_team",
		"SELECT spec FROM runs WHERE repository = 'a' AND notebook = 'b' ORDER BY id DESC LIMIT 1":      "INDEX runs_notebook",
		"SELECT spec FROM runs WHERE id < 'x' ORDER BY id DESC LIMIT 50":                                "INDEX sqlite_autoindex_runs_1",
		"SELECT kind FROM events WHERE seq > 5 AND run_id = 'a' ORDER BY seq LIMIT 10":                  "INDEX events_run",
		"SELECT kind FROM events WHERE seq > 5 ORDER BY seq LIMIT 10":                                   "INDEX sqlite_autoindex_events_1",
	}
	for query, want := range tests {
		rows, err := l.reads.db.Query("EXPLAIN QUERY PLAN " + query)
		require.NoError(t, err)
		var plan strings.Builder
		require.NoError(t, each(rows, func(rows *sql.Rows) error {
			var id, parent, unused int
			var detail string
			defer func() { plan.WriteString(detail + "\n") }()
			return rows.Scan(&id, &parent, &unused, &detail)
		}))
		require.Contains(t, plan.String(), want, query)
		require.NotContains(t, plan.String(), "TEMP B-TREE", query)
	}
	require.NoError(t, l.Close())
}

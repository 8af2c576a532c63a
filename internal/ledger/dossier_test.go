package ledger

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

var begun = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time {
	return begun.Add(time.Duration(seconds)*time.Second + 123456*time.Microsecond)
}

func opened(t *testing.T, url string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// dump reads every column of every table that holds something of runs, whatever columns there are.
func dump(t *testing.T, l *Ledger) map[string][]map[string]any {
	t.Helper()
	all := map[string][]map[string]any{}
	for table, order := range map[string]string{
		"runs": "id", "attempts": "run_id, number", "labels": "run_id, name", "run_parameters": "run_id, name",
		"idempotency_keys": "team, name", "checkpoints": "team, name", "events": "seq",
	} {
		rows, err := l.reads.db.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY "+order)
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			require.NoError(t, rows.Scan(targets...))
			row := map[string]any{}
			for i, c := range columns {
				row[c] = fmt.Sprint(values[i])
			}
			delete(row, "change_id") // of a transaction that is over
			if row["kind"] == "published" {
				continue // written after the dossier
			}
			all[table] = append(all[table], row)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return all
}

func applied(t *testing.T, l *Ledger, c nes.Transition) nes.Run {
	t.Helper()
	run, err := l.Apply(t.Context(), c)
	require.NoError(t, err)
	return run
}

// full is a run with something in every column: submitted with all there is, tried twice, cancelled too late, succeeded.
func full(t *testing.T, l *Ledger, key string, seconds int) nes.Run {
	t.Helper()
	run, created, err := l.Create(t.Context(), Submission{
		Spec: nes.Spec{
			InputURL: "https://host/a/b/blob/main/<n>&.ipynb", IdempotencyKey: key, TaskKey: "task " + key, Group: "group", Lease: nes.Duration(time.Hour),
			Labels:     map[string]string{"한": "<글>&", "b": ""},
			Parameters: map[string]json.RawMessage{"n": json.RawMessage("1.50"), "html": json.RawMessage(`"<b>&"`), "none": json.RawMessage("null")},
		},
		Owner: "ana", Team: "risk", Client: "test", Parent: "parent", Fingerprint: "print " + key, At: after(seconds),
	})
	require.NoError(t, err)
	require.True(t, created)
	require.NoError(t, l.Asked(t.Context(), &run, after(seconds+1)))
	run = applied(t, l, nes.Fetch(&run, after(seconds+2)))
	run = applied(t, l, nes.FetchDone(&run, nes.Fetched{
		Source:      nes.Source{Repository: "host/a/b", Path: "<n>&.ipynb", Commit: "c0ffee", Bundle: "sources/x"},
		Parameters:  map[string]json.RawMessage{"n": json.RawMessage("1.50"), "html": json.RawMessage(`"<b>&"`)},
		Conversions: []nes.Conversion{{Name: "n", From: json.RawMessage(`"1.50"`), To: json.RawMessage("1.50"), Type: "float"}},
		Notes:       []string{"no <submodules>"},
	}, after(seconds+3)))
	for attempt := 1; attempt <= 2; attempt++ {
		at := seconds + 10*attempt
		run = applied(t, l, nes.Launch(&run, fmt.Sprint("hash", attempt), after(at)).In("machine"))
		run = applied(t, l, nes.Starting(&run, after(at+1)))
		require.NoError(t, l.Heard(t.Context(), run.ID, attempt, after(at+1)))
		run = applied(t, l, nes.Executing(&run, after(at+2)))
		run = applied(t, l, nes.Saving(&run, json.RawMessage(`{"v":1,"code":0,"message":"<ok>"}`), "why", after(at+3)))
		if attempt == 1 {
			run = applied(t, l, nes.RetryLater(&run, nes.Outcome{Reason: nes.ReasonNodeLost, Message: "<lost>"}, after(at+5), after(at+4)))
			run = applied(t, l, nes.Requeue(&run, "again", after(at+5)))
		}
	}
	run, err = l.RequestCancel(t.Context(), run.ID, "bob", after(seconds+24))
	require.NoError(t, err)
	return applied(t, l, nes.End(&run, "", "done", &nes.Outcome{
		Notebook: "notebooks/x", Result: json.RawMessage(`{"z":1,"a":"<>"}`), Files: []nes.File{{Name: "f", Size: 3, SHA256: "00"}},
		Checkpoints: map[string]json.RawMessage{"day": json.RawMessage(fmt.Sprint(seconds)), "own " + key: json.RawMessage("1")},
		Progress:    nes.Progress{Total: 2, Done: 2, Current: -1},
	}, after(seconds+25)))
}

// carried is a dossier as it comes back out of the bucket.
func carried(t *testing.T, l *Ledger, id nes.RunID) nes.Dossier {
	t.Helper()
	d, err := l.Dossier(t.Context(), id)
	require.NoError(t, err)
	text, err := encode(d)
	require.NoError(t, err)
	var back nes.Dossier
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	return back
}

func TestADossierHoldsEveryColumn(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger.db") },
		"PostgreSQL": func(t *testing.T) string { return postgrestest.New(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, made := opened(t, url(t)), opened(t, url(t))
			ids := []nes.RunID{full(t, old, "one", 0).ID, full(t, old, "two", 100).ID}
			early, _, err := old.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x"}, Owner: "o", Team: "t", At: after(300)})
			require.NoError(t, err)
			applied(t, old, nes.End(&early, nes.ReasonSourceNotFound, "gone", nil, after(301)))
			// Somebody attached to a run by a key of his own.
			attached, created, err := old.Create(t.Context(), Submission{
				Spec: nes.Spec{InputURL: "x", TaskKey: "task one", Reattach: nes.ReattachActiveOrSucceeded, IdempotencyKey: "late"}, Owner: "o", Team: "risk", Fingerprint: "f", At: after(302),
			})
			require.NoError(t, err)
			require.False(t, created)
			require.Equal(t, ids[0], attached.ID)
			ids = append(ids, early.ID)
			for _, id := range ids {
				require.NoError(t, old.Published(t.Context(), id))
			}
			for i := range ids { // in no order that helps
				d := carried(t, old, ids[len(ids)-1-i])
				restored, err := made.Restore(t.Context(), d)
				require.NoError(t, err)
				require.True(t, restored)
				restored, err = made.Restore(t.Context(), d)
				require.NoError(t, err)
				require.False(t, restored, "what is there is left alone")
			}
			was, is := dump(t, old), dump(t, made)
			require.Len(t, was["runs"], 3)
			require.NotEmpty(t, was["checkpoints"])
			for table := range was {
				require.Equal(t, was[table], is[table], table)
			}
		})
	}
}

// TestEventsAfterARestore have numbers that no reader has seen, also where the lost ledger had gone further.
func TestEventsAfterARestore(t *testing.T) {
	t.Parallel()
	old, made := opened(t, filepath.Join(t.TempDir(), "a.db")), opened(t, filepath.Join(t.TempDir(), "b.db"))
	run := full(t, old, "one", 0)
	d := carried(t, old, run.ID)
	require.NoError(t, old.Published(t.Context(), run.ID))
	seen, err := old.Events(t.Context(), 0, "", 0)
	require.NoError(t, err)
	other := full(t, made, "other", 0) // which took the same numbers
	_, err = made.Restore(t.Context(), d)
	require.NoError(t, err)
	require.NoError(t, made.Note(t.Context(), run.ID, "new", after(50)))
	events, err := made.Events(t.Context(), seen[len(seen)-1].Seq, run.ID, 0)
	require.NoError(t, err)
	require.Len(t, events, len(d.Events)+1, "none is lost, though their numbers were given out")
	require.Equal(t, "new", events[len(events)-1].Message)
	require.Greater(t, events[0].Seq, int64(restoredGap))
	kept, err := made.Events(t.Context(), 0, other.ID, 0)
	require.NoError(t, err)
	require.Len(t, kept, len(d.Events))
}

// TestSchema: how far a ledger is can be asked without moving it, and one that a newer program used is refused.
func TestSchema(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"SQLite": filepath.Join(t.TempDir(), "ledger.db"), "PostgreSQL": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if url == "" {
				url = postgrestest.New(t)
			}
			log := slog.New(slog.DiscardHandler)
			s, err := Inspect(t.Context(), url, log)
			require.NoError(t, err)
			require.Zero(t, s.Have)
			require.Positive(t, s.Knows)
			require.NoError(t, s.Err())
			l := opened(t, url)
			s, err = Inspect(t.Context(), url, log)
			require.NoError(t, err)
			require.Equal(t, s.Knows, s.Have)
			_, err = l.writes.db.ExecContext(t.Context(), "UPDATE goose_db_version SET version_id = 99999 WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)")
			require.NoError(t, err)
			s, err = Inspect(t.Context(), url, log)
			require.NoError(t, err)
			require.ErrorContains(t, s.Err(), fmt.Sprintf("is version 99999 and this program knows up to %d: use a newer NES", s.Knows))
			_, err = Open(t.Context(), url, log)
			require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
		})
	}
}

// TestARestoredRunGoesOn: one that was under way can be moved as if nothing had happened, and by its own attempt alone.
func TestARestoredRunGoesOn(t *testing.T) {
	t.Parallel()
	old, made := opened(t, filepath.Join(t.TempDir(), "a.db")), opened(t, filepath.Join(t.TempDir(), "b.db"))
	run, _, err := old.Create(t.Context(), Submission{Spec: nes.Spec{InputURL: "x"}, Owner: "o", Team: "t", At: after(0)})
	require.NoError(t, err)
	run = applied(t, old, nes.Fetch(&run, after(1)))
	run = applied(t, old, nes.FetchDone(&run, nes.Fetched{Source: nes.Source{Repository: "r", Path: "p"}}, after(2)))
	run = applied(t, old, nes.Launch(&run, "hash", after(3)))
	restored, err := made.Restore(t.Context(), carried(t, old, run.ID))
	require.NoError(t, err)
	require.True(t, restored)
	unsettled, err := made.Unsettled(t.Context())
	require.NoError(t, err)
	require.Equal(t, []nes.Run{run}, unsettled)
	again := run
	again.Attempt = 0
	_, err = made.Apply(t.Context(), nes.Starting(&again, after(4)))
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err), "the fence is back too")
	run = applied(t, made, nes.Starting(&run, after(4)))
	run = applied(t, made, nes.Saving(&run, nil, "", after(5)))
	run = applied(t, made, nes.End(&run, "", "", &nes.Outcome{}, after(6)))
	require.Equal(t, nes.StatusSucceeded, run.Status)
	attempt, err := made.Attempt(t.Context(), run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, "hash", attempt.TokenHash)
	require.Equal(t, nes.StatusSucceeded, attempt.Status)
}

// TestAHalfRestoredRunIsNone: where a part of a dossier does not fit, nothing of it is kept.
func TestAHalfRestoredRunIsNone(t *testing.T) {
	t.Parallel()
	old, made := opened(t, filepath.Join(t.TempDir(), "a.db")), opened(t, filepath.Join(t.TempDir(), "b.db"))
	run := full(t, old, "one", 0)
	for name, spoil := range map[string]func(*nes.Dossier){
		"an attempt twice":   func(d *nes.Dossier) { d.Attempts = append(d.Attempts, d.Attempts[0]) },
		"an unknown status":  func(d *nes.Dossier) { d.Attempts[1].Status = "Sleeping" },
		"an unknown stage":   func(d *nes.Dossier) { d.Run.Stage = "limbo" },
		"an end without end": func(d *nes.Dossier) { d.Run.EndedAt = nil },
	} {
		d := carried(t, old, run.ID)
		spoil(&d)
		restored, err := made.Restore(t.Context(), d)
		require.Error(t, err, name)
		require.False(t, restored, name)
		require.Empty(t, dump(t, made), name)
	}
}

package ledgertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

func submitted(t *testing.T, l *ledger.Ledger) {
	spec := nes.Spec{
		InputURL: "https://github.com/acme/reports/blob/main/일간 보고.ipynb", Parameters: map[string]json.RawMessage{"n": json.RawMessage("1")},
		Runtime: "python-3.12", Profile: "small", Timeout: nes.Duration(time.Hour), Retry: &nes.Retry{Limit: 2, On: []nes.Reason{nes.ReasonNodeLost}},
		NotReady: &nes.NotReady{Every: nes.Duration(time.Minute), Until: nes.Duration(time.Hour)}, Labels: map[string]string{"dag": "일간"},
		Secrets: map[string]nes.Secret{"DB": {Ref: "vault/db"}}, Resources: &nes.Resources{Memory: "2Gi"}, Group: "g", Priority: -3,
	}
	s := submission(spec)
	s.Parent = ledger.NewID()
	run, created, err := l.Create(t.Context(), s)
	require.NoError(t, err)
	require.True(t, created)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, run.ID)
	want := nes.Run{
		ID: run.ID, Status: nes.StatusPending, Stage: nes.StageQueued, Spec: s.Spec, Owner: "alice", Team: "data",
		Client: "test/1", Parent: s.Parent, Version: 1, CreatedAt: noon,
	}
	require.Equal(t, want, run)
	seen := look(t, l, run.ID)
	require.Equal(t, run, seen.run)
	require.Empty(t, seen.attempts)
	require.Equal(t, []nes.Event{{
		Seq: seen.events[0].Seq, RunID: run.ID, At: noon, Kind: "submitted", Status: nes.StatusPending, Stage: nes.StageQueued, Actor: "alice",
	}}, seen.events)
	next := submit(t, l, nes.Spec{})
	require.Greater(t, next.ID, run.ID, "ids sort by submission")
}

func forms(t *testing.T, l *ledger.Ledger) {
	values := map[string]json.RawMessage{
		"float": json.RawMessage("1.0"), "large": json.RawMessage("123456789012345678901234567890"), "exponent": json.RawMessage("1e400"),
		"null": json.RawMessage("null"), "html": json.RawMessage(`"<a href='x'>&amp;</a>"`), "quotes": json.RawMessage(`"'\"; DROP TABLE runs; --\n"`),
		"korean": json.RawMessage(`"매출\t보고"`), "emoji": json.RawMessage(`"😀"`), "list": json.RawMessage(`[1,2.50,"x",null,{"a":[]}]`),
		"nul": json.RawMessage(`"a\u0000b"`), "empty": json.RawMessage(`""`), "이름": json.RawMessage("true"),
	}
	run := submit(t, l, nes.Spec{Parameters: values})
	require.Equal(t, values, look(t, l, run.ID).run.Spec.Parameters)
	run = apply(t, l, nes.Fetch(&run, noon))
	run = apply(t, l, nes.FetchDone(&run, nes.Fetched{Parameters: values}, noon))
	require.Equal(t, values, run.Parameters)
}

func largeDocuments(t *testing.T, l *ledger.Ledger) {
	large, err := json.Marshal(strings.Repeat("한글 and text. ", 80_000))
	require.NoError(t, err)
	run := submit(t, l, nes.Spec{Parameters: map[string]json.RawMessage{"p": large}, Labels: map[string]string{"l": strings.Repeat("x", 10_000)}})
	run = apply(t, l, nes.Fetch(&run, noon))
	run = apply(t, l, nes.End(&run, nes.ReasonInternal, strings.Repeat("m", 100_000), &nes.Outcome{Result: large}, noon))
	seen := look(t, l, run.ID).run
	require.Equal(t, run, seen)
	require.Equal(t, json.RawMessage(large), seen.Outcome.Result)
}

func times(t *testing.T, l *ledger.Ledger) {
	zone := time.FixedZone("KST", 9*3600)
	s := submission(nes.Spec{})
	s.At = time.Date(2026, 1, 1, 3, 4, 5, 123_456_789, zone)
	run, _, err := l.Create(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, time.Date(2025, 12, 31, 18, 4, 5, 123_456_000, time.UTC), run.CreatedAt)
	later := time.Date(2026, 1, 1, 3, 4, 6, 1_999, zone)
	run = apply(t, l, nes.End(&run, nes.ReasonCancelled, "", nil, later))
	require.Equal(t, time.Date(2025, 12, 31, 18, 4, 6, 1_000, time.UTC), *run.EndedAt)
	seen := look(t, l, run.ID)
	require.Equal(t, run, seen.run)
	require.Equal(t, *run.EndedAt, seen.events[1].At)
}

func unknown(t *testing.T, l *ledger.Ledger) {
	ctx, id := t.Context(), ledger.NewID()
	_, err := l.Run(ctx, id)
	requireCode(t, nes.CodeNotFound, err)
	_, err = l.Apply(ctx, nes.Fetch(&nes.Run{ID: id}, noon))
	requireCode(t, nes.CodeNotFound, err)
	_, err = l.RequestCancel(ctx, id, "alice", noon)
	requireCode(t, nes.CodeNotFound, err)
	requireCode(t, nes.CodeNotFound, l.Published(ctx, id))
	requireCode(t, nes.CodeNotFound, l.Note(ctx, id, "x", noon))
	_, err = l.Attempt(ctx, id, 1)
	requireCode(t, nes.CodeNotFound, err)
	attempts, err := l.Attempts(ctx, id)
	require.NoError(t, err)
	require.Empty(t, attempts)
	events, err := l.Events(ctx, 0, "", 0)
	require.NoError(t, err)
	require.Empty(t, events, "what was refused left no event")
	require.NoError(t, l.Ping(ctx))
}

func oneKey(t *testing.T, l *ledger.Ledger) {
	var mu sync.Mutex
	created, ids := 0, map[nes.RunID]int{}
	err := together(t.Context(), 200, func(ctx context.Context, _ int) error {
		run, isNew, err := l.Create(ctx, submission(nes.Spec{IdempotencyKey: "k"}))
		mu.Lock()
		defer mu.Unlock()
		ids[run.ID]++
		if isNew {
			created++
		}
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, created)
	require.Len(t, ids, 1)
	page, err := l.Runs(t.Context(), ledger.Filter{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	require.Equal(t, []string{"submitted"}, kinds(look(t, l, page.Runs[0].ID).events))
}

func keys(t *testing.T, l *ledger.Ledger) {
	first := submit(t, l, nes.Spec{IdempotencyKey: "k"})
	other := submission(nes.Spec{IdempotencyKey: "k"})
	other.Fingerprint = "f2"
	_, _, err := l.Create(t.Context(), other)
	requireCode(t, nes.CodeKeyReused, err)
	require.ErrorContains(t, err, string(first.ID))

	foreign := submission(nes.Spec{IdempotencyKey: "k"})
	foreign.Team = "other"
	run, created, err := l.Create(t.Context(), foreign)
	require.NoError(t, err)
	require.True(t, created, "keys are a team's own")
	require.NotEqual(t, first.ID, run.ID)

	first = apply(t, l, nes.End(&first, nes.ReasonCancelled, "", nil, noon))
	again, created, err := l.Create(t.Context(), submission(nes.Spec{IdempotencyKey: "k"}))
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, first, again, "a key is the same run for ever, also when that has failed")
	require.NotEqual(t, submit(t, l, nes.Spec{}).ID, submit(t, l, nes.Spec{}).ID, "no key is no key")
}

func attaching(t *testing.T, l *ledger.Ledger) {
	end := func(reason nes.Reason) func(nes.Run) {
		return func(run nes.Run) { apply(t, l, nes.End(&run, reason, "", nil, noon)) }
	}
	tests := []struct {
		name                          string
		before                        func(nes.Run)
		never, active, orSucceededToo bool // attaches
	}{
		{"queued", func(nes.Run) {}, false, true, true},
		{"fetching", func(run nes.Run) { apply(t, l, nes.Fetch(&run, noon)) }, false, true, true},
		{"being cancelled", func(run nes.Run) {
			_, err := l.RequestCancel(t.Context(), run.ID, "bob", noon)
			require.NoError(t, err)
		}, false, false, false},
		{"succeeded", end(nes.ReasonCompleted), false, false, true},
		{"skipped", end(nes.ReasonSkipped), false, false, true},
		{"failed", end(nes.ReasonCellError), false, false, false},
		{"cancelled", end(nes.ReasonCancelled), false, false, false},
		{"error", end(nes.ReasonInternal), false, false, false},
	}
	for _, test := range tests {
		attaches := map[nes.Reattach]bool{
			"": false, nes.ReattachNever: test.never, nes.ReattachActive: test.active, nes.ReattachActiveOrSucceeded: test.orSucceededToo,
		}
		for how, want := range attaches {
			task := fmt.Sprintf("%s/%s", test.name, how)
			old := submit(t, l, nes.Spec{TaskKey: task, Reattach: how})
			test.before(old)
			s := submission(nes.Spec{TaskKey: task, Reattach: how, IdempotencyKey: task})
			foreign := s
			foreign.Team = "other"
			run, created, err := l.Create(t.Context(), foreign)
			require.NoError(t, err)
			require.True(t, created, "tasks are a team's own")
			require.NotEqual(t, old.ID, run.ID)
			run, created, err = l.Create(t.Context(), s)
			require.NoError(t, err)
			require.Equal(t, !want, created, task)
			require.Equal(t, want, run.ID == old.ID, task)
			_, err = l.RequestCancel(t.Context(), run.ID, "bob", noon)
			require.True(t, err == nil || run.Ended())
			again, created, err := l.Create(t.Context(), s)
			require.NoError(t, err)
			require.False(t, created)
			require.Equal(t, run.ID, again.ID, "the key stays with the run that it was given")
		}
	}
}

func oneTask(t *testing.T, l *ledger.Ledger) {
	var mu sync.Mutex
	created := 0
	err := together(t.Context(), 50, func(ctx context.Context, i int) error {
		spec := nes.Spec{TaskKey: "dag/task", Reattach: nes.ReattachActive, IdempotencyKey: fmt.Sprint(i)}
		_, isNew, err := l.Create(ctx, submission(spec))
		mu.Lock()
		defer mu.Unlock()
		if isNew {
			created++
		}
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, created)
}

package ledgertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

// library fills a ledger with runs, found again by their names.
func library(t *testing.T, l *ledger.Ledger) map[nes.RunID]string {
	t.Helper()
	names := map[nes.RunID]string{}
	add := func(name string, s ledger.Submission, f *nes.Fetched, reason nes.Reason, message string) {
		run, _, err := l.Create(t.Context(), s)
		require.NoError(t, err)
		names[run.ID] = name
		if f != nil {
			run = apply(t, l, nes.Fetch(&run, noon))
			run = apply(t, l, nes.FetchDone(&run, *f, noon))
		}
		if message != "" {
			apply(t, l, nes.End(&run, reason, message, nil, noon))
		}
	}
	a := submission(nes.Spec{Labels: map[string]string{"dag": "daily", "env": "prod"}, Group: "g1", TaskKey: "t1"})
	add("a", a, &fetched, nes.ReasonCompleted, "fine")
	b := submission(nes.Spec{Labels: map[string]string{"dag": "daily"}, Parameters: map[string]json.RawMessage{"day": json.RawMessage(`"월요일"`)}})
	b.Team, b.Owner, b.At = "other", "bob", at(60)
	add("b", b, nil, nes.ReasonCellError, "100% of it_failed\\here")
	c := submission(nes.Spec{InputURL: "https://gitlab.example/매출/보고서.ipynb", Group: "g1", Parameters: map[string]json.RawMessage{"n": json.RawMessage("[1,2]")}})
	c.At = at(120)
	add("c", c, nil, "", "")
	other := fetched
	other.Source.Commit = "0123fff" + strings.Repeat("0", 33)
	other.Source.Path = "weekly.ipynb"
	other.Parameters = map[string]json.RawMessage{"n": json.RawMessage("1.5"), "flag": json.RawMessage("true"), "none": json.RawMessage("null")}
	d := submission(nes.Spec{Parameters: map[string]json.RawMessage{"n": json.RawMessage(`"1.5"`)}})
	d.At, d.Parent = at(180), "0190a000-0000-7000-8000-000000000000"
	add("d", d, &other, nes.ReasonNodeLost, "node gone")
	return names
}

func filters(t *testing.T, l *ledger.Ledger) {
	names := library(t, l)
	tests := []struct {
		filter ledger.Filter
		want   string // names, newest first
	}{
		{ledger.Filter{}, "d c b a"},
		{ledger.Filter{Teams: []string{"data"}}, "d c a"},
		{ledger.Filter{Teams: []string{"data", "other"}}, "d c b a"},
		{ledger.Filter{Teams: []string{}}, ""},
		{ledger.Filter{Status: []nes.Status{nes.StatusPending}}, "c"},
		{ledger.Filter{Status: []nes.Status{nes.StatusSucceeded, nes.StatusError}}, "d a"},
		{ledger.Filter{Reason: []nes.Reason{nes.ReasonCellError, nes.ReasonNodeLost}}, "d b"},
		{ledger.Filter{Repository: "github.com/acme/reports"}, "d a"},
		{ledger.Filter{Repository: "github.com/acme/reports", Notebook: "daily.ipynb"}, "a"},
		{ledger.Filter{Notebook: "weekly.ipynb"}, "d"},
		{ledger.Filter{Commit: "0123"}, "d a"},
		{ledger.Filter{Commit: "0123F"}, "d"},
		{ledger.Filter{Commit: fetched.Source.Commit}, "a"},
		{ledger.Filter{Group: "g1"}, "c a"},
		{ledger.Filter{TaskKey: "t1"}, "a"},
		{ledger.Filter{Owner: "bob"}, "b"},
		{ledger.Filter{Owner: "alice", Group: "g1"}, "c a"},
		{ledger.Filter{Owner: "Alice"}, ""},
		{ledger.Filter{Text: "G1"}, "c a"},
		{ledger.Filter{Parent: "0190a000-0000-7000-8000-000000000000"}, "d"},
		{ledger.Filter{Labels: map[string]string{"dag": "daily"}}, "b a"},
		{ledger.Filter{Labels: map[string]string{"dag": "daily", "env": "prod"}}, "a"},
		{ledger.Filter{Labels: map[string]string{"dag": "prod"}}, ""},
		{ledger.Filter{Parameters: map[string]string{"day": "월요일"}}, "b"},
		{ledger.Filter{Parameters: map[string]string{"n": "60"}}, "a"},
		{ledger.Filter{Parameters: map[string]string{"n": "[1,2]"}}, "c"},
		{ledger.Filter{Parameters: map[string]string{"n": "1.5", "flag": "true", "none": "null"}}, "d"},
		{ledger.Filter{Text: "GITLAB"}, "c"},
		{ledger.Filter{Text: "매출/보고"}, "c"},
		{ledger.Filter{Text: "node"}, "d"},
		{ledger.Filter{Text: "Prod"}, "a"},
		{ledger.Filter{Text: "100%"}, "b"},
		{ledger.Filter{Text: "it_f"}, "b"},
		{ledger.Filter{Text: "0%of"}, ""},
		{ledger.Filter{Text: "i__f"}, ""},
		{ledger.Filter{Text: `\here`}, "b"},
		{ledger.Filter{Text: "' OR '1'='1"}, ""},
		{ledger.Filter{Since: at(60)}, "d c b"},
		{ledger.Filter{Until: at(60)}, "a"},
		{ledger.Filter{Since: at(60), Until: at(180)}, "c b"},
		{ledger.Filter{Since: at(60).In(time.FixedZone("KST", 9*3600)), Teams: []string{"data"}, Text: "acme"}, "d"},
	}
	for _, test := range tests {
		page, err := l.Runs(t.Context(), test.filter)
		require.NoError(t, err)
		var found []string
		for _, run := range page.Runs {
			found = append(found, names[run.ID])
		}
		require.Equal(t, test.want, strings.Join(found, " "), "%+v", test.filter)
		require.Empty(t, page.Next)
	}
}

// notebooks: each is listed once, the one that was run last first, and what a caller may not see does not count.
func notebooks(t *testing.T, l *ledger.Ledger) {
	names := library(t, l)
	const reports = "github.com/acme/reports"
	again, _, err := l.Create(t.Context(), submission(nes.Spec{}))
	require.NoError(t, err)
	again = apply(t, l, nes.Fetch(&again, noon))
	again = apply(t, l, nes.FetchDone(&again, fetched, noon))
	names[again.ID] = "e"
	tests := []struct {
		filter nes.NotebookFilter
		want   []string // path, runs, name of the newest
	}{
		{nes.NotebookFilter{}, []string{"daily.ipynb 2 e", "weekly.ipynb 1 d"}},
		{nes.NotebookFilter{Limit: 1}, []string{"daily.ipynb 2 e"}},
		{nes.NotebookFilter{Text: "WEEK"}, []string{"weekly.ipynb 1 d"}},
		{nes.NotebookFilter{Text: "acme"}, []string{"daily.ipynb 2 e", "weekly.ipynb 1 d"}},
		{nes.NotebookFilter{Text: "%"}, nil},
		{nes.NotebookFilter{Repository: reports, Text: "daily"}, []string{"daily.ipynb 2 e"}},
		{nes.NotebookFilter{Repository: "github.com/acme"}, nil},
		{nes.NotebookFilter{Teams: []string{"data"}, Text: "daily"}, []string{"daily.ipynb 2 e"}},
		{nes.NotebookFilter{Teams: []string{"other"}}, nil},
		{nes.NotebookFilter{Teams: []string{}}, nil},
	}
	for _, test := range tests {
		found, err := l.Notebooks(t.Context(), test.filter)
		require.NoError(t, err)
		var got []string
		for _, n := range found {
			require.Equal(t, reports, n.Repository)
			got = append(got, fmt.Sprint(n.Notebook, " ", n.Runs, " ", names[n.Newest]))
		}
		require.Equal(t, test.want, got, "%+v", test.filter)
	}
}

// tally: runs are counted by status, as a list with the same filter shows them.
func tally(t *testing.T, l *ledger.Ledger) {
	library(t, l)
	for _, test := range []struct {
		filter ledger.Filter
		want   map[nes.Status]int
	}{
		{ledger.Filter{}, map[nes.Status]int{nes.StatusSucceeded: 1, nes.StatusFailed: 1, nes.StatusPending: 1, nes.StatusError: 1}},
		{ledger.Filter{Group: "g1"}, map[nes.Status]int{nes.StatusSucceeded: 1, nes.StatusPending: 1}},
		{ledger.Filter{Group: "g1", Limit: 1, Cursor: "0190a000-0000-7000-8000-000000000000"}, map[nes.Status]int{nes.StatusSucceeded: 1, nes.StatusPending: 1}},
		{ledger.Filter{Teams: []string{"other"}}, map[nes.Status]int{nes.StatusFailed: 1}},
		{ledger.Filter{Group: "none"}, map[nes.Status]int{}},
	} {
		got, err := l.Tally(t.Context(), test.filter)
		require.NoError(t, err)
		require.Equal(t, test.want, got, "%+v", test.filter)
	}
	_, err := l.Tally(t.Context(), ledger.Filter{Commit: "x"})
	requireCode(t, nes.CodeInvalid, err)
}

func badFilters(t *testing.T, l *ledger.Ledger) {
	_, err := l.Runs(t.Context(), ledger.Filter{Commit: "012", Cursor: "x"})
	requireCode(t, nes.CodeInvalid, err)
	require.ErrorContains(t, err, "and 1 more", "all that is wrong is said at once")
	_, err = l.Runs(t.Context(), ledger.Filter{Commit: "012%"})
	requireCode(t, nes.CodeInvalid, err)
}

func pages(t *testing.T, l *ledger.Ledger) {
	for range 60 {
		submit(t, l, nes.Spec{})
	}
	page, err := l.Runs(t.Context(), ledger.Filter{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 50, "a page has 50 runs where nothing else is asked for")
	rest, err := l.Runs(t.Context(), ledger.Filter{Cursor: page.Next})
	require.NoError(t, err)
	require.Len(t, rest.Runs, 10)
	require.Empty(t, rest.Next)
	all, err := l.Runs(t.Context(), ledger.Filter{Limit: 60})
	require.NoError(t, err)
	require.Equal(t, all.Runs, append(page.Runs, rest.Runs...))
	require.Empty(t, all.Next, "a page that is just full is the last one when nothing follows")
}

func pagesWhileAdding(t *testing.T, l *ledger.Ledger) {
	var want []nes.RunID
	for range 20 {
		want = append(want, submit(t, l, nes.Spec{}).ID)
	}
	slices.Reverse(want)
	var seen []nes.RunID
	f := ledger.Filter{Limit: 3}
	for {
		page, err := l.Runs(t.Context(), f)
		require.NoError(t, err)
		for _, run := range page.Runs {
			seen = append(seen, run.ID)
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
		submit(t, l, nes.Spec{})
	}
	require.Equal(t, want, seen)
}

func events(t *testing.T, l *ledger.Ledger) {
	last, err := l.LastEvent(t.Context())
	require.NoError(t, err)
	require.Zero(t, last)
	run, other := submit(t, l, nes.Spec{}), submit(t, l, nes.Spec{})
	require.NoError(t, l.Note(t.Context(), run.ID, "저장소가 응답하지 않음", at(1)))
	all, err := l.Events(t.Context(), 0, "", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"submitted", "submitted", "note"}, kinds(all))
	last, err = l.LastEvent(t.Context())
	require.NoError(t, err)
	require.Equal(t, all[2].Seq, last)
	require.Equal(t, "저장소가 응답하지 않음", all[2].Message)
	require.Less(t, all[0].Seq, all[1].Seq)
	require.Less(t, all[1].Seq, all[2].Seq)
	behind, err := l.Events(t.Context(), all[0].Seq, "", 1)
	require.NoError(t, err)
	require.Equal(t, all[1:2], behind)
	own, err := l.Events(t.Context(), all[0].Seq, run.ID, 0)
	require.NoError(t, err)
	require.Equal(t, all[2:], own)
	none, err := l.Events(t.Context(), all[2].Seq, "", 0)
	require.NoError(t, err)
	require.Empty(t, none)
	require.EqualValues(t, 1, look(t, l, other.ID).run.Version)
	require.EqualValues(t, 1, look(t, l, run.ID).run.Version, "a note is no change of the run")
}

// noEventMissed: a reader that goes on from the last event it saw, while eight
// writers commit at the same time, sees every event once. Numbers that become visible out of their
// order, as those of a sequence do, would be missed.
func noEventMissed(t *testing.T, l *ledger.Ledger) {
	const writers, each = 8, 40
	ctx, done := context.WithCancel(t.Context())
	defer done()
	written := make(chan error, 1)
	go func() {
		written <- together(t.Context(), writers, func(ctx context.Context, w int) error {
			run, _, err := l.Create(ctx, submission(nes.Spec{}))
			for i := 1; i < each && err == nil; i++ {
				err = l.Note(ctx, run.ID, strconv.Itoa(w)+"/"+strconv.Itoa(i), noon)
			}
			return err
		})
		done()
	}()
	var seen []nes.Event
	for cursor, last := int64(0), false; ; {
		found, err := l.Events(t.Context(), cursor, "", 7)
		require.NoError(t, err)
		seen = append(seen, found...)
		if len(found) > 0 {
			cursor, last = found[len(found)-1].Seq, false
			continue
		}
		if last {
			break
		}
		last = ctx.Err() != nil // everything is written: look once more
	}
	require.NoError(t, <-written)
	require.Len(t, seen, writers*each, fmt.Sprint("events that a cursor did not meet: ", writers*each-len(seen)))
	all, err := l.Events(t.Context(), 0, "", 1000)
	require.NoError(t, err)
	require.Equal(t, all, seen)
}

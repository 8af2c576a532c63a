package ledgertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

// filtersLikeAModel lists runs that are made up by filters that are made up, page by page, and compares with a plain
// look at every run: what is in a list, in which order, and that no run is on two pages or on none.
func filtersLikeAModel(t *testing.T, l *ledger.Ledger) {
	rng := rand.New(rand.NewPCG(21, 22))
	var all []nes.Run
	for i := range 30 {
		all = append(all, anyRun(t, l, rng, i))
	}
	slices.SortFunc(all, func(a, b nes.Run) int { return strings.Compare(string(b.ID), string(a.ID)) })
	found := 0
	for range 150 {
		f := anyFilter(rng, all)
		var want, got []nes.RunID
		for i := range all {
			if lets(f, &all[i]) {
				want = append(want, all[i].ID)
			}
		}
		f.Limit = 1 + rng.IntN(7)
		for page := 0; ; page++ {
			p, err := l.Runs(t.Context(), f)
			require.NoError(t, err, "%+v", f)
			require.LessOrEqual(t, len(p.Runs), f.Limit)
			for _, r := range p.Runs {
				got = append(got, r.ID)
			}
			if f.Cursor = p.Next; p.Next == "" {
				require.LessOrEqual(t, page, len(want)/f.Limit, "no page is empty but the only one")
				break
			}
		}
		require.Equal(t, want, got, "%+v", f)
		found += len(got)
	}
	require.Greater(t, found, 150, "the filters find something")
}

var (
	modelTeams  = []string{"data", "other", "x%y"}
	modelWords  = []string{"daily", "DAILY", "we_kly", "100%", `back\slash`, "매출"}
	modelGroups = []string{"", "g1", "g_1", "G1"}
)

func anyRun(t *testing.T, l *ledger.Ledger, rng *rand.Rand, i int) nes.Run {
	t.Helper()
	pick := func(s []string) string { return s[rng.IntN(len(s))] }
	s := submission(nes.Spec{
		InputURL: "https://git.example/" + pick(modelWords) + "/n.ipynb", Group: pick(modelGroups),
		Labels:     map[string]string{"dag": pick(modelWords), "env": pick(modelTeams)},
		Parameters: map[string]json.RawMessage{"n": json.RawMessage(fmt.Sprint(rng.IntN(3)))},
	})
	s.Team, s.At = pick(modelTeams), at(60*rng.IntN(10))
	run, _, err := l.Create(t.Context(), s)
	require.NoError(t, err)
	if rng.IntN(2) == 0 {
		return run
	}
	f := fetched
	f.Source.Path, f.Source.Commit = pick(modelWords)+".ipynb", fmt.Sprintf("%04x", i%5)+strings.Repeat("0", 36)
	run = apply(t, l, nes.Fetch(&run, noon))
	run = apply(t, l, nes.FetchDone(&run, f, noon))
	if rng.IntN(2) == 0 {
		reason := []nes.Reason{nes.ReasonCompleted, nes.ReasonCellError, nes.ReasonNodeLost}[rng.IntN(3)]
		run = apply(t, l, nes.End(&run, reason, pick(modelWords)+" happened", nil, noon))
	}
	return run
}

// anyFilter has one to three conditions, made of what some run has, or of what none has.
func anyFilter(rng *rand.Rand, all []nes.Run) (f ledger.Filter) {
	r := all[rng.IntN(len(all))]
	for range 1 + rng.IntN(3) {
		switch rng.IntN(12) {
		case 0:
			f.Teams = modelTeams[:rng.IntN(3)]
		case 1:
			f.Status = []nes.Status{r.Status, nes.StatusError}
		case 2:
			f.Reason = []nes.Reason{nes.ReasonCellError, nes.ReasonNodeLost}[:1+rng.IntN(2)]
		case 3:
			f.Group = modelGroups[rng.IntN(len(modelGroups))]
		case 4:
			f.Labels = map[string]string{"dag": r.Spec.Labels["dag"], "env": r.Spec.Labels["env"]}
		case 5:
			f.Labels = map[string]string{"env": "dag"}
		case 6:
			f.Parameters = map[string]string{"n": fmt.Sprint(rng.IntN(4))}
		case 7:
			f.Since = at(60 * rng.IntN(10))
		case 8:
			f.Until = at(60 * rng.IntN(10))
		case 9:
			f.Commit = fmt.Sprintf("%04X", rng.IntN(6))
		case 10:
			f.Text = []string{"dAiLy", "_", "%", `\`, "매출", "happened", "none of it"}[rng.IntN(7)]
		case 11:
			f.Notebook = modelWords[rng.IntN(len(modelWords))] + ".ipynb"
		}
	}
	return f
}

// lets is the filter, as plainly as it can be written.
func lets(f ledger.Filter, r *nes.Run) bool {
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(f.Text)) }
	text := f.Text == "" || has(r.Spec.InputURL) || has(r.Message) || has(r.Spec.Group)
	for name, value := range r.Spec.Labels {
		text = text || has(name) || has(value)
	}
	labels, parameters := true, true
	for name, value := range f.Labels {
		labels = labels && r.Spec.Labels[name] == value
	}
	given := r.Parameters
	if given == nil {
		given = r.Spec.Parameters
	}
	for name, value := range f.Parameters {
		parameters = parameters && string(given[name]) == value
	}
	source := nes.Source{}
	if r.Source != nil {
		source = *r.Source
	}
	in := func(from, until time.Time) bool {
		return (from.IsZero() || !r.CreatedAt.Before(from)) && (until.IsZero() || r.CreatedAt.Before(until))
	}
	return text && labels && parameters && in(f.Since, f.Until) &&
		(f.Teams == nil || slices.Contains(f.Teams, r.Team)) &&
		(len(f.Status) == 0 || slices.Contains(f.Status, r.Status)) &&
		(len(f.Reason) == 0 || r.Ended() && slices.Contains(f.Reason, r.Reason)) &&
		(f.Group == "" || f.Group == r.Spec.Group) &&
		(f.Notebook == "" || f.Notebook == source.Path) &&
		(f.Commit == "" || strings.HasPrefix(source.Commit, strings.ToLower(f.Commit)))
}

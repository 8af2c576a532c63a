package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
)

func notebook(cells ...string) string {
	sc := scenario.Scenario{}
	for _, c := range cells {
		sc.Cells = append(sc.Cells, scenario.Cell{Code: c})
	}
	return string(sc.Notebook())
}

// TestFixAndPush: a run fails by a cell error; the notebook is mended and pushed; the same
// request again runs the new commit and succeeds, and both records name their commits.
func TestFixAndPush(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	repo.Write("daily.ipynb", notebook("raise KeyError('revenue')"))
	broken := repo.Commit("change", nil)
	spec := nes.Spec{InputURL: repo.url + "/blob/main/daily.ipynb", IdempotencyKey: "first"}
	first := s.wait(s.submit(spec).ID)
	require.Equal(t, nes.ReasonCellError, first.Reason, first.Message)

	repo.Write("daily.ipynb", notebook("print('revenue', 12)"))
	mended := repo.Commit("change", nil)
	spec.IdempotencyKey = "second"
	second := s.wait(s.submit(spec).ID)
	require.Equal(t, nes.StatusSucceeded, second.Status, second.Message)

	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, broken, first.Source.Commit)
	require.Equal(t, mended, second.Source.Commit)
	require.Equal(t, mended, s.notebook(second.ID).Metadata.NES["commit"])
}

// TestRefusedRunNamesItsCommit: the record of a run whose parameters do not fit says which notebook they were held against.
func TestRefusedRunNamesItsCommit(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	sc := scenario.Scenario{Cells: []scenario.Cell{{Code: "region = 'north'", Tags: []string{"parameters"}}}}
	repo.Write("n.ipynb", string(sc.Notebook()))
	commit := repo.Commit("change", nil)
	run := s.wait(s.submit(nes.Spec{
		InputURL:   repo.url + "/blob/main/n.ipynb",
		Parameters: map[string]json.RawMessage{"regoin": json.RawMessage(`"south"`)},
	}).ID)
	require.Equal(t, nes.ReasonParameterError, run.Reason)
	require.Equal(t, commit, run.Source.Commit)
	require.Equal(t, "n.ipynb", run.Source.Path)
}

// TestAddresses: branches with slashes, permalinks to commits that no branch points to, and GitLab's form, each runs.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	repo.Write("한국/일일 보고.ipynb", notebook("print('old')"))
	old := repo.Commit("change", nil)
	repo.Write("한국/일일 보고.ipynb", notebook("print('new')"))
	repo.Commit("change", nil)
	repo.Branch("feature/one/two")
	path := "%ED%95%9C%EA%B5%AD/%EC%9D%BC%EC%9D%BC%20%EB%B3%B4%EA%B3%A0.ipynb"
	for name, c := range map[string]struct{ address, prints string }{
		"branch":            {"/blob/main/" + path, "new"},
		"branch with slash": {"/blob/feature/one/two/" + path, "new"},
		"commit permalink":  {"/blob/" + old + "/" + path, "old"},
		"GitLab":            {"/-/blob/main/" + path, "new"},
		"not encoded":       {"/blob/main/한국/일일 보고.ipynb", "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := *s
			s.t = t
			run := s.wait(s.submit(nes.Spec{InputURL: repo.url + c.address}).ID)
			require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
			require.Contains(t, s.notebook(run.ID).Code()[0].Text(), c.prints)
		})
	}
}

// TestOneKeyIsOneRun: 200 identical submissions at once with one key give one run; another body under that key is refused.
func TestOneKeyIsOneRun(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	repo.Write("n.ipynb", notebook("print(1)"))
	repo.Commit("change", nil)
	spec := nes.Spec{InputURL: repo.url + "/blob/main/n.ipynb", IdempotencyKey: "the same"}
	var wg sync.WaitGroup
	ids, created := make([]nes.RunID, 200), make([]bool, 200)
	for i := range ids {
		wg.Go(func() {
			run, isNew, err := s.client.Submit(s.ctx(), spec)
			if err == nil {
				ids[i], created[i] = run.ID, isNew
			}
		})
	}
	wg.Wait()
	made := 0
	for i := range ids {
		require.Equal(t, ids[0], ids[i])
		if created[i] {
			made++
		}
	}
	require.NotEmpty(t, ids[0])
	require.Equal(t, 1, made)
	page, err := s.client.Runs(s.ctx(), nil)
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)

	spec.Labels = map[string]string{"other": "body"}
	_, _, err = s.client.Submit(s.ctx(), spec)
	require.Equal(t, nes.CodeKeyReused, nes.CodeOf(err))
	require.Equal(t, nes.StatusSucceeded, s.wait(ids[0]).Status)
}

// TestServerKilled: kill -9 of the server during a run; after its restart the run ends Succeeded, with no output lost or doubled.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	repo.Write("n.ipynb", notebook(
		"import time\nfor i in range(60):\n    print('line', i, flush=True)\n    time.sleep(0.1)",
		"print('after')",
	))
	repo.Commit("change", nil)
	run := s.submit(nes.Spec{InputURL: repo.url + "/blob/main/n.ipynb"})
	s.awaitLog(run.ID, "line 5\n")
	s.kill()
	s.start()
	end := s.wait(run.ID)
	require.Equal(t, nes.StatusSucceeded, end.Status, end.Message)
	require.Equal(t, 1, end.Attempt)
	var want strings.Builder
	for i := range 60 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	require.Equal(t, want.String(), s.notebook(end.ID).Code()[0].Printed())
}

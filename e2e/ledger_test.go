package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// answers are what the API says of a run, byte for byte. The event of its publishing is not kept in the bucket.
func (s *server) answers(id nes.RunID) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, of := range []string{"", "/attempts", "/result", "/notebook", "/log", "/files", "/events"} {
		r, err := http.NewRequestWithContext(s.ctx(), http.MethodGet, "http://"+s.addr+"/v1/runs/"+string(id)+of, nil)
		require.NoError(s.t, err)
		res, err := http.DefaultClient.Do(r)
		require.NoError(s.t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, res.Body.Close())
		body = requestID.ReplaceAll(body, nil) // of an answer that there is none
		if of == "/events" {
			body = withoutPublishing(s.t, body)
		}
		all[of] = fmt.Sprintln(res.StatusCode, res.Header.Get("ETag"), string(body))
	}
	return all
}

func withoutPublishing(t *testing.T, body []byte) []byte {
	t.Helper()
	var page struct {
		Events []json.RawMessage `json:"events"`
	}
	require.NoError(t, json.Unmarshal(body, &page))
	kept := slices.DeleteFunc(page.Events, func(e json.RawMessage) bool { return strings.Contains(string(e), `"kind":"published"`) })
	require.NotEmpty(t, kept)
	text, err := json.Marshal(kept)
	require.NoError(t, err)
	return text
}

// run runs another command of the binary under test in the server's surroundings, and returns what it printed.
func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx(), filepath.Join(s.bin, "nes"), args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return string(out)
}

// TestLedgerLost: the ledger is deleted while a notebook runs. "nes reindex" brings back all that had ended, as it was, and
// the notebook that ran is adopted and ends with all its output, by its first attempt.
func TestLedgerLost(t *testing.T) {
	t.Parallel()
	s, repo := serve(t), newRepository(t)
	repo.Write("good.ipynb", notebook("import nes\nnes.result({'z': 1, 'a': '<b>'})\nprint('한글')"))
	repo.Write("bad.ipynb", notebook("raise KeyError('<revenue>')"))
	repo.Write("long.ipynb", notebook("import time\nfor i in range(80):\n    print('line', i, flush=True)\n    time.sleep(0.1)", "print('after')"))
	repo.Commit("change", nil)
	address := func(name string) string { return repo.url + "/blob/main/" + name + ".ipynb" }
	good := nes.Spec{InputURL: address("good"), IdempotencyKey: "key", Labels: map[string]string{"team": "<x>"}, Group: "g"}
	first := s.wait(s.submit(good).ID)
	require.Equal(t, nes.StatusSucceeded, first.Status, first.Message)
	retried := s.wait(s.submit(nes.Spec{InputURL: address("bad"), Retry: &nes.Retry{Limit: 1, Backoff: nes.Duration(1), On: []nes.Reason{nes.ReasonCellError}}}).ID)
	require.Equal(t, 2, retried.Attempt)
	refused := s.wait(s.submit(nes.Spec{InputURL: address("none")}).ID)
	require.Equal(t, nes.ReasonSourceNotFound, refused.Reason)
	before := map[nes.RunID]map[string]string{}
	for _, r := range []nes.Run{first, retried, refused} {
		s.published(r.ID)
		before[r.ID] = s.answers(r.ID)
	}
	running := s.submit(nes.Spec{InputURL: address("long"), IdempotencyKey: "long"})
	s.awaitLog(running.ID, "line 3\n")
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.cmd.Wait())
	files, err := filepath.Glob(filepath.Join(s.dir, "ledger.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		require.NoError(t, os.Remove(f))
	}

	require.Equal(t, "3 ended, 1 under way, 0 known before, 0 not readable\n", s.run("reindex"))
	require.Equal(t, "0 ended, 0 under way, 4 known before, 0 not readable\n", s.run("reindex"), "it may be repeated")
	s.start()
	for id, was := range before {
		require.Equal(t, was, s.answers(id))
	}
	again, created, err := s.client.Submit(s.ctx(), good)
	require.NoError(t, err)
	require.False(t, created, "the idempotency key is back")
	require.Equal(t, first.ID, again.ID)
	end := s.wait(running.ID)
	require.Equal(t, nes.StatusSucceeded, end.Status, end.Message)
	require.Equal(t, 1, end.Attempt)
	var want strings.Builder
	for i := range 80 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	require.Equal(t, want.String(), s.notebook(end.ID).Code()[0].Printed())
}

// published waits until the run's verdict is stored.
func (s *server) published(id nes.RunID) {
	s.t.Helper()
	for ctx := s.ctx(); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/v1/runs/"+string(id)+"/events", nil)
		require.NoError(s.t, err)
		res, err := http.DefaultClient.Do(r)
		require.NoError(s.t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, res.Body.Close())
		if strings.Contains(string(body), `"published"`) {
			return
		}
	}
}

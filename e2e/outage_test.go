package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
)

// TestLedgerDownAtSubmit: a submission that cannot be kept is refused at once with the advice to come back, nothing is
// launched of it, and the same request succeeds when the database is back.
func TestLedgerDownAtSubmit(t *testing.T) {
	t.Parallel()
	database := postgrestest.Start(t)
	s := serve(t, append(quick(t), "NES_LEDGER="+database.Database(t))...)
	address := (&site{server: s}).Publish(t, map[string]string{"n.ipynb": notebook("work()")})
	witness := filepath.Join(t.TempDir(), "witness")
	spec := trivial(address, 0)
	spec.IdempotencyKey = "while the ledger is down"
	spec.Parameters["witness"] = json.RawMessage(strconv.Quote(witness))
	database.Down()
	status, after := post(t, s, spec)
	require.Equal(t, http.StatusServiceUnavailable, status)
	wait, err := strconv.Atoi(after)
	require.NoError(t, err, "Retry-After: %q", after)
	require.Positive(t, wait)
	database.Up(t)
	run := s.submitUntil(spec)
	require.Equal(t, nes.StatusSucceeded, s.wait(run.ID).Status)
	require.Equal(t, 1, times(t, witness))
	page, err := s.client.Runs(s.ctx(), nil)
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
}

// post sends a submission once, and returns status and Retry-After.
func post(t *testing.T, s *server, spec nes.Spec) (int, string) {
	t.Helper()
	body, err := json.Marshal(spec)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(s.ctx(), http.MethodPost, "http://"+s.addr+"/v1/runs", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("Retry-After")
}

// endsMeanwhile is a notebook that goes on while something is away, and ends meanwhile: it prints, and makes the file "done" last.
func endsMeanwhile(done string) string {
	return notebook("import time\nfor i in range(40):\n    print('line', i, flush=True)\n    time.sleep(0.1)\nopen("+strconv.Quote(done)+", 'w').close()", "print('after')")
}

// away is how long something is away after the notebook has ended: more than any of NES's own clocks that it must outlast.
const away = 8 * time.Second

// TestLedgerDownDuringARun: the database goes away while a notebook runs, and comes back after its end.
func TestLedgerDownDuringARun(t *testing.T) {
	t.Parallel()
	database := postgrestest.Start(t)
	s := serve(t, "NES_LEDGER="+database.Database(t))
	rideOut(t, s, database.Down, func() { database.Up(t) })
}

// TestServerDownAcrossTheEnd: the server is away while the notebook ends.
func TestServerDownAcrossTheEnd(t *testing.T) {
	t.Parallel()
	s := serve(t)
	rideOut(t, s, s.kill, s.start)
}

// rideOut runs a notebook through an outage that begins while it runs and ends after it has ended. Nothing may be lost.
func rideOut(t *testing.T, s *server, down, up func()) {
	done := filepath.Join(t.TempDir(), "done")
	address := (&site{server: s}).Publish(t, map[string]string{"n.ipynb": endsMeanwhile(done)})
	run := s.submit(nes.Spec{InputURL: address + "/blob/main/n.ipynb"})
	s.awaitLog(run.ID, "line 2\n")
	down()
	require.Eventually(t, func() bool { _, err := os.Stat(done); return err == nil }, scenario.Patience, 20*time.Millisecond, "the notebook goes on")
	time.Sleep(away) // it is what is tested: how long the outage lasts
	up()
	end := s.wait(run.ID)
	require.Equal(t, nes.StatusSucceeded, end.Status, "%s: %s", end.Reason, end.Message)
	require.Equal(t, 1, end.Attempt)
	code := s.notebook(run.ID).Code()
	require.Contains(t, code[0].Printed(), "line 0\n")
	require.Contains(t, code[0].Printed(), "line 38\nline 39\n")
	require.Equal(t, "after\n", code[1].Printed())
	scenario.Agrees(t, &site{server: s}, end)
}

// TestOutputThatIsLost measures how much of what was printed is lost when something is killed: the notebook prints the time
// all the while, and the last time that is kept is compared with that of the kill.
func TestOutputThatIsLost(t *testing.T) {
	t.Parallel()
	s := serve(t)
	address := (&site{server: s}).Publish(t, map[string]string{"n.ipynb": notebook("import time\nwhile True:\n    print('at', time.time(), flush=True)\n    time.sleep(0.01)")})
	for what, most := range map[string]time.Duration{"kill kernel": time.Second, "kill driver": time.Second, "kill exec": time.Second, "kill agent": 10 * time.Second} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := *s
			s.t = t
			run := s.submit(nes.Spec{InputURL: address + "/blob/main/n.ipynb"})
			s.awaitLog(run.ID, "at ")
			now, err := s.client.Run(s.ctx(), run.ID, 0, 0)
			require.NoError(t, err)
			time.Sleep(2 * time.Second) // so that there is something to lose
			at := time.Now()
			(&site{server: &s}).Strike(t, what, now)
			if what == "kill agent" {
				require.Eventually(t, func() bool { return lastPrinted(t, &s, run.ID).After(at) }, scenario.Patience, 50*time.Millisecond)
				t.Logf("%s: the output goes on, %s after it; nothing is lost", what, time.Since(at).Round(time.Millisecond))
				require.Less(t, time.Since(at), most)
				_, err = s.client.Cancel(s.ctx(), run.ID)
				require.NoError(t, err)
			}
			end := s.wait(run.ID)
			lost := max(0, at.Sub(lastPrinted(t, &s, run.ID)))
			t.Logf("%s: %s %s; output lost: %s", what, end.Status, end.Reason, lost.Round(time.Millisecond))
			require.Less(t, lost, most)
			scenario.Agrees(t, &site{server: &s}, end)
		})
	}
}

// lastPrinted is the last time that the notebook's record tells.
func lastPrinted(t *testing.T, s *server, id nes.RunID) time.Time {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace([]byte(s.notebook(id).Code()[0].Printed())), []byte("\n"))
	last := string(bytes.TrimPrefix(lines[len(lines)-1], []byte("at ")))
	seconds, err := strconv.ParseFloat(last, 64)
	if err != nil && len(lines) > 1 { // a line of which only a part was heard
		seconds, err = strconv.ParseFloat(string(bytes.TrimPrefix(lines[len(lines)-2], []byte("at "))), 64)
	}
	require.NoError(t, err)
	return time.UnixMicro(int64(seconds * 1e6))
}

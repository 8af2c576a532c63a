package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

const perSecond = 100 // submissions

// TestLoad sends submissions at a steady pace and prints how long the durable answer takes, beside the same for a handler that
// does nothing. NES_LOAD is for how many seconds; without it they are few, and the figures mean little.
func TestLoad(t *testing.T) {
	t.Parallel()
	seconds, err := strconv.Atoi(os.Getenv("NES_LOAD"))
	if err != nil {
		seconds = 3
	}
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	defer empty.Close()
	t.Logf("POST at %d a second for %d s       p50        p95        p99        max", perSecond, seconds)
	press(t, "empty handler", empty.URL, seconds)
	for _, of := range []struct {
		name   string
		stores stores
	}{{"SQLite", embedded}, {"PostgreSQL", shared}} {
		s := serve(t, append(of.stores(t), "NES_LOG_LEVEL=warn")...)
		press(t, of.name, "http://"+s.addr+"/v1/runs", seconds)
	}
}

// press posts at a pace that does not wait for answers, and prints the quantiles of their times. Each submission is taken
// up by the controller meanwhile, and refused for its address.
func press(t *testing.T, name, url string, seconds int) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: perSecond}}
	defer c.CloseIdleConnections()
	took := make([]time.Duration, seconds*perSecond)
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var calls sync.WaitGroup
	for i := range took {
		<-tick.C
		calls.Go(func() {
			began := time.Now()
			body := fmt.Sprintf(`{"input_url": "git+file:///nowhere/x.git#x.ipynb", "idempotency_key": "%s %d"}`, name, i)
			res, err := c.Post(url, "application/json", bytes.NewBufferString(body))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			took[i] = time.Since(began)
			if res.StatusCode != http.StatusCreated {
				t.Errorf("%s: status %d", name, res.StatusCode)
			}
		})
	}
	calls.Wait()
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
	t.Logf("%-30s %10s %10s %10s %10s", name, at(0.5), at(0.95), at(0.99), at(1))
	require.Less(t, at(0.5), 2*time.Second, "no server answers so slowly")
}

// TestDrain submits 500 runs at once that take no time, and counts what it costs to take them to their end: no notebook
// runs twice, and the ledger is written to as often as a run changes.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, stores := range map[string]stores{"SQLite": embedded, "PostgreSQL": shared} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drain(t, append(append(quick(t), stores(t)...), "NES_MAX_RUNNING=8", "NES_LOG_LEVEL=warn"))
		})
	}
}

func drain(t *testing.T, env []string) {
	n := 500
	if os.Getenv("NES_LOAD") == "" {
		n = 60
	}
	s := serve(t, env...)
	address := (&site{server: s}).Publish(t, map[string]string{"n.ipynb": notebook("work()")})
	witness := filepath.Join(t.TempDir(), "witness")
	ids := make([]nes.RunID, n)
	began := time.Now()
	for i := range ids {
		spec := trivial(address, 0)
		spec.Parameters["witness"] = json.RawMessage(strconv.Quote(witness))
		ids[i] = s.submit(spec).ID
	}
	queued := time.Since(began)
	writes := 0
	for _, id := range ids {
		end := s.wait(id)
		require.Equal(t, nes.StatusSucceeded, end.Status, "%s: %s", end.Reason, end.Message)
		require.Equal(t, 1, end.Attempt)
	}
	took := time.Since(began)
	for _, id := range ids {
		for e, err := range s.client.Events(s.ctx(), id, 0) {
			require.NoError(t, err)
			if e.Seq > 0 && e.Kind != "submitted" {
				writes++
			}
		}
	}
	require.Equal(t, n, times(t, witness), "times that a notebook ran")
	t.Logf("%d runs submitted in %s and all ended %s after the first: %.1f a second; %.2f ledger transactions for each run, its submission not counted",
		n, queued.Round(time.Millisecond), took.Round(time.Millisecond), float64(n)/took.Seconds(), float64(writes)/float64(n))
}

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
	"github.com/nes-run/nes/runner/agent"
)

// TestSoak submits runs to two servers that share PostgreSQL and a bucket, while servers, agents and drivers are killed at random.
// NES_SOAK is the number of runs; without it there are few.
func TestSoak(t *testing.T) {
	t.Parallel()
	runs, err := strconv.Atoi(os.Getenv("NES_SOAK"))
	if err != nil {
		runs = 60
	}
	k := &soak{t: t, witness: t.TempDir()}
	env := append(append(quick(t), shared(t)...), "NES_MAX_RUNNING=6")
	var stops []func()
	for range 2 {
		s := prepare(t, bin, env...)
		stops = append(stops, s.keepUp())
		k.sites = append(k.sites, &site{server: s})
	}
	k.address = k.sites[0].Publish(t, map[string]string{"n.ipynb": notebook("work()")})
	killing := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { k.kill(killing) })
	ids := k.submit(runs)
	ended := k.wait(ids)
	close(killing)
	killer.Wait()
	for _, stop := range stops {
		stop()
	}
	k.check(ended)
}

type soak struct {
	t       *testing.T
	sites   []*site
	address string
	witness string // directory of one file for each run
	kills   [3]atomic.Int64
}

// submit sends the runs from a few callers at once, each with a key, until each is accepted.
func (k *soak) submit(n int) []nes.RunID {
	ids := make([]nes.RunID, n)
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				spec := trivial(k.address, rand.N(600*time.Millisecond))
				spec.IdempotencyKey = fmt.Sprint("soak ", i)
				spec.Parameters["witness"] = json.RawMessage(strconv.Quote(filepath.Join(k.witness, fmt.Sprint(i))))
				spec.Retry = &nes.Retry{Limit: 3, Backoff: nes.Duration(time.Second), On: []nes.Reason{nes.ReasonKernelDied, nes.ReasonInternal, nes.ReasonAgentLost}}
				ids[i] = k.sites[rand.N(2)].submitUntil(spec).ID
				time.Sleep(rand.N(100 * time.Millisecond)) // callers are not all at once
			}
		})
	}
	callers.Wait()
	return ids
}

// wait waits for every run at either of the servers.
func (k *soak) wait(ids []nes.RunID) map[nes.RunID]nes.Run {
	ended := map[nes.RunID]nes.Run{}
	deadline := time.Now().Add(scenario.Patience + time.Duration(len(ids))*2*time.Second)
	for i, id := range ids {
		require.NotEmpty(k.t, id, "run %d was not accepted", i)
		for {
			run, err := k.sites[i%2].client.Run(k.t.Context(), id, time.Second, 0)
			if err == nil && run.Ended() {
				ended[id] = run
				break
			}
			require.True(k.t, time.Now().Before(deadline), "run %d (%s) does not end: %s %s %v", i, id, run.Stage, run.Message, err)
		}
	}
	require.Len(k.t, ended, len(ids), "two keys got one run")
	return ended
}

// kill ends a server, an agent or a driver at random moments.
func (k *soak) kill(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(20*time.Millisecond + rand.N(200*time.Millisecond)):
		}
		victim := []int{aServer, anAgent, aDriver, anAgent, aDriver, anAgent, aDriver, aDriver}[rand.N(8)]
		if k.strike(victim) {
			k.kills[victim].Add(1)
		}
	}
}

const (
	aServer = iota
	anAgent
	aDriver
)

func (k *soak) strike(victim int) bool {
	if victim == aServer {
		pid := k.sites[rand.N(2)].pid.Load()
		return pid > 0 && syscall.Kill(int(pid), syscall.SIGKILL) == nil
	}
	for _, i := range rand.Perm(2) {
		dirs, _ := filepath.Glob(filepath.Join(k.sites[i].dir, "attempts", "nes-*")) // the pattern is well-formed
		for _, j := range rand.Perm(len(dirs)) {
			if strikeAttempt(dirs[j], victim) {
				return true
			}
		}
	}
	return false
}

// strikeAttempt kills the agent or the driver of an attempt, if one lives.
func strikeAttempt(dir string, victim int) bool {
	if victim == anAgent {
		pid := agent.Process(dir)
		return pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
	}
	o, err := agent.ReadOrder(dir)
	if err != nil {
		return false
	}
	for _, pid := range processes(o.Run) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && hasArgument(args, "watched") {
			return syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	return false
}

// check holds every run against what must be true of all, and of the notebooks that ran.
func (k *soak) check(ended map[nes.RunID]nes.Run) {
	t := k.t
	counts := map[string]int{}
	for id, run := range ended {
		counts[fmt.Sprintf("%s %s after %d", run.Status, run.Reason, run.Attempt)]++
		require.NoError(t, scenario.Disagreement(t, bothOf{k.sites[0], k.sites[1]}, id))
		var path string
		require.NoError(t, json.Unmarshal(run.Spec.Parameters["witness"], &path))
		require.LessOrEqual(t, times(t, path), run.Attempt, "run %s: its notebook ran more often than it was started", id)
		if run.Status == nes.StatusSucceeded {
			require.Positive(t, times(t, path), "run %s succeeded and never ran", id)
		}
	}
	page, err := k.sites[0].client.Runs(t.Context(), map[string][]string{"limit": {"1"}})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
	t.Logf("%d runs; killed: %d servers, %d agents, %d drivers; %v", len(ended), k.kills[aServer].Load(), k.kills[anAgent].Load(), k.kills[aDriver].Load(), counts)
}

// bothOf is a site of two servers: what is left may be left on either.
type bothOf struct {
	*site
	other *site
}

// Left implements scenario.Site.
func (b bothOf) Left(t *testing.T, run nes.Run) []string {
	return append(b.site.Left(t, run), b.other.Left(t, run)...)
}

package scenario

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// Patience is how long anything may take before a test gives up. It is generous, because it is only met by a failure.
var Patience = patience()

// patience is shorter where a failure is expected.
func patience() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("NESTEST_PATIENCE")); err == nil {
		return d
	}
	return 3 * time.Minute
}

// Run plays every scenario on the rig, each as a subtest of its own.
func Run(t *testing.T, rig Rig, all []Scenario) {
	t.Helper()
	for _, sc := range all {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			t.Log(sc.About)
			Play(t, rig.Host(t, &sc), sc)
		})
	}
}

// Play submits the scenario's run, lets its steps happen, and holds the end against what the scenario wants.
func Play(t *testing.T, site Site, sc Scenario) {
	t.Helper()
	p := &player{t: t, site: site, sc: sc}
	files := map[string]string{sc.Path: string(sc.Notebook())}
	maps.Copy(files, sc.Files)
	address := site.Publish(t, files) + "/blob/main/" + (&url.URL{Path: sc.Path}).EscapedPath()
	if sc.Server.Busy {
		defer p.occupy()()
	}
	run, _, err := site.Client().Submit(p.ctx(), p.request(address))
	if len(sc.Want.Refused) > 0 {
		require.Error(t, err)
		for _, text := range sc.Want.Refused {
			require.ErrorContains(t, err, text)
		}
		return
	}
	require.NoError(t, err)
	for _, step := range sc.Steps {
		p.await(run.ID, step)
		p.do(step.Do, run)
	}
	run = p.wait(run.ID)
	p.compare(run)
	Agrees(t, site, run)
}

type player struct {
	t    *testing.T
	site Site
	sc   Scenario
}

// ctx bounds one step of a scenario.
func (p *player) ctx() context.Context {
	ctx, cancel := context.WithTimeout(p.t.Context(), Patience)
	p.t.Cleanup(cancel)
	return ctx
}

// request decodes the scenario's request as the API would.
func (p *player) request(input string) nes.Spec {
	fields := map[string]any{"input_url": input}
	maps.Copy(fields, p.sc.Request)
	raw, err := json.Marshal(fields)
	require.NoError(p.t, err)
	var spec nes.Spec
	require.NoError(p.t, json.Unmarshal(raw, &spec))
	return spec
}

// occupy takes the server's only place with a run that sleeps, and returns what ends it.
func (p *player) occupy() func() {
	sc := Scenario{Path: "notebook.ipynb", Cells: []Cell{{Code: "import time\nprint('here', flush=True)\ntime.sleep(600)"}}}
	address := p.site.Publish(p.t, map[string]string{sc.Path: string(sc.Notebook())})
	run, _, err := p.site.Client().Submit(p.ctx(), nes.Spec{InputURL: address + "/blob/main/" + sc.Path})
	require.NoError(p.t, err)
	p.await(run.ID, Step{Stage: nes.StageExecuting})
	return func() {
		_, err := p.site.Client().Cancel(p.ctx(), run.ID)
		require.NoError(p.t, err)
		p.waitFor(run.ID)
	}
}

// await returns when the run has come as far as the step says.
func (p *player) await(id nes.RunID, step Step) {
	switch {
	case step.Log != "":
		AwaitLog(p.ctx(), p.t, p.site.Client(), id, step.Log)
	case step.Note != "":
		AwaitNote(p.ctx(), p.t, p.site.Client(), id, step.Note)
	case step.Stage != "":
		order := map[nes.Stage]int{}
		for i, s := range nes.Stages() {
			order[s] = i
		}
		AwaitRun(p.ctx(), p.t, p.site.Client(), id, func(r nes.Run) bool {
			return r.Stage == step.Stage || r.Ended() || (r.Attempt > 0 && order[r.Stage] > order[step.Stage])
		})
	}
}

func (p *player) do(what string, run nes.Run) {
	switch what {
	case "":
	case "cancel":
		_, err := p.site.Client().Cancel(p.ctx(), run.ID)
		require.NoError(p.t, err)
	default:
		now, err := p.site.Client().Run(p.ctx(), run.ID, 0, 0)
		require.NoError(p.t, err)
		p.site.Strike(p.t, what, now)
	}
}

// wait returns the run once it has ended, in time.
func (p *player) wait(id nes.RunID) nes.Run {
	since := time.Now()
	if p.sc.Unwatched {
		p.waitUnasked(id)
	}
	run := p.waitFor(id)
	if p.sc.Want.Within != "" {
		within, err := time.ParseDuration(p.sc.Want.Within)
		require.NoError(p.t, err)
		require.Less(p.t, time.Since(since), within, "the run ended too late")
	}
	return run
}

func (p *player) waitFor(id nes.RunID) nes.Run {
	run, err := p.site.Client().Wait(p.ctx(), id)
	require.NoError(p.t, err)
	return run
}

// waitUnasked looks at the list of all runs, which is not asking about one of them.
func (p *player) waitUnasked(id nes.RunID) {
	ctx := p.ctx()
	for {
		page, err := p.site.Client().Runs(ctx, nil)
		require.NoError(p.t, err)
		for _, r := range page.Runs {
			if r.ID == id && r.Ended() {
				return
			}
		}
		select {
		case <-ctx.Done():
			require.Fail(p.t, "the run does not end")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// compare holds the ended run against what the scenario wants.
func (p *player) compare(run nes.Run) {
	t, want := p.t, p.sc.Want
	require.Equal(t, want.Status+" "+want.Reason, string(run.Status)+" "+string(run.Reason), "message: %s", run.Message)
	for _, text := range want.Message {
		require.Contains(t, run.Message, text)
	}
	if want.Error != nil {
		require.NotNil(t, run.Outcome)
		require.NotNil(t, run.Outcome.Error)
		require.Equal(t, want.Error.Name, run.Outcome.Error.Name)
		require.Contains(t, run.Outcome.Error.Value, want.Error.Value)
	}
	if want.Label != "" {
		require.NotNil(t, run.Outcome)
		require.Equal(t, want.Label, run.Outcome.Progress.Label)
	}
	for name, value := range want.Checkpoints {
		require.NotNil(t, run.Outcome)
		expected, err := json.Marshal(value)
		require.NoError(t, err)
		require.JSONEq(t, string(expected), string(run.Outcome.Checkpoints[name]), "checkpoint %s", name)
	}
	p.compareKept(run)
	p.compareAttempts(run)
	if want.Cells != nil || want.Outputs != nil || want.Absent != nil || want.MaxBytes > 0 {
		compareNotebook(t, ReadNotebook(p.ctx(), t, p.site.Client(), run.ID, 0), want)
	}
}

// compareKept looks at what is kept beside the notebook.
func (p *player) compareKept(run nes.Run) {
	t, want, c := p.t, p.sc.Want, p.site.Client()
	if want.Result != nil {
		raw, err := c.Result(p.ctx(), run.ID)
		require.NoError(t, err)
		expected, err := json.Marshal(want.Result)
		require.NoError(t, err)
		require.JSONEq(t, string(expected), string(raw))
	}
	for name, text := range want.Files {
		body, err := c.File(p.ctx(), run.ID, 0, name)
		require.NoError(t, err)
		require.Contains(t, string(readAll(t, body)), text)
	}
	for _, text := range want.Log {
		page, err := c.Log(p.ctx(), run.ID, 0, 0, 0)
		require.NoError(t, err)
		require.Contains(t, page.Text, text)
	}
}

// more stands for any number of attempts that ended as the one before.
const more = "..."

func (p *player) compareAttempts(run nes.Run) {
	if len(p.sc.Want.Attempts) == 0 {
		require.LessOrEqual(p.t, run.Attempt, 1, "message: %s", run.Message)
		return
	}
	attempts, err := p.site.Client().Attempts(p.ctx(), run.ID)
	require.NoError(p.t, err)
	var got []string
	for _, a := range attempts {
		reason := string(a.Reason)
		if reason == "" {
			reason = "-"
		}
		got = append(got, reason)
	}
	want := p.sc.Want.Attempts
	if n := len(want) - 1; want[n] == more {
		require.GreaterOrEqual(p.t, len(got), n)
		want = append(want[:n:n], slices.Repeat(want[n-1:n], len(got)-n)...)
	}
	require.Equal(p.t, want, got)
}

func compareNotebook(t *testing.T, nb Executed, want Want) {
	t.Helper()
	code := nb.Code()
	if want.Cells != nil {
		var got []string
		for _, c := range code {
			got = append(got, c.Metadata.Papermill.Status)
		}
		require.Equal(t, want.Cells, got)
	}
	for n, texts := range want.Outputs {
		require.LessOrEqual(t, n, len(code))
		for _, text := range texts {
			require.True(t, strings.Contains(code[n-1].Text(), text), "output of code cell %d lacks %q: %s", n, text, clip(code[n-1].Text()))
		}
	}
	for _, text := range want.Absent {
		require.NotContains(t, string(nb.Raw), text)
	}
	if want.MaxBytes > 0 {
		require.LessOrEqual(t, len(nb.Raw), want.MaxBytes)
	}
}

func clip(s string) string {
	if len(s) > 2000 {
		return s[:1000] + " ... " + s[len(s)-1000:]
	}
	return s
}

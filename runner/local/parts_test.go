package local

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
	"github.com/nes-run/nes/runner/journal"
)

func backend(t *testing.T, o Options) *Backend {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "attempts")
	}
	b, err := New(o)
	require.NoError(t, err)
	return b
}

var ref = runner.Ref{Run: "r", Attempt: 1}

func job(mods ...func(*runner.Job)) runner.Job {
	j := runner.Job{Ref: ref, Token: "t", Launch: journal.Launch{V: 1, Notebook: "n.ipynb"}}
	for _, m := range mods {
		m(&j)
	}
	return j
}

// TestAnAttemptIsItsRunItsTokenAndItsOrder: whatever of them differs is another attempt, and what the machine has changed meanwhile is not.
func TestAnAttemptIsItsRunItsTokenAndItsOrder(t *testing.T) {
	t.Parallel()
	b := backend(t, Options{Agent: []string{"/bin/true"}, Runtimes: map[string]string{"py": "/py"}})
	first, err := b.order(job())
	require.NoError(t, err)
	require.Len(t, first.Hash, 64)
	for name, mod := range map[string]func(*runner.Job){
		"run": func(j *runner.Job) { j.Run = "other" }, "attempt": func(j *runner.Job) { j.Attempt = 2 }, "token": func(j *runner.Job) { j.Token = "u" },
		"notebook": func(j *runner.Job) { j.Launch.Notebook = "m.ipynb" }, "parameters": func(j *runner.Job) { j.Launch.Parameters = map[string]any{"x": json.RawMessage("1")} },
	} {
		other, err := b.order(job(mod))
		require.NoError(t, err)
		require.NotEqual(t, first.Hash, other.Hash, name)
	}
	moved := backend(t, Options{Agent: []string{"/elsewhere"}, Server: "http://127.0.0.1:2"})
	same, err := moved.order(job(func(j *runner.Job) { j.Secrets = map[string]nes.Secret{"A": {Ref: "b"}} }))
	require.NoError(t, err)
	require.Equal(t, first.Hash, same.Hash, "a server that came back elsewhere adopts it")
	named, err := b.order(job(func(j *runner.Job) { j.Runtime = "py" }))
	require.NoError(t, err)
	require.Equal(t, "/py", named.Python)
	_, err = b.order(job(func(j *runner.Job) { j.Runtime = "none" }))
	require.Equal(t, nes.ReasonEngineMissing, nes.ReasonOf(err))
	require.ErrorContains(t, err, `"none"`)
	_, err = b.order(job(func(j *runner.Job) { j.Launch.Parameters = map[string]any{"x": func() {}} }))
	require.Equal(t, nes.ReasonInternal, nes.ReasonOf(err), "it can never start")
}

// TestAnAttemptsDirectoryIsWholeOrNotThere, and of two of one name the first stays.
func TestAnAttemptsDirectoryIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	b := backend(t, Options{Agent: []string{"/bin/true"}})
	o, err := b.order(job())
	require.NoError(t, err)
	dir := b.dir(ref)
	require.NoError(t, b.prepare(dir, o))
	require.NoError(t, b.prepare(dir, o), "the same again")
	other := o
	other.Hash = "another"
	require.Equal(t, nes.CodeConflict, nes.CodeOf(b.prepare(dir, other)))
	have, err := agent.ReadOrder(dir)
	require.NoError(t, err)
	require.Equal(t, o.Hash, have.Hash)
	info, err := os.Stat(filepath.Join(dir, agent.OrderFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds a token")
	entries, err := os.ReadDir(b.o.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the attempt, and the server's address: %v", entries)
}

// TestOnlyAttemptsAreListed: what else lies there is not taken for one, nor is a half made one.
func TestOnlyAttemptsAreListed(t *testing.T) {
	t.Parallel()
	b := backend(t, Options{Agent: []string{"/bin/true"}})
	for _, name := range []string{"nes-r-1", "nes-0193-a-b-12", ".new-5", "nes-r-0", "nes-r-01", "nes-r", "nes--1", "r-1", "nes-r-x", "nes-r-99999999999999999999"} {
		require.NoError(t, os.Mkdir(filepath.Join(b.o.Dir, name), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.o.Dir, "nes-file-1"), nil, 0o600))
	refs, err := b.List(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []runner.Ref{{Run: "r", Attempt: 1}, {Run: "0193-a-b", Attempt: 12}}, refs)
	for _, r := range refs {
		require.DirExists(t, b.dir(r), "its name leads back to it")
	}
	require.NoError(t, os.RemoveAll(b.o.Dir))
	_, err = b.List(t.Context())
	require.Error(t, err, "a directory that is gone is not one without attempts")
}

// TestAnAgentThatDiesAgainAndAgainIsGivenUp, with its last words.
func TestAnAgentThatDiesAgainAndAgainIsGivenUp(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho first words\necho last words\nexit 1\n"), 0o700))
	b := backend(t, Options{Agent: []string{program}})
	require.NoError(t, b.Launch(t.Context(), job()))
	var last runner.Observation
	require.Eventually(t, func() bool {
		o, err := b.Observe(t.Context(), ref)
		require.NoError(t, err)
		last = o
		return o.Phase == runner.PhaseGone
	}, 30*time.Second, 5*time.Millisecond)
	require.Equal(t, nes.ReasonAgentLost, last.Reason)
	require.Contains(t, last.Message, "last words")
	require.NotContains(t, last.Message, "first words")
	require.False(t, last.Started)
	require.Len(t, b.restarts[ref.Name()], maxRevivals)
	require.NoError(t, b.Remove(t.Context(), ref))
	require.Empty(t, b.restarts)
	require.NoDirExists(t, b.dir(ref))
	require.Equal(t, "it left no log", lastLine(filepath.Join(b.o.Dir, "none")))
}

// TestAProgramThatIsNotThereIsAnError of the launch, which may be tried again when it is installed.
func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := backend(t, Options{Agent: []string{"/no/such/agent"}})
	err := b.Launch(t.Context(), job())
	require.ErrorContains(t, err, "start the agent /no/such/agent")
	require.Equal(t, nes.CodeInternal, nes.CodeOf(err))
	o, err := b.Observe(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, runner.PhaseGone, o.Phase)
	require.Contains(t, o.Message, "/no/such/agent")
}

// TestOnlyProcessesOfTheAttemptAreKilled: those that bear both of its marks, whatever they did to get away.
func TestOnlyProcessesOfTheAttemptAreKilled(t *testing.T) {
	t.Parallel()
	id := nes.RunID(fmt.Sprintf("marked-%d", os.Getpid()))
	begin := func(env ...string) *exec.Cmd {
		cmd := exec.Command("setsid", "sleep", "600")
		cmd.Env = env
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	own := begin(agent.Marks(id, 1)...)
	others := []*exec.Cmd{begin(agent.Marks(id, 11)...), begin(agent.Marks(id+"x", 1)...), begin("NES_RUN_ID=" + string(id)), begin("X=NES_RUN_ID="+string(id), "NES_ATTEMPT=1")}
	mine := runner.Ref{Run: id, Attempt: 1}
	require.Eventually(t, func() bool { return len(marked(mine)) == 1 }, 10*time.Second, look)
	done := make(chan error, 1)
	go func() { done <- own.Wait() }()
	require.NoError(t, killMarked(context.Background(), mine))
	require.Error(t, <-done, "it was killed")
	for _, o := range others {
		require.NoError(t, o.Process.Signal(syscall.Signal(0)), "it lives")
	}
}

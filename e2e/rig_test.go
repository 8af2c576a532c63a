package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/e2e/scenario"
	"github.com/nes-run/nes/internal/ledger/postgrestest"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

// stores says where a server keeps ledger and bucket, as variables of its environment.
type stores func(t *testing.T) []string

// embedded is what a server has without being told: SQLite and files.
func embedded(*testing.T) []string { return nil }

// shared is what several servers may have in common.
func shared(t *testing.T) []string {
	return []string{"NES_LEDGER=" + postgrestest.New(t), "NES_BUCKET=file://" + t.TempDir()}
}

// rig plays scenarios on the local backend.
type rig struct {
	stores stores
	common *server // for scenarios that need nothing of their own
}

func newRig(t *testing.T, s stores) *rig {
	return &rig{stores: s, common: serve(t, s(t)...)}
}

// Host implements scenario.Rig.
func (r *rig) Host(t *testing.T, sc *scenario.Scenario) scenario.Site {
	t.Helper()
	env := need(t, sc)
	if env == nil {
		s := *r.common
		s.t = t
		return &site{server: &s}
	}
	env = append(env, r.stores(t)...)
	if sc.Server.Hold == "" {
		return &site{server: serve(t, env...)}
	}
	dir, err := faulty()
	require.NoError(t, err)
	release := filepath.Join(t.TempDir(), "release")
	s := &site{server: prepare(t, dir, append(env, "NESFAULTS=hold="+sc.Server.Hold+"="+release)...), release: release}
	s.start()
	t.Cleanup(func() { _ = os.WriteFile(release, nil, 0o600) }) // a test that failed has not come that far
	return s
}

// need returns the variables of a server that the scenario must have for itself; nil where any will do.
func need(t *testing.T, sc *scenario.Scenario) []string {
	t.Helper()
	var env []string
	if sc.Server.Busy {
		env = append(env, "NES_MAX_RUNNING=1")
	}
	if sc.Server.Kernel != "" {
		dir, err := filepath.Abs("testdata/jupyter")
		require.NoError(t, err)
		env = append(env, "JUPYTER_PATH="+dir)
	}
	own := sc.Server.Hold != ""
	for _, step := range sc.Steps {
		own = own || strings.Contains(step.Do, "server")
	}
	if own && env == nil {
		env = []string{}
	}
	return env
}

// site is one server of the local backend.
type site struct {
	*server
	release string // file that lets a held server go on

	once   sync.Once
	bucket storage.Bucket
}

// Client implements scenario.Site.
func (s *site) Client() *client.Client { return s.client }

// Publish implements scenario.Site.
func (s *site) Publish(t *testing.T, files map[string]string) string {
	t.Helper()
	repo := newRepository(t)
	repo.Commit("scenario", files)
	return repo.url
}

// Bucket implements scenario.Site.
func (s *site) Bucket(t *testing.T) storage.Bucket {
	t.Helper()
	s.once.Do(func() {
		b, err := file.Open(s.bucketDir())
		require.NoError(t, err)
		s.bucket = b
	})
	return s.bucket
}

func (s *site) bucketDir() string {
	for i := len(s.env) - 1; i >= 0; i-- {
		if dir, ok := strings.CutPrefix(s.env[i], "NES_BUCKET=file://"); ok {
			return dir
		}
	}
	return filepath.Join(s.dir, "bucket")
}

// Strike implements scenario.Site.
func (s *site) Strike(t *testing.T, what string, run nes.Run) {
	t.Helper()
	switch what {
	case "restart server":
		s.kill()
		s.start()
	case "release":
		require.NoError(t, os.WriteFile(s.release, nil, 0o600))
	case "kill agent":
		pid := agent.Process(s.attempt(run))
		require.Positive(t, pid, "no agent lives")
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	case "kill exec":
		killProcess(t, run, "exec")
	case "kill driver":
		killProcess(t, run, "watched")
	case "kill kernel":
		killProcess(t, run, "connection.json")
	default:
		require.Fail(t, "there is no way to "+what)
	}
}

func (s *site) attempt(run nes.Run) string {
	return filepath.Join(s.dir, "attempts", runner.Ref{Run: run.ID, Attempt: run.Attempt}.Name())
}

// killProcess kills the process of the run's newest attempt that has an argument of that name.
func killProcess(t *testing.T, run nes.Run, argument string) {
	t.Helper()
	killed := 0
	for _, pid := range processes(run.ID) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		if hasArgument(args, argument) {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			killed++
		}
	}
	require.Equal(t, 1, killed, "processes with the argument %q", argument)
}

// hasArgument reports whether a command line has an argument, or a path that ends with it.
func hasArgument(args []byte, argument string) bool {
	for arg := range bytes.SplitSeq(args, []byte{0}) {
		if string(arg) == argument || strings.HasSuffix(string(arg), "/"+argument) {
			return true
		}
	}
	return false
}

// processes lists what lives of the run's notebook.
func processes(id nes.RunID) []int {
	mark := []byte("\x00NES_RUN_ID=" + string(id) + "\x00")
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && bytes.Contains(append([]byte{0}, env...), mark) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Left implements scenario.Site.
func (s *site) Left(_ *testing.T, run nes.Run) []string {
	var left []string
	for _, pid := range processes(run.ID) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	dirs, _ := filepath.Glob(filepath.Join(s.dir, "attempts", "*"+string(run.ID)+"*")) // the pattern is well-formed
	return append(left, dirs...)
}

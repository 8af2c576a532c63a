package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// The files of an attempt's directory on this machine, where the agent and the notebook are
// processes of one user. The work volume is one of them.
const (
	VolumeDir = "volume"           // the work volume
	OrderFile = "agent/order.json" // Order
	AliveFile = "agent/alive.lock" // locked (flock) by the agent as long as it lives; holds its process id
	DoneFile  = "agent/done"       // the agent has nothing more to do
	AgentLog  = "agent/agent.log"  // what the agent wrote
	ExecLog   = "agent/exec.log"   // what exec wrote beside the volume's log
)

// Order is what an attempt on this machine is started with.
type Order struct {
	Run        nes.RunID `json:"run"`
	Attempt    int       `json:"attempt"`
	Token      string    `json:"token"`
	ServerFile string    `json:"server_file"` // holds the server's address, now and after it moved
	Command    []string  `json:"command"`     // of this program, to which "exec" is added
	Python     string    `json:"python,omitempty"`
	CacheDir   string    `json:"cache_dir,omitempty"`
	// Profile and Secrets say what the server gives this process for the notebook (see Given). No value is ever in the file.
	Profile string                `json:"profile,omitempty"`
	Secrets map[string]nes.Secret `json:"secrets,omitempty"`
	Hash    string                `json:"hash"` // of what was to be launched
}

// ReadOrder reads the order of the attempt at dir.
func ReadOrder(dir string) (Order, error) {
	var o Order
	raw, err := os.ReadFile(filepath.Join(dir, OrderFile))
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read the attempt's order: %w", err)
	}
	return o, nil
}

// Attend takes the attempt in the directory dir to its end: it fetches, starts exec in a session of
// its own, which survives this process, and watches. A second one at the same directory returns at once.
func Attend(ctx context.Context, dir string, finish <-chan struct{}, log *slog.Logger) error {
	alive, err := claim(filepath.Join(dir, AliveFile))
	if alive == nil || err != nil {
		return err
	}
	defer alive.Close()
	fault.At(fault.AgentBegun)
	o, err := ReadOrder(dir)
	if err != nil {
		return err
	}
	a := &attendant{dir: dir, order: o, log: log}
	a.config = Config{
		Dir: filepath.Join(dir, VolumeDir), Log: log, Finish: finish,
		Client: agentapi.NewClient(agentapi.Options{
			Server: FromFile(o.ServerFile), Run: o.Run, Attempt: o.Attempt, Token: o.Token, Log: log, MaxBackoff: time.Second,
		}),
		Amend: func(l *journal.Launch) {
			if l.Python == "" {
				l.Python = o.Python
			}
		},
	}
	defer a.config.Client.Close()
	err = a.run(ctx)
	if errors.Is(err, agentapi.ErrSuperseded) {
		err = nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, DoneFile), nil, 0o600)
	}
	return err
}

// FromFile reads the server's address anew each time, so that a server may come back elsewhere.
func FromFile(name string) func() (string, error) {
	return func() (string, error) {
		raw, err := os.ReadFile(name)
		return strings.TrimSpace(string(raw)), err
	}
}

// claim takes a lock that lasts as long as this process; nil when another has it.
func claim(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || tries == claimTries {
			f.Close()
			return nil, ignore(err, syscall.EWOULDBLOCK)
		}
		time.Sleep(5 * time.Millisecond)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return f, err
}

// claimTries are enough to outlast whoever only looks whether the lock is taken.
const claimTries = 20

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

type attendant struct {
	dir    string
	order  Order
	config Config
	log    *slog.Logger
}

func (a *attendant) run(ctx context.Context) error {
	v, err := OpenVolume(a.config.Dir)
	if err != nil {
		return err
	}
	defer v.Close()
	if !v.Begun() {
		err := a.begin(ctx, v)
		if final(err) {
			return reportUnstarted(ctx, a.config, err)
		}
		if err != nil {
			return err
		}
	}
	return Watch(ctx, a.config)
}

// final reports whether an error says that the attempt can never start.
func final(err error) bool {
	e, ok := errors.AsType[*nes.Error](err)
	return ok && e.Reason != ""
}

// reportUnstarted tells the server why exec was not started.
func reportUnstarted(ctx context.Context, c Config, why error) error {
	return c.Client.Exit(ctx, journal.Exit{
		V: journal.Version, Reason: string(nes.ReasonOf(why)), Message: why.Error(), Code: -1,
		At: float64(time.Now().UnixMicro()) / 1e6, Inferred: true, Unstarted: true,
	})
}

// begin fetches and starts exec, unless the attempt is to end already.
func (a *attendant) begin(ctx context.Context, v *Volume) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-a.config.Finish:
			cancel()
		case <-ctx.Done():
		}
	}()
	fault.At(fault.AgentFetching)
	err := Fetch(ctx, a.config)
	fault.At(fault.AgentFetched)
	select {
	case <-a.config.Finish: // Watch reports that nothing was started
		return nil
	default:
	}
	if err != nil {
		return err
	}
	a.config.Died, err = a.startExec()
	return err
}

// startExec starts exec as the leader of its own session. The result is closed when it has ended, unless it found that
// there is one already.
func (a *attendant) startExec() (<-chan struct{}, error) {
	log, err := os.OpenFile(filepath.Join(a.dir, ExecLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	env, err := a.environment()
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(a.order.Command[1:]), "exec", "-python", a.order.Python, "-cache", a.order.CacheDir, a.config.Dir)
	cmd := exec.Command(a.order.Command[0], args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nes.Fail(nes.ReasonInternal, "exec cannot be started: %v", err)
	}
	fault.At(fault.AgentStarted)
	died := make(chan struct{})
	go func() {
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() == exitTaken {
			a.log.Warn("an exec that an earlier agent started has the attempt")
			return // whose death the lock tells
		}
		if err != nil {
			a.log.Warn("exec ended in error", "error", err)
		}
		close(died)
	}()
	return died, nil
}

// givenPrefix marks a secret in the environment of this process.
const givenPrefix = "NES_SECRET_"

// Given is how this process is handed a secret of the notebook: in its environment, under a name that nothing reads by accident.
func Given(name, value string) string { return givenPrefix + name + "=" + value }

// environment of exec and so of the notebook: this process's, without what is NES's own, with the run's secrets and with the marks by
// which every process of the attempt can be found.
func (a *attendant) environment() ([]string, error) {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "NES_") })
	for _, name := range slices.Sorted(maps.Keys(a.order.Secrets)) {
		value, ok := os.LookupEnv(givenPrefix + name)
		if !ok { // what it was resolved from went away between two agents
			return nil, nes.Fail(nes.ReasonAdmissionRejected, "the secret %q could not be given to the notebook: ask the administrator, then run it again", a.order.Secrets[name].Ref)
		}
		env = append(env, name+"="+value)
	}
	return append(env, Marks(a.order.Run, a.order.Attempt)...), nil
}

// Marks are the variables that every process of an attempt's notebook has in its environment.
func Marks(run nes.RunID, attempt int) []string {
	return []string{"NES_RUN_ID=" + string(run), "NES_ATTEMPT=" + strconv.Itoa(attempt)}
}

// Process returns the process id of the agent that attends to the attempt at dir; 0 when none lives.
func Process(dir string) int {
	f, err := os.OpenFile(filepath.Join(dir, AliveFile), os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	if !errors.Is(flock(f, syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		return 0
	}
	raw, _ := io.ReadAll(io.LimitReader(f, 20))
	pid, err := strconv.Atoi(string(raw))
	if err != nil {
		return -1 // it lives, and has not written its id yet
	}
	return pid
}

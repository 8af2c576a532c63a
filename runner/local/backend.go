// Package local runs attempts as processes of this machine: for each one an agent and
// an exec, in sessions of their own, so that they survive the server and are adopted by the next one. It
// isolates nothing from others of the same user on the same machine.
package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
)

// Options of a [Backend]. Fields without a default in their comment are required.
type Options struct {
	// Dir holds a directory for each attempt.
	Dir string
	// Server is the address at which agents reach this process.
	Server string
	// Agent is the command line of nes-agent, such as {"/usr/bin/nes-agent"} or {"/usr/bin/nes", "agent"}.
	// Empty is nes-agent beside this program, if it is there, else this program with the argument "agent".
	Agent []string
	// Python is the interpreter for runs that name no runtime; empty is python3 on PATH.
	Python string
	// Runtimes are the interpreters of the runtimes, by name.
	Runtimes map[string]string
	// Profiles say where the secrets are kept that runs refer to, by name; "" is for runs that name none.
	Profiles map[string]allowance.Profile
	// CacheDir keeps the driver's files for all attempts; empty is "driver" beside Dir.
	CacheDir string
	Log      *slog.Logger
}

// Backend implements runner.Backend.
type Backend struct {
	o Options

	mu       sync.Mutex
	notify   func(runner.Ref)
	watched  map[string]int         // agents whose end is waited for, by attempt
	restarts map[string][]time.Time // of agents, by attempt
}

var (
	_ runner.Backend  = (*Backend)(nil)
	_ runner.Notifier = (*Backend)(nil)
)

const serverFile = "server"

// newPrefix begins the names of directories that will be an attempt's.
const newPrefix = ".new-"

// New makes a backend, and tells the agents of earlier ones where the server is now.
func New(o Options) (*Backend, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if o.CacheDir == "" {
		o.CacheDir = filepath.Join(filepath.Dir(o.Dir), "driver")
	}
	if len(o.Agent) == 0 {
		if o.Agent, err = findAgent(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of attempts: %w", err)
	}
	if err := sweep(o.Dir); err != nil {
		return nil, fmt.Errorf("directory of attempts: %w", err)
	}
	if err := writeFile(filepath.Join(o.Dir, serverFile), []byte(o.Server)); err != nil {
		return nil, fmt.Errorf("directory of attempts: %w", err)
	}
	return &Backend{o: o, notify: func(runner.Ref) {}, watched: map[string]int{}, restarts: map[string][]time.Time{}}, nil
}

func findAgent() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the agent: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), "nes-agent")
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return []string{beside}, nil
	}
	return []string{self, "agent"}, nil
}

// writeFile puts a file in place, complete or not at all.
func writeFile(name string, body []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(body)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// Notify implements runner.Notifier: f is called when an agent has ended.
func (b *Backend) Notify(f func(runner.Ref)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notify = f
}

func (b *Backend) dir(ref runner.Ref) string { return filepath.Join(b.o.Dir, ref.Name()) }

// Launch implements runner.Backend.
func (b *Backend) Launch(_ context.Context, j runner.Job) error {
	order, err := b.order(j)
	if err != nil {
		return err
	}
	dir := b.dir(j.Ref)
	have, err := agent.ReadOrder(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err = b.o.Profiles[j.Profile].Resolve(j.Secrets); err == nil {
			err = b.prepare(dir, order)
		}
	case err == nil && have.Hash != order.Hash:
		return nes.Errorf(nes.CodeConflict, "there is another attempt with the name %s", j.Name())
	}
	if err != nil {
		return err
	}
	fault.At(fault.LaunchPrepared)
	if agent.Process(dir) == 0 && !b.starting(j.Ref) && !done(dir) {
		return b.start(j.Ref)
	}
	return nil
}

// order of an attempt. Its hash says what is launched, and for whom: not where the server is.
func (b *Backend) order(j runner.Job) (agent.Order, error) {
	python, err := b.python(j.Runtime)
	if err != nil {
		return agent.Order{}, err
	}
	launch, err := json.Marshal(j.Launch)
	if err != nil {
		return agent.Order{}, nes.Fail(nes.ReasonInternal, "write the launch order: %v", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %s\n", j.Run, j.Attempt, j.Token)
	h.Write(launch)
	return agent.Order{
		Run: j.Run, Attempt: j.Attempt, Token: j.Token, ServerFile: filepath.Join(b.o.Dir, serverFile),
		Command: b.o.Agent, Python: python, CacheDir: b.o.CacheDir, Profile: j.Profile, Secrets: j.Secrets, Hash: hex.EncodeToString(h.Sum(nil)),
	}, nil
}

func (b *Backend) python(name string) (string, error) {
	if name == "" {
		return b.o.Python, nil
	}
	if p, ok := b.o.Runtimes[name]; ok {
		return p, nil
	}
	return "", nes.Fail(nes.ReasonEngineMissing, "there is no runtime %q here: name one that the administrator offers", name)
}

// prepare makes the attempt's directory, complete or not at all.
func (b *Backend) prepare(dir string, o agent.Order) error {
	tmp, err := os.MkdirTemp(b.o.Dir, newPrefix+"*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, sub := range []string{agent.VolumeDir, filepath.Dir(agent.OrderFile)} {
		if err := os.Mkdir(filepath.Join(tmp, sub), 0o700); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, agent.OrderFile), raw, 0o600); err != nil {
		return err
	}
	err = os.Rename(tmp, dir)
	if errors.Is(err, fs.ErrExist) { // another call was quicker, with the same name
		have, rerr := agent.ReadOrder(dir)
		if rerr == nil && have.Hash == o.Hash {
			return nil
		}
		return nes.Errorf(nes.CodeConflict, "there is another attempt in %s", filepath.Base(dir))
	}
	return err
}

func done(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, agent.DoneFile))
	return err == nil
}

var attemptName = regexp.MustCompile(`^nes-(.+)-([1-9][0-9]*)$`)

// List implements runner.Backend.
func (b *Backend) List(context.Context) ([]runner.Ref, error) {
	entries, err := os.ReadDir(b.o.Dir)
	if err != nil {
		return nil, err
	}
	var refs []runner.Ref
	for _, e := range entries {
		m := attemptName.FindStringSubmatch(e.Name())
		if m == nil || !e.IsDir() {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err == nil {
			refs = append(refs, runner.Ref{Run: nes.RunID(m[1]), Attempt: n})
		}
	}
	return refs, nil
}

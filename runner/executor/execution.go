package executor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/driver"
	"github.com/nes-run/nes/runner/journal"
)

const (
	controlEvery = 100 * time.Millisecond
	reapEvery    = 5 * time.Second
	defaultGrace = 10 * time.Second
	logWait      = 2 * time.Second
	exitDiskFull = 74 // the driver could not write its last line
)

// execution is one driver process from start to marker.
type execution struct {
	volume  *volume
	options Options
	launch  journal.Launch
	secrets []string // values that the log must not show
	log     *boundedLog
	cmd     *exec.Cmd
	life    *os.File // the driver sees its other end close when this process dies
	asked   bool     // the notebook was asked to stop
}

// run executes the notebook, ends whatever it left behind, and says how it went.
func (x *execution) run(ctx context.Context) journal.Exit {
	var err error
	if x.launch, err = x.volume.launch(); err != nil {
		return failed(nes.Fail(nes.ReasonInternal, "%v", err))
	}
	if x.volume.journalSize() > 0 {
		return failed(nes.Fail(nes.ReasonNodeLost, "the machine or container was restarted while the notebook ran; it is not executed twice"))
	}
	if x.secrets, err = secretsOf(x.launch.Secrets); err != nil {
		return failed(err)
	}
	oom := oomKills()
	ended, err := x.start()
	if err != nil {
		return failed(err)
	}
	fault.At(fault.ExecStarted)
	x.watch(ctx, ended)
	clean := endDescendants()
	x.closeLog()
	x.hideNames()
	exit := x.judge(oomKills() > oom)
	if !clean {
		x.options.Log.Error("processes of the notebook could not be ended", "run", x.launch.RunID)
	}
	return exit
}

// start starts the driver in a process group of its own.
func (x *execution) start() (<-chan struct{}, error) {
	python, err := x.python()
	if err != nil {
		return nil, err
	}
	main, err := x.driverMain()
	if err != nil {
		return nil, nes.Fail(nes.ReasonInternal, "%v", err)
	}
	x.cmd = exec.Command(python, main, filepath.Join(x.volume.path, journal.RunDir), "watched")
	x.cmd.Dir = x.volume.path
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := x.pipes(); err != nil {
		return nil, nes.Fail(nes.ReasonInternal, "%v", err)
	}
	err = x.cmd.Start()
	x.cmd.Stdin.(*os.File).Close()
	x.cmd.Stdout.(*os.File).Close()
	if err != nil {
		return nil, nes.Fail(nes.ReasonEngineMissing, "%s cannot be started: %v", python, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = x.cmd.Wait() // its status is in ProcessState
	}()
	return ended, nil
}

// python finds the interpreter.
func (x *execution) python() (string, error) {
	name := x.launch.Python
	if name == "" {
		name = x.options.Python
	}
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", nes.Fail(nes.ReasonEngineMissing, "there is no Python at %q: install Python 3.9 or newer and run '%s -m pip install papermill ipykernel', or set NES_PYTHON", name, name)
	}
	return path, nil
}

// driverMain puts the driver's files in place.
func (x *execution) driverMain() (string, error) {
	if x.options.CacheDir != "" {
		dir, err := driver.Cached(x.options.CacheDir)
		return filepath.Join(dir, driver.Main), err
	}
	dir := filepath.Join(x.volume.path, journal.HelperDir)
	return filepath.Join(dir, driver.Main), driver.Write(x.volume.root, journal.HelperDir)
}

// pipes gives the driver a log to write to and a pipe that tells it when this process dies.
func (x *execution) pipes() error {
	file, err := x.volume.root.OpenFile(journal.LogFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		file.Close()
		return fmt.Errorf("make the log's pipe: %w", err)
	}
	r, life, err := os.Pipe()
	if err != nil {
		file.Close()
		return fmt.Errorf("make the driver's pipe: %w", err)
	}
	x.log = newBoundedLog(file, out, newMasker(x.secrets))
	x.life = life
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = r, w, w
	return nil
}

func (x *execution) closeLog() {
	x.life.Close()
	x.log.finish(logWait)
}

// watch waits for the driver's end and passes a request to stop on to it: SIGINT, then SIGTERM, then SIGKILL.
func (x *execution) watch(ctx context.Context, ended <-chan struct{}) {
	control := time.NewTicker(controlEvery)
	defer control.Stop()
	reap := time.NewTicker(reapEvery)
	defer reap.Stop()
	done := ctx.Done()
	var escalate <-chan time.Time
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	next := func() {
		x.signal(signals[0])
		signals = signals[1:]
		escalate = nil
		if len(signals) > 0 {
			escalate = time.After(x.grace())
		}
	}
	for {
		select {
		case <-ended:
			return
		case <-reap.C:
			reapOrphans(x.cmd.Process.Pid)
		case <-escalate:
			next()
		case <-done:
			done = nil
			if !x.asked {
				x.asked = true
				next()
			}
		case <-control.C:
			if !x.asked && x.volume.control().Cancel {
				x.asked = true
				next()
			}
		}
	}
}

func (x *execution) grace() time.Duration {
	if x.launch.Grace > 0 {
		return time.Duration(x.launch.Grace * float64(time.Second))
	}
	return defaultGrace
}

func (x *execution) signal(s syscall.Signal) {
	x.options.Log.Info("stopping the notebook", "run", x.launch.RunID, "signal", signalName(s))
	_ = syscall.Kill(-x.cmd.Process.Pid, s)
}

// judge makes the marker: from the journal's last line, else from how the driver's process ended.
func (x *execution) judge(outOfMemory bool) journal.Exit {
	exit := journal.Exit{Code: x.cmd.ProcessState.ExitCode(), LogTail: strings.ToValidUTF8(x.log.Last(), "\uFFFD")}
	status, _ := x.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		exit.Signal = signalName(status.Signal())
	}
	if line, ok := x.volume.lastLine(); ok {
		exit.Reason, exit.Message = line.Reason, line.Message
		return exit
	}
	err := x.unspoken(status, outOfMemory)
	exit.Reason, exit.Message = string(nes.ReasonOf(err)), err.Error()
	return exit
}

// unspoken says why a driver is gone that left no last line.
func (x *execution) unspoken(status syscall.WaitStatus, outOfMemory bool) error {
	switch {
	case x.asked:
		return x.cancelled()
	case outOfMemory && status.Signaled() && status.Signal() == syscall.SIGKILL:
		return nes.Fail(nes.ReasonOutOfMemory, "the driver was killed because the memory limit was reached")
	case status.Signaled():
		return nes.Fail(nes.ReasonKernelDied, "the driver (not the kernel) was ended from outside by %s", signalName(status.Signal()))
	case status.ExitStatus() == exitDiskFull:
		return nes.Fail(nes.ReasonDiskFull, "the disk of the run is full")
	default:
		return nes.Fail(nes.ReasonInternal, "the driver ended with code %d and left no last line; see the log", status.ExitStatus())
	}
}

func (x *execution) cancelled() error {
	control := x.volume.control()
	reason, why := nes.ReasonCancelled, "the run was cancelled"
	if control.Reason != "" {
		reason = nes.Reason(control.Reason)
	}
	if control.Why != "" {
		why = control.Why
	}
	return nes.Fail(reason, "%s", why)
}

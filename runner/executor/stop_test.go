package executor

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

const sleeper = `import time
try:
    print('working', flush=True)
    time.sleep(60)
finally:
    print('cleaned up')
`

func requireGone(t *testing.T, a *attempt) {
	t.Helper()
	require.Eventually(t, func() bool { return len(a.survivors()) == 0 }, 10*time.Second, 20*time.Millisecond)
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(l *journal.Launch)
		reason nes.Reason
		status string
	}{
		"cell":    {func(l *journal.Launch) { l.CellTimeout = 0.5 }, nes.ReasonCellTimeout, "1 timeout"},
		"run":     {func(l *journal.Launch) { l.RunTimeout = 0.5 }, nes.ReasonRunTimeout, "1 stopped"},
		"silence": {func(l *journal.Launch) { l.SilenceTimeout = 0.5 }, nes.ReasonSilenceTimeout, "1 stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code("x=1"), code(sleeper), code("print('never')"))
			tt.change(&a.launch)
			requireReason(t, tt.reason, a.run())
			lines := a.sealed()
			require.Equal(t, []string{"0 ok", tt.status}, statuses(lines))
			require.Equal(t, "working\ncleaned up\n", text(lines, 1, "stdout"))
		})
	}
}

func TestSilenceTimeoutSparesTheTalkative(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.1)"))
	a.launch.SilenceTimeout = 1
	requireReason(t, nes.ReasonCompleted, a.run())
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stop   func(a *attempt)
		reason nes.Reason
		says   string
	}{
		"by the control file": {func(a *attempt) { a.cancel(journal.Control{V: 1, Cancel: true}) }, nes.ReasonCancelled, "cancelled"},
		"for another reason": {func(a *attempt) {
			a.cancel(journal.Control{V: 1, Cancel: true, Reason: "DeadlineExceeded", Why: "it was due at noon"})
		}, nes.ReasonDeadlineExceeded, "it was due at noon"},
		"SIGTERM to exec":     {func(a *attempt) { kill(a.t, a.cmd.Process.Pid, syscall.SIGTERM) }, nes.ReasonCancelled, "cancelled"},
		"SIGINT to exec":      {func(a *attempt) { kill(a.t, a.cmd.Process.Pid, syscall.SIGINT) }, nes.ReasonCancelled, "cancelled"},
		"SIGTERM to a driver": {func(a *attempt) { kill(a.t, a.driverPID(), syscall.SIGTERM) }, nes.ReasonCancelled, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code(sleeper), code("print('never')")).start()
			a.await(journal.JournalFile, "working")
			began := time.Now()
			tt.stop(a)
			exit := a.wait()
			requireReason(t, tt.reason, exit)
			require.Contains(t, exit.Message, tt.says)
			require.Less(t, time.Since(began), 3*time.Second, "the grace was not needed")
			lines := a.sealed()
			require.Equal(t, []string{"0 stopped"}, statuses(lines))
			require.Equal(t, "working\ncleaned up\n", text(lines, 0, "stdout"))
		})
	}
}

func TestCancelBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(sleeper))
	a.cancel(journal.Control{V: 1, Cancel: true, Why: "too late"})
	requireReason(t, nes.ReasonCancelled, a.run())
}

func TestControlWithoutCancelChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("import time; time.sleep(0.5)"))
	a.cancel(journal.Control{V: 1})
	requireReason(t, nes.ReasonCompleted, a.run())
}

func TestStubbornNotebookIsKilled(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile True:\n    time.sleep(0.1)"))
	a.launch.Grace = 0.5
	a.start().await(journal.JournalFile, "deaf")
	began := time.Now()
	a.cancel(journal.Control{V: 1, Cancel: true})
	requireReason(t, nes.ReasonCancelled, a.wait())
	require.Less(t, time.Since(began), 5*time.Second)
	require.Equal(t, []string{"0 stopped"}, statuses(a.sealed()))
}

func TestStubbornDriverIsKilled(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('up', flush=True)\nimport time\ntime.sleep(60)"))
	a.launch.Grace = 0.3
	a.start().await(journal.JournalFile, "up")
	kill(t, a.driverPID(), syscall.SIGSTOP)
	a.cancel(journal.Control{V: 1, Cancel: true, Why: "enough"})
	exit := a.wait()
	requireReason(t, nes.ReasonCancelled, exit)
	require.Equal(t, "SIGKILL", exit.Signal)
	require.Equal(t, "enough", exit.Message)
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(`import os, subprocess, sys
subprocess.Popen(['sleep', '300'])
subprocess.Popen(['sleep', '301'], start_new_session=True)
subprocess.Popen(['env', '-i', 'sleep', '302'], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '303.5'])
    os._exit(0)
print('spawned')`))
	began := time.Now()
	requireReason(t, nes.ReasonCompleted, a.run())
	require.Less(t, time.Since(began), 20*time.Second)
	for _, seconds := range []string{"302", "303.5"} {
		require.Empty(t, sleeping(seconds, a), "sleep %s lives on", seconds)
	}
}

// sleeping finds "sleep <seconds>" below the directory of the attempt.
func sleeping(seconds string, a *attempt) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		cmdline, _ := os.ReadFile(file)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd"))
		if string(cmdline) == "sleep\x00"+seconds+"\x00" && cwd == a.path("work/sub") {
			found = append(found, file)
		}
	}
	return found
}

func TestSecondExecIsRefused(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(sleeper)).start()
	a.await(journal.JournalFile, "working")
	_, err := openVolume(a.dir)
	require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
	a.cancel(journal.Control{V: 1, Cancel: true})
	a.wait()
	v, err := openVolume(a.dir)
	require.NoError(t, err, "the lock is free when exec is gone")
	v.close()
}

func TestMarkerIsKept(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print(1)"))
	first := a.run()
	size := len(a.sealed())
	require.Equal(t, first, a.start().wait())
	require.Len(t, a.sealed(), size, "it did not run again")
}

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestPlainProgress(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "err")
	require.NoError(t, err)
	p := newPrinter(f)
	require.False(t, p.terminal)
	half := 0.5
	p.stage(nes.StageQueued, "")
	p.stage(nes.StageFetching, "")
	p.stage(nes.StageWaiting, "no data yet")
	p.progress(&nes.Progress{Total: 0})
	p.progress(&nes.Progress{Total: 3, Done: 1, Label: "load\nmore", Fraction: &half})
	p.progress(&nes.Progress{Total: 3, Done: 1, Label: "load\nmore", Fraction: &half})
	p.say("a word")
	p.progress(&nes.Progress{Total: 3, Done: 2, Label: "evil\x1b[2Jtext\r"})
	p.stage(nes.StageEnded, "")
	p.close()
	p.progress(&nes.Progress{Total: 3, Done: 3})
	b, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "fetching\nwaiting: no data yet\n[1/3] load 50%\na word\n[2/3] evil[2Jtext\n", string(b))
}

func TestClock(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0:07", clock(7*time.Second))
	require.Equal(t, "12:34", clock(754*time.Second))
	require.Equal(t, "1:00:05", clock(3605*time.Second))
}

func TestCutTo(t *testing.T) {
	t.Parallel()
	require.Equal(t, "한글", cutTo("한글", 2))
	require.Equal(t, "한…", cutTo("한글글", 2))
}

func TestClean(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ValueError: 1", clean("\x1b[0;31mValueError\x1b[0m: 1"))
	require.Equal(t, "title gone", clean("\x1b]0;evil\x07title gone"))
	require.Equal(t, "a    b", clean("a\tb\r\x00\u009b"))
}

func TestIsAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"https://github.com/a/b/blob/main/x.ipynb", "git+https://h/r.git#x.ipynb", "git@github.com:a/b.git#x.ipynb", "github.com/a/b/blob/main/x.ipynb", "file:///r#x"} {
		require.True(t, isAddress(s), s)
	}
	for _, s := range []string{"x.ipynb", "./x.ipynb", "../a/x.ipynb", "a/b.ipynb", "/abs/x.ipynb", "x.ipynb/"} {
		require.False(t, isAddress(s), s)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		exitUsage:  nes.Errorf(nes.CodeInvalid, "x"),
		exitError:  nes.Errorf(nes.CodeUnavailable, "x"),
		exitFailed: nes.Fail(nes.ReasonSourceNotFound, "x"),
		exitCancel: nes.Fail(nes.ReasonCancelled, "x"),
	} {
		require.Equal(t, want, codeOf(err))
	}
	require.Equal(t, exitError, codeOf(nes.Fail(nes.ReasonStorageUnavailable, "x")))
	require.Equal(t, exitUsage, codeOf(os.ErrNotExist))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	text := explain(nes.Invalid([]nes.Problem{{Field: "parameters.alhpa", Message: "did you mean alpha?"}, {Field: "timeout", Message: "is negative"}}))
	require.Equal(t, []string{"this cannot be done as it is asked for:", "  parameters.alhpa: did you mean alpha?", "  timeout: is negative"}, strings.Split(text, "\n"))
	require.Contains(t, explain(nes.Fail(nes.ReasonSourceNotFound, "there is no branch x")), "there is no branch x\n     Check the address")
}

func TestStatusWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Succeeded", status(&nes.Run{Status: nes.StatusSucceeded}))
	require.Equal(t, "Skipped", status(&nes.Run{Status: nes.StatusSucceeded, Reason: nes.ReasonSkipped}))
	require.Equal(t, "Cancelled", status(&nes.Run{Status: nes.StatusFailed, Reason: nes.ReasonCancelled}))
	require.Equal(t, "Failed (CellError)", status(&nes.Run{Status: nes.StatusFailed, Reason: nes.ReasonCellError}))
	require.Equal(t, "Running", status(&nes.Run{Status: nes.StatusRunning}))
}

func TestHeadAndTail(t *testing.T) {
	t.Parallel()
	lines := []string{"1", "2", "3"}
	require.Equal(t, []string{"1", "2", "..."}, head(lines, 2))
	require.Equal(t, []string{"...", "2", "3"}, tail(lines, 2))
	require.Equal(t, lines, head(lines, 3))
	require.Equal(t, lines, tail(lines, 3))
}

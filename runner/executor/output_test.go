package executor

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

func TestLateOutputBelongsToItsCell(t *testing.T) {
	t.Parallel()
	a := newAttempt(t,
		code("import contextvars, threading, time\ndef late():\n    time.sleep(0.4)\n    print('late', flush=True)\nth = threading.Thread(target=contextvars.copy_context().run, args=(late,))\nth.start()\nprint('early', flush=True)"),
		code("print('second', flush=True)\nth.join()\ntime.sleep(0.1)"))
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	require.Equal(t, "early\nlate\n", text(lines, 0, "stdout"), "the other cell said %q", text(lines, 1, "stdout"))
	require.Equal(t, "second\n", text(lines, 1, "stdout"))
}

func TestStreamsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("import sys\nfor i in range(3):\n    print('out', i, flush=True)\n    print('err', i, file=sys.stderr, flush=True)"))
	requireReason(t, nes.ReasonCompleted, a.run())
	var names []string
	for _, l := range messages(a.sealed(), "stream") {
		var c struct{ Name, Text string }
		require.NoError(t, json.Unmarshal(l.Content, &c))
		names = append(names, c.Name+" "+strings.TrimSpace(c.Text))
	}
	require.Equal(t, []string{"stdout out 0", "stderr err 0", "stdout out 1", "stderr err 1", "stdout out 2", "stderr err 2"}, names)
}

func TestDisplaysAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(`from IPython.display import display, clear_output, HTML
h = display(HTML('<b>1</b>'), display_id='one')
h.update(HTML('<b>2</b>'))
clear_output(wait=True)
display({'text/plain': 'raw'}, raw=True, metadata={'text/plain': {'isolated': True}})`))
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	shown, updated := messages(lines, "display_data"), messages(lines, "update_display_data")
	require.Len(t, shown, 2)
	require.Len(t, updated, 1)
	require.JSONEq(t, `{"display_id": "one"}`, string(shown[0].Transient))
	require.JSONEq(t, `{"display_id": "one"}`, string(updated[0].Transient))
	require.Contains(t, string(updated[0].Content), "<b>2</b>")
	require.JSONEq(t, `{"wait": true}`, string(messages(lines, "clear_output")[0].Content))
	var content struct{ Metadata map[string]any }
	require.NoError(t, json.Unmarshal(shown[1].Content, &content))
	require.Equal(t, map[string]any{"text/plain": map[string]any{"isolated": true}}, content.Metadata)
}

func TestWidgetsAreJournalled(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("import ipywidgets\nw = ipywidgets.Image(value=b'\\x00\\x01\\xff', format='png')\nw"))
	requireReason(t, nes.ReasonCompleted, a.run())
	opened := messages(a.sealed(), "comm_open")
	require.NotEmpty(t, opened)
	at := slices.IndexFunc(opened, func(l journal.Line) bool { return len(l.Buffers) > 0 })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, []string{"AAH/"}, opened[at].Buffers)
	require.Equal(t, 0, *opened[at].Cell)
}

func TestChattyCell(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("for i in range(20000):\n    print(i, flush=True)"))
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	var want strings.Builder
	for i := range 20000 {
		fmt.Fprintln(&want, i)
	}
	require.Equal(t, want.String(), text(lines, 0, "stdout"))
	require.Less(t, len(messages(lines, "stream")), 500, "text is merged")
	info, err := os.Stat(a.path(journal.JournalFile))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(2*want.Len()))
}

// TestStalledDriverLosesNothing holds a kernel that prints much more than its socket's default queue takes.
func TestStalledDriverLosesNothing(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('up', flush=True)\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"),
		code("for i in range(5000):\n    print('x' * 100, i, flush=True)\nopen('done', 'w').close()\nimport time\ntime.sleep(0.3)")).start()
	a.await(journal.JournalFile, `"text":"up\n"`)
	require.NoError(t, os.WriteFile(a.path("work/sub/go"), nil, 0o644))
	a.await(journal.JournalFile, `"k":"cell_start","cell":1`)
	driver := a.driverPID()
	kill(t, driver, syscall.SIGSTOP)
	require.Eventually(t, func() bool { _, err := os.Stat(a.path("work/sub/done")); return err == nil }, 30*time.Second, 5*time.Millisecond)
	kill(t, driver, syscall.SIGCONT)
	requireReason(t, nes.ReasonCompleted, a.wait())
	require.Equal(t, 5000, strings.Count(text(a.sealed(), 1, "stdout"), "\n"))
}

func TestOutputIsWrittenWhileTheCellIsSilent(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("print('now', flush=True)\nimport time, os\nwhile not os.path.exists('go'): time.sleep(0.01)")).start()
	a.await(journal.JournalFile, `"text":"now\n"`)
	require.NoError(t, os.WriteFile(a.path("work/sub/go"), nil, 0o644))
	requireReason(t, nes.ReasonCompleted, a.wait())
}

func TestLargeBodiesBecomeBlobs(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("from IPython.display import display\nfor _ in range(2):\n    display({'text/html': '<p>한</p>' * 4000, 'text/plain': 'small', 'application/json': {'k': list(range(9000))}}, raw=True)"))
	a.launch.Limits.Body = 20_000
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	shown := messages(lines, "display_data")
	require.Len(t, shown, 2)
	require.Equal(t, shown[0].Blobs, shown[1].Blobs)
	require.ElementsMatch(t, []string{"text/html", "application/json"}, keys(shown[0].Blobs))
	require.JSONEq(t, `{"data": {"text/plain": "small"}, "metadata": {}, "transient": {}}`, string(shown[0].Content))
	raw, err := os.ReadFile(filepath.Join(a.path(journal.BlobDir), shown[0].Blobs["text/html"]))
	require.NoError(t, err)
	var html string
	require.NoError(t, json.Unmarshal(raw, &html))
	require.Equal(t, strings.Repeat("<p>한</p>", 4000), html)
	entries, err := os.ReadDir(a.path(journal.BlobDir))
	require.NoError(t, err)
	require.Len(t, entries, 2, "the same body is kept once")
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestTextBeyondTheLimitIsCut(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("for i in range(30000):\n    print('%06d 한' % i)"), code("print('next')"))
	a.launch.Limits.CellText = 100_000
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	kept := text(lines, 0, "stdout")
	require.Less(t, len(kept), 200_000)
	require.True(t, strings.HasPrefix(kept, "000000 한\n000001 한\n"))
	require.True(t, strings.HasSuffix(kept, "029999 한\n"))
	at := slices.IndexFunc(lines, func(l journal.Line) bool { return l.Cut != nil })
	require.GreaterOrEqual(t, at, 0)
	whole, err := os.ReadFile(filepath.Join(a.path(journal.OutputDir), lines[at].Cut.File))
	require.NoError(t, err)
	require.EqualValues(t, len(whole), int64(len(kept))+lines[at].Cut.Bytes)
	require.Equal(t, 30000, strings.Count(string(whole), "\n"))
	require.Equal(t, "next\n", text(lines, 1, "stdout"))
}

func TestJournalHasACap(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code("from IPython.display import display\nwhile True: display({'text/plain': 'x' * 5000}, raw=True)"))
	a.launch.Limits.Journal = 1 << 20
	requireReason(t, nes.ReasonOutputTooLarge, a.run())
	require.Equal(t, []string{"0 stopped"}, statuses(a.sealed()))
	info, err := os.Stat(a.path(journal.JournalFile))
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(2<<20))
}

func TestHostileTextStaysOneLine(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(`from IPython.display import display
print('a\u2028b\r\nc\x00d "quoted" \\ 🎉')
display({'text/plain': 'x\ny', 'application/json': {'n': float('nan'), 'i': float('inf')}}, raw=True)`))
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	require.Contains(t, text(lines, 0, "stdout"), "a\u2028b\r\nc\x00d")
	require.Contains(t, text(lines, 0, "stdout"), `"quoted" \ 🎉`)
}

func TestWords(t *testing.T) {
	t.Parallel()
	a := newAttempt(t,
		code("# papermill_description=loading\nimport nes, datetime\nnes.result({'rows': 3, 'at': datetime.date(2024, 1, 2)})\nnes.result(0.5, name='accuracy')"),
		code("nes.checkpoint('2024-05-01', name='orders')\nnes.progress(0.25, 'quarter')\nnes.progress(label='half')"),
		code("from IPython.display import display\ndisplay({'application/vnd.nes.result+json': [1]}, raw=True)\ndisplay({'application/scrapbook.scrap.json+json': {'name': 'auc', 'data': 0.9, 'encoder': 'json', 'version': 1}}, raw=True)"))
	requireReason(t, nes.ReasonCompleted, a.run())
	lines := a.sealed()
	require.Equal(t, []string{
		`progress {"label":"loading"}`, `result {"rows":3,"at":"2024-01-02"}`, `result accuracy 0.5`,
		`checkpoint orders "2024-05-01"`, `progress {"fraction":0.25,"label":"quarter"}`, `progress {"label":"half"}`,
		`result [1]`, `result auc 0.9`,
	}, words(lines))
	require.Len(t, messages(lines, "display_data"), 5, "progress alone has no place in the notebook")
}

func TestWordsThatEndTheRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source, status string
		reason         nes.Reason
		message        string
	}{
		"skip":      {"import nes\ntry:\n    nes.skip('no data')\nexcept Exception:\n    pass", "0 stopped", nes.ReasonSkipped, "no data"},
		"not ready": {"import nes; nes.not_ready('no input')", "0 stopped", nes.ReasonNotReady, "no input"},
		"displayed": {"from IPython.display import display\ndisplay({'application/vnd.nes.skip+json': 'nothing'}, raw=True)\nx=1", "0 ok", nes.ReasonSkipped, "nothing"},
		"and error": {"import nes\ntry:\n    nes.skip('no data')\nfinally:\n    1/0", "0 error", nes.ReasonCellError, "cell 0: ZeroDivisionError: division by zero"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttempt(t, code(tt.source), code("print('never')"))
			exit := a.run()
			requireReason(t, tt.reason, exit)
			require.Equal(t, tt.message, exit.Message)
			lines := a.sealed()
			require.Equal(t, []string{tt.status}, statuses(lines))
			if tt.reason == nes.ReasonSkipped {
				require.Zero(t, exit.Code)
				require.Empty(t, messages(lines, "error"))
			}
		})
	}
}

func TestKernelsEnvironment(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, code(`import os, sys, json
env = {k: v for k, v in os.environ.items() if k.startswith(('NES_RUN', 'NES_ATT', 'NES_OUT', 'PYTHONPATH'))}
helper, own = env.pop('PYTHONPATH').split(':')
print(json.dumps({'env': env, 'helper': sorted(n for n in os.listdir(helper) if n != '__pycache__'), 'own': own}))
open(os.path.join(os.environ['NES_OUTPUT_DIR'], 'side.txt'), 'w').close()`))
	a.env = []string{"PYTHONPATH=/users/own"}
	requireReason(t, nes.ReasonCompleted, a.run())
	want := map[string]any{
		"env":    map[string]any{"NES_RUN_ID": "0190", "NES_ATTEMPT": "1", "NES_OUTPUT_DIR": a.path(journal.OutputDir)},
		"helper": []string{"_nes_kernel.py", "nes.py"}, "own": "/users/own",
	}
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(raw), text(a.sealed(), 0, "stdout"))
	require.FileExists(t, filepath.Join(a.path(journal.OutputDir), "side.txt"))
}

var update = flag.Bool("update", false, "rewrite golden files")

var volatile = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"t":[0-9.]+`), `"t":0`},
	{regexp.MustCompile(`"(wall|cpu)":[0-9.e-]+`), `"$1":0`},
	{regexp.MustCompile(`"(mem|pid)":[0-9]+`), `"$1":0`},
	{regexp.MustCompile(`"sha256":"[0-9a-f]{64}"`), `"sha256":"0"`},
	{regexp.MustCompile(`"msg_id":"[0-9a-f]{32}_`), `"msg_id":"0_`},
	{regexp.MustCompile(`"language_info":\{.*?\}.*?\},"pid"`), `"language_info":{},"pid"`},
	{regexp.MustCompile(`"versions":\{.*?\}`), `"versions":{}`},
}

// TestGoldenJournal pins the format for everybody who reads journals.
func TestGoldenJournal(t *testing.T) {
	t.Parallel()
	a := newAttempt(t, cell{kind: "markdown", source: "# A report"},
		code("alpha = 1", "parameters"),
		code("import nes\nprint('alpha', alpha)\nnes.result({'alpha': alpha})\n'done'"),
		code("1/0", "raises-exception"),
		code("from IPython.display import display\nd = display('a', display_id='d')\nd.update('b')"))
	a.launch.Parameters = map[string]any{"alpha": 2}
	requireReason(t, nes.ReasonCompleted, a.run())
	raw, err := os.ReadFile(a.path(journal.JournalFile))
	require.NoError(t, err)
	got := string(raw)
	for _, v := range volatile {
		got = v.find.ReplaceAllString(got, v.with)
	}
	got = regexp.MustCompile(`"traceback": ?\[.*?\]\}`).ReplaceAllString(got, `"traceback":[]}`)
	golden := filepath.Join("testdata", "journal.golden.jsonl")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

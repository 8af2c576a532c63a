package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// leak tries every way in which a notebook tells what it knows. How it ends is in the cell after it.
const leak = `
import base64, html, json, os, subprocess, sys, time, urllib.parse
import nes
from IPython.display import HTML, JSON, display
s, t = os.environ["CANARY"], os.environ["TOKEN"]
out = os.environ["NES_OUTPUT_DIR"]
for v in (s, t):
    print(v); print("x" + v + "y", file=sys.stderr); print(repr(v), json.dumps({"k": v}), json.dumps([v], ensure_ascii=False))
    for i in range(3):
        print(base64.b64encode(b"u" * i + v.encode() + b":tail").decode(), base64.urlsafe_b64encode(b"u" * i + v.encode()).decode())
    print(v.encode().hex(), urllib.parse.quote(v), urllib.parse.quote(v, safe=""), urllib.parse.quote_plus(v), html.escape(v))
    for i in range(0, len(v), 5):
        print(v[i:i+5], end="", flush=True); time.sleep(0.15)
    print()
    display(HTML("<p>" + html.escape(v)), JSON({"k": [v], v: 1})); display({"text/plain": v}, raw=True, metadata={"m": v})
    display(HTML("<p>" + v * 60000))
    display(display_id=v)
    nes.result(v); nes.progress(0.5, v)
    os.write(1, v.encode() + b"\n"); os.write(2, v.encode() + b"\n")
    open(os.path.join(out, "own.txt"), "a").write(v)
subprocess.run(["sh", "-c", 'echo "$CANARY $TOKEN"; echo "$TOKEN" >&2'])
open(os.path.join(out, "report-" + t + ".txt"), "w").write("x")
try:
    raise KeyError(s)
except KeyError:
    import traceback; traceback.print_exc()
print("leaked")
`

// ends are the cells that end a notebook.
var ends = map[string]struct {
	cell   string
	reason nes.Reason
}{
	"success":    {"s", ""},
	"skip":       {"nes.skip(s)", nes.ReasonSkipped},
	"cell-error": {"raise ValueError('cannot connect with ' + s + t)", nes.ReasonCellError},
	"killed":     {"print(t, end=''); os.kill(os.getpid(), 9)", nes.ReasonKernelDied},
	// A killed driver may lose the last second, which it holds back while a secret might go on: so the kill comes later.
	"driver": {"print(t, flush=True); time.sleep(2); os.kill(os.getppid(), 9)", nes.ReasonKernelDied},
	"cancel": {"try:\n    print('waiting', flush=True); time.sleep(600)\nfinally:\n    print(s, t)", nes.ReasonCancelled},
}

// TestTheCanaryIsNowhere sweeps every stored byte, every answer and every page for two secrets that notebooks tried to give away by
// accident. It is found in the content of a side file alone, which is the notebook's own.
func TestTheCanaryIsNowhere(t *testing.T) {
	t.Parallel()
	random := strings.ReplaceAll(uuid.NewString(), "-", "")
	tails := []string{"Qz" + random[:14], "Wq" + random[16:30]}
	canary, token := `Ka/n+"<>&%\ 'ö`+tails[0], tails[1]
	dir := t.TempDir()
	file, config := filepath.Join(dir, "token"), filepath.Join(dir, "nes.yaml")
	require.NoError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "profiles:\n - name: default\n   secrets: {warehouse: {env: E2E_CANARY}, mail: {file: %s}}\n", file), 0o600))
	s := serve(t, "NES_CONFIG="+config, "E2E_CANARY="+canary)
	repo := newRepository(t)
	files := map[string]string{}
	for name, end := range ends {
		files[name+".ipynb"] = cells(leak, end.cell)
	}
	repo.Commit("leaks", files)
	needles := needlesOf(tails)
	runs := map[string]nes.Run{}
	for name, end := range ends {
		runs[name] = s.submit(nes.Spec{InputURL: repo.url + "/blob/main/" + name + ".ipynb", Secrets: map[string]nes.Secret{"CANARY": {Ref: "warehouse"}, "TOKEN": {Ref: "mail"}}})
		if end.reason == nes.ReasonCancelled {
			s.awaitLog(runs[name].ID, "waiting")
			_, err := s.client.Cancel(s.ctx(), runs[name].ID)
			require.NoError(t, err)
		}
	}
	for name, end := range ends {
		run := s.wait(runs[name].ID)
		require.Equal(t, end.reason, run.Reason, "%s: %s", name, run.Message)
		require.Contains(t, s.answer("/v1/runs/"+string(run.ID)+"/log"), "leaked", name)
		require.Contains(t, s.answer("/v1/runs/"+string(run.ID)+"/notebook"), "***", "%s: something was masked", name)
		for _, path := range []string{"", "/notebook", "/notebook.html", "/log", "/events", "/result", "/attempts", "/files/"} {
			clean(t, needles, name+path, s.answer("/v1/runs/"+string(run.ID)+path))
		}
		clean(t, needles, name+" page", s.answer("/runs/"+string(run.ID)))
	}
	for _, path := range []string{"/", "/runs", "/v1/runs", "/metrics", "/readyz"} {
		clean(t, needles, path, s.answer(path))
	}
	require.Eventually(t, func() bool { return len(attemptsLeft(s)) == 0 }, 30*time.Second, 50*time.Millisecond, "the attempts' directories go")
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	_ = s.cmd.Wait()
	require.Equal(t, len(ends), sweep(t, needles, s.dir), "side files that hold what the notebook wrote there")
}

// cells makes a notebook.
func cells(sources ...string) string {
	var all []string
	for i, source := range sources {
		all = append(all, fmt.Sprintf(`{"cell_type":"code","id":"c%d","metadata":{},"outputs":[],"execution_count":null,"source":%q}`, i, source))
	}
	return `{"cells":[` + strings.Join(all, ",") + `],"metadata":{"kernelspec":{"name":"python3","display_name":"Python 3"}},"nbformat":4,"nbformat_minor":5}`
}

// needlesOf are what every way of writing a value has of its unguessable end: it has letters and digits alone, so that
// JSON, HTML, URLs and Python write it as it is; base64 has three ways.
func needlesOf(tails []string) (needles [][]byte) {
	for _, tail := range tails {
		needles = append(needles, []byte(tail), []byte(tail[6:]), []byte(hex.EncodeToString([]byte(tail))))
		for before := range 3 {
			text := base64.StdEncoding.EncodeToString(append(make([]byte, before), tail...))
			needles = append(needles, []byte(text[4:len(text)-5]))
		}
	}
	return needles
}

func clean(t *testing.T, needles [][]byte, where, text string) {
	t.Helper()
	for _, needle := range needles {
		at := strings.Index(text, string(needle))
		if at >= 0 {
			require.Fail(t, "the canary is in "+where, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// answer is what the server says to a GET, whatever its status, as far as it comes within two seconds.
func (s *server) answer(path string) string {
	s.t.Helper()
	client := http.Client{Timeout: 20 * time.Second}
	if strings.HasSuffix(path, "/events") {
		client.Timeout = 2 * time.Second
	}
	res, err := client.Get("http://" + s.addr + path)
	require.NoError(s.t, err, path)
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body) // a stream of events need not end
	return fmt.Sprint(res.Header) + string(raw)
}

// attemptsLeft are the directories of attempts that are still there.
func attemptsLeft(s *server) []string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "attempts", "nes-*"))
	return found
}

// sweep looks at the name and every byte of every file, and counts the side files that hold what the notebook itself wrote there.
func sweep(t *testing.T, needles [][]byte, dir string) (own int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		clean(t, needles, "a name", path)
		if !d.Type().IsRegular() {
			return nil
		}
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		if d.Name() == "own.txt" && strings.Contains(path, "/outputs/") {
			require.True(t, bytes.Contains(raw, needles[0]), "the sweep would find it")
			own++
			return nil
		}
		clean(t, needles, path, string(raw))
		return nil
	}))
	return own
}

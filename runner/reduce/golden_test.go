package reduce_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/runner/reduce"
)

// golden is a journal that the real driver wrote, and what papermill made of the same notebook.
type golden struct {
	name    string
	input   []byte
	journal string
	want    string
	ids     bool
	blobs   map[string]string
}

func goldens(t testing.TB) []golden {
	t.Helper()
	dirs, err := filepath.Glob("testdata/golden/*/*")
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, s := range corpus(t) {
		ids[s.name] = s.ids
	}
	var all []golden
	for _, dir := range dirs {
		read := func(name string) string {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			return string(raw)
		}
		g := golden{
			name: filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir), input: []byte(read("input.ipynb")),
			journal: read("journal.jsonl"), want: read("want.json"), blobs: map[string]string{},
		}
		g.ids = ids[g.name]
		blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "*"))
		for _, b := range blobs {
			g.blobs[filepath.Base(b)] = read("blobs/" + filepath.Base(b))
		}
		all = append(all, g)
	}
	return all
}

func (g golden) disk(n int) disk { return disk{strings.NewReader(g.journal[:n]), g.blobs} }

func TestGoldenJournalsReduceToPapermillsNotebooks(t *testing.T) {
	t.Parallel()
	all := goldens(t)
	require.GreaterOrEqual(t, len(all), 60)
	for _, g := range all {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			s := feed(t, g.input, g.journal)
			require.Zero(t, s.Ignored())
			require.Equal(t, g.want, pretty(t, normal(t, written(t, s, g.disk(len(g.journal)), reduce.Stamp{}), g.ids)))
		})
	}
}

func TestAnySplitOfTheJournalGivesTheSameNotebook(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			want := written(t, feed(t, g.input, g.journal), g.disk(len(g.journal)), reduce.Stamp{})
			r := rand.New(rand.NewPCG(3, uint64(len(g.journal))))
			s, err := reduce.New(g.input)
			require.NoError(t, err)
			for at := 0; at < len(g.journal); {
				n := min(1+r.IntN(900), len(g.journal)-at)
				require.NoError(t, s.Feed(int64(at), []byte(g.journal[at:at+n])))
				at += n
			}
			require.Equal(t, string(want), string(written(t, s, g.disk(len(g.journal)), reduce.Stamp{})))
		})
	}
}

// TestEveryPrefixIsATrueNotebook reduces each journal at every line, and at random bytes, open and closed.
func TestEveryPrefixIsATrueNotebook(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(5, uint64(len(g.journal))))
			s, err := reduce.New(g.input)
			require.NoError(t, err)
			cells := len(parsed(t, written(t, s, g.disk(0), reduce.Stamp{})).Cells)
			for at := 0; at < len(g.journal); {
				n := strings.IndexByte(g.journal[at:], '\n') + 1
				if r.IntN(4) == 0 {
					n = min(1+r.IntN(2*n), len(g.journal)-at)
				}
				require.NoError(t, s.Feed(int64(at), []byte(g.journal[at:at+n])))
				at += n
				for _, end := range []*reduce.End{nil, {Reason: nes.ReasonNodeLost}} {
					raw := written(t, s, g.disk(at), reduce.Stamp{End: end})
					requireTrue(t, s, raw, cells, end != nil)
				}
			}
		})
	}
}

// requireTrue holds a notebook to the format and its statuses to each other.
func requireTrue(t testing.TB, s *reduce.State, raw []byte, cells int, closed bool) {
	t.Helper()
	requireFormat(t, raw)
	nb := parsed(t, raw)
	require.Len(t, nb.Cells, cells)
	running, pendingCode := 0, false
	for i, c := range nb.Cells {
		requirePapermill(t, c)
		switch c.status() {
		case "running":
			running++
			require.Equal(t, s.Progress().Current, i)
			fallthrough
		case "completed", "failed":
			require.False(t, pendingCode && c.Type == "code" && c.Metadata["execution"] != nil, "cell %d ran after one that did not", i)
		case "pending":
			require.Empty(t, c.Outputs)
			require.Nil(t, c.Count)
			pendingCode = pendingCode || c.Type == "code"
		}
	}
	require.LessOrEqual(t, running, 1)
	if closed {
		require.Zero(t, running)
	}
}

// requireFormat checks a notebook against nbformat 4.5's rules.
func requireFormat(t testing.TB, raw []byte) {
	t.Helper()
	var nb struct {
		Cells    []map[string]any `json:"cells"`
		Metadata map[string]any   `json:"metadata"`
		Major    int              `json:"nbformat"`
	}
	require.NoError(t, json.Unmarshal(raw, &nb))
	require.NotNil(t, nb.Cells)
	require.NotNil(t, nb.Metadata)
	require.Equal(t, 4, nb.Major)
	ids := map[any]bool{}
	for _, c := range nb.Cells {
		require.False(t, c["id"] != nil && ids[c["id"]], "id %v twice", c["id"])
		ids[c["id"]] = true
		require.IsType(t, map[string]any{}, c["metadata"])
		if c["cell_type"] != "code" {
			continue
		}
		require.Contains(t, c, "execution_count")
		for _, o := range c["outputs"].([]any) {
			requireOutput(t, o.(map[string]any))
		}
	}
}

var fieldsOf = map[string][]string{
	"stream":         {"output_type", "name", "text"},
	"display_data":   {"output_type", "data", "metadata"},
	"execute_result": {"output_type", "data", "metadata", "execution_count"},
	"error":          {"output_type", "ename", "evalue", "traceback"},
}

func requireOutput(t testing.TB, o map[string]any) {
	t.Helper()
	want := fieldsOf[o["output_type"].(string)]
	require.Len(t, o, len(want))
	for _, f := range want {
		require.Contains(t, o, f)
	}
	for _, f := range []string{"name", "text", "ename", "evalue"} {
		if v, ok := o[f]; ok {
			require.IsType(t, "", v)
		}
	}
	if trace, ok := o["traceback"]; ok {
		requireLines(t, trace)
	}
	if data, ok := o["data"]; ok {
		require.IsType(t, map[string]any{}, o["metadata"])
		for mime, v := range data.(map[string]any) {
			if _, text := v.(string); !text && mime != "application/json" && !(strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")) {
				requireLines(t, v)
			}
		}
	}
}

func requireLines(t testing.TB, v any) {
	t.Helper()
	require.IsType(t, []any{}, v)
	for _, line := range v.([]any) {
		require.IsType(t, "", line)
	}
}

// validator reads paths of notebooks and says what nbformat has against them.
const validator = `
import sys, nbformat
for line in sys.stdin:
    path = line.rstrip("\n")
    nb = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(nb)
print("valid")
`

// invalidBefore names notebooks that Jupyter finds invalid before anything executes them, which nothing here mends.
var invalidBefore = map[string]bool{
	"nbformat/test4plus": true, "nbformat/v4_5_no_cell_id": true, // of a future version
	"nbclient/Output": true, // its kernelspec has no name
}

func TestJupyterFindsTheNotebooksValid(t *testing.T) {
	t.Parallel()
	python := python(t)
	dir := t.TempDir()
	var paths strings.Builder
	for i, g := range goldens(t) {
		if invalidBefore[g.name] {
			continue
		}
		for part := 1; part <= 3; part++ {
			n := len(g.journal) * part / 3
			path := filepath.Join(dir, strings.ReplaceAll(g.name, "/", "-")+string(rune('0'+part))+".ipynb")
			s := feed(t, g.input, g.journal[:n])
			require.NoError(t, os.WriteFile(path, written(t, s, g.disk(n), reduce.Stamp{NES: map[string]any{"i": i}}), 0o644))
			paths.WriteString(path + "\n")
		}
	}
	cmd := exec.Command(python, "-W", "ignore", "-c", validator)
	cmd.Stdin = strings.NewReader(paths.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "valid\n", string(out))
}

func FuzzReduce(f *testing.F) {
	input := notebook("md:x", "a", "b", "skip!c", "d")
	f.Add([]byte(journalOfALog), 5, false)
	f.Add([]byte(lines(started(1), printed(1, "stdout", "x"), display(1, "display_data", "d", `{"text/plain":5}`), comm(1, "comm_open", "o", outputModel),
		comm(1, "comm_msg", "o", `{"msg_id":"x"}`), printed(1, "stderr", "y"), `{"k":"msg","cell":1,"type":"clear_output","content":{"wait":1}}`,
		`{"k":"msg","cell":1,"type":"display_data","content":{"data":{}},"blobs":{"image/png":"b"},"transient":{"display_id":"d"}}`)), 40, true)
	for _, g := range goldens(f) {
		if len(g.journal) < 4<<10 {
			f.Add([]byte(g.journal), 100, true)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, split int, closed bool) {
		s, err := reduce.New(input)
		require.NoError(t, err)
		at := min(max(split, 0), len(raw))
		require.NoError(t, s.Feed(0, raw[:at]))
		require.NoError(t, s.Feed(int64(at), raw[at:]))
		stamp := reduce.Stamp{}
		if closed {
			stamp.End = &reduce.End{Reason: nes.ReasonAgentLost}
		}
		d := disk{strings.NewReader(string(raw)), map[string]string{"b": string(raw)}}
		out := written(t, s, d, stamp)
		requireFormat(t, out)
		require.Len(t, parsed(t, out).Cells, 5)
		require.True(t, json.Valid(out))
		nb, err := nbformat.Read(bytes.NewReader(out), 1<<30)
		require.NoError(t, err)
		require.NoError(t, nb.Write(io.Discard))
		_, _, _ = s.Progress(), s.Words(), s.CellError()
	})
}

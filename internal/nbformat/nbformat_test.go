package nbformat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

var update = flag.Bool("update", false, "write the golden files anew")

func read(t testing.TB, text string) *nbformat.Notebook {
	t.Helper()
	n, err := nbformat.Read(strings.NewReader(text), 1<<20)
	require.NoError(t, err)
	return n
}

func write(t testing.TB, n *nbformat.Notebook) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, n.Write(&b))
	return b.String()
}

func vendored(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/jupyter/*.ipynb")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	all := map[string]string{}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		all[filepath.Base(p)] = string(raw)
	}
	return all
}

func TestVendoredNotebooksAreUpgraded(t *testing.T) {
	t.Parallel()
	for name, text := range vendored(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := write(t, read(t, text))
			golden := filepath.Join("testdata/upgraded", name)
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
			require.Equal(t, got, write(t, read(t, got)), "writing and reading changes nothing")
		})
	}
}

// jupyter reads notebooks as Jupyter does and writes them without ids, which are random there.
const jupyter = `
import sys, json, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
import nbformat
nb = nbformat.read(sys.argv[1], as_version=4)
for c in nb.cells: c.pop("id", None)
print(nbformat.writes(nb, split_lines=False))
`

func TestReadingEqualsJupyters(t *testing.T) {
	t.Parallel()
	python := os.Getenv("NES_PYTHON")
	if python == "" {
		python, _ = filepath.Abs("../../.venv/bin/python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no notebook runtime: set NES_PYTHON or run make runtime (%v)", err)
	}
	for name, text := range vendored(t) {
		if name == "test2.ipynb" || name == "test3_no_metadata.ipynb" || strings.HasPrefix(name, "test3_no_worksheets") || strings.HasPrefix(name, "test3_worksheet") {
			continue // Jupyter itself cannot read them, or not fully
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := exec.Command(python, "-c", jupyter, filepath.Join("testdata/jupyter", name)).Output()
			require.NoError(t, err)
			require.Equal(t, comparable(t, string(want)), comparable(t, write(t, read(t, text))))
		})
	}
}

// comparable is a notebook without ids, and with joined lines.
func comparable(t *testing.T, text string) any {
	t.Helper()
	var nb map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &nb))
	for _, c := range nb["cells"].([]any) {
		delete(c.(map[string]any), "id")
	}
	return joined(nb)
}

func joined(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k != "traceback" && k != "tags" {
				v[k] = joined(v[k])
			}
		}
	case []any:
		text, all := "", true
		for i := range v {
			s, ok := v[i].(string)
			text, all = text+s, all && ok
			v[i] = joined(v[i])
		}
		if all {
			return text
		}
	}
	return v
}

func TestCellsOfEveryKind(t *testing.T) {
	t.Parallel()
	n := read(t, `{"nbformat":4,"nbformat_minor":5,"metadata":{"kernelspec":{"name":"ir","display_name":"R"},"language_info":{"name":"R"},"signature":"x"},"cells":[
		{"cell_type":"code","id":"a","source":["x = 1\n","y"],"metadata":{"tags":["parameters","t"],"trusted":true},"outputs":[{"output_type":"stream","name":"stdout","text":["a","b"]}],"execution_count":3,"future":1},
		{"cell_type":"markdown","id":"a","source":"# t","metadata":{},"attachments":{"x.png":{"image/png":"iV"}}},
		{"cell_type":"raw","id":"bad id!","source":[],"metadata":null},
		{"cell_type":"hologram","metadata":{},"outputs":5,"source":{"deep":1}}]}`)
	require.Len(t, n.Cells, 4)
	require.Equal(t, "x = 1\ny", n.Cells[0].Source)
	require.Equal(t, []string{"parameters", "t"}, n.Cells[0].Tags())
	require.Equal(t, 3, *n.Cells[0].ExecutionCount)
	require.NotContains(t, n.Cells[0].Metadata, "trusted")
	require.Equal(t, "ir", n.KernelName())
	require.Equal(t, "r", n.Language())
	ids := map[string]bool{}
	for _, c := range n.Cells {
		require.Regexp(t, `^[a-zA-Z0-9-_]{1,64}$`, c.ID)
		ids[c.ID] = true
	}
	require.Len(t, ids, 4)
	require.Equal(t, "a", n.Cells[0].ID)
	text := write(t, n)
	require.Contains(t, text, `"attachments": {`)
	require.Contains(t, text, `"future": 1`)
	require.Contains(t, text, `"source": {`)
	require.Contains(t, text, "\"x = 1\\n\",\n    \"y\"\n")
	require.NotContains(t, text, "signature")
	require.Equal(t, text, write(t, read(t, text)))
}

func TestIDsExistFromMinorFiveOn(t *testing.T) {
	t.Parallel()
	for minor, has := range map[string]bool{"0": false, "4": false, "5": true, "6": true} {
		text := `{"nbformat":4,"nbformat_minor":` + minor + `,"metadata":{},"cells":[{"cell_type":"code","id":"x","source":"a","metadata":{},"outputs":[],"execution_count":null},{"cell_type":"raw","source":"a","metadata":{}}]}`
		n, again := read(t, text), read(t, text)
		require.Equal(t, has, n.Cells[0].ID == "x")
		require.Equal(t, has, n.Cells[1].ID != "")
		require.Equal(t, n.Cells[1].ID, again.Cells[1].ID)
	}
}

func TestPythonsJSONIsMended(t *testing.T) {
	t.Parallel()
	n := read(t, "\ufeff"+`{"nbformat":4,"nbformat_minor":4,"metadata":{"papermill":{"parameters":{"x":NaN,"y":-Infinity}}},"cells":[{"cell_type":"raw","metadata":{},"source":"\ud83d and `+"\xff"+`"}]}`)
	require.JSONEq(t, `{"parameters":{"x":null,"y":null}}`, string(n.Metadata["papermill"]))
	require.Equal(t, "\ufffd and \ufffd", n.Cells[0].Source)
}

func TestWhatIsNoNotebookIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		``: "not JSON", `{`: "not JSON", `[]`: "not an object", `null`: "not an object", `"x"`: "not an object", `{}`: "no number nbformat",
		`{"nbformat":"4","cells":[]}`: "no number nbformat", `{"nbformat":1}`: "4 is needed", `{"nbformat":5,"cells":[]}`: "4 is needed",
		`{"nbformat":4}`: "no list of cells", `{"nbformat":4,"cells":{}}`: "no list of cells", `{"nbformat":4,"cells":[7]}`: "cell 0",
		`{"nbformat":3,"worksheets":[{"cells":[7]}]}`: "cell 0", `<html>`: "not JSON",
	} {
		_, err := nbformat.Read(strings.NewReader(text), 1<<20)
		require.ErrorContains(t, err, says, text)
		require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err), text)
	}
	_, err := nbformat.Read(strings.NewReader(strings.Repeat(" ", 101)), 100)
	require.Equal(t, nes.ReasonSourceTooLarge, nes.ReasonOf(err))
	_, err = nbformat.Read(io.MultiReader(strings.NewReader("{"), broken{}), 100)
	require.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestBodiesAreWrittenByFunctions(t *testing.T) {
	t.Parallel()
	n := read(t, `{"nbformat":4,"nbformat_minor":4,"metadata":{"a":1,"widgets":"old"},"cells":[{"cell_type":"code","source":"","metadata":{},"outputs":[{"old":1}],"execution_count":1}]}`)
	say := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	b := nbformat.Bodies{
		Outputs:  func(i int, w io.Writer) error { return say(`{"new":2}`)(w) },
		Metadata: map[string]func(io.Writer) error{"widgets": say(`[1]`), "b": say(`2`)},
	}
	var out bytes.Buffer
	require.NoError(t, n.WriteWith(&out, b))
	require.JSONEq(t, `{"nbformat":4,"nbformat_minor":4,"metadata":{"a":1,"b":2,"widgets":[1]},"cells":[{"cell_type":"code","source":[],"metadata":{},"outputs":[{"new":2}],"execution_count":1}]}`, out.String())

	b.Outputs = func(int, io.Writer) error { return errBroken }
	require.ErrorIs(t, n.WriteWith(io.Discard, b), errBroken)
	require.ErrorIs(t, n.Write(broken{}), errBroken)
}

// fuzzSeeds are small, because the fuzzer shortens what it finds byte by byte; TestVendoredNotebooksAreUpgraded reads whole notebooks.
var fuzzSeeds = []string{
	`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"id":"a","cell_type":"code","source":["x\n","y"],"metadata":{"tags":["t"]},"outputs":[],"execution_count":1}]}`,
	`{"nbformat":4,"nbformat_minor":4,"metadata":{"a":1},"cells":[{"cell_type":"markdown","source":"m","metadata":{},"attachments":{}},{"cell_type":"raw","source":[],"metadata":{}}]}`,
	`{"nbformat":4,"cells":[{"cell_type":"code","outputs":[{"output_type":"stream","name":"stdout","text":"\ud83d"}]}]}`,
	`{"nbformat":4,"cells":[{"cell_type":"code","outputs":[{"output_type":"display_data","data":{"a/b":NaN},"metadata":{}}]}]}`,
	`{"nbformat":4,"cells":[{"cell_type":"code","outputs":[{"output_type":"error","ename":"E","evalue":"v","traceback":["t"]}]}]}`,
	`{"nbformat":3,"metadata":{},"worksheets":[{"cells":[{"cell_type":"heading","level":-5,"source":["a","b"]}]}]}`,
	`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"code","input":"x","prompt_number":2,"outputs":[{"output_type":"pyout","json":"{"},{"output_type":"stream"}]}]}]}`,
	`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"code","outputs":[{"output_type":"pyerr"},{"output_type":"display_data","png":"i","metadata":{"png":1}}]}]}]}`,
	`{"nbformat":2,"cells":[{"a":[{"b":{}}]}]}`,
	`{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"markdown","id":5,"source":["a"],"outputs":1},{"cell_type":"new","source":["b"]}]}]}`,
}

func FuzzRead(f *testing.F) {
	for _, text := range fuzzSeeds {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := nbformat.Read(bytes.NewReader(raw), 1<<20)
		if err != nil {
			require.NotEqual(t, nes.ReasonInternal, nes.ReasonOf(err))
			return
		}
		text := write(t, n)
		require.True(t, json.Valid([]byte(text)))
		again := read(t, text)
		require.Len(t, again.Cells, len(n.Cells))
		require.Equal(t, text, write(t, again))
	})
}

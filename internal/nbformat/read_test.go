package nbformat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

// v4 is a notebook of version 4.5 with these cells.
func v4(cells ...string) string {
	return `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[` + strings.Join(cells, ",") + `]}`
}

func v3(cells ...string) string {
	return `{"nbformat":3,"nbformat_minor":0,"metadata":{"name":"old"},"worksheets":[{"cells":[` + strings.Join(cells, ",") + `]}]}`
}

// TestACountThatIsNoneIsNotZero: zero would say that the cell ran.
func TestACountThatIsNoneIsNotZero(t *testing.T) {
	t.Parallel()
	seven, zero := 7, 0
	for raw, want := range map[string]*int{
		`7`: &seven, `0`: &zero, `null`: nil, `"7"`: nil, `7.5`: nil, `1e3`: nil, `true`: nil, `{}`: nil, `[7]`: nil, `"*"`: nil, `99999999999999999999`: nil,
	} {
		n := read(t, v4(`{"cell_type":"code","source":"a","metadata":{},"outputs":[],"execution_count":`+raw+`}`))
		require.Equal(t, want, n.Cells[0].ExecutionCount, raw)
		said := "null"
		if want != nil {
			said = fmt.Sprint(*want)
		}
		require.Contains(t, write(t, n), `"execution_count": `+said+`,`, raw)
		n = read(t, v3(`{"cell_type":"code","input":"a","outputs":[],"prompt_number":`+raw+`}`))
		require.Equal(t, want, n.Cells[0].ExecutionCount, raw)
	}
	require.Nil(t, read(t, v4(`{"cell_type":"code"}`)).Cells[0].ExecutionCount)
}

// TestKernelAndLanguageAreNamedLetterByLetter: what another reader does not see, must not choose the kernel here.
func TestKernelAndLanguageAreNamedLetterByLetter(t *testing.T) {
	t.Parallel()
	for metadata, want := range map[string][2]string{
		`{"kernelspec":{"name":"ir","language":"R"}}`:                              {"ir", "r"},
		`{"kernelspec":{"name":"ir"},"language_info":{"name":"R"}}`:                {"ir", "r"},
		`{"kernelspec":{"name":"a","language":"X"},"language_info":{"name":"Y"}}`:  {"a", "x"},
		`{"kernelspec":{"NAME":"ir","Language":"R"}}`:                              {"", ""},
		`{"kernelspec":{"name":"python3","Name":"evil","NAME":"evil"}}`:            {"python3", ""},
		`{"Kernelspec":{"name":"ir"}}`:                                             {"", ""},
		`{"kernelspec":{"name":5,"language":"R"}}`:                                 {"", "r"},
		`{"kernelspec":{"name":["python3"],"language":{"a":1}}}`:                   {"", ""},
		`{"kernelspec":{"name":"a","language":null},"language_info":{"name":"b"}}`: {"a", "b"},
		`{"kernelspec":"python3","language_info":"python"}`:                        {"", ""},
		`{"kernelspec":null,"language_info":[]}`:                                   {"", ""},
		`{"language_info":{"NAME":"R"}}`:                                           {"", ""},
		`{}`:                                                                       {"", ""},
		`null`:                                                                     {"", ""},
		`[]`:                                                                       {"", ""},
	} {
		n := read(t, `{"nbformat":4,"nbformat_minor":5,"cells":[],"metadata":`+metadata+`}`)
		require.Equal(t, want, [2]string{n.KernelName(), n.Language()}, metadata)
	}
}

// TestAFieldThatComesTwice is the last one's, as Python's reader has it.
func TestAFieldThatComesTwice(t *testing.T) {
	t.Parallel()
	n := read(t, `{"nbformat":3,"nbformat":4,"nbformat_minor":5,"metadata":{"kernelspec":{"name":"a","name":"b"}},"cells":[1],"cells":[{"cell_type":"raw","cell_type":"code","source":"a","source":"b","metadata":{}}]}`)
	require.Equal(t, "b", n.KernelName())
	require.Len(t, n.Cells, 1)
	require.Equal(t, nbformat.Code, n.Cells[0].Type)
	require.Equal(t, "b", n.Cells[0].Source)
}

func TestSourcesAndTagsOfAnyShape(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"a\nb"`: "a\nb", `["a\n","b"]`: "a\nb", `["a","b"]`: "ab", `[]`: "", `""`: "", `null`: "", `5`: "", `{"a":1}`: "", `["a",5,"b"]`: "ab", `[["a"]]`: "", `"\u0000\ud55c"`: "\x00한", `"a\r\nb\u2028c"`: "a\r\nb\u2028c",
	} {
		n := read(t, v4(`{"cell_type":"code","source":`+raw+`}`))
		require.Equal(t, want, n.Cells[0].Source, raw)
		require.Equal(t, want, read(t, write(t, n)).Cells[0].Source, "written and read: "+raw)
	}
	for raw, want := range map[string][]string{
		`["a","b"]`: {"a", "b"}, `[]`: {}, `null`: nil, `"parameters"`: nil, `{"a":1}`: nil, `5`: nil,
	} {
		n := read(t, v4(`{"cell_type":"code","metadata":{"tags":`+raw+`}}`))
		require.Equal(t, want, n.Cells[0].Tags(), raw)
	}
	require.NotContains(t, read(t, v4(`{"cell_type":"code","metadata":{"tags":[5,"parameters "]}}`)).Cells[0].Tags(), "parameters")
	require.Nil(t, read(t, v4(`{"cell_type":"code","metadata":7}`)).Cells[0].Tags())
}

// TestTheLimitIsOneOfBytes, of what is read from the wire.
func TestTheLimitIsOneOfBytes(t *testing.T) {
	t.Parallel()
	text := v4()
	for _, over := range []int64{-1, 0, 1} {
		_, err := nbformat.Read(strings.NewReader(text), int64(len(text))+over)
		if over >= 0 {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, nes.ReasonSourceTooLarge, nes.ReasonOf(err))
		require.ErrorContains(t, err, fmt.Sprintf("larger than %d bytes", len(text)-1))
	}
}

// TestARefusalSaysWhereTheTextStopsBeingJSON.
func TestARefusalSaysWhereTheTextStopsBeingJSON(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"nbformat":4,}`:              "invalid character '}'",
		`{"nbformat":4`:                "unexpected end of JSON input",
		`{"nbformat":4}}`:              "invalid character '}' after top-level value",
		"{'nbformat':4}":               `invalid character '\''`,
		"version https://git-lfs.com/": "invalid character 'v'",
		"<<<<<<< HEAD\n{}":             "invalid character '<'",
		`{"nbformat":4, "x": nan}`:     "invalid character 'a'",
	} {
		_, err := nbformat.Read(strings.NewReader(text), 1<<20)
		require.ErrorContains(t, err, "the file is not JSON: "+says, text)
		require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err))
		require.Equal(t, nes.CodeUnprocessable, nes.CodeOf(err))
	}
	_, err := nbformat.Read(strings.NewReader(`{"nbformat":4,"cells":[`+strings.Repeat(" ", 1000)+`}`), 1<<20)
	require.ErrorContains(t, err, "invalid character '}'")
	deep := strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000)
	_, err = nbformat.Read(strings.NewReader(`{"nbformat":4,"cells":`+deep+`}`), 1<<20)
	require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err), "and never a crash")
	require.Less(t, len(err.Error()), 300)
}

func TestVersionsOfTheFormat(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{
		`"nbformat":4`: 0, `"nbformat":4,"nbformat_minor":5`: 5, `"nbformat":4,"nbformat_minor":-3`: 0, `"nbformat":4,"nbformat_minor":"5"`: 0,
		`"nbformat":4,"nbformat_minor":99`: 99, `"nbformat":4,"nbformat_minor":4.5`: 0, `"nbformat":4,"nbformat_minor":null`: 0, `"nbformat":3,"worksheets":[]`: 5, `"nbformat":2`: 5,
	} {
		n := read(t, `{`+version+`,"cells":[],"metadata":{}}`)
		require.Equal(t, want, n.Minor, version)
		require.Contains(t, write(t, n), fmt.Sprintf("\"nbformat\": 4,\n \"nbformat_minor\": %d\n", want), version)
	}
	for _, version := range []string{`4.0`, `"4"`, `null`, `[4]`, `true`} {
		_, err := nbformat.Read(strings.NewReader(`{"nbformat":`+version+`,"cells":[]}`), 1<<20)
		require.ErrorContains(t, err, "no number nbformat", version)
	}
	for _, version := range []string{`0`, `1`, `5`, `-4`, `44`} {
		_, err := nbformat.Read(strings.NewReader(`{"nbformat":`+version+`,"cells":[]}`), 1<<20)
		require.ErrorContains(t, err, "nbformat is "+version, version)
	}
}

// TestWhatJupyterDoesNotKeepIsNotKept, and everything else is, where it was.
func TestWhatJupyterDoesNotKeepIsNotKept(t *testing.T) {
	t.Parallel()
	n := read(t, `{"nbformat":4,"nbformat_minor":5,"extra":{"deep":[1,2.50,"x"]},"signature":"kept: it is not in the metadata",
		"metadata":{"orig_nbformat":3,"orig_nbformat_minor":0,"signature":"s","mine":1.10},
		"cells":[{"cell_type":"code","metadata":{"trusted":true,"mine":2},"source":"","outputs":[],"execution_count":null,"extra":[1e400]}]}`)
	require.Equal(t, map[string]json.RawMessage{"mine": json.RawMessage("1.10")}, n.Metadata, "numbers keep their digits")
	require.Equal(t, map[string]json.RawMessage{"mine": json.RawMessage("2")}, n.Cells[0].Metadata)
	require.Len(t, n.Extra, 2)
	require.Equal(t, `[1e400]`, string(n.Cells[0].Extra["extra"]))
	text := write(t, n)
	require.Contains(t, text, "2.50")
	require.Contains(t, text, "1e400")
	require.NotContains(t, text, "trusted")
	require.NotContains(t, text, "orig_nbformat")
}

// TestCellsOfUnknownTypesAreKeptAsTheyAre, for a later version knows them.
func TestCellsOfUnknownTypesAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	cell := `{"cell_type":"sql","id":"q","metadata":{"a":1},"source":{"dialect":"pg"},"outputs":"none","execution_count":"x","level":2}`
	n := read(t, v4(cell))
	require.Empty(t, n.Cells[0].Source)
	require.Nil(t, n.Cells[0].Outputs)
	var nb struct{ Cells []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(write(t, n)), &nb))
	require.JSONEq(t, cell, string(nb.Cells[0]))
}

// TestIDsAreMendedAlikeEveryTime: those that are missing, doubled, too long or of other characters.
func TestIDsAreMendedAlikeEveryTime(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	var cells []string
	for _, id := range []string{`"a"`, `"a"`, `"a"`, `""`, `null`, `5`, `"` + long + `"`, `"` + long + `x"`, `"가"`, `"a b"`, `"a\n"`, `"-_"`, `["l","ist"]`, `"` + long + `"`} {
		cells = append(cells, `{"cell_type":"raw","metadata":{},"source":"same","id":`+id+`}`)
	}
	text := v4(cells...)
	n, again := read(t, text), read(t, text)
	seen := map[string]bool{}
	for i, c := range n.Cells {
		require.Regexp(t, `^[a-zA-Z0-9-_]{1,64}$`, c.ID)
		require.False(t, seen[c.ID], "%d: %s", i, c.ID)
		seen[c.ID] = true
		require.Equal(t, c.ID, again.Cells[i].ID)
	}
	require.Equal(t, []string{"a", long, "-_", "list"}, []string{n.Cells[0].ID, n.Cells[6].ID, n.Cells[11].ID, n.Cells[12].ID})
	changed := read(t, strings.Replace(text, `"same","id":null`, `"other","id":null`, 1))
	require.NotEqual(t, n.Cells[4].ID, changed.Cells[4].ID, "another source, another id")
	require.Equal(t, n.Cells[5].ID, changed.Cells[5].ID, "which is its own cell's business alone")

	taken := n.Cells[4].ID // the first cell has the id that another's would be
	cells[0] = strings.Replace(cells[0], `"a"`, `"`+taken+`"`, 1)
	n = read(t, v4(cells...))
	require.Equal(t, taken, n.Cells[0].ID)
	require.NotEqual(t, taken, n.Cells[4].ID)
}

// TestJupyterReadsWhatIsMended: odd notebooks that we take are good ones, in Jupyter's own eyes, when they are written.
func TestJupyterReadsWhatIsMended(t *testing.T) {
	t.Parallel()
	python := os.Getenv("NES_PYTHON")
	if python == "" {
		python, _ = filepath.Abs("../../.venv/bin/python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no notebook runtime: set NES_PYTHON or run make runtime (%v)", err)
	}
	odd := []string{
		v4(`{"cell_type":"code"}`), v4(`{"cell_type":"code","id":"a","source":null,"metadata":null,"outputs":null,"execution_count":"1"}`, `{"cell_type":"raw","id":"a"}`),
		v4(`{"cell_type":"markdown","source":["# a\n","b"],"metadata":{"trusted":true}}`), `{"nbformat":4,"cells":[{"cell_type":"raw","source":"\ud83d NaN"}],"metadata":null}`,
		v3(`{"cell_type":"heading","level":9,"source":"a\nb"}`, `{"cell_type":"html","source":["<b>","x"]}`, `{"cell_type":"code","input":["a","b"],"collapsed":true,"language":"python","outputs":[{"output_type":"stream","text":["x\n","y"]},{"output_type":"pyerr","ename":"E","evalue":"v","traceback":[]}]}`),
		v3(`{"cell_type":"code","input":"a","prompt_number":2,"outputs":[{"output_type":"pyout","prompt_number":2,"text":["a","b"],"html":"<b>","png":"iV","json":"{\"a\": [1]}","metadata":{"png":{"width":1}}},{"output_type":"display_data","latex":["$x$"]}]}`),
		`{"nbformat":2,"worksheets":[{"cells":[{"cell_type":"markdown","source":"m","rendered":true}]},{"cells":[{"cell_type":"raw","source":"r"}]}]}`,
	}
	dir := t.TempDir()
	args := []string{"-c", "import sys, nbformat\nfor p in sys.argv[1:]:\n  nb = nbformat.read(p, as_version=nbformat.NO_CONVERT); nbformat.validate(nb)\n  print(''.join('[' + c.source + ']' for c in nb.cells))"}
	var want bytes.Buffer
	for i, text := range odd {
		n := read(t, text)
		path := filepath.Join(dir, fmt.Sprintf("%d.ipynb", i))
		require.NoError(t, os.WriteFile(path, []byte(write(t, n)), 0o600))
		args = append(args, path)
		for _, c := range n.Cells {
			want.WriteString("[" + c.Source + "]")
		}
		want.WriteString("\n")
	}
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Equal(t, want.String(), string(got))
}

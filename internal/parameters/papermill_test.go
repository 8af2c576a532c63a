package parameters_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
)

// inspected is what papermill finds of one parameter.
type inspected struct{ Name, Type, Default, Help string }

// inspectCells asks papermill for the parameters of cells; null where there is no papermill.
const inspectCells = `
import sys, json, logging
logging.disable(logging.CRITICAL)
try:
    from papermill.translators import PythonTranslator
except ImportError:
    PythonTranslator = None
def look(source):
    return [{"Name": p.name, "Type": p.inferred_type_name, "Default": p.default, "Help": p.help} for p in PythonTranslator.inspect({"source": source})]
print(json.dumps(PythonTranslator and [look(s) for s in json.load(sys.stdin)]))
`

func papermill(t *testing.T, cells []string) [][]inspected {
	t.Helper()
	var all [][]inspected
	ask(t, inspectCells, cells, &all)
	if all == nil {
		t.Skip("no papermill beside this Python: set NES_PYTHON")
	}
	require.Len(t, all, len(cells))
	return all
}

// TestInspectIsAsPapermills holds names, order, defaults and help of plain cells to papermill's own inspection.
func TestInspectIsAsPapermills(t *testing.T) {
	t.Parallel()
	cells := []string{
		"a = 1", "a=1", "a  =  1", "a: int = 1", "a:int=1", "a : int = 1", "a = 1 # help", "a = 1# help", "a = 1  #help", "a: float = 1.5  # how much of it",
		"a = 1 # type: int", "a = 1 # type: int how many", "a = 1 # type:int how many", "a = 'x'  # type: str  a name", "a: 'int' = 1", "a: \"str\" = 'x' # quoted",
		"a: List[str] = ['x']", "a: Dict[str, int] = {}", "a: Optional[str] = None", "a: list = []  # the list",
		"a = 1\nb = 2\nc = 3", "a = 1 # one\n\n# a comment\nb = 2 # two", "import os\na = 1", "a = 1\nprint(a)", "# only\n# comments", "", "\n\n",
		"a = [1, 2, 3]", "a = {'k': 'v'}", "a = (1, 2)", "a = 'text with spaces'", "a = f(1)", "a = x + y", "a = None # nothing yet", "a = -1.5e3", "a = True", "데이터 = '값' # 설명",
		"_private = 1", "a1 = 1", "CamelCase = 2", "msg = 'it\\'s'", "a = \"double\" # quoted",
	}
	for i, want := range papermill(t, cells) {
		s := inspect(t, "python", cells[i])
		require.True(t, s.Declared, cells[i])
		require.Len(t, s.Parameters, len(want), "%s: %v", cells[i], s.Parameters)
		for j, w := range want {
			got := s.Parameters[j]
			require.Equal(t, w.Name, got.Name, cells[i])
			source, _, _ := strings.Cut(w.Default, "\n") // papermill glues the lines that follow an assignment to it
			require.True(t, strings.HasPrefix(source, got.Source), "%s: papermill reads %q, we %q", cells[i], source, got.Source)
			require.Equal(t, w.Help, got.Help, cells[i])
			requireSameType(t, w.Type, got, cells[i])
		}
	}
}

// requireSameType compares what papermill copies from an annotation with the type that is made of it.
func requireSameType(t *testing.T, written string, got parameters.Parameter, cell string) {
	t.Helper()
	if written == "None" { // there is no annotation
		require.True(t, got.Inferred || got.Type == "" || got.Type == "none", cell)
		return
	}
	require.False(t, got.Inferred, cell)
	base, argument, _ := strings.Cut(strings.TrimSuffix(written, "]"), "[")
	if base == "Optional" {
		require.True(t, got.Optional, cell)
		base = argument
	}
	require.Equal(t, strings.ToLower(base), got.Type, cell)
}

// TestInspectIsBetterThanPapermills lists what is read on purpose where papermill's pattern of one line fails.
func TestInspectIsBetterThanPapermills(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ why, cell, ours, theirs string }{
		{"a string may hold the comment sign", "a = 'x # y'", "a", "a"},
		{"semicolons part statements", "a = 1; b = 2", "a b", ""},
		{"a chain gives one value to several names", "a = b = 1", "a b", ""},
		{"several names at once", "a, b = 1, 2", "a b", ""},
		{"a value may hold the equals sign", "a = 'k=v'", "a", ""},
		{"a call may have named arguments", "a = dict(k=1)", "a", ""},
		{"a function's defaults are no parameters", "def f():\n    pass\na = 1", "a", "a"},
		{"an annotation with a dot", "a: typing.List[int] = [1]", "a", ""},
		{"an annotation with a bar", "a: int | None = None", "a", ""},
		{"a choice", "a: Literal['x', 'y'] = 'x'", "a", ""},
		{"a declaration without a default", "a: int", "a", ""},
		{"a comparison is none", "a == 1", "", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, strings.Fields(c.ours), namesOf(inspect(t, "python", c.cell)))
			theirs := []string{}
			for _, p := range papermill(t, []string{c.cell})[0] {
				theirs = append(theirs, p.Name)
			}
			require.Equal(t, strings.Fields(c.theirs), theirs, "papermill has learned it: move the row")
		})
	}
}

// notebooks of papermill's own tests and what its inspection finds in each; null where they are not installed.
const itsNotebooks = `
import json, glob, os, logging
logging.disable(logging.CRITICAL)
try:
    import papermill
    base = os.path.join(os.path.dirname(papermill.__file__), "tests", "notebooks")
except ImportError:
    base = "nowhere"
found = {}
for path in sorted(glob.glob(os.path.join(base, "**", "*.ipynb"), recursive=True)):
    try: found[path] = [{"Name": k, "Type": v["inferred_type_name"], "Default": v["default"], "Help": v["help"]} for k, v in papermill.inspect_notebook(path).items()]
    except Exception: pass
print(json.dumps(found))
`

// TestNotebooksOfPapermill reads every notebook that papermill tests itself with.
func TestNotebooksOfPapermill(t *testing.T) {
	t.Parallel()
	var all map[string][]inspected
	ask(t, itsNotebooks, nil, &all)
	if len(all) == 0 {
		t.Skip("papermill's own notebooks are not installed: set NES_PYTHON")
	}
	require.Greater(t, len(all), 20)
	declaring := 0
	for path, want := range all {
		nb := open(t, path)
		s := parameters.Inspect(nb)
		if len(want) > 0 {
			declaring++
			require.True(t, s.Declared, path)
		}
		byName := map[string]parameters.Parameter{}
		for _, p := range s.Parameters {
			byName[p.Name] = p
		}
		for _, w := range want {
			require.Contains(t, byName, w.Name, path)
			require.Equal(t, squeeze(w.Default), squeeze(byName[w.Name].Source), path)
		}
	}
	require.Greater(t, declaring, 2)
}

func open(t *testing.T, path string) *nbformat.Notebook {
	t.Helper()
	doc, err := os.ReadFile(filepath.Clean(path))
	require.NoError(t, err)
	nb, err := nbformat.Read(bytes.NewReader(doc), 1<<24)
	require.NoError(t, err, path)
	return nb
}

// squeeze takes the blanks out, which papermill takes out of values over several lines.
func squeeze(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if code, _, ok := strings.Cut(line, "#"); ok && i < len(lines)-1 {
			lines[i] = code
		}
	}
	return strings.Join(strings.Fields(strings.Join(lines, "")), "")
}

// arrive writes fitted values as papermill writes its cell, runs the cell, and tells what the names hold.
const arrive = `
import sys, json, logging
logging.disable(logging.CRITICAL)
try:
    from papermill.translators import PythonTranslator
except ImportError:
    PythonTranslator = None
def run(doc):
    ns = {}
    exec(PythonTranslator.codify(json.loads(doc)), ns)
    return {"Value": json.dumps(ns["x"]), "Type": type(ns["x"]).__name__}
print(json.dumps(PythonTranslator and [run(d) for d in json.load(sys.stdin)]))
`

// TestValuesArrive follows values from a request through Fit and papermill's translator into a running Python.
func TestValuesArrive(t *testing.T) {
	t.Parallel()
	rows := []struct{ cell, given, kind, value string }{
		{"x: int = 1", `"60"`, "int", "60"},
		{"x: int = 1", `"-007"`, "int", "-7"},
		{"x: int = 1", `12345678901234567890123`, "int", "12345678901234567890123"},
		{"x: float = 1", `60`, "float", "60.0"},
		{"x: float = 1", `"1e3"`, "float", "1000.0"},
		{"x: float = 1.0", `-0.0`, "float", "-0.0"},
		{"x: bool = False", `"True"`, "bool", "true"},
		{"x: str = ''", `20240131`, "str", `"20240131"`},
		{"x: str = ''", `"한글 \"quoted\" 'and'\nlines\t\\ {x} %s"`, "str", `"한글 \"quoted\" 'and'\nlines\t\\ {x} %s"`},
		{"x: str = ''", `"\ud55c\uae00"`, "str", `"한글"`},
		{"x: str = ''", `"'''\"\"\""`, "str", `"'''\"\"\""`},
		{"x: str = ''", `"'); import os #"`, "str", `"'); import os #"`},
		{"x: list = []", `"['a', (1, 2.5), None]"`, "list", `["a",[1,2.5],null]`},
		{"x: dict = {}", `{"k":{"nested":[true,false,null]}}`, "dict", `{"k":{"nested":[true,false,null]}}`},
		{"x: dict = {}", `"{'한': '글'}"`, "dict", `{"한":"글"}`},
		{"x: Optional[int] = 1", `"None"`, "NoneType", "null"},
		{"x: date = None", `"2024-01-31"`, "str", `"2024-01-31"`},
		{"x = f()", `[1,"two"]`, "list", `[1,"two"]`},
	}
	docs := make([]string, len(rows))
	for i, r := range rows {
		fitted, _, err := parameters.Fit(inspect(t, "python", r.cell), raw("x", r.given))
		require.NoError(t, err, r.given)
		doc, err := json.Marshal(fitted)
		require.NoError(t, err)
		docs[i] = string(doc)
	}
	var got []struct{ Value, Type string }
	ask(t, arrive, docs, &got)
	if got == nil {
		t.Skip("no papermill beside this Python: set NES_PYTHON")
	}
	for i, r := range rows {
		require.Equal(t, r.kind, got[i].Type, "%s given %s", r.cell, r.given)
		require.JSONEq(t, r.value, got[i].Value, "%s given %s", r.cell, r.given)
	}
}

package parameters_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
)

// notebook with one cell tagged "parameters" in a language.
func notebook(t testing.TB, language, source string) *nbformat.Notebook {
	t.Helper()
	doc, err := json.Marshal(map[string]any{
		"nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{"kernelspec": map[string]any{"name": "k", "language": language}},
		"cells": []any{
			map[string]any{"cell_type": "markdown", "metadata": map[string]any{}, "source": "# Title"},
			map[string]any{"cell_type": "code", "metadata": map[string]any{"tags": []string{"x", "parameters"}}, "source": source, "outputs": []any{}, "execution_count": nil},
		},
	})
	require.NoError(t, err)
	nb, err := nbformat.Read(strings.NewReader(string(doc)), 1<<20)
	require.NoError(t, err)
	return nb
}

func inspect(t testing.TB, language, source string) parameters.Schema {
	t.Helper()
	return parameters.Inspect(notebook(t, language, source))
}

type row struct {
	source string
	want   parameters.Parameter
}

func inferred(name, typ, source, value string) parameters.Parameter {
	p := parameters.Parameter{Name: name, Type: typ, Inferred: typ != "", Source: source, Optional: typ == "none"}
	if value != "" {
		p.Default = json.RawMessage(value)
	}
	return p
}

func declared(name, typ, source, value string) parameters.Parameter {
	p := inferred(name, typ, source, value)
	p.Inferred = false
	return p
}

func optional(p parameters.Parameter) parameters.Parameter { p.Optional = true; return p }

func helped(p parameters.Parameter, help string) parameters.Parameter { p.Help = help; return p }

func choosing(p parameters.Parameter, choices ...string) parameters.Parameter {
	for _, c := range choices {
		p.Choices = append(p.Choices, json.RawMessage(c))
	}
	return p
}

func check(t *testing.T, language string, rows []row) {
	for _, r := range rows {
		t.Run(r.source, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, language, r.source)
			require.True(t, s.Declared)
			require.Equal(t, []parameters.Parameter{r.want}, s.Parameters)
		})
	}
}

func TestInspectPythonLiterals(t *testing.T) {
	t.Parallel()
	check(t, "python", []row{
		{`x = 3`, inferred("x", "int", "3", "3")},
		{`x=-3`, inferred("x", "int", "-3", "-3")},
		{`x = - -3`, inferred("x", "int", "- -3", "3")},
		{`x = +3`, inferred("x", "int", "+3", "3")},
		{`x = -0`, inferred("x", "int", "-0", "0")},
		{`x = 1_000`, inferred("x", "int", "1_000", "1000")},
		{`x = 0xFF`, inferred("x", "int", "0xFF", "255")},
		{`x = 0b101`, inferred("x", "int", "0b101", "5")},
		{`x = 0o17`, inferred("x", "int", "0o17", "15")},
		{`x = 123456789012345678901234567890`, inferred("x", "int", "123456789012345678901234567890", "123456789012345678901234567890")},
		{`x = 1.50`, inferred("x", "float", "1.50", "1.50")},
		{`x = .5`, inferred("x", "float", ".5", "0.5")},
		{`x = 5.`, inferred("x", "float", "5.", "5.0")},
		{`x = 1e-5`, inferred("x", "float", "1e-5", "1e-5")},
		{`x = 1E+5`, inferred("x", "float", "1E+5", "1e5")},
		{`x = -0.1`, inferred("x", "float", "-0.1", "-0.1")},
		{`x = 0.1000000000000000055511151231257827`, inferred("x", "float", "0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827")},
		{`x = 1e999`, inferred("x", "", "1e999", "")},
		{`x = 3j`, inferred("x", "", "3j", "")},
		{`x = 007`, inferred("x", "", "007", "")},
		{`x = True`, inferred("x", "bool", "True", "true")},
		{`x = False`, inferred("x", "bool", "False", "false")},
		{`x = None`, inferred("x", "none", "None", "null")},
		{`x = (3)`, inferred("x", "int", "(3)", "3")},
		{`x = ()`, inferred("x", "list", "()", "[]")},
		{`x = (1, "a")`, inferred("x", "list", `(1, "a")`, `[1,"a"]`)},
		{`x = 1, 2`, inferred("x", "list", `1, 2`, `[1,2]`)},
		{`x = [1, [2.0, None], {'a': True,},]`, inferred("x", "list", `[1, [2.0, None], {'a': True,},]`, `[1,[2.0,null],{"a":true}]`)},
		{`x = [1, y]`, inferred("x", "list", `[1, y]`, "")},
		{`x = [i for i in y]`, inferred("x", "list", `[i for i in y]`, "")},
		{`x = {}`, inferred("x", "dict", `{}`, "{}")},
		{`x = {"a": {"b": -1}}`, inferred("x", "dict", `{"a": {"b": -1}}`, `{"a":{"b":-1}}`)},
		{`x = {1: 2}`, inferred("x", "dict", `{1: 2}`, "")},
		{`x = {**a, "b": 1}`, inferred("x", "dict", `{**a, "b": 1}`, "")},
		{`x = {1, 2}`, inferred("x", "", `{1, 2}`, "")},
		{`x = 60 * 60`, inferred("x", "", `60 * 60`, "")},
		{`x = [1] + [2]`, inferred("x", "", `[1] + [2]`, "")},
		{`x = 3 if y else 4`, inferred("x", "", `3 if y else 4`, "")},
		{`x = datetime.date(2024, 1, 31)`, inferred("x", "date", `datetime.date(2024, 1, 31)`, `"2024-01-31"`)},
		{`x = datetime.datetime(2024, 1, 31, 12, 30)`, inferred("x", "date", `datetime.datetime(2024, 1, 31, 12, 30)`, `"2024-01-31T12:30:00"`)},
		{`x = date(2024, 2, 31)`, inferred("x", "date", `date(2024, 2, 31)`, "")},
		{`x = date.today()`, inferred("x", "", `date.today()`, "")},
		{`x = float("nan")`, inferred("x", "float", `float("nan")`, "")},
		{`x = dict(a=1)`, inferred("x", "dict", `dict(a=1)`, "")},
		{`x = os.environ["HOME"]`, inferred("x", "", `os.environ["HOME"]`, "")},
		{`x = lambda a=1: a`, inferred("x", "", `lambda a=1: a`, "")},
		{`x = ...`, inferred("x", "", `...`, "")},
		{`데이터 = "값"`, inferred("데이터", "str", `"값"`, `"값"`)},
	})
}

func TestInspectPythonStrings(t *testing.T) {
	t.Parallel()
	check(t, "python", []row{
		{`x = 'a "b" # c; d'`, inferred("x", "str", `'a "b" # c; d'`, `"a \"b\" # c; d"`)},
		{`x = "a\tb\\\x41\u00e9\U0001F600\101\q"`, inferred("x", "str", `"a\tb\\\x41\u00e9\U0001F600\101\q"`, `"a\tb\\Aé😀A\\q"`)},
		{`x = "<b>&"`, inferred("x", "str", `"<b>&"`, `"<b>&"`)},
		{`x = r"\d\n"`, inferred("x", "str", `r"\d\n"`, `"\\d\\n"`)},
		{`x = u'a' "b"`, inferred("x", "str", `u'a' "b"`, `"ab"`)},
		{"x = \"\"\"two\nlines\"\"\"", inferred("x", "str", "\"\"\"two\nlines\"\"\"", `"two\nlines"`)},
		{"x = '''it's'''", inferred("x", "str", "'''it's'''", `"it's"`)},
		{`x = ""`, inferred("x", "str", `""`, `""`)},
		{`x = f"{y}"`, inferred("x", "str", `f"{y}"`, "")},
		{`x = "a" f"{y}"`, inferred("x", "str", `"a" f"{y}"`, "")},
		{`x = b"raw"`, inferred("x", "", `b"raw"`, "")},
		{`x = "\N{BULLET}"`, inferred("x", "str", `"\N{BULLET}"`, "")},
		{`x = "\ud800"`, inferred("x", "str", `"\ud800"`, "")},
		{`x = "a".upper()`, inferred("x", "", `"a".upper()`, "")},
		{"x = \"a\\\nb\"", inferred("x", "str", "\"a\\\nb\"", `"ab"`)},
		{"x = (\n  'a'  # one\n  'b'\n)  # joined", helped(inferred("x", "str", "(\n  'a'  # one\n  'b'\n)", `"ab"`), "joined")},
	})
}

func TestInspectPythonAnnotations(t *testing.T) {
	t.Parallel()
	check(t, "python", []row{
		{`x: int = 3  # how many`, helped(declared("x", "int", "3", "3"), "how many")},
		{`x: int`, declared("x", "int", "", "")},
		{`x: float = 3`, declared("x", "float", "3", "3.0")},
		{`x: "int" = 3`, declared("x", "int", "3", "3")},
		{`x: Optional[int] = 3`, optional(declared("x", "int", "3", "3"))},
		{`x: typing.Optional[int] = None`, optional(declared("x", "int", "None", "null"))},
		{`x: int | None = None`, optional(declared("x", "int", "None", "null"))},
		{`x: None | str = "a"`, optional(declared("x", "str", `"a"`, `"a"`))},
		{`x: Union[str, None] = None`, optional(declared("x", "str", "None", "null"))},
		{`x: int = None`, optional(declared("x", "int", "None", "null"))},
		{`x: int | str = 3`, declared("x", "", "3", "3")},
		{`x: Union[int, str, None] = 3`, optional(declared("x", "", "3", "3"))},
		{`x: List[str] = ["a"]`, declared("x", "list", `["a"]`, `["a"]`)},
		{`x: list[dict[str, int]] = []`, declared("x", "list", `[]`, `[]`)},
		{`x: Dict[str, Any] = {}`, declared("x", "dict", `{}`, `{}`)},
		{`x: tuple[int, ...] = (1, 2)`, declared("x", "list", `(1, 2)`, `[1,2]`)},
		{`x: datetime.date = datetime.date(2024, 1, 2)`, declared("x", "date", `datetime.date(2024, 1, 2)`, `"2024-01-02"`)},
		{`x: Annotated[int, "help"] = 1`, declared("x", "int", "1", "1")},
		{`x: Final = 1`, inferred("x", "int", "1", "1")},
		{`x: Literal["a", "b"] = "a"`, choosing(declared("x", "str", `"a"`, `"a"`), `"a"`, `"b"`)},
		{`x: Literal[1, 2] | None = 1`, choosing(optional(declared("x", "int", "1", "1")), "1", "2")},
		{`x: Literal["a", 1] = 1`, declared("x", "", "1", "1")},
		{`x: pd.DataFrame = None`, optional(declared("x", "", "None", "null"))},
		{`x: Callable[[int], str] = f`, declared("x", "", "f", "")},
		{`x = 3  # type: float`, declared("x", "float", "3", "3.0")},
		{`x = []  # type: List[str] the columns`, helped(declared("x", "list", "[]", "[]"), "the columns")},
		{`x = 3  # type: ignore`, inferred("x", "int", "3", "3")},
		{"x: int\nx = 3  # later", helped(declared("x", "int", "3", "3"), "later")},
		{"x = 1  # first\nx = 2", helped(inferred("x", "int", "2", "2"), "first")},
		{"x = [  # columns\n 1,\n]", helped(inferred("x", "list", "[  # columns\n 1,\n]", "[1]"), "columns")},
		{"x = \\\n  3", inferred("x", "int", "3", "3")},
		{"x = 3;  # end", helped(inferred("x", "int", "3", "3"), "end")},
		{"x = 3\r\n", inferred("x", "int", "3", "3")},
	})
}

func TestInspectPythonStatements(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, want string }{
		{"semicolons", "a = 1; b = 'x;y'; c: int = 3", "a b c"},
		{"chain", "a = b = 3", "a b"},
		{"unpacking", "a, b = 1, 'x'", "a b"},
		{"unpacking of a call", "a, b = f()", "a b"},
		{"not a parameter", "import os\nfrom os import path\nos.x = 1\nd['k'] = 2\na += 1\na == 3\nprint(a=1)\nassert x", ""},
		{"magics", "%matplotlib inline\n!pip install x = 3\n?help\na = 1", "a"},
		{"cell magic", "%%time\na = 1", "a"},
		{"functions hide", "def f(x=1):\n    y = 2\n    return y\nclass C:\n    z = 1\na = 1", "a"},
		{"decorated", "@dec\ndef f():\n    y = 1\na = 1", "a"},
		{"conditions show", "if x:\n    a = 1\nelse: b = 2\nfor i in range(3):\n    c: int = i", "a b c"},
		{"comments only", "# nothing\n\n", ""},
		{"empty", "", ""},
		{"indented bracket", "a = [\n1,\n  2]\nb = 1", "a b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, "python", c.source)
			require.True(t, s.Declared)
			require.Equal(t, strings.Fields(c.want), append([]string{}, namesOf(s)...))
		})
	}
}

func TestInspectUnreadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, language, source string }{
		{"open bracket", "python", "a = [1"},
		{"wrong bracket", "python", "a = [1)"},
		{"open string", "python", "a = 'x"},
		{"open triple", "python", `a = """x`},
		{"trailing backslash", "python", `a = "\`},
		{"deep", "python", "a = " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
		{"star import", "python", "from settings import *\na = 1"},
		{"bash in a cell", "python", "%%bash\na=1"},
		{"other language", "scala", "val a = 1"},
		{"no language", "", "a = 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, c.language, c.source)
			require.False(t, s.Declared)
			require.NotNil(t, s.Parameters)
			require.Empty(t, s.Parameters)
			fitted, _, err := parameters.Fit(s, raw("anything", "1"))
			require.NoError(t, err)
			require.JSONEq(t, "1", string(fitted["anything"]))
		})
	}
}

func TestInspectR(t *testing.T) {
	t.Parallel()
	check(t, "R", []row{
		{`x <- 3L  # how many`, helped(inferred("x", "int", "3L", "3"), "how many")},
		{`x = 3`, inferred("x", "int", "3", "3")},
		{`x <- -1.5`, inferred("x", "float", "-1.5", "-1.5")},
		{`x <- TRUE`, inferred("x", "bool", "TRUE", "true")},
		{`x <- F`, inferred("x", "bool", "F", "false")},
		{`x <- NULL`, inferred("x", "none", "NULL", "null")},
		{`x <- NA`, inferred("x", "", "NA", "")},
		{`my.name <- 'a"b'`, inferred("my.name", "str", `'a"b'`, `"a\"b"`)},
		{`x <- c(1, 2)`, inferred("x", "list", "c(1, 2)", "[1,2]")},
		{"x <- c(\n'a',\n'b')", inferred("x", "list", "c(\n'a',\n'b')", `["a","b"]`)},
		{`x <- c(a = 1)`, inferred("x", "list", "c(a = 1)", "")},
		{`x <- list(a = 1, b = "c")`, inferred("x", "dict", `list(a = 1, b = "c")`, `{"a":1,"b":"c"}`)},
		{`x <- Sys.Date()`, inferred("x", "", "Sys.Date()", "")},
		{`if (interactive()) { x <- 3 }`, inferred("x", "", "", "")},
	})
}

func TestInspectJulia(t *testing.T) {
	t.Parallel()
	check(t, "julia", []row{
		{`x = 3 # n`, helped(inferred("x", "int", "3", "3"), "n")},
		{`const x = 3`, inferred("x", "int", "3", "3")},
		{`x::Float64 = 3`, declared("x", "float", "3", "3.0")},
		{`x::Union{Int64, Nothing} = nothing`, optional(declared("x", "int", "nothing", "null"))},
		{`x::Vector{String} = ["a"]`, declared("x", "list", `["a"]`, `["a"]`)},
		{`x = "a$b"`, inferred("x", "str", `"a$b"`, "")},
		{`x = true #= why =#`, inferred("x", "bool", "true", "true")},
		{`x = (1, 2)`, inferred("x", "list", "(1, 2)", "[1,2]")},
		{`x = Dict("a" => 1)`, inferred("x", "dict", `Dict("a" => 1)`, `{"a":1}`)},
		{`x = sqrt(2)`, inferred("x", "", "sqrt(2)", "")},
	})
}

func TestInspectFindsTheCell(t *testing.T) {
	t.Parallel()
	read := func(doc string) parameters.Schema {
		nb, err := nbformat.Read(strings.NewReader(doc), 1<<20)
		require.NoError(t, err)
		return parameters.Inspect(nb)
	}
	cell := func(kind, tag, source string) string {
		return `{"cell_type":"` + kind + `","metadata":{"tags":["` + tag + `"]},"source":["` + source + `"]}`
	}
	doc := func(metadata string, cells ...string) string {
		return `{"nbformat":4,"nbformat_minor":4,"metadata":` + metadata + `,"cells":[` + strings.Join(cells, ",") + `]}`
	}
	py := `{"language_info":{"name":"python"}}`
	require.Equal(t, []string{"a"}, namesOf(read(doc(py, cell("code", "parameters", "a = 1"), cell("code", "parameters", "b = 1")))), "the first one counts")
	require.False(t, read(doc(py, cell("code", "injected-parameters", "a = 1"))).Declared)
	require.False(t, read(doc(py, cell("markdown", "parameters", "a = 1"))).Declared)
	require.True(t, read(doc(`{"kernelspec":{"name":"python3"}}`, cell("code", "parameters", "a = 1"))).Declared, "a kernel's name tells the language")
	require.Equal(t, "r", read(doc(`{"kernelspec":{"name":"ir"}}`)).Language)
}

// TestInspectIsAsPythonSees runs each default through Python's own parser.
func TestInspectIsAsPythonSees(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	source := strings.Join([]string{
		`a = 1_000; b = .5e-3`, `c = "\x41\u00e9\101\q" 'z'`, `d = [1, (2, 3), {"k": None}]`, `e = -0x1F`, `f = r"\d" u"x"`,
		"g = '''l1\nl2 \\\nl3'''", `h: int = 3`, `i = {"a": [True, False], "b": {}}`, `j = (("x"))`, `k = 00`, `l = 1e22`, `m = "한글 \"quoted\""`,
	}, "\n")
	out, err := exec.Command(python, "-c", `import sys, json; ns = {}; exec(sys.argv[1], ns); print(json.dumps({k: v for k, v in ns.items() if len(k) == 1}))`, source).Output()
	require.NoError(t, err)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(out, &want))
	defaults := map[string]json.RawMessage{}
	for _, p := range inspect(t, "python", source).Parameters {
		defaults[p.Name] = p.Default
	}
	doc, err := json.Marshal(defaults)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(doc, &got))
	require.Equal(t, want, got)
}

// interpreter is a Python; the test is skipped without one.
func interpreter(t *testing.T) string {
	t.Helper()
	for _, p := range []string{os.Getenv("NES_PYTHON"), filepath.Join("..", "..", ".venv", "bin", "python"), "python3"} {
		if path, err := exec.LookPath(p); p != "" && err == nil {
			return path
		}
	}
	t.Skip("no Python: set NES_PYTHON")
	return ""
}

func namesOf(s parameters.Schema) []string {
	out := []string{}
	for _, p := range s.Parameters {
		out = append(out, p.Name)
	}
	return out
}

func raw(pairs ...string) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return m
}

func FuzzInspect(f *testing.F) {
	for _, s := range []string{
		"a = 1; b: List[str] = ['x'] # help", "x = {'a': (1, 2), **y}", "if x:\n  y = 1", `z = f"{a}" b'x' """t"""`, "q: 'int | None' = None",
		"w <- c(1, 2L)", "v::Union{Int,Nothing} = nothing", "d = datetime.date(2024,1,1)", `e = "\x4`, "%%time\n!ls\na = -+-1e5", "a: Literal[1] = ((", "@", ":", "=", "a:=", "{:}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		for _, language := range []string{"python", "r", "julia"} {
			s := parameters.Inspect(&nbformat.Notebook{
				Metadata: map[string]json.RawMessage{"kernelspec": json.RawMessage(`{"language":"` + language + `"}`)},
				Cells:    []nbformat.Cell{{Type: "code", Source: source, Metadata: map[string]json.RawMessage{"tags": json.RawMessage(`["parameters"]`)}}},
			})
			for _, p := range s.Parameters {
				fitsItself(t, s, p)
			}
		}
	})
}

// fitsItself holds that a default is JSON, and that an inferred one is of its own type.
func fitsItself(t *testing.T, s parameters.Schema, p parameters.Parameter) {
	if p.Default == nil {
		return
	}
	require.True(t, json.Valid(p.Default), "%s", p.Default)
	given := map[string]json.RawMessage{p.Name: p.Default}
	if !p.Inferred || len(parameters.CheckNames(given)) > 0 {
		return
	}
	fitted, conversions, err := parameters.Fit(s, given)
	if err != nil {
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
		require.Contains(t, err.Error(), "reserved") // such as a = "end" in Julia, which is no Julia
		return
	}
	require.Empty(t, conversions)
	require.Equal(t, p.Default, fitted[p.Name])
}

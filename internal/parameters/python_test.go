package parameters_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/parameters"
)

// ask sends a document to a program in Python and reads its answer.
func ask(t *testing.T, program string, question, answer any) {
	t.Helper()
	in, err := json.Marshal(question)
	require.NoError(t, err)
	cmd := exec.Command(interpreter(t), "-W", "ignore", "-c", program)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	require.NoError(t, d.Decode(answer))
}

// evaluated is what Python makes of an expression.
type evaluated struct {
	OK      bool   // it can be computed
	Type    string // of its value
	Literal bool   // ast.literal_eval takes it
	JSON    bool   // JSON has the value
	Value   any
}

// evaluate computes expressions. JSON has no bytes, sets, complex numbers, infinities, halves of surrogate pairs, or keys that are no strings.
const evaluate = `
import sys, json, ast, math, datetime
def plain(v):
    if isinstance(v, (list, tuple)): return all(map(plain, v))
    if isinstance(v, dict): return all(isinstance(k, str) and plain(k) and plain(x) for k, x in v.items())
    if isinstance(v, float): return math.isfinite(v)
    if isinstance(v, str): return not any(0xD800 <= ord(c) < 0xE000 for c in v)
    return v is None or isinstance(v, (bool, int))
def look(source):
    try: v = eval(compile("(" + source + "\n)", "<p>", "eval"), {"y": 1, "datetime": datetime, "date": datetime.date})
    except Exception: return {"OK": False}
    try: ast.literal_eval("(" + source + "\n)"); literal = True
    except Exception: literal = False
    kind = {"NoneType": "none", "tuple": "list", "datetime": "date"}.get(type(v).__name__, type(v).__name__)
    day = isinstance(v, datetime.date)
    return {"OK": True, "Type": kind, "Literal": literal, "JSON": plain(v), "Value": v if plain(v) else v.isoformat() if day else None}
print(json.dumps([look(s) for s in json.load(sys.stdin)]))
`

// spellings of values that are easily read wrong.
var spellings = []string{
	// Numbers.
	`0`, `-0`, `00`, `0_0`, `0__0`, `007`, `1_000`, `1__0`, `_1`, `1_`, `0x1F`, `0Xff`, `0x_f`, `0b11`, `0B1`, `0o17`, `0O7`, `0b2`, `0xg`, `- -1`, `-+-1`, `~1`, `1.`, `.5`, `1.e3`,
	`1e3`, `1E-3`, `1e+3`, `1e`, `1_0.0_1`, `1_.0`, `1._0`, `1e1_0`, `0.1e-400`, `1e308`, `1e309`, `-1e309`, `00.5`, `0e0`, `01e1`, `1j`, `1+2j`, `1.0j`, `1 .real`, `1.0.real`, `0xe+1`, `0x1e5`,
	`1if y else 2`, `1 2`, `10**2`, `1 - 1`, `+True`, `-True`, `not True`, `not int(3)`, `y or int("3")`, `y and str("a")`, `y if y else dict()`, `None or list("ab")`, `y is bool(1)`,
	`9007199254740993`, `-123456789012345678901234567890`, `0.1000000000000000055511151231257827`, `5e-324`, `1.7976931348623157e308`,
	// Strings.
	`""`, `''`, `""""""`, `"a" 'b' """c"""`, `"a""b"`, `''''a'''`, `'\''`, `"\""`, `r"\""`, `r'\\'`, `"\\"`, `"\\\""`, `"\x41"`, `"\x4"`, `"\u00e"`, `"\U00110000"`, `"\ud83d\ude00"`, `"\udc00"`,
	`"\0"`, `"\08"`, `"\777"`, `"\400"`, `"\18"`, `"\q"`, `"\N{BULLET}"`, `R"\n"`, `U"a"`, `ur"a"`, `b"a"`, `Br"a"`, `f"a"`, `f"{y}"`, `F"{{}}"`, `rf"{y}\d"`, `"a" f"{y}" "b"`, `"a" b"c"`,
	`"한글"`, `"😀"`, "\"\u2028\"", "\"\\\nx\"", "'''a\nb'''", "'''\\\n'''", `"#"`, `"a;b"`, `"a=b"`, `"a" # "b"`, `"%s" % y`, `"a" * 2`, `"a"[0]`, `"a".upper()`, `"a", `, `("a"  "b")`, `"\t\a\b\f\v\r"`, "\"\x7f\"", `"</script>&"`,
	// Containers.
	`[]`, `()`, `{}`, `[,]`, `(,)`, `{,}`, `[1,]`, `(1,)`, `(1)`, `((1))`, `((1,),)`, `1,`, `1,2`, `[1,,2]`, `[[[]]]`, `[*[1]]`, `[1, *[2]]`, `{1}`, `{"a"}`, `{"a",}`, `{"a":1,}`, `{"a":1,"a":2}`,
	`{"a" "b": 1}`, `{("a"): 1}`, `{1: 2}`, `{None: 1}`, `{True: 1}`, `{"a": {"b": [1, (2,)]}}`, `{**{"a": 1}}`, `{"b": 2, **{"a": 1}}`, `{b"a": 1}`, `{f"a": 1}`, `{"a": lambda: 1}`, `{"a": 1 if y else 2}`,
	`[i for i in [1]]`, `{i: i for i in "a"}`, `{i for i in "a"}`, `(i for i in [1])`, `[1][0]`, `[1] + [2]`, `[1] * 2`, `{"a": 1}["a"]`, `(1)(2)`, `[1 2]`, `["a" "b", "c"]`, `[-1, +2, - 3]`, `[1 < 2]`, `[None, True, False]`,
	"[\n1,\n# two\n2,\n]", "{\n'a': 1, # one\n}", `[[1, 2], [3]]`, `[1, y]`, `[(y := 3)]`, `(y := 3)`, `{"a": "b:c", "d": ","}`, `["]", "["]`,
	// Words and calls.
	`None`, `True`, `False`, `true`, `null`, `NaN`, `nan`, `...`, `Ellipsis`, `not None`, `lambda: 1`, `lambda a=1, *b: {a: b}`, `int()`, `int("3")`, `float("nan")`, `bool(0)`, `str(1)`, `list()`, `dict(a=1)`, `tuple()`,
	`set()`, `int(3) + .5`, `int(3).bit_length()`, `str(3)[0]`, `datetime.date(2024, 2, 29)`, `datetime.date(2023, 2, 29)`, `date(2024, 1, 2)`, `date(2024, 1)`, `date(0, 1, 1)`, `date(10000, 1, 1)`, `date(2024, 13, 1)`,
	`datetime.datetime(2024, 1, 2, 3)`, `datetime.datetime(2024, 1, 2, 3, 4, 5)`, `datetime.datetime(2024, 1, 2, 24)`, `datetime.datetime(2024, 1, 2, 3, 60)`, `datetime.datetime(2024, 1, 2)`, `date(2024, -1, 1)`, `date(2_024, 1, 1)`, `date(2024, 1, 2).year`, `date(2024, 0x1, 1)`,
}

// TestDefaultsAreWhatPythonComputes holds the reader of literals to Python itself: what it says is true,
// and it knows everything that is a literal with a counterpart in JSON.
func TestDefaultsAreWhatPythonComputes(t *testing.T) {
	t.Parallel()
	sources := append(randomLiterals(1500), spellings...)
	var all []evaluated
	ask(t, evaluate, sources, &all)
	require.Len(t, all, len(sources))
	for i, want := range all {
		source := sources[i]
		s := inspect(t, "python", "x = "+source)
		if !want.OK || !s.Declared {
			require.False(t, want.OK && want.Literal, "%s can be read", source)
			continue
		}
		require.Len(t, s.Parameters, 1, source)
		p := s.Parameters[0]
		if p.Type != "" {
			require.Equal(t, want.Type, p.Type, "the type of %s", source)
		}
		if p.Default != nil {
			requireSame(t, want.Value, decoded(t, p.Default), source)
		}
		if want.Literal && want.JSON && !strings.Contains(source, `\N{`) && !strings.Contains(source, "j") {
			require.NotNil(t, p.Default, "%s is a literal", source)
		}
	}
}

func decoded(t *testing.T, raw json.RawMessage) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	require.NoError(t, d.Decode(&v), "%s", raw)
	return v
}

// requireSame compares values, in which a float is not an int and one float may be written in many ways.
func requireSame(t *testing.T, want, got any, source string) {
	t.Helper()
	switch w := want.(type) {
	case json.Number:
		g, ok := got.(json.Number)
		require.True(t, ok, "%s: %v is no number", source, got)
		require.Equal(t, strings.ContainsAny(string(w), ".e"), strings.ContainsAny(string(g), ".e"), "%s: int or float: %s, %s", source, w, g)
		if strings.ContainsAny(string(w), ".e") {
			a, aerr := w.Float64()
			b, berr := g.Float64()
			require.True(t, a == b && aerr == nil && berr == nil, "%s: %s, %s", source, w, g)
			return
		}
		require.Equal(t, w, g, source)
	case []any:
		g, ok := got.([]any)
		require.True(t, ok && len(g) == len(w), "%s: %v", source, got)
		for i := range w {
			requireSame(t, w[i], g[i], source)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		require.True(t, ok && len(g) == len(w), "%s: %v", source, got)
		for k := range w {
			requireSame(t, w[k], g[k], source)
		}
	default:
		require.Equal(t, want, got, source)
	}
}

// randomLiterals are the same ones every time.
func randomLiterals(n int) []string {
	g := writer{rand.New(rand.NewPCG(1, 2))}
	out := make([]string, n)
	for i := range out {
		out[i] = g.value(3)
	}
	return out
}

// writer writes literals as many people would.
type writer struct{ *rand.Rand }

func (g writer) one(of ...string) string { return of[g.IntN(len(of))] }

func (g writer) value(depth int) string {
	switch n := g.IntN(10); {
	case depth > 0 && n < 2:
		return g.one("[", "[ ", "[\n") + g.items(depth-1, g.IntN(4), false) + g.one("]", " ]", "\n]")
	case depth > 0 && n == 2:
		return "(" + g.items(depth-1, g.IntN(4), true) + ")"
	case depth > 0 && n < 5:
		return "{" + g.pairs(depth-1) + "}"
	case n < 6:
		return g.number()
	case n == 6:
		return g.one("None", "True", "False")
	}
	return g.text()
}

func (g writer) items(depth, n int, tuple bool) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(g.value(depth))
		if i < n-1 || tuple && n == 1 || g.IntN(3) == 0 {
			b.WriteString(g.one(",", ", ", " ,", ",\n", ", # why, [not]\n"))
		}
	}
	return b.String()
}

func (g writer) pairs(depth int) string {
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(g.text() + g.one(":", ": ", " : ") + g.value(depth) + g.one(",", ", ", ",\n"))
	}
	return b.String()
}

func (g writer) number() string {
	sign := g.one("", "", "-", "+", "- ", "-+")
	n := g.Uint64N(1 << (1 + g.Uint64N(62)))
	switch g.IntN(6) {
	case 0:
		return sign + fmt.Sprintf(g.one("%#x", "%#X", "%#o", "0b%b", "%O"), n)
	case 1:
		return sign + strconv.FormatFloat(g.NormFloat64()*1e3, "eEfg"[g.IntN(4)], -1, 64)
	case 2:
		return sign + strconv.FormatUint(n, 10) + g.one(".", ".0", "e3", "E-7", ".5e+1", "_0", "_000_1.2")
	}
	return sign + strconv.FormatUint(n, 10)
}

func (g writer) text() string {
	var b strings.Builder
	for range 1 + g.IntN(2) {
		quote := g.one(`"`, `'`, `"""`, `'''`)
		raw := g.IntN(4) == 0
		b.WriteString(map[bool]string{true: g.one("r", "R"), false: g.one("", "", "u", "U")}[raw] + quote)
		for range g.IntN(6) {
			b.WriteString(g.one("a", "한", "😀", " ", "#", ";", ",", "[", "}", "=", ":", "%", `\\`, `\'`, `\"`, `\n`, `\d`, "{x}"))
			if !raw {
				b.WriteString(g.one("", `\t`, `\x00`, `\x7f`, `\u00e9`, `\U0001F600`, `\0`, `\12`, `\377`, "\\\n"))
			}
		}
		b.WriteString(quote + g.one("", " "))
	}
	return b.String()
}

// assigned lists the names that the assignments of cells give a value, outside of functions and classes.
const assigned = `
import sys, json, ast, keyword
def names(source):
    try: tree = ast.parse(source)
    except SyntaxError: return None
    found = set()
    def look(node):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)): return
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for t in targets:
            found.update(n.id for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        for child in ast.iter_child_nodes(node): look(child)
    look(tree)
    return sorted(found)
print(json.dumps([names(s) for s in json.load(sys.stdin)]))
`

// TestNoAssignedNameIsMissed: a name that the reader misses could not be given.
func TestNoAssignedNameIsMissed(t *testing.T) {
	t.Parallel()
	cells := []string{
		"match = 3", "case = 'A'", "match: str = 'x'", "case: int", "type = 1", "match, case = 1, 2", "match = case = 1", "_ = 1", "print = 2", "list: list = []",
		"(a, b) = 1, 2", "[a, b] = 1, 2", "(a) = 1", "a, (b, c) = 1, (2, 3)", "*a, b = 1, 2", "a = (b, c) = 1, 2", "((a), [b]) = 1, [2]",
		"match y:\n  case 1:\n    a = 1", "match (y):\n  case [1, *_]: a = 1", "match y:\n  case {'k': v}:\n    a = 1\nb = 2", "match -y:\n  case _: a = 1",
		"if y: a = 1", "if y:\n  a = 1\nelse:\n  b = 2", "try:\n  a = 1\nexcept E: b = 2\nfinally: c = 3", "for i in y: a = 1", "while y: a = 1; b = 2", "with y as z:\n  a = 1\nb = 1",
		"if y[1:2]:\n  a = 1", "if {1: 2}: a = 1", "if (lambda: 1)(): a = 1", "if y == 1: a = 1", "if y:\n  (a, b) = 1, 2", "if y: (a, [b]) = 1, [2]", "if y:\n  if z:\n    a: int = 1",
		"def f():\n  b = 1\na = 1", "class A: b = 1\na = 1", "@f\ndef g(): b = 1\na = 2", "async def f():\n  b = 1\na = 1", "class A:\n  '''\nb = 1\n'''\n  c = 1\na = 1",
		"a = lambda b=1: b", "a = f(b=1)", "a = {'b': 1}", "a = 'b = 1'", "a = '''\nb = 1\n'''", "# b = 1\na = 1", "a = 1 # b = 2", "a = [\n1,\n]; b = 2", "a = \\\n1", "a = 1;b = 2;", "x.a = 1", "x['a'] = b = 1",
		"a = b == 1", "a = b <= 1", "a == 1", "a: int", "a: 'int' = 1", "a: Literal['b=1'] = 'b=1'", "a = y if y else z", "assert y, a == 1", "del y; a = 1", "import a; b = 1", "a = 1 \f\nb = 2", "a=1\r\nb=2", "\ta = 1", "a = 1\n  # x\nb = 1",
		"if y:\n\ta = 1\n\tb = 2\nc = 3", "if y:\n  def f():\n    b = 1\n  a = 1", "a = yield_ = 1", "lambda_: int = 1", "return_ = 1", "é = 1", "변수 = 1", "a = f'{b=}'", "a = f\"{b['c=1']}\"",
	}
	var all [][]string
	ask(t, assigned, cells, &all)
	for i, want := range all {
		s := inspect(t, "python", cells[i])
		if want == nil || !s.Declared {
			continue
		}
		require.ElementsMatch(t, want, namesOf(s), "%s", cells[i])
	}
}

// TestNamesArePythons: what is accepted as a name in Python is one, and none of its words.
func TestNamesArePythons(t *testing.T) {
	t.Parallel()
	var given []string
	for c := rune(0); c < 0x3400; c++ {
		given = append(given, string(c), "a"+string(c), string(c)+"1")
	}
	var words []string
	ask(t, `import json, keyword; print(json.dumps(keyword.kwlist))`, nil, &words)
	var good []bool
	ask(t, `
import sys, json, keyword, unicodedata
young = lambda s: any(unicodedata.category(c) == "Cn" for c in s) # this Python's Unicode is older
print(json.dumps([young(s) or s.isidentifier() and not keyword.iskeyword(s) for s in json.load(sys.stdin)]))`, append(given, words...), &good)
	for i, name := range append(given, words...) {
		if _, _, err := parameters.Fit(parameters.Schema{Language: "python"}, raw(name, "1")); err == nil {
			require.True(t, good[i], "%q (%U) is no name in Python", name, []rune(name))
		}
	}
}

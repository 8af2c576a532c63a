package parameters_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/parameters"
)

// numbers says, for each text, which int and which float Python reads in it; null is none. A float must be finite.
const numbers = `
import sys, json, math
from fractions import Fraction
def whole(s):
    try: return str(int(s))
    except ValueError: pass
    try:
        float(s)
        if "e" in s.lower() and abs(int(s.lower().split("e")[1])) > 400: return None # a bound of ours
        f = Fraction(s.strip().replace("_", ""))
        return str(f.numerator) if f.denominator == 1 else None
    except (ValueError, OverflowError): return None
def real(s):
    try: f = float(s)
    except ValueError: return None
    return repr(f) if math.isfinite(f) else None
print(json.dumps([[whole(s), real(s)] for s in json.load(sys.stdin)]))
`

// numberTexts are such as people, templates and attackers write.
func numberTexts() []string {
	texts := []string{
		"", " ", "+", "-", "+-1", "-+1", "++1", "--1", "+1", "-1", " 1", "1 ", "\t1\n", "1 2", "0", "-0", "+0", "00", "007", "-007", "1_0", "_1", "1_", "1__0", "1_.0", "1._0", "1_0.0_1", "1e1_0", "1_e1", "1e_1",
		".", ".5", "5.", "-.5", "+5.", "..5", "1.2.3", "1e", "e1", ".e1", "1e+", "1e+3", "1E3", "1e-3", "1.5e1", "15e-1", "150e-1", "1e5.0", "0x10", "0b1", "0o7", "1j", "1L", "1f", "1,000", "1/2", "½", "٣", "１２",
		"nan", "inf", "-inf", "infinity", "NaN", "true", "None", "null", "[1]", "1;2", "1#", "1\x00", "9007199254740993", "-9223372036854775809", "1e22", "1e23", "123456789012345678901234567890", "0.1", "1e308", "1.8e308", "5e-324", "1e-400",
		"0.0", "-0.0", "0e0", "0e10", "100e-2", "100e-3", "1.000", "1.0001", "12345678901234567890.0", "0.5e1", "0.05e1",
	}
	g := rand.New(rand.NewPCG(7, 7))
	for range 3000 {
		var b strings.Builder
		for range 1 + g.IntN(8) {
			b.WriteByte("0123456789012345678900..eE+-_ "[g.IntN(30)])
		}
		texts = append(texts, b.String())
	}
	return texts
}

// TestTextsAreTheNumbersThatPythonReads: text becomes a number exactly where Python itself reads that number in it.
func TestTextsAreTheNumbersThatPythonReads(t *testing.T) {
	t.Parallel()
	texts := numberTexts()
	var want [][2]*string
	ask(t, numbers, texts, &want)
	schema := inspect(t, "python", "i: int = 1\nf: float = 1.0")
	var fitted []string
	var expected []float64
	for i, text := range texts {
		if strings.ContainsFunc(text, func(c rune) bool { return c > 127 }) {
			want[i] = [2]*string{} // Python reads the digits of every script; here they stay text
		}
		value, err := json.Marshal(text)
		require.NoError(t, err)
		got, _, err := parameters.Fit(schema, raw("i", string(value)))
		if want[i][0] == nil {
			require.Error(t, err, "%q is no whole number, and became %s", text, got["i"])
		} else {
			require.NoError(t, err, "%q", text)
			require.Equal(t, *want[i][0], string(got["i"]), "%q", text)
		}
		got, _, err = parameters.Fit(schema, raw("f", string(value)))
		if want[i][1] == nil {
			require.Error(t, err, "%q is no finite number, and became %s", text, got["f"])
			continue
		}
		require.NoError(t, err, "%q", text)
		var number, real float64
		require.NoError(t, json.Unmarshal(got["f"], &number), "%q", text)
		require.NoError(t, json.Unmarshal([]byte(*want[i][1]), &real), "%q", text)
		require.Equal(t, real, number, "%q became %s", text, got["f"])
		fitted, expected = append(fitted, string(got["f"])), append(expected, real)
	}
	requireFloats(t, fitted, expected)
}

// requireFloats has Python read what came out: a float parameter never receives an int that a float could be.
func requireFloats(t *testing.T, fitted []string, expected []float64) {
	t.Helper()
	var kinds []string
	ask(t, `import sys, json; print(json.dumps([type(json.loads(s)).__name__ for s in json.load(sys.stdin)]))`, fitted, &kinds)
	for i, kind := range kinds {
		exact := fmt.Sprintf("%.0f", expected[i])
		if kind != "float" {
			require.NotEqual(t, exact, fitted[i], "an int that is exactly a float")
		}
	}
}

// python answers questions, one a line, for as long as a test runs.
type python struct {
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPython(t testing.TB, program string) *python {
	t.Helper()
	path, err := exec.LookPath("python3")
	if tt, ok := t.(*testing.T); ok {
		path, err = interpreter(tt), nil
	}
	if err != nil {
		t.Skip("no Python: set NES_PYTHON")
	}
	cmd := exec.Command(path, "-W", "ignore", "-c", program)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<24)
	return &python{in: in, out: s}
}

func (p *python) ask(t *testing.T, question string, answer any) {
	t.Helper()
	line, err := json.Marshal(question)
	require.NoError(t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err)
	require.True(t, p.out.Scan(), "Python ended")
	require.NoError(t, json.Unmarshal(p.out.Bytes(), answer))
}

// literals reads one expression a line as ast.literal_eval does, and says whether JSON has its value and its type.
const literals = `
import sys, json, ast, math
def plain(v):
    if isinstance(v, (list, tuple)): return all(map(plain, v))
    if isinstance(v, dict): return all(isinstance(k, str) and plain(k) and plain(x) for k, x in v.items())
    if isinstance(v, float): return math.isfinite(v)
    if isinstance(v, str): return not any(0xD800 <= ord(c) < 0xE000 for c in v)
    return v is None or isinstance(v, (bool, int))
for line in sys.stdin:
    answer = {}
    try:
        v = ast.literal_eval("(" + json.loads(line) + "\n)")
        answer = {"ok": True, "plain": plain(v), "type": type(v).__name__}
        if answer["plain"]: answer["value"] = json.dumps(v)
    except Exception: pass
    print(json.dumps(answer), flush=True)
`

// FuzzDefault holds defaults to ast.literal_eval: where both read a value, it is the same one; and
// where Python reads no literal, neither do we, but for the dates and the broken text that it refuses.
func FuzzDefault(f *testing.F) {
	for _, s := range spellings {
		f.Add(s)
	}
	for _, s := range randomLiterals(100) {
		f.Add(s)
	}
	py := startPython(f, literals)
	f.Fuzz(func(t *testing.T, source string) {
		if strings.ContainsAny(source, "\x00\r\f;") || strings.Contains(source, "\xff") || strings.HasPrefix(strings.TrimSpace(source), "=") {
			return
		}
		s := inspect(t, "python", "x = "+source)
		if !s.Declared || len(s.Parameters) != 1 || s.Parameters[0].Default == nil || s.Parameters[0].Source == "" || s.Parameters[0].Type == "date" {
			return
		}
		var answer struct {
			OK, Plain   bool
			Type, Value string
		}
		py.ask(t, s.Parameters[0].Source, &answer)
		if !answer.OK {
			return // Python is stricter: a notebook with such a cell fails in its kernel, and nothing is hidden
		}
		require.True(t, answer.Plain, "%s", source)
		requireSame(t, decoded(t, json.RawMessage(answer.Value)), decoded(t, s.Parameters[0].Default), source)
	})
}

// TestEveryEscapeIsPythons tries each backslash and each letter behind it, with what may follow.
func TestEveryEscapeIsPythons(t *testing.T) {
	t.Parallel()
	py := startPython(t, literals)
	var bodies []string
	for c := byte(' '); c < 127; c++ {
		if c != '"' && c != ';' && c != '\\' {
			for _, tail := range []string{"", "1", "12", "123", "1234", "12345678", "0001F600", "g", "00e9", "0041 "} {
				bodies = append(bodies, `\`+string(c)+tail, "a\\"+string(c)+tail+"한")
			}
		}
	}
	read := 0
	for _, body := range bodies {
		source := `"` + body + `"`
		var answer struct {
			OK, Plain   bool
			Type, Value string
		}
		py.ask(t, source, &answer)
		s := inspect(t, "python", "x = "+source)
		require.True(t, s.Declared, source)
		got := s.Parameters[0].Default
		switch {
		case !answer.OK || !answer.Plain:
			require.Nil(t, got, "%s is no text in Python", source)
		case got == nil:
			require.Contains(t, source, `\N`, "%s is read by Python", source)
		default:
			read++
			requireSame(t, decoded(t, json.RawMessage(answer.Value)), decoded(t, got), source)
		}
	}
	require.Greater(t, read, 1000)
}

package parameters

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenized is what Python's own tokenizer makes of sources: the tokens of each logical line. It is null
// where the source is broken. Tokens of more than one character that are no operators here are cut up.
const tokenized = `
import sys, io, json, tokenize
skip = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
def look(source):
    lines, line = [], []
    try:
        for t in tokenize.generate_tokens(io.StringIO(source).readline):
            if t.type == tokenize.NEWLINE or t.type == tokenize.OP and t.string == ";":
                if line: lines.append(line)
                line = []
            elif t.type not in skip:
                line += list(t.string) if t.string == "..." else [t.string]
    except Exception: return None
    return lines
print(json.dumps([look(s) for s in json.load(sys.stdin)]))
`

var cells = []string{
	"a = 1", "a=1;b=2", "a = 1;", ";", "a = [1,\n 2]\nb = 3", "a = \\\n 1", "a = 'x' # c\nb = \"#\"", "# c\n\na = 1\n", "a: int = 1", "a = b'x' + r'\\d' + u'y' + Rb'z'", "x = ur\n",
	"a = '''one\ntwo'''; b = \"\"\"x\"\"\"", "a = ''", "a = ''''b'''", "a = 'it\\'s'", "a = 'one\\\ntwo'", "a**=2\nb//=3\nc>>=1\nd<<=2", "a!=b\na<=b\na>=b\na==b\na:=b", "a->b", "a@b\na@=c", "a = ~b ^ c | d & e % f",
	"f(*a, **b)", "a = ...", "a[1:2, ::3]", "lambda x: x", "a = 0x1F + 0b11 + 0o17", "a = 1e5 + 1E-5 + 1.5e+5 + .5 + 5.", "a = 1_000.000_1", "a = 1j", "a = 3 .real if 0 else 4", "if a:\n  b = 1\n  c = 2\nd = 3",
	"if a: b = 1; c = 2", "def f(x=1):\n\treturn x", "한글 = '값'", "é = 1\nß1 = 2", "a\t=\t1", "a = 1 \f", "a = (\n# inside\n1,\n\n2,\n)", "a = {'k': [1, (2, 3)], **b}", "a = 1\n\n\n\nb = 2", "x = y = z", "@d\ndef f(): pass",
	"a = 1 if b else 2", "a.b.c = d", "a = 1\\\n+ 2\\\n+ 3", "_ = __a__ = 1", "print('a', 'b' 'c')", "a = \"\\\"\"", "a = 'tab\\tx'", "async def f(): await g()", "a = not b and c or d is not e", "import a.b as c", "del a, b",
}

// TestTokensAreAsPythons holds the lexer to Python's own tokenizer.
func TestTokensAreAsPythons(t *testing.T) {
	t.Parallel()
	var want [][][]string
	question, err := json.Marshal(cells)
	require.NoError(t, err)
	interpreter := os.Getenv("NES_PYTHON")
	if interpreter == "" {
		interpreter = "python3"
	}
	if _, err := exec.LookPath(interpreter); err != nil {
		t.Skip("no Python: set NES_PYTHON")
	}
	cmd := exec.Command(interpreter, "-c", tokenized)
	cmd.Stdin = bytes.NewReader(question)
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &want))
	require.Len(t, want, len(cells))
	for i, lines := range want {
		require.NotNil(t, lines, "%s is Python", cells[i])
		statements, err := lex(cells[i], python)
		require.NoError(t, err, cells[i])
		got := [][]string{}
		for _, s := range statements {
			got = append(got, written(s.tokens))
		}
		require.Equal(t, lines, got, "%s", cells[i])
	}
}

func written(tokens []token) []string {
	var out []string
	for _, t := range tokens {
		out = append(out, t.s)
	}
	return out
}

func TestLexHelp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, help string }{
		{"a = 1", ""},
		{"a = 1 # one", "one"},
		{"a = 1 ## one ##", "one ##"},
		{"a = 1 #", ""},
		{"# before\na = 1", ""},
		{"a = 1\n# after", ""},
		{"a = 1; # after the semicolon", "after the semicolon"},
		{"a = [ # first\n1, # second\n]", "first"},
		{"a = [ # first\n1,\n] # last", "last"},
		{"a = [\n1,\n]", ""},
		{"a = [\n# inside\n1]", "inside"},
		{"a = '# no'", ""},
		{"a = '# no' # yes", "yes"},
		{"a = 1 # one\r", "one"},
		{"a = \\\n1 # two lines", "two lines"},
	} {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			statements, err := lex(c.source, python)
			require.NoError(t, err)
			require.Len(t, statements, 1)
			require.Equal(t, c.help, statements[0].help)
		})
	}
	statements, err := lex("a = 1; b = 2 # of the second", python)
	require.NoError(t, err)
	require.Equal(t, []string{"", "of the second"}, []string{statements[0].help, statements[1].help})
}

func TestLexIndentation(t *testing.T) {
	t.Parallel()
	statements, err := lex("a\n  b\n\tc; d\n    e[\n1\n]\nf", python)
	require.NoError(t, err)
	got := map[string]int{}
	for _, s := range statements {
		got[s.tokens[0].s] = s.indent
	}
	require.Equal(t, map[string]int{"a": 0, "b": 2, "c": 1, "d": 1, "e": 4, "f": 0}, got)
}

func TestLexSkipsCommandsOfTheNotebook(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"%matplotlib inline", "!pip install 'x", "?help", "  %time (", "!ls )", "%%x '''"} {
		statements, err := lex("a = 1\n"+line+"\nb = 2", python)
		require.NoError(t, err, line)
		require.Len(t, statements, 2, line)
		require.Equal(t, "b", statements[1].tokens[0].s)
		last, err := lex(line, python)
		require.NoError(t, err, line)
		require.Empty(t, last, line)
	}
	_, err := lex("x = [\n!ls )\n]", python)
	require.ErrorIs(t, err, errUnreadable, "inside of brackets it is no command")
	statements, err := lex("%x", r)
	require.NoError(t, err)
	require.NotEmpty(t, statements, "R has no commands of that kind")
}

func TestLexBounds(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	padded := func(n int) string { return "a = 1 #" + strings.Repeat("x", n-7) }
	for _, c := range []struct {
		name, source string
		ok           bool
	}{
		{"as deep as may be", nested(maxDepth), true},
		{"deeper", nested(maxDepth + 1), false},
		{"as long as may be", padded(maxSource), true},
		{"longer", padded(maxSource + 1), false},
		{"closed twice", "a)", false},
		{"closed by another", "(]", false},
		{"crossed", "([)]", false},
		{"open at the end", "a = {", false},
		{"a backslash at the end", "a = 'x\\", false},
		{"a line end in a string", "a = 'x\ny'", false},
		{"an open string", `a = "`, false},
		{"an open triple string", `a = """x""`, false},
		{"a backslash alone", "a = \\", true},
		{"bytes that are no text", "a = '\xff'", true},
		{"a NUL", "a = \x00", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := lex(c.source, python)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, errUnreadable)
		})
	}
	_, err := lex("x = 1 #= open", julia)
	require.ErrorIs(t, err, errUnreadable)
	statements, err := lex("x = #= in\nbetween =# 1", julia)
	require.NoError(t, err)
	require.Equal(t, []string{"x", "=", "1"}, written(statements[0].tokens))
}

// FuzzLex holds what everything above builds on: tokens are cut out of the source in order, and brackets match.
func FuzzLex(f *testing.F) {
	for _, c := range cells {
		f.Add(c)
	}
	f.Add("x <- c(1L, 'a') # r")
	f.Add("x::Int = 1 #= julia =#")
	f.Fuzz(func(t *testing.T, source string) {
		for _, d := range []dialect{python, r, julia} {
			statements, err := lex(source, d)
			if err != nil {
				require.ErrorIs(t, err, errUnreadable)
				continue
			}
			end := 0
			for i := range statements {
				s := &statements[i]
				require.NotEmpty(t, s.tokens)
				depth := 0
				for _, tok := range s.tokens {
					require.GreaterOrEqual(t, tok.pos, end)
					require.NotEmpty(t, tok.s)
					require.Equal(t, s.src[tok.pos:tok.pos+len(tok.s)], tok.s)
					end = tok.pos + len(tok.s)
					switch {
					case tok.is("(") || tok.is("[") || tok.is("{"):
						depth++
					case tok.is(")") || tok.is("]") || tok.is("}"):
						depth--
					}
					require.GreaterOrEqual(t, depth, 0)
				}
				require.Zero(t, depth, "a statement never ends inside of brackets")
				require.Equal(t, s.src[s.tokens[0].pos:end], s.text(s.tokens))
			}
		}
	})
}

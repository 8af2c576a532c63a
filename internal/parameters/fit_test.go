package parameters_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/parameters"
)

const everyType = `
i: int = 1
f: float = 1.0
b: bool = False
s: str = ""
l: list = []
d: dict = {}
day: datetime.date = None
maybe: Optional[int] = 1
some: Optional[str] = "a"
match: int = 1
one: Literal["a", "b"] = "a"
n: Literal[1, 2] = 1
whatever = f()
nothing = None
gi = 1
gf = 1.5
gb = True
gs = "a"
gl = [1]
gd = {"a": 1}
`

func TestFit(t *testing.T) {
	t.Parallel()
	schema := inspect(t, "python", everyType)
	require.True(t, schema.Declared)
	for _, c := range []struct{ name, given, want string }{ // an empty want is a refusal
		{"i", `60`, `60`},
		{"i", `"60"`, `60`},
		{"i", `" +060 "`, `60`},
		{"i", `"007"`, `7`},
		{"i", `"1_000"`, `1000`},
		{"i", `"-5"`, `-5`},
		{"i", `"-0"`, `0`},
		{"i", `60.0`, `60`},
		{"i", `6e1`, `60`},
		{"i", `"6.0e1"`, `60`},
		{"i", `123456789012345678901234567890`, `123456789012345678901234567890`},
		{"i", `"123456789012345678901234567890"`, `123456789012345678901234567890`},
		{"i", `1.5`, ``},
		{"i", `"1.5"`, ``},
		{"i", `1e400000000`, ``},
		{"i", `"sixty"`, ``},
		{"i", `""`, ``},
		{"i", `"1__0"`, ``},
		{"i", `"0x10"`, ``},
		{"i", `"1/2"`, ``},
		{"i", `true`, ``},
		{"i", `null`, ``},
		{"i", `"None"`, ``},
		{"i", `[1]`, ``},
		{"f", `1.50`, `1.50`},
		{"f", `60`, `60.0`},
		{"f", `"1.5"`, `1.5`},
		{"f", `"1.50"`, `1.50`},
		{"f", `".5"`, `0.5`},
		{"f", `"60"`, `60.0`},
		{"f", `-1`, `-1.0`},
		{"f", `"1e5"`, `1e5`},
		{"f", `1e5`, `1e5`},
		{"f", `0.1000000000000000055511151231257827`, `0.1000000000000000055511151231257827`},
		{"f", `9007199254740993`, `9007199254740993`},
		{"f", `1e309`, ``},
		{"f", `-1e309`, ``},
		{"f", `"1e309"`, ``},
		{"f", `1e-400`, `1e-400`},
		{"f", `"nan"`, ``},
		{"f", `"inf"`, ``},
		{"f", `true`, ``},
		{"b", `true`, `true`},
		{"b", `"true"`, `true`},
		{"b", `"False"`, `false`},
		{"b", `1`, ``},
		{"b", `"yes"`, ``},
		{"s", `"a"`, `"a"`},
		{"s", `"60"`, `"60"`},
		{"s", `"한글 \"x\"\n"`, `"한글 \"x\"\n"`},
		{"s", `20240131`, `"20240131"`},
		{"s", `1.50`, `"1.50"`},
		{"s", `true`, ``},
		{"s", `null`, ``},
		{"s", `["a"]`, ``},
		{"l", `[1, "a"]`, `[1,"a"]`},
		{"l", `"[1, \"a\"]"`, `[1,"a"]`},
		{"l", `"['a', None, (1, 2.50)]"`, `["a",null,[1,2.50]]`},
		{"l", `"[os.system('x')]"`, ``},
		{"l", `"a"`, ``},
		{"l", `{}`, ``},
		{"l", `"{}"`, ``},
		{"d", `{"a":{"b":12345678901234567890}}`, `{"a":{"b":12345678901234567890}}`},
		{"d", `"{\"a\": 1}"`, `{"a":1}`},
		{"d", `"{'a': True}"`, `{"a":true}`},
		{"d", `"{'a', 'b'}"`, ``},
		{"d", `[]`, ``},
		{"day", `"2024-01-31"`, `"2024-01-31"`},
		{"day", `20240131`, ``},
		{"maybe", `null`, `null`},
		{"maybe", `"None"`, `null`},
		{"maybe", `"60"`, `60`},
		{"some", `"None"`, `"None"`},
		{"some", `null`, `null`},
		{"one", `"b"`, `"b"`},
		{"one", `"c"`, ``},
		{"n", `"2"`, `2`},
		{"match", `"2"`, `2`},
		{"n", `3`, ``},
		{"whatever", `[1]`, `[1]`},
		{"nothing", `"text"`, `"text"`},
		{"nothing", `5`, `5`},
		{"gi", `"60"`, `60`},
		{"gi", `1.5`, `1.5`},
		{"gi", `null`, `null`},
		{"gi", `"abc"`, ``},
		{"gf", `60`, `60.0`},
		{"gb", `"True"`, `true`},
		{"gs", `5`, `"5"`},
		{"gs", `null`, `null`},
		{"gl", `"[2]"`, `[2]`},
		{"gd", `"[2]"`, ``},
	} {
		t.Run(c.name+" "+c.given, func(t *testing.T) {
			t.Parallel()
			fitted, conversions, err := parameters.Fit(schema, raw(c.name, c.given))
			if c.want == "" {
				requireProblems(t, err, "parameters."+c.name)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, string(fitted[c.name]))
			from := compactText(t, c.given)
			if from == c.want {
				require.Empty(t, conversions)
				return
			}
			require.Len(t, conversions, 1)
			require.Equal(t, c.name, conversions[0].Name)
			require.Equal(t, from, string(conversions[0].From))
			require.Equal(t, c.want, string(conversions[0].To))
			require.NotEmpty(t, conversions[0].Type)
		})
	}
}

func TestFitNamesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	schema := inspect(t, "python", "alpha = 1\nbeta: float = 2.0\ngamma = 'x'")
	_, _, err := parameters.Fit(schema, raw("alhpa", "1", "beta", `"x"`, "a; import os", "1", "class", "2", "my.param", "3", "gamma", `"fine"`))
	problems := requireProblems(t, err, "parameters.a; import os", "parameters.alhpa", "parameters.beta", "parameters.class", "parameters.my.param")
	require.Contains(t, problems[0].Message, "is not a name")
	require.Contains(t, problems[1].Message, `did you mean "alpha"?`)
	require.Contains(t, problems[2].Message, `"x" does not fit: the notebook declares beta: float`)
	require.Contains(t, problems[3].Message, "reserved")
}

func TestFitSuggests(t *testing.T) {
	t.Parallel()
	schema := inspect(t, "python", "start_date = ''\nend_date = ''\nn = 1\n한글이름 = 1")
	for given, want := range map[string]string{
		"start_dat": `did you mean "start_date"?`, "Start_Date": `did you mean "start_date"?`, "edn_date": `did you mean "end_date"?`,
		"한글이릉": `did you mean "한글이름"?`, "colour_scheme": "it has start_date, end_date, n, 한글이름",
	} {
		_, _, err := parameters.Fit(schema, raw(given, "1"))
		require.Contains(t, requireProblems(t, err, "parameters."+given)[0].Message, want)
	}
	_, _, err := parameters.Fit(inspect(t, "python", "# none"), raw("x", "1"))
	require.Contains(t, err.Error(), "declares no parameter")
}

func TestFitLeavesWhatWasGiven(t *testing.T) {
	t.Parallel()
	given := raw("a", ` "60" `)
	fitted, conversions, err := parameters.Fit(inspect(t, "python", "a = 1"), given)
	require.NoError(t, err)
	require.Equal(t, ` "60" `, string(given["a"]))
	require.Equal(t, "60", string(fitted["a"]))
	require.Equal(t, []nes.Conversion{{Name: "a", From: json.RawMessage(`"60"`), To: json.RawMessage(`60`), Type: "int"}}, conversions)
	fitted, _, err = parameters.Fit(parameters.Schema{}, nil)
	require.NoError(t, err)
	require.NotNil(t, fitted)
	_, _, err = parameters.Fit(parameters.Schema{}, raw("a", "{"))
	requireProblems(t, err, "parameters.a")
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"a; import os", "", "1a", "a b", "a-b", "a\n", "a=1", "a.b; c", ".a", "a..b", "a\x00", "\xff", "if", "while", "a\u200b", strings.Repeat("a", 256),
		"alpha=1;import os;b", "a\u2028b", "os.system('x')", "$(x)", "`x`",
	} {
		require.Len(t, parameters.CheckNames(raw(bad, "1")), 1, "%q", bad)
		_, _, err := parameters.Fit(parameters.Schema{}, raw(bad, "1"))
		requireProblems(t, err, "parameters."+bad)
	}
	for _, good := range []string{"a", "_a1", "A", "end", "function", "날짜", "été", "x_1", "NULL", "match"} {
		require.Empty(t, parameters.CheckNames(raw(good, "1")), good)
		_, _, err := parameters.Fit(parameters.Schema{Language: "python"}, raw(good, "1"))
		require.NoError(t, err, good)
	}
	for name, language := range map[string]string{"end": "julia", "NULL": "r", "None": "python", "fi": "bash", "_x": "r", "my.param": "python"} {
		require.Empty(t, parameters.CheckNames(raw(name, "1")), name)
		_, _, err := parameters.Fit(parameters.Schema{Language: language}, raw(name, "1"))
		requireProblems(t, err, "parameters."+name)
	}
	_, _, err := parameters.Fit(parameters.Schema{Language: "r"}, raw("my.param", "1"))
	require.NoError(t, err, "dots belong to names in R")
}

func FuzzFit(f *testing.F) {
	for _, v := range []string{`"60"`, `1e400`, `"1_0.5e-3"`, `"[1, 'a']"`, `null`, `"0x"`, `"-.e"`, `"{'a': 1}"`, `-0`, `"+-1"`, `"."`} {
		f.Add(v)
	}
	schema := inspect(f, "python", everyType)
	f.Fuzz(func(t *testing.T, value string) {
		for _, p := range schema.Parameters {
			fitted, _, err := parameters.Fit(schema, raw(p.Name, value))
			if err != nil {
				require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
				continue
			}
			require.True(t, json.Valid(fitted[p.Name]), "%s", fitted[p.Name])
			again, conversions, err := parameters.Fit(schema, fitted)
			require.NoError(t, err)
			require.Empty(t, conversions, "what fits is not converted again")
			require.Equal(t, fitted, again)
		}
	})
}

func requireProblems(t *testing.T, err error, fields ...string) []nes.Problem {
	t.Helper()
	var e *nes.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, nes.CodeInvalid, e.Code)
	var got []string
	for _, p := range e.Problems {
		got = append(got, p.Field)
	}
	require.Equal(t, fields, got)
	return e.Problems
}

func compactText(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	quoted := false
	for i, c := range s {
		if c == '"' && (i == 0 || s[i-1] != '\\') {
			quoted = !quoted
		}
		if c != ' ' || quoted {
			b.WriteRune(c)
		}
	}
	return b.String()
}

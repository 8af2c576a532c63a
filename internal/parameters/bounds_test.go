package parameters_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/parameters"
)

// TestFitGrid gives every kind of value to every type: what it becomes, or "-" for a refusal.
func TestFitGrid(t *testing.T) {
	t.Parallel()
	types := []string{"int", "float", "bool", "str", "list", "dict", "date", "Optional[int]", "Optional[str]", "Any", "None"}
	for given, want := range map[string]string{
		`1`:         `1     1.0   -     "1"   -     -     -     1     "1"   1     1`,
		`-1`:        `-1    -1.0  -     "-1"  -     -     -     -1    "-1"  -1    -1`,
		`0`:         `0     0.0   -     "0"   -     -     -     0     "0"   0     0`,
		`1.0`:       `1     1.0   -     "1.0" -     -     -     1     "1.0" 1.0   1.0`,
		`1.5`:       `-     1.5   -     "1.5" -     -     -     -     "1.5" 1.5   1.5`,
		`1e2`:       `100   1e2   -     "1e2" -     -     -     100   "1e2" 1e2   1e2`,
		`true`:      `-     -     true  -     -     -     -     -     -     true  true`,
		`false`:     `-     -     false -     -     -     -     -     -     false false`,
		`null`:      `-     -     -     -     -     -     -     null  null  null  null`,
		`"1"`:       `1     1.0   -     "1"   -     -     "1"   1     "1"   "1"   "1"`,
		`"1.5"`:     `-     1.5   -     "1.5" -     -     "1.5" -     "1.5" "1.5" "1.5"`,
		`"true"`:    `-     -     true  "true" -    -     "true" -    "true" "true" "true"`,
		`"FALSE"`:   `-     -     -     "FALSE" -   -     "FALSE" -   "FALSE" "FALSE" "FALSE"`,
		`"None"`:    `-     -     -     "None" -    -     "None" null "None" "None" null`,
		`"null"`:    `-     -     -     "null" -    -     "null" null "null" "null" null`,
		`"nan"`:     `-     -     -     "nan" -     -     "nan" -     "nan" "nan" "nan"`,
		`""`:        `-     -     -     ""    -     -     ""    -     ""    ""    ""`,
		`"x"`:       `-     -     -     "x"   -     -     "x"   -     "x"   "x"   "x"`,
		`[]`:        `-     -     -     -     []    -     -     -     -     []    []`,
		`[1,"a"]`:   `-     -     -     -     [1,"a"] -   -     -     -     [1,"a"] [1,"a"]`,
		`{}`:        `-     -     -     -     -     {}    -     -     -     {}    {}`,
		`{"a":1}`:   `-     -     -     -     -     {"a":1} -   -     -     {"a":1} {"a":1}`,
		`"[1]"`:     `-     -     -     "[1]" [1]   -     "[1]" -     "[1]" "[1]" "[1]"`,
		`"(1,)"`:    `-     -     -     "(1,)" -    -     "(1,)" -    "(1,)" "(1,)" "(1,)"`,
		`"{}"`:      `-     -     -     "{}"  -     {}    "{}"  -     "{}"  "{}"  "{}"`,
		`"{'a':1}"`: `-    -     -     "{'a':1}" - {"a":1} "{'a':1}" - "{'a':1}" "{'a':1}" "{'a':1}"`,
	} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			row := strings.Fields(want)
			require.Len(t, row, len(types))
			for i, kind := range types {
				schema := inspect(t, "python", "x: "+kind)
				fitted, conversions, err := parameters.Fit(schema, raw("x", given))
				if row[i] == "-" {
					require.Contains(t, requireProblems(t, err, "parameters.x")[0].Message, "does not fit", kind)
					continue
				}
				require.NoError(t, err, kind)
				require.Equal(t, row[i], string(fitted["x"]), kind)
				require.Equal(t, row[i] != given, len(conversions) == 1, kind)
			}
		})
	}
}

// TestFitBounds: what is computed with is bounded, and the bounds are where they are said to be.
func TestFitBounds(t *testing.T) {
	t.Parallel()
	digits := func(n int) string { return strings.Repeat("9", n) }
	for _, c := range []struct {
		name, kind, given string
		ok                bool
	}{
		{"digits", "int", digits(4000), true},
		{"too many digits", "int", digits(4001), false},
		{"digits in text", "int", `"` + digits(4000) + `"`, true},
		{"too many digits in text", "int", `"` + digits(4001) + `"`, false},
		{"negative digits", "int", "-" + digits(4000), true},
		{"exponent", "int", "1e400", true},
		{"large exponent", "int", "1e401", false},
		{"exponent in text", "int", `"1e400"`, true},
		{"large exponent in text", "int", `"1e401"`, false},
		{"exponent that is no int", "int", "1e99999999999999999999", false},
		{"negative exponent", "int", "1e-401", false},
		{"whole by its exponent", "int", "1" + strings.Repeat("0", 400) + "e-400", true},
		{"long fraction", "int", "1." + strings.Repeat("0", 3998), true},
		{"too long a fraction", "int", "1." + strings.Repeat("0", 3999), false},
		{"float at its end", "float", "1.7976931348623157e308", true},
		{"float beyond its end", "float", "1.7976931348623159e308", false},
		{"float of digits", "float", "1" + strings.Repeat("0", 308), true},
		{"float of too many digits", "float", "1" + strings.Repeat("0", 309), false},
		{"name", "", strings.Repeat("n", 255), true},
		{"too long a name", "", strings.Repeat("n", 256), false},
		{"too long a name in bytes", "", strings.Repeat("한", 86), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name, given, schema := "x", c.given, inspect(t, "python", "x: "+c.kind)
			if c.kind == "" {
				name, given, schema = c.given, "1", parameters.Schema{}
			}
			_, _, err := parameters.Fit(schema, raw(name, given))
			if c.ok {
				require.NoError(t, err)
				return
			}
			requireProblems(t, err, "parameters."+name)
		})
	}
}

func TestFitMessages(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("가", 58) // with its quotes 60 characters
	many := strings.Repeat("qqqq = 1\n", 1)
	for i := range 12 {
		many += fmt.Sprintf("name_%c = 1\n", 'a'+i)
	}
	for _, c := range []struct{ name, cell, parameter, given, want string }{
		{"the value and the declaration", "x: int = 1", "x", `"a"`, `"a" does not fit: the notebook declares x: int`},
		{"the default where nothing is declared", "x = [1]", "x", `5`, `5 does not fit: the notebook declares x = [1]`},
		{"a value as long as is shown", "x: int", "x", `"` + long + `"`, `"` + long + `" does not fit`},
		{"a longer value", "x: int", "x", `"` + long + `나"`, `"` + long + `나... does not fit`},
		{"a long default", "x = ['" + long + "']", "x", `5`, `the notebook declares x = ['` + long + `...`},
		{"null", "x: int", "x", `null`, `null does not fit: the notebook declares x: int, and not Optional[int]`},
		{"choices", "x: Literal['a', 'b'] = 'a'", "x", `"c"`, `"c" is not one of the notebook's choices: "a", "b"`},
		{"choices that are numbers", "x: Literal[1, 20]", "x", `"3"`, `"3" is not one of the notebook's choices: 1, 20`},
		{"not JSON", "x = 1", "x", `{`, "is not JSON"},
		{"no value", "x = 1", "x", ``, "is not JSON"},
		{"two values", "x = 1", "x", `1 2`, "is not JSON"},
		{"a near name", "rows = 1", "row", `1`, `the notebook has no parameter "row"; did you mean "rows"?`},
		{"no near name", "rows = 1\ncols = 2", "quite_other", `1`, `the notebook has no parameter "quite_other"; it has rows, cols`},
		{"many names", many, "zzzzzzzzzzzz", `1`, "it has qqqq, name_a, name_b, name_c, name_d, name_e, name_f, name_g, name_h, name_i, name_j, name_k, ..."},
		{"no names", "", "x", `1`, `the notebook's parameters cell has no "x"; it declares no parameter at all`},
		{"a reserved word", "x = 1", "class", `1`, `"class" is a reserved word; rename the parameter in the notebook`},
		{"no name", "x = 1", "", `1`, "a parameter needs a name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := parameters.Fit(inspect(t, "python", c.cell), raw(c.parameter, c.given))
			require.Contains(t, requireProblems(t, err, "parameters."+c.parameter)[0].Message, c.want)
		})
	}
}

// TestChoicesAreComparedByWhatTheySay, not by how a client spells them.
func TestChoicesAreComparedByWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cell, given string
		ok          bool
	}{
		{`x: Literal['한글', '"'] = '"'`, `"한글"`, true},
		{`x: Literal['한글', '"'] = '"'`, `"\ud55c\uae00"`, true},
		{`x: Literal['한글', '"'] = '"'`, `"\""`, true},
		{`x: Literal['한글', '"'] = '"'`, `"\u0022"`, true},
		{`x: Literal['한글', '"'] = '"'`, `"\ud55c"`, false},
		{`x: Literal['<a>&']`, `"\u003ca\u003e\u0026"`, true},
		{`x: Literal[1, 2]`, `2.0`, true},
		{`x: Literal[1, 2]`, `"2"`, true},
		{`x: Literal[1, 2]`, `12`, false},
		{`x: Literal[True]`, `"True"`, true},
		{`x: Literal[True]`, `false`, false},
		{`x: Literal["a", None]`, `null`, true},
		{`x: Optional[Literal["a", "b"]]`, `null`, true},
		{`x: Optional[Literal["a", "b"]]`, `"b"`, true},
		{`x: Optional[Literal["a", "b"]]`, `"c"`, false},
		{`x: Literal["a"] | Literal["b"]`, `"b"`, true},
		{`x: Literal["1", "2"]`, `1`, true},
	} {
		t.Run(c.cell+" "+c.given, func(t *testing.T) {
			t.Parallel()
			_, _, err := parameters.Fit(inspect(t, "python", c.cell), raw("x", c.given))
			require.Equal(t, c.ok, err == nil, "%v", err)
		})
	}
}

// TestLaterAssignments: what a cell says twice is one parameter.
func TestLaterAssignments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cell string
		want parameters.Parameter
	}{
		{"x = 1\nx = 'a'", inferred("x", "str", "'a'", `"a"`)},
		{"x: int = 1\nx = 2", declared("x", "int", "2", "2")},
		{"x: int\nx = 2", declared("x", "int", "2", "2")},
		{"x: Optional[int] = None\nx = 2", optional(declared("x", "int", "2", "2"))},
		{"x: Literal[1, 2] = 1\nx = 2", choosing(declared("x", "int", "2", "2"), "1", "2")},
		{"x: int = 1\nx: str = 'a'", declared("x", "str", "'a'", `"a"`)},
		{"x: pd.DataFrame = f()\nx = 2", inferred("x", "int", "2", "2")},
		{"x = 1 # first\nx = 2 # second", helped(inferred("x", "int", "2", "2"), "second")},
		{"x: int = 1 # first\nx = 2", helped(declared("x", "int", "2", "2"), "first")},
		{"if a:\n  x = 1\nx = 2", inferred("x", "int", "2", "2")},
		{"x = 1\nif a:\n  x = 'b'", inferred("x", "int", "1", "1")},
		{"x: int = 1\nfor x in y: x = 2", declared("x", "int", "1", "1")},
		{"if a:\n  x = 1\nelse:\n  x = 2", inferred("x", "", "1", "")},
	} {
		t.Run(c.cell, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []parameters.Parameter{c.want}, inspect(t, "python", c.cell).Parameters)
		})
	}
}

// TestSchemaAsJSON is what POST /v1/inspect and the form are made of.
func TestSchemaAsJSON(t *testing.T) {
	t.Parallel()
	doc, err := json.Marshal(inspect(t, "python", "n: Optional[int] = 3  # how many\nkind: Literal['a', 'b'] = 'a'\nx = f()"))
	require.NoError(t, err)
	require.JSONEq(t, `{"language":"python","declared":true,"parameters":[
		{"name":"n","type":"int","source":"3","default":3,"optional":true,"help":"how many"},
		{"name":"kind","type":"str","source":"'a'","default":"a","choices":["a","b"]},
		{"name":"x","source":"f()"}]}`, string(doc))
	doc, err = json.Marshal(inspect(t, "cobol", "x"))
	require.NoError(t, err)
	require.JSONEq(t, `{"language":"cobol","declared":false,"parameters":[]}`, string(doc))
}

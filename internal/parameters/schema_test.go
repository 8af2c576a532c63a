package parameters_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/parameters"
)

// A property of a JSON Schema, and what a form and a message make of it.
func TestProperties(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, property, want string }{
		{"integer", `{"type": "integer"}`, `{"type": "int"}`},
		{"number", `{"type": "number"}`, `{"type": "float"}`},
		{"boolean", `{"type": "boolean"}`, `{"type": "bool"}`},
		{"string", `{"type": "string"}`, `{"type": "str"}`},
		{"day", `{"type": "string", "format": "date"}`, `{"type": "date"}`},
		{"moment", `{"type": "string", "format": "date-time"}`, `{"type": "date"}`},
		{"another format", `{"type": "string", "format": "email"}`, `{"type": "str"}`},
		{"array", `{"type": "array"}`, `{"type": "list"}`},
		{"object", `{"type": "object"}`, `{"type": "dict"}`},
		{"null alone", `{"type": "null"}`, `{"type": "none"}`},
		{"one or null", `{"type": ["null", "integer"]}`, `{"type": "int", "optional": true}`},
		{"a list of one", `{"type": ["integer"]}`, `{"type": "int"}`},
		{"several", `{"type": ["integer", "string"]}`, `{}`},
		{"several or null", `{"type": ["integer", "string", "null"]}`, `{}`},
		{"no type", `{}`, `{}`},
		{"anything", `true`, `{}`},
		{"range", `{"type": "number", "minimum": -1.5, "maximum": 1e3}`, `{"type": "float", "minimum": -1.5, "maximum": 1e3}`},
		{"choices keep their order", `{"enum": ["b", "a", 3, null]}`, `{"choices": ["b", "a", 3, null]}`},
		{"title", `{"title": "Days"}`, `{"help": "Days"}`},
		{"title and description", `{"title": "Days", "description": "looked back"}`, `{"help": "Days: looked back"}`},
		{"default", `{"type": "integer", "default": 3}`, `{"type": "int", "default": 3}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ruled(t, "python", "", `{"properties": {"x": `+c.property+`}}`)
			if c.property == "true" {
				require.Empty(t, s.Parameters, "of a form that no page can show")
				return
			}
			require.Len(t, s.Parameters, 1)
			p := s.Parameters[0]
			require.Equal(t, "x", p.Name)
			p.Name = ""
			have, err := json.Marshal(p)
			require.NoError(t, err)
			require.JSONEq(t, `{"name":"","source":"",`+strings.TrimPrefix(strings.ReplaceAll(c.want, "{}", `{"name":""}`), "{"), string(have))
		})
	}
}

func TestPropertiesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	names := strings.Split("zeta alpha mid beta omega 한국 a1 a0", " ")
	var properties []string
	for i, name := range names {
		properties = append(properties, fmt.Sprintf(`%q: {"default": {"nested": [%d, {"properties": {"no": 1}}]}}`, name, i))
	}
	s := ruled(t, "python", "mid = 1", `{"properties": {`+strings.Join(properties, ",")+`}}`)
	var have []string
	for _, p := range s.Parameters {
		have = append(have, p.Name)
	}
	require.Equal(t, []string{"mid", "zeta", "alpha", "beta", "omega", "한국", "a1", "a0"}, have, "the cell's first, then as they are written")
}

// What the whole schema says, beyond what a single value does.
func TestRulesBetweenParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cell, schema, values, want string }{
		{"one needs another", "a = None\nb = None", `{"dependentRequired": {"a": ["c"]}}`, `{"a": 1}`, "dependentRequired"},
		{"draft 7", "a = 1", `{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"n": {"maximum": 3}}, "properties": {"a": {"$ref": "#/definitions/n"}}}`, `{"a": 4}`, "maximum"},
		{"a default counts", "a = 1\nb = 5", `{"anyOf": [{"properties": {"a": {"maximum": 1}}}, {"properties": {"b": {"maximum": 1}}}]}`, `{"a": 2}`, "anyOf"},
		{"a default counts for good", "a = 1\nb = 1", `{"anyOf": [{"properties": {"a": {"maximum": 1}}}, {"properties": {"b": {"maximum": 1}}}]}`, `{"a": 2}`, ""},
		{"a default of the schema", "", `{"properties": {"a": {"default": 1}}, "required": ["a"]}`, `{}`, "parameters.a is required"},
		{"what only the kernel knows is there", "a = f()", `{"required": ["a"]}`, `{}`, ""},
		{"what nobody gives is not", "a = f()", `{"required": ["a", "b"], "properties": {"b": {}}}`, `{}`, "parameters.b is required"},
		{"no others", "", `{"properties": {"a": {}}, "additionalProperties": false}`, `{"z": 1}`, "z"},
		{"others where nothing is declared", "%%bash", `{"properties": {"a": {}}}`, `{"z": 1}`, ""},
		{"null", "a = None", `{"properties": {"a": {"type": ["integer", "null"], "minimum": 1}}}`, `{"a": null}`, ""},
		{"null that is not allowed", "a = None", `{"properties": {"a": {"type": "integer"}}}`, `{"a": null}`, "null does not fit"},
		{"text that becomes a number is checked as one", "", `{"properties": {"a": {"type": "integer", "multipleOf": 5}}}`, `{"a": "15"}`, ""},
		{"and refused as one", "", `{"properties": {"a": {"type": "integer", "multipleOf": 5}}}`, `{"a": "16"}`, "multipleOf"},
		{"items", "a = []", `{"properties": {"a": {"items": {"type": "string"}, "uniqueItems": true}}}`, `{"a": ["x", "x"]}`, "uniqueItems"},
		{"length", "a = ''", `{"properties": {"a": {"minLength": 2}}}`, `{"a": "한"}`, "minLength"},
		{"length in characters", "a = ''", `{"properties": {"a": {"maxLength": 2}}}`, `{"a": "한국"}`, ""},
		{"never", "a = 1", `{"not": {}}`, `{"a": 1}`, "parameters breaks the notebook's JSON Schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ruled(t, "python", c.cell, c.schema)
			require.Empty(t, s.Notes)
			problems := problemsOf(t, s, c.values)
			if c.want == "" {
				require.Empty(t, problems)
				return
			}
			require.NotEmpty(t, problems)
			require.Contains(t, strings.Join(problems, "\n"), c.want)
		})
	}
}

// The bounds of a schema hold at the very place where they are said to.
func TestBoundsOfASchema(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return `{"enum": [` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}` }
	require.Empty(t, ruled(t, "python", "", list(9_998)).Notes, "the object and the list are parts too")
	require.Contains(t, ruled(t, "python", "", list(9_999)).Notes[0], "more than 10000 parts")
	nested := func(n int) string { return strings.Repeat(`{"not": `, n) + `{}` + strings.Repeat(`}`, n) }
	require.Empty(t, ruled(t, "python", "", nested(100)).Notes)
	require.NotEmpty(t, ruled(t, "python", "", nested(101)).Notes)
	shared := `{"$defs": {"a": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"items": [{"$ref": "#/$defs/a"}]}}}`
	require.Empty(t, ruled(t, "python", "", shared).Notes, "a definition may be used more than once")
	require.Empty(t, ruled(t, "python", "", `{"$id": "https://example.com/s", "type": "object"}`).Notes, "a name at the top is one")
	require.Empty(t, ruled(t, "python", "", `{"properties": {"$ref": {"type": "integer"}}}`).Notes, "a property may be called so")
}

func TestMetadataThatIsNoSchema(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{`[]`, `"x"`, `3`} {
		s := ruled(t, "python", "n = 1", schema)
		require.Len(t, s.Notes, 1, schema)
		require.Contains(t, s.Notes[0], "metadata.nes.parameters")
		require.NotEmpty(t, problemsOf(t, s, `{"n": 2}`), schema)
	}
	for schema, refused := range map[string]bool{`true`: false, `false`: true} {
		s := ruled(t, "python", "n = 1", schema)
		require.Empty(t, s.Notes)
		require.Equal(t, refused, len(problemsOf(t, s, `{"n": 2}`)) > 0, schema)
	}
}

func TestRuleInWords(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage {
		if s == "" {
			return nil
		}
		return json.RawMessage(s)
	}
	for _, c := range []struct{ low, high, want string }{
		{"", "", ""}, {"1", "90", "1 to 90"}, {"1", "", "1 or more"}, {"", "90", "at most 90"}, {`"2024-01-01"`, `"2024-12-31"`, "2024-01-01 to 2024-12-31"},
	} {
		require.Equal(t, c.want, parameters.Parameter{Minimum: raw(c.low), Maximum: raw(c.high)}.Rule())
	}
}

// Each language writes its constants in its own way, in rules too.
func TestRulesInTheWordsOfTheLanguage(t *testing.T) {
	t.Parallel()
	for language, cell := range map[string]string{
		"python": "full = True  # [choices: True]", "r": "full <- TRUE  # [choices: TRUE]", "julia": "full = true  # [choices: true]",
	} {
		s := ruled(t, language, cell, "")
		require.Empty(t, s.Notes, language)
		require.Equal(t, []json.RawMessage{json.RawMessage("true")}, s.Parameters[0].Choices, language)
		require.NotEmpty(t, problemsOf(t, s, `{"full": false}`), language)
		require.Empty(t, problemsOf(t, s, `{"full": "True"}`), language)
	}
}

// Every rule of a line is of the parameters of that line, and of no other.
func TestARuleIsOfItsOwnLine(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "a = 1  # [range: 0..5]\nb = 9\nc, d = 1, 2  # [range: 0..3]\nlong = [  # [choices: no]\n  1,\n]\ne = 1; f = 2  # [range: 1..2]", "")
	rules := map[string]string{}
	for _, p := range s.Parameters {
		rules[p.Name] = p.Rule()
	}
	require.Equal(t, map[string]string{"a": "0 to 5", "b": "", "c": "0 to 3", "d": "0 to 3", "long": "", "e": "", "f": "1 to 2"}, rules)
	require.Equal(t, []string{`long: [choices: no] is not used: "no" is no list`}, s.Notes)
}

// Values are compared as numbers are, whatever their size and however they are written.
func TestRangesCompareExactly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	number := func() string {
		digits := fmt.Sprint(random.IntN(2000) - 1000)
		switch random.IntN(4) {
		case 0:
			return digits + fmt.Sprintf(".%03d", random.IntN(1000))
		case 1:
			return "7" + strings.TrimPrefix(digits, "-") + strings.Repeat("0", random.IntN(30)) + fmt.Sprint(random.IntN(3))
		case 2:
			return fmt.Sprintf("%se%d", digits, random.IntN(60)-30)
		}
		return digits
	}
	for range 3000 {
		low, value := number(), number()
		s := parameters.Schema{Declared: true, Parameters: []parameters.Parameter{{Name: "x", Type: "float", Minimum: json.RawMessage(low)}}}
		x, _ := new(big.Rat).SetString(value)
		y, _ := new(big.Rat).SetString(low)
		problems := problemsOf(t, s, `{"x": `+value+`}`)
		require.Equal(t, x.Cmp(y) < 0, len(problems) > 0, "%s against %s", value, low)
	}
	s := parameters.Schema{Declared: true, Parameters: []parameters.Parameter{{Name: "x", Minimum: json.RawMessage("0")}}}
	require.Contains(t, problemsOf(t, s, `{"x": 1e401}`)[0], "cannot be compared")
	require.Contains(t, problemsOf(t, s, `{"x": [1]}`)[0], "cannot be compared")
}

// Moments are compared as moments: an offset counts.
func TestRangesOfMoments(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", `from datetime import datetime
at: datetime = "2024-01-01"  # [range: 2024-01-01T09:00:00+09:00..2024-01-02]`, "")
	require.Empty(t, s.Notes)
	for value, inside := range map[string]bool{
		"2024-01-01T00:00:00Z": true, "2023-12-31T23:59:59Z": false, "2024-01-01T08:59:59+09:00": false, "2024-01-01 00:00": true,
		"2024-01-02": true, "2024-01-02T00:00:01Z": false, "2024-01-01T12:00": true, "2024-1-1": false, "20240101": false, "": false,
	} {
		raw, err := json.Marshal(map[string]string{"at": value})
		require.NoError(t, err)
		require.Equal(t, inside, len(problemsOf(t, s, string(raw))) == 0, value)
	}
}

// What a form may send for a parameter is what Fit takes: each kind of value against each kind of parameter.
func TestEveryKindOfValueForEveryKindOfParameter(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "i: int = 1\nf: float = 1.0\nb: bool = True\ns: str = ''\nl: list = []\nd: dict = {}\no: int | None = 1\nu = f()", "")
	values := []string{"1", "1.5", "true", `"text"`, `"7"`, "[1]", `{"a": 1}`, "null"}
	takes := map[string]string{ // a column for each value
		"i": "y...y...",
		"f": "yy..y...",
		"b": "..y.....",
		"s": "yy.yy...",
		"l": ".....y..",
		"d": "......y.",
		"o": "y...y..y",
		"u": "yyyyyyyy",
	}
	for name, row := range takes {
		for column, value := range values {
			problems := problemsOf(t, s, `{"`+name+`": `+value+`}`)
			require.Equal(t, row[column] == 'y', len(problems) == 0, "%s = %s: %q", name, value, problems)
		}
	}
}

// A value that is taken is taken again, unchanged: a run that is sent again is the same run.
func TestWhatWasFittedFits(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "i: int = 1\nf: float = 1.0\nb: bool = True\ns: str = ''\nl: list = []\nd: dict = {}\no: int | None = 1", "")
	first, changed, err := parameters.Fit(s, given(t, `{"i": "007", "f": 3, "b": "False", "s": 20240131, "l": "[1, 'a']", "d": "{'k': None}", "o": "None"}`))
	require.NoError(t, err)
	require.Len(t, changed, 7)
	second, changed, err := parameters.Fit(s, first)
	require.NoError(t, err)
	require.Empty(t, changed)
	require.Equal(t, first, second)
}

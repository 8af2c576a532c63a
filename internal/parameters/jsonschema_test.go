package parameters_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const routeSchema = `{
	"type": "object",
	"properties": {
		"route": {"type": "string", "pattern": "^[A-Z]{3}-[A-Z]{3}$", "title": "Route", "description": "from and to"},
		"days": {"type": "integer", "minimum": 1, "maximum": 90},
		"mode": {"enum": ["fast", "full"]},
		"since": {"type": ["string", "null"], "format": "date"},
		"limits": {"$ref": "#/$defs/limits"},
		"extra": {"type": "number", "default": 2}
	},
	"required": ["route", "days"],
	"if": {"properties": {"mode": {"const": "full"}}}, "then": {"properties": {"days": {"maximum": 10}}},
	"$defs": {"limits": {"type": "array", "items": {"type": "number"}, "maxItems": 2}}
}`

func TestJSONSchemaIsLaidOverTheCell(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "route: str\ndays = days_of(config)  # looked back\nmode = 'fast'\nsince = None\nlimits = []\n", routeSchema)
	require.Empty(t, s.Notes)
	have, err := json.Marshal(s.Parameters)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"name": "route", "type": "str", "source": "", "required": true, "help": "Route: from and to"},
		{"name": "days", "type": "int", "source": "days_of(config)", "minimum": 1, "maximum": 90, "help": "looked back"},
		{"name": "mode", "type": "str", "inferred": true, "source": "'fast'", "default": "fast", "choices": ["fast", "full"]},
		{"name": "since", "type": "date", "source": "None", "default": null, "optional": true},
		{"name": "limits", "type": "list", "inferred": true, "source": "[]", "default": []},
		{"name": "extra", "type": "float", "source": "", "default": 2}
	]`, string(have))
}

func TestJSONSchemaBinds(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "route: str\ndays = days_of(config)\nmode = 'fast'\nsince = None\nlimits = []\n", routeSchema)
	for _, c := range []struct {
		values string
		want   []string
	}{
		{`{"route": "ICN-CJU"}`, nil},
		{`{"route": "ICN-CJU", "days": "60", "since": "2024-01-31", "limits": [1, 2]}`, nil},
		{`{}`, []string{"parameters.route is required: the notebook has no default for it"}},
		{`{"route": "icn"}`, []string{"parameters.route breaks the notebook's JSON Schema: pattern:"}},
		{`{"route": "icn", "limits": [1, 2, 3]}`, []string{"parameters.limits breaks the notebook's JSON Schema: maxItems:", "parameters.route breaks the notebook's JSON Schema: pattern:"}},
		{`{"route": "ICN-CJU", "days": 91}`, []string{"parameters.days 91 is outside of what the notebook takes: 1 to 90"}},
		{`{"route": "ICN-CJU", "mode": "full", "days": 11}`, []string{"parameters breaks the notebook's JSON Schema: "}},
		{`{"route": "ICN-CJU", "mode": "slow"}`, []string{`parameters.mode "slow" is not one of the notebook's choices`}},
		{`{"route": "ICN-CJU", "dayz": 1}`, []string{`parameters.dayz the notebook has no parameter "dayz"; did you mean "days"?`}},
	} {
		problems := problemsOf(t, s, c.values)
		require.Len(t, problems, len(c.want), "%s: %q", c.values, problems)
		for i, want := range c.want {
			require.Contains(t, problems[i], want, c.values)
		}
	}
}

// A schema is the notebook author's promise: one that cannot be read lets nothing through, and says what to mend.
// The recursive ones would exhaust the stack of the server, the wide one its time.
func TestJSONSchemaThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	wide := `{"$defs": {`
	for i := range 30 {
		name, next := string(rune('a'+i%26))+strings.Repeat("x", i/26), string(rune('a'+(i+1)%26))+strings.Repeat("x", (i+1)/26)
		wide += `"` + name + `": {"allOf": [{"$ref": "#/$defs/` + next + `"}, {"$ref": "#/$defs/` + next + `"}]}, `
	}
	wide += `"ex": {}}, "properties": {"n": {"$ref": "#/$defs/a"}}}`
	for _, c := range []struct{ name, schema, why string }{
		{"itself", `{"$ref": "#"}`, "only #/$defs/name is"},
		{"a circle", `{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}`, "refers to itself"},
		{"a hidden circle", `{"$defs": {"a": {"$id": "x", "$defs": {"a": {"$ref": "#/$defs/a"}}}}}`, "$id"},
		{"an escaped name", `{"$defs": {"a/b": {"$ref": "#/$defs/a~1b"}}, "properties": {"n": {"$ref": "#/$defs/a~1b"}}}`, "is not followed"},
		{"an anchor", `{"$defs": {"a": {"$anchor": "a"}}}`, "$anchor is not supported"},
		{"a dynamic reference", `{"$dynamicRef": "#a"}`, "$dynamicRef is not supported"},
		{"elsewhere", `{"$ref": "https://example.com/schema.json"}`, "is not followed"},
		{"nowhere", `{"$ref": "#/$defs/none"}`, "leads nowhere"},
		{"grows", wide, "more than 10000 parts"},
		{"deep", strings.Repeat(`{"not": `, 120) + `{}` + strings.Repeat(`}`, 120), "nested deeper than 100 levels"},
		{"a broken pattern", `{"properties": {"n": {"pattern": "("}}}`, "missing closing )"},
		{"no schema", `{"properties": 3}`, "is not a JSON Schema"},
		{"too large", `{"description": "` + strings.Repeat("x", 70_000) + `"}`, "may have 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ruled(t, "python", "n = 1", c.schema)
			require.Len(t, s.Notes, 1)
			require.Contains(t, s.Notes[0], c.why)
			require.Contains(t, s.Notes[0], "metadata.nes.parameters")
			problems := problemsOf(t, s, `{"n": 2}`)
			require.Len(t, problems, 1)
			require.Contains(t, problems[0], "mend the notebook")
			require.Contains(t, problems[0], c.why)
		})
	}
}

func TestNullIsNoJSONSchema(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", "n = 1", "null")
	require.Nil(t, s.JSONSchema)
	require.Empty(t, problemsOf(t, s, `{"n": 2}`))
}

func FuzzJSONSchema(f *testing.F) {
	f.Add(routeSchema)
	f.Add(`{"$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{}},"properties":{"n":{"$ref":"#/$defs/a"}}}`)
	f.Add(`{"$id":"x","properties":{"n":{"$ref":"#/properties/n"}}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) {
			return
		}
		s := ruled(t, "python", "n = 1", schema)
		if len(s.Notes) > 0 && s.JSONSchema != nil {
			require.NotEmpty(t, problemsOf(t, s, `{"n": 1}`))
		}
		problemsOf(t, s, `{"n": [[1], {"a": null}]}`)
	})
}

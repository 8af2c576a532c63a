package strictjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/strictjson"
)

type inner struct {
	Size  int     `json:"size"`
	Ratio float64 `json:"ratio"`
}

type outer struct {
	Name   string                     `json:"name"`
	On     bool                       `json:"on"`
	Wait   nes.Duration               `json:"wait"`
	Inner  *inner                     `json:"inner"`
	Many   []inner                    `json:"many"`
	Words  []nes.Reason               `json:"words"`
	Labels map[string]string          `json:"labels"`
	Raw    map[string]json.RawMessage `json:"raw"`
	Secret int                        `json:"-"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var got outer
	problems := strictjson.Decode([]byte(` {"name":"\"\\ \u00e9","on":true,"wait":"1m","inner":{"size":1e3,"ratio":1.5},
		"many":[{"size":-2},{}],"words":["A","B"],"labels":{"a":"b","gone":null,"":"empty"},
		"raw":{"n":1.10,"s":"a\"b\\","deep":[{"x":[1, 2 ]}],"null":null}} `), &got)
	require.Empty(t, problems)
	require.Equal(t, "\"\\ é", got.Name)
	require.True(t, got.On)
	require.Equal(t, "1m0s", got.Wait.String())
	require.Equal(t, inner{1000, 1.5}, *got.Inner)
	require.Equal(t, []inner{{Size: -2}, {}}, got.Many)
	require.Equal(t, []nes.Reason{"A", "B"}, got.Words)
	require.Equal(t, map[string]string{"a": "b", "": "empty"}, got.Labels)
	for name, want := range map[string]string{"n": "1.10", "s": `"a\"b\\"`, "deep": `[{"x":[1, 2 ]}]`, "null": "null"} {
		require.Equal(t, want, string(got.Raw[name]))
	}
}

func TestNullIsAbsent(t *testing.T) {
	t.Parallel()
	var got outer
	require.Empty(t, strictjson.Decode([]byte(`{"name":null,"on":null,"wait":null,"inner":null,"many":null,"words":null,"labels":null,"raw":null}`), &got))
	require.Equal(t, outer{}, got)
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for document, want := range map[string][]string{
		``:                               {": is empty: send a JSON object"},
		`null`:                           nil,
		`[1]`:                            {": must be an object, not a list"},
		`{"name":"x"} x`:                 {": is not JSON: line 1, column 14: invalid character 'x' after top-level value"},
		"{\n\"name\": 01}":               {": is not JSON: line 2, column 10: invalid character '1' after object key:value pair"},
		`{"name":"x"`:                    {": is not JSON: line 1, column 11: unexpected end of JSON input"},
		"{\"name\":\"\xc3\"}":            {": is not UTF-8"},
		`{"nam":"x","zzz":1,"Name":"y"}`: {`nam: is no field; did you mean "name"?`, "zzz: is no field", `Name: is no field; did you mean "name"?`},
		`{"Secret":1,"hidden":2,"-":3}`:  {"Secret: is no field", "hidden: is no field", "-: is no field"},
		`{"name":1,"on":"yes","inner":[],"many":{},"labels":"x"}`: {
			"name: must be a string, not a number", "on: must be a boolean, not a string", "inner: must be an object, not a list",
			"many: must be a list, not an object", "labels: must be an object, not a string",
		},
		`{"many":[{"size":1.5},{"sizes":1},"x"],"inner":{"ratio":"1"}}`: {
			"many[0].size: must be a whole number", `many[1].sizes: is no field; did you mean "size"?`,
			"many[2]: must be an object, not a string", "inner.ratio: must be a number, not a string",
		},
		`{"inner":{"size":9007199254740993}}`: {"inner.size: must be a whole number"},
		`{"inner":{"size":1e30}}`:             {"inner.size: must be a whole number"},
		`{"inner":{"ratio":1e999}}`:           {"inner.ratio: is too large a number"},
		`{"wait":"soon"}`:                     {`wait: "soon" is not a duration: write 90s, 15m or 2h`},
		`{"name":"a","name":"b"}`:             {"name: is given twice"},
		`{"raw":{"a":{"b":1,"b":2}}}`:         {"raw.a.b: is given twice"},
		`{"labels":{"a":1},"name":"x","q":`:   {": is not JSON: line 1, column 33: unexpected end of JSON input"},
	} {
		var told []string
		var v outer
		for _, p := range strictjson.Decode([]byte(document), &v) {
			told = append(told, p.Field+": "+p.Message)
		}
		require.Equal(t, want, told, document)
	}
}

func TestHopelessDocumentsEnd(t *testing.T) {
	t.Parallel()
	var v outer
	deep := `{"raw":{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`
	require.Len(t, strictjson.Decode([]byte(deep), &v), 1)
	many := `{` + strings.Repeat(`"q":1,`, 5000) + `"q":1}`
	require.Len(t, strictjson.Decode([]byte(many), &v), 101)
}

// TestDepthIsExact: 200 lists and objects are open at most, whatever stands beside them.
func TestDepthIsExact(t *testing.T) {
	t.Parallel()
	nest := func(n int) string {
		return `{"raw":{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `,"y":[[]]}}`
	}
	var v outer
	require.Empty(t, strictjson.Decode([]byte(nest(198)), &v))
	require.Equal(t, []nes.Problem{{Field: "raw.x" + strings.Repeat("[0]", 198), Message: "is nested deeper than 200"}}, strictjson.Decode([]byte(nest(199)), &v))
}

// TestNamesTwiceAreFoundInEverySpelling: escapes do not hide that a name is the same one.
func TestNamesTwiceAreFoundInEverySpelling(t *testing.T) {
	t.Parallel()
	for document, field := range map[string]string{
		`{"name":"a","n\u0061me":"b"}`: "name", `{"\u006eame":"a","name":"b"}`: "name", `{"name":null,"name":"b"}`: "name", `{"labels":{"":"a","":"b"}}`: "labels.",
		`{"labels":{"a":"1","a":"1"}}`: "labels.a", `{"many":[{},{"size":1,"size":1}]}`: "many[1].size", `{"raw":{"x":[[{"/":1,"\/":2}]]}}`: "raw.x[0][0]./",
	} {
		var v outer
		require.Equal(t, []nes.Problem{{Field: field, Message: "is given twice"}}, strictjson.Decode([]byte(document), &v), document)
	}
}

// TestNumbersOfEverySize: what is accepted as a whole number is that number.
func TestNumbersOfEverySize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 0, "-0": 0, "1.0": 1, "1e3": 1000, "-12.50e1": -125, "9007199254740991": 1<<53 - 1, "-9007199254740991": 1 - 1<<53} {
		var v outer
		require.Empty(t, strictjson.Decode([]byte(`{"inner":{"size":`+text+`}}`), &v), text)
		require.Equal(t, want, v.Inner.Size, text)
	}
	for _, text := range []string{"0.1", "1e-1", "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551616", "1e400", "-1e400"} {
		var v outer
		require.Len(t, strictjson.Decode([]byte(`{"inner":{"size":`+text+`}}`), &v), 1, text)
	}
}

// FuzzDecode holds Decode to encoding/json: it accepts nothing that encoding/json
// refuses, and what it accepts it reads the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"name":"x","raw":{"a":1.0}}`, `{"many":[{"size":3}]}`, `{"labels":{"\u0061":"b"}}`, `{"wait":90}`, `{"inner":{"ratio":-0.0}}`, `{"on":null}`, "\x00", `{"name":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want outer
		if len(strictjson.Decode(data, &got)) > 0 {
			return
		}
		require.NoError(t, json.Unmarshal(data, &want))
		for name, value := range want.Labels {
			if _, null := got.Labels[name]; !null && value == "" {
				delete(want.Labels, name) // null, which encoding/json takes for ""
			}
		}
		require.True(t, reflect.DeepEqual(got, want), "%s\n%#v\n%#v", data, got, want)
	})
}

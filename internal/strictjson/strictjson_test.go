package strictjson_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
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
	exact := `{` + strings.Repeat(`"q":1,`, 99) + `"q":1}`
	require.Len(t, strictjson.Decode([]byte(exact), &v), 100, "with as many as may be told, nothing is left out")
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
	for text, want := range map[string]int{"0": 0, "-0": 0, "1.0": 1, "1e3": 1000, "-12.50e1": -125, "0e-9999999999999999999": 0, "100e-2": 1, "0.00": 0, "1200.0e-2": 12, "0.5e1": 5, "9007199254740991": 1<<53 - 1, "-9007199254740991": 1 - 1<<53} {
		var v outer
		require.Empty(t, strictjson.Decode([]byte(`{"inner":{"size":`+text+`}}`), &v), text)
		require.Equal(t, want, v.Inner.Size, text)
	}
	for _, text := range []string{"0.1", "1e-1", "1e-400", "1.00000000000000000000000001", "1e-9999999999999999999", "105e-1", "-0.1e0", "1.01e1", "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551616", "1e400", "-1e400"} {
		var v outer
		require.Len(t, strictjson.Decode([]byte(`{"inner":{"size":`+text+`}}`), &v), 1, text)
	}
}

// whole is read by encoding/json as Decode reads a whole number: 1e3 and 2.0 are some, which encoding/json alone refuses.
type whole int

func (w *whole) UnmarshalJSON(b []byte) error {
	r, ok := new(big.Rat).SetString(string(b))
	if string(b) == "null" || !ok && json.Valid(b) && (b[0] == '"' || b[0] == 't' || b[0] == 'f') {
		return json.Unmarshal(b, (*int)(w))
	}
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return fmt.Errorf("%s is no whole number", b)
	}
	*w = whole(r.Num().Int64())
	return nil
}

// readInner and readOuter are inner and outer as encoding/json is to read them.
type readInner struct {
	Size  whole   `json:"size"`
	Ratio float64 `json:"ratio"`
}

type readOuter struct {
	Name   string                     `json:"name"`
	On     bool                       `json:"on"`
	Wait   nes.Duration               `json:"wait"`
	Inner  *readInner                 `json:"inner"`
	Many   []readInner                `json:"many"`
	Words  []nes.Reason               `json:"words"`
	Labels map[string]string          `json:"labels"`
	Raw    map[string]json.RawMessage `json:"raw"`
}

func (r readOuter) outer() outer {
	o := outer{Name: r.Name, On: r.On, Wait: r.Wait, Words: r.Words, Labels: r.Labels, Raw: r.Raw}
	if r.Inner != nil {
		o.Inner = &inner{int(r.Inner.Size), r.Inner.Ratio}
	}
	if r.Many != nil {
		o.Many = []inner{}
	}
	for _, i := range r.Many {
		o.Many = append(o.Many, inner{int(i.Size), i.Ratio})
	}
	return o
}

// FuzzDecode holds Decode to encoding/json: but for whole numbers in another spelling, it accepts
// nothing that encoding/json refuses, and what it accepts it reads the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"name":"x","raw":{"a":1.0}}`, `{"many":[{"size":3}]}`, `{"labels":{"\u0061":"b"}}`, `{"wait":90}`, `{"inner":{"ratio":-0.0}}`, `{"on":null}`, "\x00", `{"name":"\ud800"}`,
		`{"inner":{"size":1e3}}`, `{"inner":{"size":2.0,"ratio":1e3}}`, `{"many":[{"size":-12.50e1},{}]}`, `{"inner":{"size":1e-400}}`, `{"inner":{"size":0e400}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got outer
		if len(strictjson.Decode(data, &got)) > 0 {
			return
		}
		var read readOuter
		if regexp.MustCompile(`[eE][+-]?[0-9]{4}`).Match(data) {
			return // which a big.Rat would count out
		}
		require.NoError(t, json.Unmarshal(data, &read))
		want := read.outer()
		for name, value := range want.Labels {
			if _, null := got.Labels[name]; !null && value == "" {
				delete(want.Labels, name) // null, which encoding/json takes for ""
			}
		}
		require.True(t, reflect.DeepEqual(got, want), "%s\n%#v\n%#v", data, got, want)
	})
}

// every kind of JSON value, by the word for it.
var kinds = map[string]string{"a string": `"x"`, "a number": `1`, "a boolean": `true`, "an object": `{}`, "a list": `[]`}

// TestEveryKindInEveryPlace: each field takes its own kind alone, is named when it gets another one, and nothing else is lost by it.
func TestEveryKindInEveryPlace(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"name": "a string", "on": "a boolean", "inner": "an object", "many": "a list", "words": "a list", "labels": "an object", "raw": "an object",
	} {
		for kind, value := range kinds {
			document := `{"` + field + `":` + value + `,"inner":{"ratio":7}}`
			if field == "inner" {
				document = `{"` + field + `":` + value + `}`
			}
			var v outer
			problems := strictjson.Decode([]byte(document), &v)
			if kind == want {
				require.Empty(t, problems, document)
			} else {
				require.Equal(t, []nes.Problem{{Field: field, Message: "must be " + want + ", not " + kind}}, problems, document)
			}
			if field != "inner" {
				require.InDelta(t, 7, v.Inner.Ratio, 0, "what is right is read")
			}
		}
	}
	for path, document := range map[string]string{
		"inner.size": `{"inner":{"size":%s}}`, "inner.ratio": `{"inner":{"ratio":%s}}`, "many[1].size": `{"many":[{},{"size":%s}]}`, "labels.a": `{"labels":{"a":%s}}`, "words[0]": `{"words":[%s]}`,
	} {
		for kind, value := range kinds {
			want := "a number"
			if path == "labels.a" || path == "words[0]" {
				want = "a string"
			}
			var v outer
			problems := strictjson.Decode([]byte(fmt.Sprintf(document, value)), &v)
			if kind == want {
				require.Empty(t, problems, path)
				continue
			}
			require.Equal(t, []nes.Problem{{Field: path, Message: "must be " + want + ", not " + kind}}, problems)
		}
	}
}

// TestRawKeepsEveryByte of any value, whatever stands around it.
func TestRawKeepsEveryByte(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"1", "1.0", "1.10", "-0", "1e5", "1E+05", "12345678901234567890.123456789", `""`, `"a\u00e9é"`, `"\ud800"`, `" , : "`, `"\\"`, `"\""`, "null", "true", "false", "[]", "{}", "[ 1 , 2 ]", `{ "a" : [ {} , null ] }`, "[\n\t1\r\n]", `{"a":"}"}`, `["]"]`,
	} {
		for _, form := range []string{`{"raw":{"x":%s}}`, `{"raw":{"x":  %s  }}`, `{"raw" : {"w":0 ,"x" :%s, "y":"z"}}`, "{\n\"raw\":\n{\"x\":\n%s\n}\n}\n"} {
			var v outer
			document := fmt.Sprintf(form, value)
			require.Empty(t, strictjson.Decode([]byte(document), &v), document)
			if len(value) > 1 && (value[0] == '1' || value[0] == '-') {
				require.Equal(t, json.Number(value), json.Number(v.Raw["x"]), document)
				continue
			}
			require.Equal(t, value, string(v.Raw["x"]), document)
		}
	}
}

// TestWhereItStopsBeingJSON: line and column are counted as an editor counts them.
func TestWhereItStopsBeingJSON(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		"{":                      "line 1, column 1",
		"{}}":                    "line 1, column 3",
		"\n\n{]":                 "line 3, column 2",
		"{\"한글\": x}":            "line 1, column 8",
		"{\r\n  \"name\": nope}": "line 2, column 12",
		"{\"a\": \"\x01\"}":      "line 1, column 8",
		"{\"a\": 1,}":            "line 1, column 9",
		"{'a': 1}":               "line 1, column 2",
		"{\"a\": 1} // comment":  "line 1, column 10",
		"\xef\xbb\xbf{}":         "line 1, column 1",
		"{\"name\": NaN}":        "line 1, column 10",
		"{\"many\": [{}, {},,]}": "line 1, column 18",
		"{\"a\": .5}":            "line 1, column 7",
		"{\"a\": 1 \"b\": 2}":    "line 1, column 9",
	} {
		var v outer
		problems := strictjson.Decode([]byte(document), &v)
		require.Len(t, problems, 1, document)
		require.Empty(t, problems[0].Field)
		require.Contains(t, problems[0].Message, "is not JSON: "+want+":", document)
		require.Equal(t, outer{}, v, "of what is no JSON nothing is read")
	}
	for _, blank := range []string{"", " ", "\n\t\r "} {
		var v outer
		require.Equal(t, []nes.Problem{{Message: "is empty: send a JSON object"}}, strictjson.Decode([]byte(blank), &v))
	}
}

// What was meant is in the message, with its article, for every pair of kinds.
func TestKindsInWords(t *testing.T) {
	t.Parallel()
	type document struct {
		Text   string         `json:"text"`
		Number int            `json:"number"`
		Flag   bool           `json:"flag"`
		List   []string       `json:"list"`
		Object map[string]int `json:"object"`
	}
	given := map[string]string{"a string": `"x"`, "a number": "1", "a boolean": "true", "a list": "[]", "an object": "{}"}
	wanted := map[string]string{"text": "a string", "number": "a number", "flag": "a boolean", "list": "a list", "object": "an object"}
	for field, want := range wanted {
		for kind, text := range given {
			problems := strictjson.Decode([]byte(`{"`+field+`": `+text+`}`), &document{})
			if kind == want {
				require.Empty(t, problems, "%s takes %s", field, kind)
				continue
			}
			require.Equal(t, []nes.Problem{{Field: field, Message: "must be " + want + ", not " + kind}}, problems)
		}
		require.Empty(t, strictjson.Decode([]byte(`{"`+field+`": null}`), &document{}), "null is as left out")
	}
}

// Objects of objects and lists of lists are named by their whole path.
func TestPathsLeadToTheField(t *testing.T) {
	t.Parallel()
	type inner struct {
		N int `json:"n"`
	}
	var v struct {
		A map[string][]inner `json:"a"`
	}
	require.Equal(t, []nes.Problem{{Field: "a.x[1].n", Message: "must be a number, not a string"}, {Field: "a.y", Message: "must be a list, not an object"}},
		strictjson.Decode([]byte(`{"a": {"x": [{"n": 1}, {"n": "2"}], "y": {}}}`), &v))
	require.Equal(t, []inner{{1}, {0}}, v.A["x"], "what is right is there even so")
}

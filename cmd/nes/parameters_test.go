package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// parse reads a command line's parameters as nes run does.
func parse(t testing.TB, args ...string) (map[string]json.RawMessage, error) {
	t.Helper()
	var g given
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	g.flags(f)
	if err := f.Parse(joinPairs(args)); err != nil {
		return nil, err
	}
	return g.values(strings.NewReader("stdin: 1\n"))
}

func TestTyped(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"7": `7`, "-7": `-7`, "0": `0`, "-0": `-0`, "1.50": `1.50`, "1e5": `1e5`, "1E-5": `1E-5`, "123456789012345678901234567890": `123456789012345678901234567890`,
		"True": `true`, "False": `false`, "None": `null`,
		"007": `"007"`, "1_000": `"1_000"`, "+5": `"+5"`, ".5": `".5"`, "5.": `"5."`, " 7": `" 7"`, "7 ": `"7 "`, "nan": `"nan"`, "inf": `"inf"`, "-inf": `"-inf"`, "0x10": `"0x10"`,
		"true": `"true"`, "null": `"null"`, "[1,2]": `"[1,2]"`, "": `""`, "2024-01-31": `"2024-01-31"`, "-": `"-"`, "1-2": `"1-2"`,
		"한글 \"q\"\n<&>": `"한글 \"q\"\n<&>"`,
	} {
		got, err := parse(t, "-p", "x", given)
		require.NoError(t, err, given)
		require.Equal(t, want, string(got["x"]), given)
		got, err = parse(t, "-r", "x", given)
		require.NoError(t, err, given)
		require.Equal(t, string(text(given)), string(got["x"]), given)
	}
}

func TestPairs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-p", "a", "1"}, `{"a":1}`},
		{[]string{"-p", "a=1"}, `{"a":1}`},
		{[]string{"-p", "a=b=c"}, `{"a":"b=c"}`},
		{[]string{"-p", "a", "b=c"}, `{"a":"b=c"}`},
		{[]string{"-p", "a", "-5"}, `{"a":-5}`},
		{[]string{"-p", "a", "-p", "-p", "b", "x"}, `{"a":"-p","b":"x"}`},
		{[]string{"--parameters", "a", "1", "--parameters_raw", "b", "2"}, `{"a":1,"b":"2"}`},
		{[]string{"-p", "a", "1", "-p", "a", "2"}, `{"a":2}`},
		{[]string{"--parameters=a=1"}, `{"a":1}`},
		{[]string{"-p", "a", ""}, `{"a":""}`},
		{nil, `{}`},
	} {
		got, err := parse(t, c.args...)
		require.NoError(t, err, "%v", c.args)
		require.Equal(t, c.want, marshal(t, got), "%v", c.args)
	}
	for _, bad := range [][]string{{"-p", "a"}, {"-p"}, {"-r", "a"}} {
		_, err := parse(t, bad...)
		require.Error(t, err, "%v", bad)
	}
}

func TestFormsInPapermillsOrder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(file, []byte("a: file\nb: file\nc: file\nd: file"), 0o600))
	b64 := base64.StdEncoding.EncodeToString([]byte("a: base\nz: base"))
	got, err := parse(t, "-r", "d", "raw", "-p", "c", "typed", "-p", "d", "typed", "-y", "{b: yaml, c: yaml, d: yaml}", "-f", file, "-b", b64)
	require.NoError(t, err)
	require.Equal(t, `{"a":"file","b":"yaml","c":"typed","d":"raw","z":"base"}`, marshal(t, got))
	got, err = parse(t, "-f", "-")
	require.NoError(t, err)
	require.Equal(t, `{"stdin":1}`, marshal(t, got))
}

func TestYAML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ yaml, want string }{
		{"{a: 1, b: 1.50, c: true, d: null, e: text}", `{"a":1,"b":1.50,"c":true,"d":null,"e":"text"}`},
		{`{"a": [1, {"b": "한글"}], "c": "<&>"}`, `{"a":[1,{"b":"한글"}],"c":"<&>"}`},
		{"a: 2024-01-31\nb: 2024-01-31T10:00:00Z", `{"a":"2024-01-31","b":"2024-01-31T10:00:00Z"}`},
		{"a: 123456789012345678901234567890", `{"a":123456789012345678901234567890}`},
		{"a: 0.1000000000000000055511151231257827", `{"a":0.1000000000000000055511151231257827}`},
		{"a: 007\nb: 0x1F\nc: 0o17\nd: -0x1", `{"a":"007","b":31,"c":15,"d":-1}`},
		{"a: .5\nb: 5.\nc: 1e3", `{"a":0.5,"b":5.0,"c":1e3}`},
		{"a: yes\nb: 'no'\nc: ~", `{"a":"yes","b":"no","c":null}`},
		{"a: |\n  two\n  lines", `{"a":"two\nlines"}`},
		{"base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3", `{"a":{"x":1,"y":3},"base":{"x":1,"y":2}}`},
		{"a: &x [1]\nb: *x", `{"a":[1],"b":[1]}`},
		{"{a: {1: x, true: y}}", `{"a":{"1":"x","true":"y"}}`},
		{"{a: {k: 1, k2: 2}}", `{"a":{"k":1,"k2":2}}`},
		{"", `{}`},
		{"# only a comment", `{}`},
		{"null", `{}`},
	} {
		got, err := parse(t, "-y", c.yaml)
		require.NoError(t, err, c.yaml)
		require.Equal(t, c.want, marshal(t, got), c.yaml)
	}
}

func TestYAMLThatCannotBe(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"[1, 2]": "a mapping of names to values is needed", "text": "a mapping", "{a: .nan}": "line 1: .nan has no form in JSON", "{a: .inf}": "no form in JSON",
		"{a: [}": "not YAML", "a: !!binary aGk=": "binary", "{[1]: 2}": "a name must be text",
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f]": "more than",
	} {
		_, err := parse(t, "-y", given)
		require.ErrorContains(t, err, want, given)
	}
	_, err := parse(t, "-b", "***")
	require.ErrorContains(t, err, "not base64")
	_, err = parse(t, "-f", filepath.Join(t.TempDir(), "no.yaml"))
	require.ErrorContains(t, err, "no such file")
}

func FuzzParameters(f *testing.F) {
	for _, s := range []string{"{a: 1}", "a: &x [*x]", "<<: {a: 1}", "a: .5e1", "? [a]\n: b", "a: 0x_1", "- 1", "a: !!int x", "\xff", "a: 1\na: 2", "<<: *x", "&a a: *a"} {
		f.Add(s, "value")
	}
	f.Add("", "1e5")
	f.Fuzz(func(t *testing.T, yaml, value string) {
		for _, args := range [][]string{{"-y", yaml}, {"-p", "x", value}, {"-p", value}, {"-r", "x", value}} {
			got, err := parse(t, args...)
			if err != nil {
				continue
			}
			for name, v := range got {
				require.True(t, json.Valid(v), "%s: %s", name, v)
			}
		}
	})
}

func marshal(t *testing.T, v map[string]json.RawMessage) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(v))
	return strings.TrimSpace(b.String())
}

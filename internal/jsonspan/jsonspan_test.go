package jsonspan_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/jsonspan"
)

var texts = []struct {
	text  string
	valid bool
	loose bool
}{
	{`{}`, true, false}, {`[]`, true, false}, {` {"a" : [1, -2.5e+10, true,false , null, "x"] } `, true, false}, {`"\u00e9\n"`, true, false},
	{`0`, true, false}, {`-0.0`, true, false}, {`10`, true, false}, {`1e5`, true, false}, {`NaN`, true, true}, {`[-Infinity,Infinity]`, true, true},
	{`"\ud83d\ude00"`, true, true}, {`"\udead"`, true, true}, {`""`, true, false}, {`{"":0}`, true, false}, {"\"\u2028한😀\"", true, false},
	{``, false, false}, {` `, false, false}, {`{`, false, false}, {`{"a"}`, false, false}, {`{"a":}`, false, false}, {`{"a":1,}`, false, false}, {`[1,]`, false, false},
	{`[1 2]`, false, false}, {`01`, false, false}, {`-`, false, false}, {`1.`, false, false}, {`1e`, false, false}, {`.5`, false, false}, {`+1`, false, false}, {`1e+`, false, false},
	{`tru`, false, false}, {`truex`, false, false}, {`nan`, false, false}, {`-NaN`, false, false}, {`"`, false, false}, {`"\x"`, false, false}, {`"\u12g4"`, false, false},
	{"\"\x01\"", false, false}, {"\"\n\"", false, false}, {"\"\xff\"", false, false}, {"\"\xed\xa0\x80\"", false, false}, {"\"\xc3", false, false}, {`[}`, false, false}, {`{]`, false, false},
	{`{} {}`, false, false}, {`]`, false, false}, {`{1:2}`, false, false}, {`[,]`, false, false}, {`{,}`, false, false},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range texts {
		loose, err := jsonspan.Check([]byte(tt.text))
		require.Equal(t, tt.valid, err == nil, "%q: %v", tt.text, err)
		require.Equal(t, tt.loose, loose && err == nil, "%q", tt.text)
		if !tt.loose {
			require.Equal(t, json.Valid([]byte(tt.text)) && utf8.ValidString(tt.text), err == nil, "%q", tt.text)
		}
	}
	require.NoError(t, check(strings.Repeat("[", jsonspan.MaxDepth)+strings.Repeat("]", jsonspan.MaxDepth)))
	require.ErrorIs(t, check(strings.Repeat("[", jsonspan.MaxDepth+1)), jsonspan.ErrDepth)
}

func check(text string) error {
	_, err := jsonspan.Check([]byte(text))
	return err
}

func TestCheckInPieces(t *testing.T) {
	t.Parallel()
	for _, tt := range texts {
		for n := 1; n <= len(tt.text); n++ {
			var c jsonspan.Checker
			for rest := []byte(tt.text); len(rest) > 0; {
				piece := rest[:min(n, len(rest))]
				if _, err := c.Write(piece); err != nil {
					break
				}
				rest = rest[len(piece):]
			}
			require.Equal(t, tt.valid, c.Close() == nil, "%q in pieces of %d", tt.text, n)
		}
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for text, kind := range map[string]byte{` "x"`: '"', `[1]`: '[', `{}`: '{', "-1": '-', "7": '7', "null": 'n', " ": 0} {
		var c jsonspan.Checker
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, string(kind), string(c.Kind()), text)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	text := []byte(` {"a" : "x\"}\\", "b\u0041":[1, {"c":"]"} ,"d" ], "n":-1.5 ,"t":true}`)
	require.NoError(t, check(string(text)))
	got := map[string]string{}
	var list jsonspan.Span
	for key, span := range jsonspan.Fields(text, jsonspan.Span{End: len(text)}) {
		got[string(key)] = string(span.Of(text))
		if span.Of(text)[0] == '[' {
			list = span
		}
	}
	require.Equal(t, map[string]string{"a": `"x\"}\\"`, `b\u0041`: `[1, {"c":"]"} ,"d" ]`, "n": "-1.5", "t": "true"}, got)
	var elements []string
	for span := range jsonspan.Elements(text, list) {
		elements = append(elements, string(span.Of(text)))
	}
	require.Equal(t, []string{"1", `{"c":"]"}`, `"d"`}, elements)
	for range jsonspan.Fields(text, list) {
		t.Fatal("a list has no fields")
	}
	for range jsonspan.Elements([]byte("{}"), jsonspan.Span{End: 2}) {
		t.Fatal("an object has no elements")
	}
	for range jsonspan.Fields(text, jsonspan.Span{End: len(text)}) {
		break
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"a"`: "a", `"a\n\u00e9"`: "a\né", `""`: "", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\ud83d\ude00한\uD83D\uDE00"`: "😀한😀",
		`"\ud83d"`: "\ufffd", `"\ude00\ud83dx"`: "\ufffd\ufffdx", `"\ud83d\n"`: "\ufffd\n", `"\ud83d\ud83d\ude00"`: "\ufffd😀", `"\ud83d\u0041"`: "\ufffdA",
	} {
		got, ok := jsonspan.String([]byte(text), jsonspan.Span{End: len(text)})
		require.True(t, ok)
		require.Equal(t, want, got, text)
	}
	_, ok := jsonspan.String([]byte("12"), jsonspan.Span{End: 2})
	require.False(t, ok)
}

func TestText(t *testing.T) {
	t.Parallel()
	for n := range 12_000 / 7 {
		long, short := strings.Repeat("한", n*7), strings.Repeat(`한\n`, n)
		inner := []byte(short + long + `\u00e9` + short)
		var got strings.Builder
		for piece := range jsonspan.Text(inner) {
			require.NotEmpty(t, piece)
			require.True(t, utf8.Valid(piece), "a piece holds whole characters")
			got.Write(piece)
		}
		require.True(t, got.String() == strings.ReplaceAll(string(inner[:len(short)]), `\n`, "\n")+long+"é"+strings.ReplaceAll(short, `\n`, "\n"), n)
	}
	for range jsonspan.Text([]byte(strings.Repeat(`a\n`, 10_000))) {
		break
	}
}

func TestMend(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`[NaN, -Infinity,Infinity,-1,"NaN -Infinity"]`: `[null, null,null,-1,"NaN -Infinity"]`,
		`"\ud83d\ude00 \ud83d \ude00\ud83d\n\\ud83d"`:  `"\ud83d\ude00 \ufffd \ufffd\ufffd\n\\ud83d"`,
		`{"\ude00":"\ud83d"}`:                          `{"\ufffd":"\ufffd"}`,
		`"\u00e9\"\/"`:                                 `"\u00e9\"\/"`,
	}
	for text, want := range tests {
		require.Equal(t, want, string(jsonspan.Mend([]byte(text))))
		for n := 1; n < len(text); n++ {
			var b bytes.Buffer
			m := jsonspan.NewMender(&b)
			for rest := text; rest != ""; rest = rest[min(n, len(rest)):] {
				_, err := m.Write([]byte(rest[:min(n, len(rest))]))
				require.NoError(t, err)
			}
			require.NoError(t, m.Close())
			require.Equal(t, want, b.String(), "in pieces of %d", n)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, tt := range texts {
		f.Add([]byte(tt.text), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, split int) {
		loose, err := jsonspan.Check(text)
		var c jsonspan.Checker
		at := min(max(split, 0), len(text))
		if _, werr := c.Write(text[:at]); werr == nil {
			_, _ = c.Write(text[at:])
		}
		require.Equal(t, err == nil, c.Close() == nil)
		if err != nil {
			return
		}
		mended := text
		if loose {
			mended = jsonspan.Mend(text)
		}
		require.True(t, json.Valid(mended), "%q", mended)
		again, err := jsonspan.Check(mended)
		require.NoError(t, err)
		require.Equal(t, string(mended), string(jsonspan.Mend(mended)), "mended twice, %t", again)
		whole := jsonspan.Span{End: len(text)}
		for key, span := range jsonspan.Fields(text, whole) {
			require.NoError(t, check(`"`+string(key)+`"`))
			require.NoError(t, check(string(span.Of(text))))
			requireString(t, text, span)
		}
		for span := range jsonspan.Elements(text, whole) {
			require.NoError(t, check(string(span.Of(text))))
		}
	})
}

// requireString holds our decoder to the standard library's.
func requireString(t *testing.T, text []byte, span jsonspan.Span) {
	t.Helper()
	got, ok := jsonspan.String(text, span)
	var want string
	require.Equal(t, span.Of(text)[0] == '"', ok)
	if ok {
		require.NoError(t, json.Unmarshal(span.Of(text), &want))
		require.Equal(t, want, got)
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, text := range map[string]string{
		"string": `"` + strings.Repeat("iVBORw0KGgo", 100_000) + `"`,
		"floats": "[" + strings.Repeat("0.123456789,", 100_000) + "1]",
		"lines":  `"` + strings.Repeat(`a line of output\n`, 60_000) + `"`,
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(text)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := jsonspan.Check(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

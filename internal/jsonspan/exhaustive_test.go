package jsonspan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/jsonspan"
)

// words calls f with every text of up to n symbols.
func words(symbols []string, n int, f func(text string)) {
	f("")
	if n == 0 {
		return
	}
	var extend func(prefix string, left int)
	extend = func(prefix string, left int) {
		for _, s := range symbols {
			f(prefix + s)
			if left > 1 {
				extend(prefix+s, left-1)
			}
		}
	}
	extend("", n)
}

// requireJudged holds the verdict on a strict text to the standard library's, whole and cut in two anywhere. It uses no
// require where all is well, because it is called very often.
func requireJudged(t *testing.T, text string) {
	t.Helper()
	raw := []byte(text)
	want := json.Valid(raw) && utf8.Valid(raw)
	if loose, err := jsonspan.Check(raw); loose || (err == nil) != want {
		require.Failf(t, "judged wrongly", "%q: loose %t, error %v, the standard library takes it: %t", text, loose, err, want)
	}
	for cut := 1; cut < len(raw); cut++ {
		var c jsonspan.Checker
		_, err := c.Write(raw[:cut])
		if err == nil {
			_, err = c.Write(raw[cut:])
		}
		if err == nil {
			err = c.Close()
		}
		if (err == nil) != want {
			require.Failf(t, "judged wrongly", "%q cut at %d: error %v, the standard library takes it: %t", text, cut, err, want)
		}
	}
}

// TestEveryShortNumber of these characters is judged as the standard library does, alone and within a list.
func TestEveryShortNumber(t *testing.T) {
	t.Parallel()
	count := 0
	words(strings.Split("-+.eE019", ""), 5, func(text string) {
		requireJudged(t, text)
		requireJudged(t, "["+text+"]")
		count++
	})
	require.Equal(t, 1+8+64+512+4096+32768, count)
}

// TestEveryShortStructure: brackets, commas, colons, strings and numbers in every order.
func TestEveryShortStructure(t *testing.T) {
	t.Parallel()
	accepted := 0
	words([]string{"{", "}", "[", "]", ",", ":", `""`, "1", " "}, 5, func(text string) {
		requireJudged(t, text)
		if check(text) == nil {
			accepted++
		}
	})
	require.Greater(t, accepted, 100)
	words([]string{"{", "}", `"a":`, "1", ",", "[]"}, 6, func(text string) { requireJudged(t, text) })
}

// TestEveryWordButTheThree that JSON has, and the two that Python lets in, is refused: cut short, too long, in other letters.
func TestEveryWordButTheThree(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"true", "false", "null"} {
		require.NoError(t, check(word))
		for n := range len(word) {
			requireJudged(t, word[:n])
			requireJudged(t, word[:n]+word[n+1:])
			for b := range 128 {
				requireJudged(t, word[:n]+string(rune(b))+word[n+1:])
				requireJudged(t, word[:n]+string(rune(b))+word[n:])
			}
		}
		requireJudged(t, word+word)
	}
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		loose, err := jsonspan.Check([]byte(word))
		require.NoError(t, err)
		require.True(t, loose)
		for n := range len(word) {
			for _, b := range []string{"", "a", "N", "n", "I", " ", "-"} {
				text := word[:n] + b + word[n+1:]
				loose, err := jsonspan.Check([]byte(text))
				bare := strings.TrimSpace(text)
				want := bare == word || bare == "Infinity" || bare == "NaN"
				require.Equal(t, want || json.Valid([]byte(text)), err == nil, text)
				require.Equal(t, want, loose && err == nil, text)
			}
		}
	}
	for _, text := range []string{"+Infinity", "--Infinity", "-NaN", "Infinity1", "NaN.0", "-Infinit", "INFINITY", "[NaN NaN]", "{NaN:1}", "[-]", "[- 1]"} {
		require.ErrorIs(t, check(text), jsonspan.ErrSyntax, text)
	}
}

// TestEveryCodeUnit as an escape, in small and in large digits: read, judged and mended as it has to be.
func TestEveryCodeUnit(t *testing.T) {
	t.Parallel()
	for unit := range 1 << 16 {
		for _, format := range []string{`"\u%04x"`, `"\u%04X"`} {
			text := []byte(fmt.Sprintf(format, unit))
			half := unit >= 0xD800 && unit < 0xE000
			loose, err := jsonspan.Check(text)
			if err != nil || loose != half {
				require.Failf(t, "judged wrongly", "%s: loose %t, error %v", text, loose, err)
			}
			want, mended := string(rune(unit)), string(text)
			if half {
				want, mended = "\ufffd", `"\ufffd"`
			}
			if got, ok := jsonspan.String(text, jsonspan.Span{End: len(text)}); !ok || got != want {
				require.Failf(t, "read wrongly", "%s: %q", text, got)
			}
			if got := string(jsonspan.Mend(text)); got != mended {
				require.Failf(t, "mended wrongly", "%s: %s", text, got)
			}
		}
	}
}

// TestEveryEscape: a backslash before any byte, and digits of \u that are none.
func TestEveryEscape(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		requireJudged(t, `"\`+string([]byte{byte(b)})+`"`)
		requireJudged(t, `"\`+string([]byte{byte(b)})+`0041"`)
		for place := range 4 {
			digits := []byte("0041")
			digits[place] = byte(b)
			requireJudged(t, `"\u`+string(digits)+`"`)
		}
	}
	for n := range 5 {
		requireJudged(t, `"\u`+strings.Repeat("0", n)+`"`)
		requireJudged(t, `"\u`+strings.Repeat("0", n))
	}
}

// TestRunesCutAnywhere: encodings that are good, cut short, too long, surrogates, and beyond Unicode.
func TestRunesCutAnywhere(t *testing.T) {
	t.Parallel()
	edges := []string{"\x00", "\x7f", "\x80", "\x8f", "\x90", "\x9f", "\xa0", "\xbf", "\xc0", "\xc1", "\xc2", "\xdf", "\xe0", "\xe1", "\xed", "\xef", "\xf0", "\xf4", "\xf5", "\xff", "a"}
	words(edges, 3, func(text string) {
		if !strings.ContainsAny(text, "\x00") {
			requireJudged(t, `"`+text+`"`)
		}
	})
	for _, text := range []string{"\U00010000", "\U0010FFFF", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xed\x9f\xbf", "\xed\xa0\x80", "\xef\xbf\xbf", "\xf0\x90\x80", "\ufeff", "한😀é"} {
		requireJudged(t, `"`+text+`"`)
		requireJudged(t, `"`+text+text+`"`)
		requireJudged(t, text)
	}
}

// TestWhiteSpaceIsJSONs alone: what Unicode calls a space is none.
func TestWhiteSpaceIsJSONs(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		s := string([]byte{byte(b)})
		for _, text := range []string{s + "1", "1" + s, "[" + s + "]", "[1" + s + ",2]", "{" + s + "}", `{"a"` + s + `:1}`, `{"a":` + s + `1}`, "1" + s + "1", "tr" + s + "ue"} {
			requireJudged(t, text)
		}
	}
	for _, s := range []string{"\u00a0", "\u2028", "\u3000", "\ufeff", "\u0085", "\v", "\f"} {
		require.Error(t, check(s+"1"))
		require.Error(t, check("1"+s))
	}
}

// TestTheKindIsOfTheFirstValue, known from its first byte on, and kept.
func TestTheKindIsOfTheFirstValue(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"a"`, `[{"a":1}]`, `{"a":[]}`, `-1`, `0`, `7`, `true`, `false`, `null`, `NaN`, `Infinity`} {
		var c jsonspan.Checker
		for i := range len(text) {
			_, err := c.Write([]byte(text[i : i+1]))
			require.NoError(t, err)
			require.Equal(t, text[0], c.Kind(), text)
		}
		require.NoError(t, c.Close())
		require.Equal(t, text[0] == 'N' || text[0] == 'I', c.Loose())
	}
	var c jsonspan.Checker
	_, err := c.Write([]byte(" \n]"))
	require.Error(t, err)
	require.False(t, c.Loose())
}

// TestWalksStopWhereTheyAreTold, see their own span alone, and take what is no container for empty.
func TestWalksStopWhereTheyAreTold(t *testing.T) {
	t.Parallel()
	text := []byte(` { "a" : {"x":1,"y":[2,3]} , "b":[ ] , "c":"}" } `)
	require.NoError(t, check(string(text)))
	var spans []jsonspan.Span
	var keys []string
	for key, span := range jsonspan.Fields(text, jsonspan.Span{End: len(text)}) {
		keys, spans = append(keys, string(key)), append(spans, span)
	}
	require.Equal(t, []string{"a", "b", "c"}, keys)
	for stop := 1; stop <= 3; stop++ {
		var seen []string
		for key := range jsonspan.Fields(text, jsonspan.Span{End: len(text)}) {
			if seen = append(seen, string(key)); len(seen) == stop {
				break
			}
		}
		require.Equal(t, keys[:stop], seen)
	}
	var inner []string
	for key := range jsonspan.Fields(text, spans[0]) {
		inner = append(inner, string(key))
	}
	require.Equal(t, []string{"x", "y"}, inner, "not what follows the object")
	list := []byte(` [ 1 ,[2], "]" ,{} ] `)
	for stop := 1; stop <= 4; stop++ {
		var seen []string
		for span := range jsonspan.Elements(list, jsonspan.Span{End: len(list)}) {
			if seen = append(seen, string(span.Of(list))); len(seen) == stop {
				break
			}
		}
		require.Equal(t, []string{"1", "[2]", `"]"`, "{}"}[:stop], seen)
	}
	for _, none := range []string{``, ` `, `1`, `"{}"`, `"[]"`, `null`, `{}`, `[]`, `{ }`, `[ ]`, `true`} {
		at := jsonspan.Span{End: len(none)}
		require.Empty(t, slices.Collect(jsonspan.Elements([]byte(none), at)), none)
		for range jsonspan.Fields([]byte(none), at) {
			require.Fail(t, "a field of what has none", none)
		}
	}
	require.Zero(t, jsonspan.Span{}.Len())
	require.Empty(t, jsonspan.Span{Start: 3, End: 3}.Of(text))
}

// TestStringsThatAreNone are no strings, and what looks like the end of one within is not.
func TestStringsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`1`, `[]`, `{}`, `null`, ``, `"`, `["a"]`} {
		got, ok := jsonspan.String([]byte(text), jsonspan.Span{End: len(text)})
		require.False(t, ok, text)
		require.Empty(t, got)
	}
	for n := range 8 { // backslashes before a quote
		inner := strings.Repeat(`\\`, n) + `\"`
		text := []byte(`["` + inner + `","` + strings.Repeat(`\\`, n) + `"]`)
		require.NoError(t, check(string(text)))
		var got []string
		for span := range jsonspan.Elements(text, jsonspan.Span{End: len(text)}) {
			s, ok := jsonspan.String(text, span)
			require.True(t, ok)
			got = append(got, s)
		}
		require.Equal(t, []string{strings.Repeat(`\`, n) + `"`, strings.Repeat(`\`, n)}, got)
	}
}

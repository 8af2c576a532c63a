package jsonspan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/jsonspan"
)

// author writes JSON documents in every spelling that the grammar allows, the same ones every time.
type author struct{ *rand.Rand }

func newAuthor(seed uint64) author { return author{rand.New(rand.NewPCG(seed, 7))} }

func (a author) one(of ...string) string { return of[a.IntN(len(of))] }

func (a author) space() string { return a.one("", "", "", " ", "\n", "\t\r ") }

func (a author) document(depth int) string { return a.space() + a.value(depth) + a.space() }

func (a author) value(depth int) string {
	switch n := a.IntN(8); {
	case depth > 0 && n < 2:
		return "[" + a.members(func() string { return a.document(depth - 1) }) + "]"
	case depth > 0 && n < 4:
		return "{" + a.members(func() string { return a.space() + a.text() + a.space() + ":" + a.document(depth-1) }) + "}"
	case n < 5:
		return a.one("true", "false", "null")
	case n < 6:
		return a.one("", "-") + a.one("0", "7", "10", "1234567890") + a.one("", ".0", ".50", ".123456789012") + a.one("", "", "e1", "E-2", "e+00")
	}
	return a.text()
}

func (a author) members(one func() string) string {
	list := make([]string, a.IntN(5))
	if len(list) == 0 {
		return a.space()
	}
	for i := range list {
		list[i] = one()
	}
	return strings.Join(list, ",")
}

// text has words of the size of the checker's steps, and everything near them that ends a step.
func (a author) text() string {
	var b strings.Builder
	for range a.IntN(6) {
		b.WriteString(strings.Repeat("x", a.IntN(10)))
		b.WriteString(a.one("", " ", "한", "é", "😀", "\u2028", "\x7f", `\n`, `\\`, `\"`, `\/`, `\u00e9`, `\u0000`, `\uFFFF`, `[`, `]`, `{`, `}`, `,`, `:`))
	}
	return `"` + b.String() + `"`
}

// requireWalk holds the walk through a document to what encoding/json makes of it.
func requireWalk(t *testing.T, text []byte, at jsonspan.Span, want any) {
	t.Helper()
	raw := at.Of(text)
	require.Equal(t, string(bytes.TrimSpace(raw)), string(raw), "a span has no space around it")
	require.Equal(t, len(raw), at.Len())
	switch want := want.(type) {
	case map[string]any:
		last := map[string]jsonspan.Span{} // of a key that comes twice the last counts
		for key, span := range jsonspan.Fields(text, at) {
			name, ok := jsonspan.String([]byte(`"`+string(key)+`"`), jsonspan.Span{End: len(key) + 2})
			require.True(t, ok)
			last[name] = span
		}
		require.Len(t, last, len(want))
		for name, span := range last {
			requireWalk(t, text, span, want[name])
		}
	case []any:
		i := 0
		for span := range jsonspan.Elements(text, at) {
			requireWalk(t, text, span, want[i])
			i++
		}
		require.Equal(t, len(want), i)
	case string:
		got, ok := jsonspan.String(text, at)
		require.True(t, ok)
		require.Equal(t, want, got)
	default:
		var got any
		require.NoError(t, json.Unmarshal(raw, &got))
		require.Equal(t, want, got)
	}
}

func TestRandomDocumentsAreReadAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		text := []byte(newAuthor(seed).document(4))
		loose, err := jsonspan.Check(text)
		require.NoError(t, err, "%s", text)
		require.False(t, loose)
		require.Equal(t, string(text), string(jsonspan.Mend(text)), "nothing needs mending")
		var want any
		require.NoError(t, json.Unmarshal(text, &want))
		start := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
		requireWalk(t, text, jsonspan.Span{Start: start, End: len(bytes.TrimRight(text, " \t\r\n"))}, want)
	}
}

// TestSpoiltDocumentsAreJudgedAsTheStandardLibraryDoes changes, drops and doubles single bytes.
func TestSpoiltDocumentsAreJudgedAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	refused := 0
	for seed := range uint64(300) {
		a := newAuthor(seed)
		whole := a.document(3)
		for range 20 {
			at := a.IntN(len(whole))
			put := a.one("", whole[at:at+1]+whole[at:at+1], "\"", "\\", "\x00", "\x1f", "\x20", "\xff", "\x80", "\xc0\x80", ",", ":", "0", "-", ".", "e", "]", "}", "[", "u", "/", "n", "\u00a0", "\v")
			text := []byte(whole[:at] + put + whole[at+1:])
			loose, err := jsonspan.Check(text)
			want := json.Valid(text) && utf8.Valid(text)
			require.Equal(t, want, err == nil && !loose || loose && want, "%q: %v", text, err)
			require.Equal(t, err == nil, inPieces(text, a) == nil, "%q", text)
			if err != nil {
				refused++
			}
		}
	}
	require.Greater(t, refused, 1000, "many are spoilt for good")
}

// inPieces checks a text cut at random.
func inPieces(text []byte, a author) error {
	var c jsonspan.Checker
	for len(text) > 0 {
		n := 1 + a.IntN(min(len(text), 9))
		if _, err := c.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return c.Close()
}

// TestEveryByteAtEveryPlaceOfAWord puts every byte everywhere into a string, because the checker takes eight at a time.
func TestEveryByteAtEveryPlaceOfAWord(t *testing.T) {
	t.Parallel()
	for place := range 20 * 3 {
		fill := []string{"x", " ", "0"}[place%3]
		for b := range 256 {
			inner := bytes.Repeat([]byte(fill), 20)
			inner[place/3] = byte(b)
			for _, rest := range []string{`"`, `n"`, `":1}`} {
				text := append(append([]byte(`"`), inner...), rest...)
				_, err := jsonspan.Check(text)
				require.Equal(t, json.Valid(text) && utf8.Valid(text), err == nil, "%q", text)
			}
		}
	}
}

func TestACheckerStaysBroken(t *testing.T) {
	t.Parallel()
	var c jsonspan.Checker
	_, err := c.Write([]byte(`[1}`))
	require.ErrorIs(t, err, jsonspan.ErrSyntax)
	n, err := c.Write([]byte(`]`))
	require.Zero(t, n)
	require.ErrorIs(t, err, jsonspan.ErrSyntax)
	require.ErrorIs(t, c.Close(), jsonspan.ErrSyntax)
	for text, want := range map[string]error{"\"\xe2\x82": jsonspan.ErrEncoding, "\"\xe2\x82\"": jsonspan.ErrEncoding, "": jsonspan.ErrSyntax, "[": jsonspan.ErrSyntax, "[1": jsonspan.ErrSyntax, "{\"a\"": jsonspan.ErrSyntax} {
		require.ErrorIs(t, check(text), want, "%q", text)
	}
}

func TestDepthCountsWhatIsOpen(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{"[]", `{"a":}`} {
		open, end := pair[:len(pair)-1], pair[len(pair)-1:]
		nest := func(n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
		require.NoError(t, check(nest(jsonspan.MaxDepth)))
		require.ErrorIs(t, check(nest(jsonspan.MaxDepth+1)), jsonspan.ErrDepth)
		side := "[" + strings.TrimSuffix(strings.Repeat(nest(jsonspan.MaxDepth-1)+",", 5), ",") + "]"
		require.NoError(t, check(side), "neighbours do not add up")
	}
}

// TestHalvesOfPairsAreMended compares every order of surrogate escapes with the standard library's reading of them.
func TestHalvesOfPairsAreMended(t *testing.T) {
	t.Parallel()
	parts := []string{`\ud83d`, `\ude00`, `\uDFFF`, `\u00e9`, `\\`, `\n`, `x`}
	for i := range 7 * 7 * 7 * 7 {
		text := []byte(fmt.Sprintf(`"%s%s%s%s"`, parts[i%7], parts[i/7%7], parts[i/49%7], parts[i/343]))
		var want, mended string
		require.NoError(t, json.Unmarshal(text, &want))
		got, ok := jsonspan.String(text, jsonspan.Span{End: len(text)})
		require.True(t, ok)
		require.Equal(t, want, got, "%s", text)
		require.NoError(t, json.Unmarshal(jsonspan.Mend(text), &mended))
		require.Equal(t, want, mended, "%s", text)
		loose, err := jsonspan.Check(text)
		require.NoError(t, err)
		require.Equal(t, strings.ContainsAny(strings.ReplaceAll(string(text), "u00e9", ""), "dD"), loose, "%s", text)
	}
}

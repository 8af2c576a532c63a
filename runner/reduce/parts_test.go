package reduce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// TestLinesAreCutWhereTheyEnd, with their places, whatever the pieces: a property against a plain split.
func TestLinesAreCutWhereTheyEnd(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var text []byte
		for range rng.IntN(30) {
			text = append(text, strings.Repeat("x", rng.IntN(9))...)
			text = append(text, '\n')
		}
		text = append(text, strings.Repeat("y", rng.IntN(5))...)
		type found struct {
			at   int64
			line string
		}
		var want, got []found
		at := int64(0)
		for line := range bytes.Lines(text) {
			if whole, ok := bytes.CutSuffix(line, []byte("\n")); ok {
				want = append(want, found{at, string(whole)})
			}
			at += int64(len(line))
		}
		var l lines
		for rest := text; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 20))
			require.Zero(t, l.feed(rest[:n], func(at int64, text []byte) { got = append(got, found{at, string(text)}) }))
			rest = rest[n:]
		}
		require.Equal(t, want, got)
		require.EqualValues(t, len(text), l.end)
	}
}

// TestTheLongestLineIsTaken, and one byte more is not, however it comes; the next one is read again.
func TestTheLongestLineIsTaken(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), journal.MaxLine)
	for _, over := range []int{0, 1} {
		for _, first := range []int{journal.MaxLine + over, journal.MaxLine, 1, journal.MaxLine / 2} {
			text := append(bytes.Repeat([]byte("x"), over), long...)
			text = append(text, "\nnext\n"...)
			var l lines
			var sizes []int
			dropped := 0
			for _, piece := range [][]byte{text[:first], text[first:]} {
				dropped += l.feed(piece, func(at int64, text []byte) {
					sizes = append(sizes, len(text))
					if len(text) == 4 {
						require.EqualValues(t, len(long)+over+1, at)
					}
				})
			}
			require.Equal(t, over, dropped, first)
			require.Equal(t, map[int][]int{0: {journal.MaxLine, 4}, 1: {4}}[over], sizes, first)
			require.LessOrEqual(t, cap(l.pending), keepBuffer, "the buffer of a long line is given back")
		}
	}
}

// TestPiecesOfAStreamAreUnpackedAsTheyWerePacked, far apart, backwards and empty ones too.
func TestPiecesOfAStreamAreUnpackedAsTheyWerePacked(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		var s stream
		var want []place
		for range rng.IntN(20) {
			p := place{rng.Int64N(1 << rng.IntN(40)), rng.Int64N(1 << rng.IntN(24))}
			want = append(want, p)
			s.add(p)
		}
		var got []place
		for i, p := range s.all() {
			require.Equal(t, len(got), i)
			got = append(got, p)
		}
		require.Equal(t, want, got)
		require.Equal(t, len(want), s.pieces)
		for stop := 1; stop <= len(want); stop++ {
			n := 0
			for range s.all() {
				if n++; n == stop {
					break
				}
			}
			require.Equal(t, stop, n)
		}
	}
}

// TestMarksOfOneStreamAreBounded, and their sum stays true.
func TestMarksOfOneStreamAreBounded(t *testing.T) {
	t.Parallel()
	var s stream
	for range maxCuts + 50 {
		s.cut(journal.Cut{Bytes: 2, File: strings.Repeat("f", 1000)})
	}
	require.Len(t, s.cuts, maxCuts)
	total := int64(0)
	for _, c := range s.cuts {
		total += c.Bytes
		require.Len(t, c.File, maxLabel)
	}
	require.EqualValues(t, 2*(maxCuts+50), total)
}

func TestTimesAreWrittenAsPythonWritesThem(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{
		0: "1970-01-01T00:00:00+00:00", 1.5: "1970-01-01T00:00:01.500000+00:00", 1700000000.000001: "2023-11-14T22:13:20.000001+00:00",
		1700000000.9999999: "2023-11-14T22:13:21+00:00", maxTime: "9999-12-31T23:59:59+00:00", 0.0000004: "1970-01-01T00:00:00+00:00",
	} {
		require.Equal(t, want, isoTime(timeOf(seconds)), seconds)
	}
	require.Equal(t, "2023-11-14T22:13:20.500000Z", zTime(1700000000.5))
	require.Equal(t, "2023-11-14T22:13:20.000000Z", zTime(1700000000))
	for f, want := range map[micro]string{0: "0.0", 1: "1.0", 0.5: "0.5", 0.0000004: "0.0", 0.1234567: "0.123457", 1e7: "10000000.0", 59.75: "59.75", 1e-6: "0.000001"} {
		raw, err := json.Marshal(f)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
	for _, f := range []float64{-1, -0.001, math.Inf(1), math.Inf(-1), math.NaN(), maxTime + 1, math.MaxFloat64} {
		require.Zero(t, seconds(f), f)
	}
	require.Equal(t, float64(maxTime), seconds(maxTime))
	raw, err := json.Marshal(timeOf(maxTime))
	require.NoError(t, err, "the latest time that is let in can be written")
	require.Contains(t, string(raw), "9999")
	require.Equal(t, time.UTC, timeOf(5).Location())
}

func TestShortTextIsCutBetweenCharactersAndCopied(t *testing.T) {
	t.Parallel()
	text := "한글abc"
	for n := range len(text) + 3 {
		got := short(text, n)
		require.True(t, strings.HasPrefix(text, got))
		require.LessOrEqual(t, len(got), n)
		require.Greater(t, len(got), min(n, len(text))-utf8.UTFMax+1)
		require.True(t, utf8.ValidString(got))
	}
	require.Equal(t, strings.Repeat("x", maxLogged), shorten(strings.Repeat("x", maxLogged)))
	require.Equal(t, strings.Repeat("x", maxLogged)+"... (4097 bytes)", shorten(strings.Repeat("x", maxLogged+1)))
	require.Equal(t, "a b", oneLine("a\nb\x1b[0m\n"))
}

// TestWhatAValueIsTakenFor: names of streams, truth of clear_output's wait, MIME types that hold anything.
func TestWhatAValueIsTakenFor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "stdout", "stdout": "stdout", "stderr": "stderr", "log": "log", strings.Repeat("한", 200): strings.Repeat("한", 85), strings.Repeat("x", 300): strings.Repeat("x", maxID)} {
		require.Equal(t, want, streamName(name))
	}
	for raw, want := range map[string]bool{
		"": false, "null": false, "false": false, "0": false, "0.0": false, `""`: false, "[]": false, "{}": false,
		"true": true, "1": true, "0.1": true, `"x"`: true, "[0]": true, `{"a":1}`: true, `"false"`: true,
	} {
		require.Equal(t, want, truthy([]byte(raw)), raw)
	}
	for mime, want := range map[string]bool{
		"application/json": true, "application/vnd.plotly.v1+json": true, "application/+json": true, "text/plain": false, "image/svg+xml": false, "text/x+json": false, "application/jsonx": false, "application/json ": false,
	} {
		require.Equal(t, want, isJSON(mime), mime)
	}
	for value, want := range map[string]string{`"why"`: "why", `5`: "5", `{"a":1}`: `{"a":1}`, `null`: "", ``: "", `"` + strings.Repeat("x", maxText+5) + `"`: strings.Repeat("x", maxText)} {
		require.Equal(t, want, *reason(json.RawMessage(value)), "%.20s", value)
	}
}

// TestAPutKeepsToItsRoom: by bytes of names and values together, and by number; a value that is replaced gives its room back.
func TestAPutKeepsToItsRoom(t *testing.T) {
	t.Parallel()
	in := map[string]json.RawMessage{}
	value := func(n int) json.RawMessage { return json.RawMessage(strings.Repeat("1", n)) }
	require.False(t, put(in, "a", nil), "no value is none")
	require.True(t, put(in, "a", value(maxWord-1)))
	require.False(t, put(in, "b", value(1)))
	require.True(t, put(in, "a", value(maxWord-1)), "again")
	require.False(t, put(in, "a", value(maxWord)))
	require.Len(t, in["a"], maxWord-1, "what was refused changed nothing")
	require.True(t, put(in, "a", value(maxWord-3)))
	require.True(t, put(in, "b", value(1)))
	in = map[string]json.RawMessage{}
	for i := range 1000 {
		require.True(t, put(in, fmt.Sprint(i), value(1)))
	}
	require.False(t, put(in, "more", value(1)))
	require.True(t, put(in, "7", value(2)))
}

// TestTheEndOfATracebackIsKept: it says most.
func TestTheEndOfATracebackIsKept(t *testing.T) {
	t.Parallel()
	part := func(n int) string { return strings.Repeat("t", n) }
	for name, tt := range map[string]struct{ trace, want []string }{
		"none":                {nil, nil},
		"short":               {[]string{"a", "b"}, []string{"a", "b"}},
		"just fits":           {[]string{part(maxTrace - 1), "b"}, []string{part(maxTrace - 1), "b"}},
		"one byte too many":   {[]string{part(maxTrace), "b"}, []string{"...", "b"}},
		"the last is all":     {[]string{"a", part(maxTrace)}, []string{"...", part(maxTrace)}},
		"the last is cut":     {[]string{"a", part(maxTrace + 9)}, []string{"...", part(maxTrace)}},
		"empty ones are free": {[]string{"", "", part(maxTrace)}, []string{"", "", part(maxTrace)}},
	} {
		e := cellError(3, &journal.Error{Name: "E", Value: part(maxText + 1), Traceback: tt.trace})
		require.Equal(t, tt.want, e.Traceback, name)
		require.Equal(t, 3, e.Cell)
		require.Len(t, e.Value, maxText)
	}
	require.Empty(t, cellError(0, nil).Name, "a cell that says it failed, and not how")
}

// TestFieldsOfOtherTypesAreNone: a line is read as far as it makes sense.
func TestFieldsOfOtherTypesAreNone(t *testing.T) {
	t.Parallel()
	r, ok := read(7, []byte(`{"v":1,"k":"msg","cell":"0","t":"x","type":5,"content":null,"blobs":[],"buffers":{},"cut":7,"unknown":{"k":"exit"}}`))
	require.True(t, ok)
	require.Equal(t, -1, r.cell)
	require.Zero(t, r.t)
	require.Empty(t, r.typ)
	require.Equal(t, byte('n'), r.kindOf(r.content))
	require.Nil(t, r.cutOut())
	require.Zero(t, r.fieldOf(r.content, "x").Len())
	for _, text := range []string{`{"k":"msg"}`, `{"v":1}`, `{"v":1.0,"k":"msg"}`, `{"v":"1","k":"msg"}`, `{"v":1,"k":5}`, `{"v":1,"k":""}`, `{"V":1,"K":"msg"}`, `[1]`, `7`} {
		_, ok := read(0, []byte(text))
		require.False(t, ok, text)
	}
	for raw, want := range map[string]float64{"0": 0, "1.5": 1.5, "-1": 0, "1e300": 0, "253402300799": maxTime, "253402300800": 0, "NaN": 0, "Infinity": 0, `"5"`: 0, "null": 0} {
		r, _ := read(0, []byte(`{"v":1,"k":"msg","t":`+raw+`}`))
		require.Equal(t, want, r.t, raw)
	}
	r, ok = read(0, []byte(`{"v":1,"k":"msg","cell":3,"cell":4,"k":"log"}`))
	require.True(t, ok)
	require.Equal(t, 4, r.cell, "of several the last")
	require.Equal(t, "log", r.kind)
}

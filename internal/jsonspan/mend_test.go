package jsonspan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/jsonspan"
)

// loosely writes a document as Python may, and beside it what strict readers are to see.
func (a author) loosely(depth int) (loose, strict string) {
	switch n := a.IntN(8); {
	case depth > 0 && n < 3:
		var l, s []string
		for range a.IntN(4) {
			x, y := a.loosely(depth - 1)
			l, s = append(l, x), append(s, y)
		}
		return "[" + strings.Join(l, ",") + "]", "[" + strings.Join(s, ",") + "]"
	case depth > 0 && n < 5:
		var l, s []string
		for range a.IntN(4) {
			k, kk := a.looseText()
			x, y := a.loosely(depth - 1)
			l, s = append(l, k+": "+x), append(s, kk+": "+y)
		}
		return "{" + strings.Join(l, ",") + "}", "{" + strings.Join(s, ",") + "}"
	case n < 6:
		return a.one("NaN", "Infinity", "-Infinity"), "null"
	case n < 7:
		v := a.one("-1", "0", "-0.5e-7", "null", "true", "12")
		return v, v
	}
	return a.looseText()
}

// looseText has whole pairs, which stay, and halves that never come to stand beside their other half.
func (a author) looseText() (loose, strict string) {
	var l, s strings.Builder
	for range a.IntN(5) {
		part := a.one("x", "NaN", "-Infinity", `\\`, `\"`, `\u00e9`, "한", `\\ud83d`, `\ud83d\ude00`, `\uD83D\uDE00`)
		l.WriteString(part)
		s.WriteString(part)
		if a.IntN(3) == 0 {
			l.WriteString(a.one(`\ud83d`, `\ude00`, `\uDBFF`, `\uDFFF`) + "|")
			s.WriteString(`\ufffd|`)
		}
	}
	return `"` + l.String() + `"`, `"` + s.String() + `"`
}

// TestLooseDocumentsAreMended: a property. Everything that is strict stays letter by letter, whatever the pieces.
func TestLooseDocumentsAreMended(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		a := newAuthor(seed)
		loose, strict := a.loosely(4)
		require.NoError(t, check(loose), loose)
		require.Equal(t, strict, string(jsonspan.Mend([]byte(loose))), loose)
		require.True(t, json.Valid([]byte(strict)))
		for range 5 {
			var b bytes.Buffer
			m := jsonspan.NewMender(&b)
			for rest := []byte(loose); len(rest) > 0; {
				n := 1 + a.IntN(min(len(rest), 9))
				wrote, err := m.Write(rest[:n])
				require.NoError(t, err)
				require.Equal(t, n, wrote)
				rest = rest[n:]
			}
			require.NoError(t, m.Close())
			require.Equal(t, strict, b.String(), loose)
		}
	}
}

// TestPythonTakesWhatIsLoose, and refuses what is refused: its reader is the one that such texts come from.
func TestPythonTakesWhatIsLoose(t *testing.T) {
	t.Parallel()
	python := os.Getenv("NES_PYTHON")
	if python == "" {
		python, _ = filepath.Abs("../../.venv/bin/python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no interpreter to compare with: set NES_PYTHON or run make runtime (%v)", err)
	}
	const judge = "import sys, json\nfor line in json.load(sys.stdin):\n  try: json.loads(bytes.fromhex(line).decode('utf-8')); print(1)\n  except ValueError: print(0)\n"
	var hexes []string
	var want strings.Builder
	for seed := range uint64(300) {
		a := newAuthor(seed)
		whole, _ := a.loosely(3)
		for range 6 {
			at := a.IntN(len(whole))
			text := []byte(whole[:at] + a.one("", "N", "-", "I", "\"", "\\", "}", "]", ",", "\xff", "NaN", "\\ud83d", "0", " ") + whole[at+a.IntN(2):])
			hexes = append(hexes, hexOf(text))
			if check(string(text)) == nil {
				want.WriteString("1\n")
			} else {
				want.WriteString("0\n")
			}
		}
	}
	in, err := json.Marshal(hexes)
	require.NoError(t, err)
	cmd := exec.Command(python, "-c", judge)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, want.String(), "1\n")
	require.Contains(t, want.String(), "0\n")
	require.Equal(t, want.String(), string(out))
}

func hexOf(text []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range text {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// TestPiecesOfOneStringMakeAPair: messages of a stream are cut by the kernel, between the halves of a pair too.
func TestPiecesOfOneStringMakeAPair(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pieces []string
		want   string
	}{
		"the halves meet":              {[]string{`"a\ud83d`, `\ude00b"`}, `"a\ud83d\ude00b"`},
		"nothing between them":         {[]string{`"\ud83d`, ``, `\ude00"`}, `"\ud83d\ude00"`},
		"text between them":            {[]string{`"\ud83d`, `x`, `\ude00"`}, `"\ufffdx\ufffd"`},
		"an escape between them":       {[]string{`"\ud83d`, `\n`, `\ude00"`}, `"\ufffd\n\ufffd"`},
		"the first comes twice":        {[]string{`"\ud83d`, `\ud83d`, `\ude00"`}, `"\ufffd\ud83d\ude00"`},
		"the string ends before":       {[]string{`"\ud83d"`, `,"\ude00"`}, `"\ufffd","\ufffd"`},
		"the other half never comes":   {[]string{`"\ud83d`}, `"\ufffd`},
		"a backslash that is escaped":  {[]string{`"\\`, `ud83d"`}, `"\\ud83d"`},
		"a quote that is escaped":      {[]string{`"\`, `"NaN"`}, `"\"NaN"`},
		"a number's sign and its rest": {[]string{`[-`, `1,-`, `Infinity,-`, `0]`}, `[-1,null,-0]`},
	} {
		var b bytes.Buffer
		m := jsonspan.NewMender(&b)
		for _, p := range tt.pieces {
			_, err := m.Write([]byte(p))
			require.NoError(t, err, name)
		}
		require.NoError(t, m.Close(), name)
		require.Equal(t, tt.want, b.String(), name)
	}
}

var errFull = errors.New("full")

// bounded takes n writes.
type bounded struct{ n int }

func (w *bounded) Write(p []byte) (int, error) {
	if w.n--; w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestAMendersWriterThatFailsIsHeard, at every write and at the end.
func TestAMendersWriterThatFailsIsHeard(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		m := jsonspan.NewMender(&bounded{n})
		var err error
		for _, piece := range []string{`"a`, `b`, `\ud83d`} {
			var wrote int
			if wrote, err = m.Write([]byte(piece)); err != nil {
				require.Zero(t, wrote)
				break
			}
		}
		if n == 3 {
			require.NoError(t, err)
			err = m.Close()
		}
		require.ErrorIs(t, err, errFull, n)
	}
	m := jsonspan.NewMender(&bounded{2})
	_, err := io.Copy(m, strings.NewReader(`[1]`))
	require.NoError(t, err)
	require.NoError(t, m.Close())
}

// TestTextComesInBoundedPieces, that may be used until the next one only, and stops when told to.
func TestTextComesInBoundedPieces(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"plain": "abcdefg", "escapes": `\n`, "pairs": `\ud83d\ude00`, "halves": `\ude00`, "mixed": `x\u00e9한\\`, "wide": "한글😀"} {
		inner := []byte(strings.Repeat(unit, 40_000/len(unit)))
		var whole string
		require.NoError(t, json.Unmarshal([]byte(`"`+string(inner)+`"`), &whole))
		var pieces []string
		longest := 0
		for piece := range jsonspan.Text(inner) {
			require.True(t, utf8.Valid(piece), name)
			require.NotEmpty(t, piece, name)
			pieces = append(pieces, string(piece))
			longest = max(longest, len(piece))
			if cap(piece) <= 8<<10 {
				clear(piece[:0:len(piece)]) // the piece is not needed any more
			}
		}
		require.Equal(t, whole, strings.Join(pieces, ""), name)
		if strings.Contains(unit, `\`) {
			require.LessOrEqual(t, longest, 4<<10, name)
			require.LessOrEqual(t, len(pieces), 2+len(whole)/(4<<10-20), "and not in crumbs: "+name)
		}
		for stop := 1; stop <= min(3, len(pieces)); stop++ {
			n := 0
			for range jsonspan.Text(inner) {
				if n++; n == stop {
					break
				}
			}
			require.Equal(t, stop, n)
		}
	}
	for range jsonspan.Text(nil) {
		require.Fail(t, "a piece of nothing")
	}
}

// TestACheckerKeepsNothingOfTheText: its memory is that of the nesting.
func TestACheckerKeepsNothingOfTheText(t *testing.T) {
	piece := []byte(strings.Repeat(`a line of output\n한`, 10_000))
	var c jsonspan.Checker
	_, err := c.Write([]byte(`["`))
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(20, func() {
		if _, err := c.Write(piece); err != nil {
			panic(err)
		}
	}))
	_, err = c.Write([]byte(`"]`))
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// FuzzMend holds what is mended to what Python's reader and the standard library make of it: the same value, with null for what is no number.
func FuzzMend(f *testing.F) {
	for seed := range uint64(20) {
		loose, _ := newAuthor(seed).loosely(3)
		f.Add([]byte(loose))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		loose, err := jsonspan.Check(text)
		if err != nil {
			return
		}
		mended := jsonspan.Mend(text)
		if !loose {
			require.Equal(t, string(text), string(mended))
			return
		}
		again, err := jsonspan.Check(mended)
		require.NoError(t, err)
		pairs := strings.Contains(strings.ToLower(string(mended)), `\ud`)
		require.False(t, again && !pairs, "what is mended is strict, but for whole pairs: %q", mended)
		var v any
		require.NoError(t, json.Unmarshal(mended, &v))
		if json.Valid(text) {
			var want any
			require.NoError(t, json.Unmarshal(text, &want))
			require.Equal(t, want, v, "only its spelling changed: %q", text)
		}
	})
}

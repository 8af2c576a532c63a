package reduce

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// screened is what a log keeps of a text.
func screened(pieces ...string) string {
	var s screen
	var out bytes.Buffer
	for _, p := range pieces {
		s.write(&out, []byte(p))
	}
	s.end(&out)
	return out.String()
}

// TestTheScreenShowsALineAsItWasAtItsEnd, and nothing that could move a terminal that the log is shown in.
func TestTheScreenShowsALineAsItWasAtItsEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a": "a\n", "a\n": "a\n", "a\nb": "a\nb\n", "\n": "\n", "\n\n": "\n\n", "a\n\nb\n": "a\n\nb\n",
		"a\rb": "b\n", "abc\rd\n": "d\n", "abc\r": "abc\n", "abc\r\n": "abc\n", "a\r\r\nb": "a\nb\n", "\ra": "a\n", "a\rb\rc\n": "c\n", "한글\r가\n": "가\n",
		"ab\b": "a\n", "ab\b\b\b\bc": "c\n", "\b": "", "한\bx": "x\n", "a\n\bx": "a\nx\n", "ab\bc\n": "ac\n",
		"\x1b[31mred\x1b[0m": "red\n", "\x1b[": "", "\x1b[1;2;3": "", "a\x1bcb": "ab\n", "a\x1b[2Kb": "ab\n", "\x1b]0;title\x07x": "x\n", "\x1b]8;;u\x1b\\x": "x\n", "\x1bPq\x1b\\x": "x\n", "\x1b_a\x07x": "x\n", "\x1b^a\x07x": "x\n", "\x1bXa\x07x": "x\n",
		"\x1b[31\nx": "\nx\n", "a\x1b]never\nb": "a\nb\n", "a\x1b\nb": "a\nb\n", "\x1b[?25lx": "x\n", "\x1b[3\x07x": "x\n",
		"a\tb": "a\tb\n", "a\x00b\x07c\x7fd": "abcd\n", "a\u0085b\u009bc": "abc\n", "\u00a9\u00e9": "\u00a9\u00e9\n", "a\vb\fc": "abc\n", "\u2028": "\u2028\n",
		"x\xffy": "x\xffy\n",
	} {
		require.Equal(t, want, screened(text), "%q", text)
	}
}

// TestAnyPiecesGiveTheSameScreen: a property over texts that are made up, cut between characters.
func TestAnyPiecesGiveTheSameScreen(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 3))
	parts := []string{"a", "bc", "한", "\n", "\r", "\b", "\t", "\x1b", "[", "m", "]", "\x07", "\\", "\u0085", "\u00e9", "0;1", "\x00", " "}
	for range 3000 {
		var pieces []string
		for range rng.IntN(12) {
			pieces = append(pieces, parts[rng.IntN(len(parts))])
		}
		whole := strings.Join(pieces, "")
		got := screened(whole)
		require.Equal(t, got, screened(pieces...), "%q", whole)
		require.Equal(t, strings.Count(whole, "\n"), strings.Count(got, "\n")-btoi(lastLine(whole, got)), "%q: %q", whole, got)
		for _, r := range got {
			require.False(t, r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0, "%q: %q", whole, got)
		}
		require.True(t, utf8.ValidString(got))
		require.Equal(t, got, screened(got), "what is clean stays")
	}
}

// lastLine tells whether the text's last line, without an end of its own, had something to show.
func lastLine(whole, got string) bool {
	return strings.Count(got, "\n") > strings.Count(whole, "\n")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestALineWithoutEndIsHeldBackNoLongerThanItMayBe, whatever it is made of, and no character is lost or cut.
func TestALineWithoutEndIsHeldBackNoLongerThanItMayBe(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "한", "xé", "\t"} {
		text := strings.Repeat(unit, 3*maxScreenLine/len(unit))
		for _, size := range []int{5, 4096, len(text)} {
			var s screen
			var out bytes.Buffer
			held := 0
			for rest := []rune(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				s.write(&out, []byte(string(rest[:min(size, len(rest))])))
				held = max(held, len(s.line))
			}
			require.LessOrEqual(t, held, maxScreenLine+utf8.UTFMax)
			require.Greater(t, out.Len(), maxScreenLine, "it goes on")
			s.end(&out)
			require.True(t, text+"\n" == out.String(), "%q in pieces of %d", unit, size)
		}
	}
}

// FuzzScreen: nothing that could move a terminal comes out, and what comes out needs no second look.
func FuzzScreen(f *testing.F) {
	for _, s := range []string{"a\rb\n", "\x1b[31mx", "a\b\b한", "\x1b]0;t\x1b\\", "\u009b31m", "\r\n\r"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		text = strings.ToValidUTF8(text, "")
		got := screened(text)
		require.False(t, strings.ContainsAny(got, "\x1b\r\b\x07"), "%q", got)
		require.Equal(t, got, screened(got))
		for at = min(max(at, 0), len(text)); at < len(text) && !utf8.RuneStart(text[at]); {
			at++
		}
		require.Equal(t, got, screened(text[:at], text[at:]))
	})
}

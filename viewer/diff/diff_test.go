package diff_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/diff"
)

func chars(s string) []string { return strings.Split(s, "") }

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"abc", "abc", "abc"}, {"abc", "axc", "a-b+xc"}, {"abc", "bc", "-abc"}, {"ab", "abc", "ab+c"}, {"abcd", "acbd", "a-bc+bd"}, {"x", "y", "-x+y"}, {"abcabba", "cbabac", "-a+cb-cab-b+ba+c"},
	} {
		a, b := chars(c.a), chars(c.b)
		var got strings.Builder
		for _, p := range diff.Match(a, b) {
			switch {
			case p.B < 0:
				got.WriteString("-" + a[p.A])
			case p.A < 0:
				got.WriteString("+" + b[p.B])
			default:
				require.Equal(t, a[p.A], b[p.B])
				got.WriteString(a[p.A])
			}
		}
		if c.a == "abcabba" { // there are several best ways: this one has to keep four
			require.Equal(t, 4, len(strings.NewReplacer("-a", "", "-b", "", "-c", "", "+a", "", "+b", "", "+c", "").Replace(got.String())))
			continue
		}
		require.Equal(t, c.want, got.String(), c.a+" and "+c.b)
	}
	require.Empty(t, diff.Match[int](nil, nil))
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"", "", ""},
		{"same\n", "same\n", "same\n"},
		{"accuracy 0.91 of 120 rows\n", "accuracy 0.93 of 120 rows\n", "accuracy 0.[-91-]{+93+} of 120 rows\n"},
		{"a = load(x)\nb\n", "a = load(y)\nb\n", "a = load([-x-]{+y+})\nb\n"},
		{"one\ntwo\n", "one\nand quite another thing\ntwo\n", "one\n{+and quite another thing\n+}two\n"},
		{"nothing in common\n", "12345 67890\n", "[-nothing in common\n-]{+12345 67890\n+}"},
		{"매출 보고서 1월", "매출 보고서 2월", "매출 보고서 [-1월-]{+2월+}"},
		{"x", "", "[-x-]"}, {"", "x", "{+x+}"},
	} {
		var got strings.Builder
		for _, s := range diff.Words(c.a, c.b) {
			switch s.Op {
			case diff.Removed:
				got.WriteString("[-" + s.Text + "-]")
			case diff.Added:
				got.WriteString("{+" + s.Text + "+}")
			default:
				got.WriteString(s.Text)
			}
		}
		require.Equal(t, c.want, got.String(), c.a)
	}
}

// whole puts the two texts together again.
func whole(spans []diff.Span) (a, b string) {
	for _, s := range spans {
		if s.Op != diff.Added {
			a += s.Text
		}
		if s.Op != diff.Removed {
			b += s.Text
		}
	}
	return a, b
}

func FuzzWords(f *testing.F) {
	f.Add("a b\nc", "a c\nc")
	f.Add("\xff\xfe", "한\r\n글")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := whole(diff.Words(a, b))
		require.Equal(t, a, x)
		require.Equal(t, b, y)
	})
}

func TestNothingIsLostInRandomTexts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(40) {
			b.WriteString([]string{"a", "b ", "\n", "longer", "=", "한", " "}[r.IntN(7)])
		}
		return b.String()
	}
	for range 500 {
		a, b := text(), text()
		x, y := whole(diff.Words(a, b))
		require.Equal(t, a, x)
		require.Equal(t, b, y)
	}
}

func TestLargeTextsEndInTime(t *testing.T) {
	t.Parallel()
	var a, b strings.Builder
	for range 200_000 {
		a.WriteString("x\n")
		b.WriteString("y\n")
	}
	begin := time.Now()
	x, y := whole(diff.Words(a.String(), b.String()))
	require.Equal(t, a.String(), x)
	require.Equal(t, b.String(), y)
	require.Less(t, time.Since(begin), 30*time.Second)
}

package render

import (
	"fmt"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTerminal(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"plain":                      {"a\nb\n", "a|b"},
		"escaped":                    {"<b> & \"q\"", "&lt;b&gt; &amp; &#34;q&#34;"},
		"red":                        {"\x1b[31mred\x1b[0m x", `<span class="an an-f1">red</span> x`},
		"escaped within colour":      {"\x1b[31m<i>\x1b[0m", `<span class="an an-f1">&lt;i&gt;</span>`},
		"bold brightens":             {"\x1b[1;34mb\x1b[m", `<span class="an an-b an-f12">b</span>`},
		"bright":                     {"\x1b[92;101mb", `<span class="an an-f10 an-g9">b</span>`},
		"off one by one":             {"\x1b[1;3;4;9;7mx\x1b[22;23;24;29;27my", `<span class="an an-b an-i an-u an-s an-v">x</span>y`},
		"256":                        {"\x1b[38;5;208;48;5;16mx", `<span class="an an-f208 an-g16">x</span>`},
		"24 bit":                     {"\x1b[38;2;255;135;0mx", `<span class="an an-f208">x</span>`},
		"24 bit with colons":         {"\x1b[38:2:255:0:0mx", `<span class="an an-f196">x</span>`},
		"24 bit grey":                {"\x1b[38;2;128;128;128mx", `<span class="an an-f244">x</span>`},
		"colour over a line's end":   {"\x1b[32ma\nb\x1b[0m", `<span class="an an-f2">a</span>|<span class="an an-f2">b</span>`},
		"carriage return":            {"10%\r50%\r100%\n", "100%"},
		"carriage return, shorter":   {"hello\rHE", "HEllo"},
		"carriage return and feed":   {"a\r\nb\r\n", "a|b"},
		"backspace":                  {"abc\b\bX", "aXc"},
		"backspace at the beginning": {"\b\bx", "x"},
		"erase the line":             {"long text\r\x1b[Kx", "x"},
		"erase all of the line":      {"long\x1b[2Kx", "x"},
		"up and over":                {"one\ntwo\n\x1b[2A\rONE\x1b[B\rTWO", "ONE|TWO"},
		"up beyond the top":          {"a\x1b[999Ab", "ab"},
		"down beyond the end":        {"a\x1b[999Bb", "ab"},
		"left":                       {"abc\x1b[2DX", "aXc"},
		"column":                     {"abc\x1b[2GX", "aXc"},
		"column far right":           {"ab\x1b[9999Gc", "abc"},
		"link":                       {"\x1b]8;;https://x.example\x1b\\text\x1b]8;;\x1b\\", "text"},
		"title":                      {"\x1b]0;title\x07x", "x"},
		"title without an end":       {"\x1b]0;title\nx", "|x"},
		"cut escape":                 {"x\x1b", "x"},
		"cut sequence":               {"x\x1b[31", "x"},
		"malformed sequence":         {"x\x1b[31\x01y", "xy"},
		"unknown sequence":           {"x\x1b[?25ly\x1b[6n\x1b(Bz", "xyBz"},
		"too many parameters":        {"\x1b[" + strings.Repeat("1;", 1000) + "1mx", `<span class="an an-b">x</span>`},
		"huge parameter":             {"\x1b[99999999999999999999mx", "x"},
		"control characters":         {"a\x00\x07\x0bb\x7f\r\n", "ab"},
		"invalid UTF-8":              {"a\xffb\r\n", "a\uFFFDb"},
		"wide":                       {"한글\r\x1b[31m표", `<span class="an an-f1">표</span>글`},
		"empty":                      {"", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, join(ansiLines(tt.text)))
		})
	}
}

func join(lines []template.HTML) string {
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(string(l))
	}
	return b.String()
}

func TestEveryColourOfThePaletteIsNearestToItself(t *testing.T) {
	t.Parallel()
	for n := 16; n < 256; n++ {
		var r, g, b int
		if n >= 232 {
			r = 8 + 10*(n-232)
			g, b = r, r
		} else {
			level := func(v int) int { return min(v, 1)*55 + 40*v }
			r, g, b = level((n-16)/36), level((n-16)/6%6), level((n-16)%6)
		}
		got := int(nearest(r, g, b))
		if n < 232 && r == g && g == b || n == 232 {
			continue // greys of the cube have a twin in the ramp
		}
		require.Equal(t, n, got, fmt.Sprint(r, g, b))
	}
}

// TestTerminalIsLinear is not parallel: it measures time. Four times the text may not take much more than four times as
// long; the loops that were quadratic elsewhere took ten times as long.
func TestTerminalIsLinear(t *testing.T) { //nolint:paralleltest
	pieces := map[string]string{
		"coloured log":      "\x1b[32mINFO\x1b[0m 2026-11-21 \x1b[1mworker\x1b[0m did something\n",
		"escapes alone":     "\x1b[31m",
		"returns":           "progress 10%\r",
		"unclosed strings":  "\x1b]8;;x",
		"unclosed escapes":  "\x1b[31;",
		"moves up and down": "x\n\x1b[5A\x1b[3B",
		"backspaces":        "a\b",
		"erasing":           "some text\x1b[2K",
	}
	for name, piece := range pieces {
		t.Run(name, func(t *testing.T) {
			short, long := strings.Repeat(piece, 1<<19/len(piece)), strings.Repeat(piece, 1<<21/len(piece))
			best := func(text string) time.Duration {
				least := time.Hour
				for range 5 {
					start := time.Now()
					ansiLines(text)
					least = min(least, time.Since(start))
				}
				return least
			}
			var a, b time.Duration
			for range 5 { // another program may have taken the processor
				if a, b = best(short), best(long); b < 9*a+20*time.Millisecond {
					return
				}
			}
			require.Fail(t, "not linear", "0.5 MB took %v, 2 MB %v", a, b)
		})
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for s, want := range map[float64]string{0: "0 s", 0.0006: "1 ms", 0.012: "12 ms", 0.4: "0.4 s", 9.94: "9.9 s", 12.3: "12 s", 59.4: "59 s", 59.9: "1 min", 125: "2 min 5 s", 7800: "2 h 10 min"} {
		require.Equal(t, want, Seconds(s), s)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "2 kB", 3_450_000: "3.5 MB", 45_000_000: "45 MB", 2_500_000_000: "2.5 GB"} {
		require.Equal(t, want, Size(n), n)
	}
	require.Equal(t, "1\u202f234\u202f567", groups(1234567))
	require.Equal(t, "123", groups(123))
}

func TestExcerptKeepsBothEnds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 5, 10, 14, 15, 16, 100, 100_000} {
		for _, step := range []int{1, 7, 1 << 20} {
			text := strings.Repeat("0123456789", n/10+1)[:n]
			e := excerpt{headRoom: 10, tailRoom: 5}
			for rest := text; rest != ""; {
				k := min(step, len(rest))
				_, _ = e.Write([]byte(rest[:k]))
				rest = rest[k:]
			}
			head, tail, cut := e.parts()
			if n <= 15 {
				require.Equal(t, []any{text, "", int64(0)}, []any{head, tail, cut})
				continue
			}
			require.Equal(t, []any{text[:10], text[n-5:], int64(n - 15)}, []any{head, tail, cut}, "%d by %d", n, step)
		}
	}
}

func TestHighlightKeepsTheSource(t *testing.T) {
	t.Parallel()
	source := "def f(x: int) -> str:\n    return f\"{x}<b>\"  # 한글 & more\n\n%magic\n!ls\n"
	for _, language := range []string{"python", "ipython", "Python3", "r", "julia", "bash", "sql", "c++17", "", "*", "no such", "../../etc", "*.py", strings.Repeat("x", 1000)} {
		got := string(highlight(source, language))
		plain := got
		for {
			i := strings.Index(plain, "<span")
			if i < 0 {
				break
			}
			plain = plain[:i] + plain[i+strings.IndexByte(plain[i:], '>')+1:]
		}
		plain = strings.ReplaceAll(plain, "</span>", "")
		require.Equal(t, strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", `"`, "&#34;").Replace(source), plain, language)
	}
	require.Contains(t, string(highlight(source, "python")), `<span class="hl-k">def</span>`)
	require.NotContains(t, string(highlight(source, "*.py")), "<span")
	for language, word := range map[string]string{
		"ir": "function", "R": "function", "julia": "function", "sh": "while", "sql": "select", "scala": "val", "js": "const", "node": "const", "json": "true",
		"yml": "a: [true]", "c++17": "class", "C#": "class", "ts": "class", "java": "class", "kotlin": "fun", "rust": "fn", "ruby": "def", "perl": "sub", "f#": "let",
		"html": "<b>", "xml": "<b>", "toml": "true", "matlab": "function", "haskell": "where", "latex": `\\begin{a}`, "octave": "function",
	} {
		require.Contains(t, string(highlight(word+" x = 1", language)), "<span", language)
	}
	require.Contains(t, string(highlight("<script>const x = 1</script>", "html")), `<span class="hl-kr">const</span>`, "one lexer uses another")
	require.Equal(t, "bash", cellLanguage("%%bash -e\nls", "python"))
	require.Equal(t, "python", cellLanguage("%%time\nls", "python"))
}

func TestRich(t *testing.T) {
	t.Parallel()
	pandas := `<div><style scoped>.dataframe tbody tr th {}</style><table border="1" class="dataframe"><tr style="text-align: right;"><th></th></tr></table></div>`
	styler := `<style type="text/css">#T_1 td {color: red}</style><table id="T_1" class="dataframe"><tr><td id="T_1_row0" class="data">1</td></tr></table>`
	for fragment, want := range map[string]bool{
		pandas: false, styler: true, "<b>x</b>": false, "<h3>x</h3><p>y": false, "<script>": true, "<p onclick=x>": true, "<div style='color:red'>": true,
		"<td style='text-align: left; '>": false, "<svg>": true, "<canvas>": true, "<style scoped>x</style>": true, "text": false, "": false,
	} {
		require.Equal(t, want, rich(fragment), fragment)
	}
}

func TestHostileMarkdownIsKnown(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		strings.Repeat("[a](b", 400):                             true,
		strings.Repeat("[a](b", 400) + strings.Repeat(")", 2000): true,
		strings.Repeat(")", 2000) + strings.Repeat("[a](b", 400): true,
		strings.Repeat("> ", 50):                                 true,
		strings.Repeat("[a](b) ", 4000):                          false,
		strings.Repeat("[a](b) (c) [d] e](f ", 100):              false,
		strings.Repeat("![a](<b c> \"t\")\n", 2000):              false,
		"": false, "](": false, strings.Repeat("> quoted\n", 2000): false,
	} {
		require.Equal(t, want, hostile(source), "%.20s", source)
	}
}

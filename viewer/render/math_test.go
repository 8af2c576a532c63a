package render

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFormulasAreFoundAsJupyterLabFindsThem: in the results, a formula stands within ⟦ and ⟧.
func TestFormulasAreFoundAsJupyterLabFindsThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ source, want string }{
		"none":                             {"plain *text*", "plain *text*"},
		"inline":                           {"a $x^2$ b", "a ⟦$x^2$⟧ b"},
		"two":                              {"$a$ and $b$", "⟦$a$⟧ and ⟦$b$⟧"},
		"display":                          {"$$\\sum_i x_i$$", "⟦$$\\sum_i x_i$$⟧"},
		"display over lines":               {"$$\na\n= b\n$$", "⟦$$\na\n= b\n$$⟧"},
		"inline over a line's end":         {"$a\n+ b$", "⟦$a\n+ b$⟧"},
		"an empty line ends it":            {"$a\n\nb$", "$a\n\nb$"},
		"an empty line with blanks":        {"$$a\n  \t\nb$$", "$$a\n  \t\nb$$"},
		"the next one after that":          {"$a\n\n$b$ c", "$a\n\n⟦$b$⟧ c"},
		"parentheses":                      {`\\(x\\) and \\[y\\]`, `⟦\\(x\\)⟧ and ⟦\\[y\\]⟧`},
		"one backslash is Markdown's":      {`\(x\)`, `\(x\)`},
		"environment":                      {"\\begin{align}a&=b\\\\c&=d\\end{align}", "⟦\\begin{align}a&=b\\\\c&=d\\end{align}⟧"},
		"environment with a star":          {`\begin{equation*} x \end{equation*}`, `⟦\begin{equation*} x \end{equation*}⟧`},
		"environments differ":              {`\begin{a} x \end{b}`, `\begin{a} x \end{b}`},
		"environment within dollars":       {`$$\begin{pmatrix}1\end{pmatrix}$$`, `⟦$$\begin{pmatrix}1\end{pmatrix}$$⟧`},
		"environment within itself":        {`\begin{a}\begin{b}x\end{b}\end{a}`, `⟦\begin{a}\begin{b}x\end{b}\end{a}⟧`},
		"an end alone":                     {`\end{align} $x$`, `\end{align} ⟦$x$⟧`},
		"a begin that is none":             {`\begin{al ign} \begin{} \begin{a`, `\begin{al ign} \begin{} \begin{a`},
		"escaped dollar":                   {`\$5 and \$6`, `\$5 and \$6`},
		"escaped dollar within":            {`$a\$b$`, `⟦$a\$b$⟧`},
		"prices are formulas there too":    {"costs $5 or $6", "costs ⟦$5 or $⟧6"},
		"one dollar":                       {"costs $5", "costs $5"},
		"braces balance":                   {`$\text{a $b$ c}$`, `⟦$\text{a $b$ c}$⟧`},
		"braces that never do":             {"$a{b$ c\n\n$d$", "⟦$a{b$⟧ c\n\n⟦$d$⟧"},
		"braces that never do, at the end": {"$a{b$ c", "⟦$a{b$⟧ c"},
		"a closing brace too many":         {"$a}b$", "⟦$a}b$⟧"},
		"escaped braces do not count":      {`$\{a$`, `⟦$\{a$⟧`},
		"two dollars within one":           {"$a$$b$", "⟦$a$$b$⟧"},
		"code span":                        {"`$x$` $y$", "`$x$` ⟦$y$⟧"},
		"code span with two ticks":         {"``a ` $x$`` $y$", "``a ` $x$`` ⟦$y$⟧"},
		"code span over lines":             {"`a\n$x$` $y$", "`a\n$x$` ⟦$y$⟧"},
		"a tick that nothing closes":       {"` $x$\n\n`", "` ⟦$x$⟧\n\n`"},
		"escaped tick":                     {"\\`$x$\\`", "\\`⟦$x$⟧\\`"},
		"a formula does not span code":     {"$a `b$` c$", "⟦$a `b$` c$⟧"},
		"fence":                            {"```\n$x$\n```\n$y$", "```\n$x$\n```\n⟦$y$⟧"},
		"fence with a language":            {"```tex\n$x$\n````\n$y$", "```tex\n$x$\n````\n⟦$y$⟧"},
		"fence of tildes":                  {"~~~\n$x$\n```\n$x$\n~~~\n$y$", "~~~\n$x$\n```\n$x$\n~~~\n⟦$y$⟧"},
		"fence in a quote":                 {"> ```\n> $x$\n> ```\n\n$y$", "> ```\n> $x$\n> ```\n\n⟦$y$⟧"},
		"fence without an end":             {"$y$\n```\n$x$", "⟦$y$⟧\n```\n$x$"},
		"strikethrough is no fence":        {"~~a~~ $x$ ~~~b~~~ $y$", "~~a~~ ⟦$x$⟧ ~~~b~~~ ⟦$y$⟧"},
		"Windows' line ends":               {"$a$\r\n\r\n$b$", "⟦$a$⟧\n\n⟦$b$⟧"},
		"marks in the source":              {"\uE0000\uE001 $x$", "\uFFFD0\uFFFD ⟦$x$⟧"},
		"marks without formulas":           {"\uE0000\uE001", "\uFFFD0\uFFFD"},
		"empty":                            {"", ""},
		"empty formula":                    {"$$ $$", "⟦$$ $$⟧"},
		"table":                            {"| $a|b$ | c |", "| ⟦$a|b$⟧ | c |"},
		"letters beyond ASCII":             {"값 $\\alpha_값$ 끝", "값 ⟦$\\alpha_값$⟧ 끝"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, formulas := liftMath(tt.source)
			var got strings.Builder
			eachMark(text, formulas, func(s string) { got.WriteString(s) }, func(s string) { got.WriteString("⟦" + s + "⟧") })
			require.Equal(t, tt.want, got.String())
		})
	}
}

func TestMathWithinMarkdown(t *testing.T) {
	t.Parallel()
	r := New()
	d := &Document{}
	for source, want := range map[string]string{
		"*a* $b*c*d$":                      `<p><em>a</em> <span class="math">$b*c*d$</span></p>`,
		"$$a_1 + b_1$$":                    `<p><span class="math block">$$a_1 + b_1$$</span></p>`,
		"$a<b$":                            `<p><span class="math">$a&lt;b$</span></p>`,
		"`$x$`":                            `<p><code>$x$</code></p>`,
		"    $x$":                          "<pre><code>$x$\n</code></pre>",
		"**$x$**":                          `<p><strong><span class="math">$x$</span></strong></p>`,
		"[$x$](https://a.example \"$t$\")": `<p><a href="https://a.example" title="$t$" rel="nofollow noreferrer noopener" target="_blank"><span class="math">$x$</span></a></p>`,
		"<b>$x$</b>":                       `<p><b><span class="math">$x$</span></b></p>`,
		"<div>\n$x$\n</div>":               "<div>\n<span class=\"math\">$x$</span>\n</div>",
		"## Energy $E$":                    `<h2 id="h-0-energy-e">Energy <span class="math">$E$</span><a class="anchor" href="#h-0-energy-e" title="Link to this heading" rel="nofollow noreferrer">#</a></h2>`,
		"![$x$](https://a.example/i.png)":  `<p><a class="elsewhere" href="https://a.example/i.png" rel="nofollow noreferrer noopener" target="_blank">Image elsewhere: <span class="math">$x$</span></a></p>`,
		"&#xE000;7&#xE001; $x$":            `<p> <span class="math">$x$</span></p>`,
	} {
		require.Equal(t, want, strings.TrimSpace(string(r.Markdown(d, nil, source, "0-"))), source)
	}
	require.Contains(t, string(r.Markdown(d, nil, "| a | b |\n|---|---|\n| $x|y$ | 2 |", "0-")), `<td><span class="math">$x|y$</span></td>`)
}

// TestLiftingIsLinear is not parallel: it measures time.
func TestLiftingIsLinear(t *testing.T) { //nolint:paralleltest
	best := func(text string) time.Duration {
		least := time.Hour
		for range 5 {
			start := time.Now()
			liftMath(text)
			least = min(least, time.Since(start))
		}
		return least
	}
	for _, piece := range []string{"$", "$$ ", "`", "`` ", "`a``b", "{", "$ {$ ", `\begin{a}`, `\begin{`, "\n\n$", "~~~", "```\n", `\\(`, "$a{b$ \n\n", "\\`", " \n"} {
		short, long := strings.Repeat(piece, 1<<14/len(piece)), strings.Repeat(piece, 1<<17/len(piece))
		linear := func() bool { return best(long) < 24*best(short)+20*time.Millisecond }
		linearOnce := func() bool { // a busy machine may spoil a look or two
			for range 4 {
				if linear() {
					return true
				}
			}
			return false
		}
		require.True(t, linearOnce(), "eight times %q took more than 24 times as long", piece)
	}
}

func FuzzLiftMath(f *testing.F) {
	f.Add("$a$ `$b$` \\begin{x} \\end{x} $$ {")
	f.Fuzz(func(t *testing.T, source string) {
		text, formulas := liftMath(source)
		want := noMarks.Replace(source)
		if strings.ContainsAny(source, "$\\") {
			want = noMarks.Replace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source))
		}
		require.Equal(t, want, putBack(text, formulas), "nothing is lost")
	})
}

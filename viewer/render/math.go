package render

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Mathematics is taken out of Markdown before that is parsed, as JupyterLab does it, and comes back into the parsed
// tree: the stars and bars of a formula are never emphasis and tables, and what looks like a formula within code stays code.
//
// A formula stands between $ and $, $$ and $$, \\( and \\), \\[ and \\], or \begin{x} and \end{x}; braces within
// it balance, no empty line is in it, and \$ is no delimiter. Code spans and fences win over it.

// The marks around the number of a formula that was taken out: private characters, which Markdown takes for letters.
const markOpen, markClose = '\uE000', '\uE001'

var noMarks = strings.NewReplacer(string(markOpen), "\uFFFD", string(markClose), "\uFFFD")

// liftMath returns the source with marks in place of its formulas, and the formulas.
func liftMath(source string) (text string, formulas []string) {
	if !strings.ContainsAny(source, "$\\") {
		return noMarks.Replace(source), nil
	}
	l := lifter{text: noMarks.Replace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source))}
	for tok := l.next(); tok != ""; tok = l.next() {
		l.take(tok)
	}
	if l.last > 0 { // a closing delimiter within braces that never balanced
		l.cut(l.last)
	}
	l.out.WriteString(l.text[l.kept:])
	return l.out.String(), l.formulas
}

type lifter struct {
	text     string
	pos      int // behind the token that next returned
	kept     int // what lies before is in out
	out      strings.Builder
	formulas []string

	end    string // the delimiter that would close the formula; "" outside of one
	start  int    // where the formula begins
	last   int    // behind a closing delimiter within open braces; 0 is none
	braces int
}

// next finds the next delimiter, brace or run of line ends, beyond code.
func (l *lifter) next() string {
	for l.pos < len(l.text) {
		i := strings.IndexAny(l.text[l.pos:], "$\\{}\n`~")
		if i < 0 {
			break
		}
		l.pos += i
		if l.skipCode() {
			continue
		}
		tok := delimiter(l.text[l.pos:])
		l.pos += max(1, len(tok))
		if tok != "" {
			return tok
		}
	}
	return ""
}

// skipCode passes over a code span or a fence that begins here, and over a run of backticks that nothing closes.
func (l *lifter) skipCode() bool {
	rest := l.text[l.pos:]
	c := rest[0]
	if c != '`' && c != '~' {
		return false
	}
	run := rest[:len(rest)-len(strings.TrimLeft(rest, string(c)))]
	if len(run) >= 3 && l.atLineStart() {
		l.pos += fenceLength(rest, run)
		return true
	}
	l.pos += len(run)
	if c == '`' {
		l.pos += spanLength(rest[len(run):], run)
	}
	return true
}

func (l *lifter) atLineStart() bool {
	line := l.text[strings.LastIndexByte(l.text[:l.pos], '\n')+1 : l.pos]
	return strings.Trim(line, " \t>") == ""
}

// fenceLength is the length of a fenced block, to the end of the text where nothing closes it.
func fenceLength(text, fence string) int {
	at := 0
	for line := range strings.Lines(text) {
		at += len(line)
		if body := strings.TrimLeft(line, " \t>"); at > len(line) && strings.HasPrefix(body, fence) && strings.Trim(body, fence[:1]+" \t\n") == "" {
			break
		}
	}
	return at
}

// spanLength is the length of a code span behind its opening run; 0 when nothing closes it before the paragraph ends.
func spanLength(text, run string) int {
	for i := 0; i < len(text); {
		j := strings.IndexAny(text[i:], "`\n")
		if j < 0 {
			return 0
		}
		i += j
		if text[i] == '\n' {
			if next, _, _ := strings.Cut(text[i+1:], "\n"); strings.TrimSpace(next) == "" {
				return 0
			}
			i++
			continue
		}
		n := len(text[i:]) - len(strings.TrimLeft(text[i:], "`"))
		if i += n; n == len(run) {
			return i
		}
	}
	return 0
}

// delimiter returns the token at the beginning of text, "" where there is none.
func delimiter(text string) string {
	switch text[0] {
	case '{', '}':
		return text[:1]
	case '$':
		if strings.HasPrefix(text, "$$") {
			return "$$"
		}
		return "$"
	case '\n':
		n := len(text) - len(strings.TrimLeft(text, " \t\n"))
		return text[:strings.LastIndexByte(text[:n], '\n')+1]
	case '\\':
		return escaped(text)
	}
	return ""
}

func escaped(text string) string {
	for _, known := range []string{`\{`, `\}`, `\$`, "\\`", `\\(`, `\\)`, `\\[`, `\\]`} {
		if strings.HasPrefix(text, known) {
			return known
		}
	}
	for _, word := range []string{`\begin{`, `\end{`} {
		if name, ok := strings.CutPrefix(text, word); ok {
			n := len(name) - len(strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
			if close := len(word) + n; strings.HasPrefix(text[close:], "}") {
				return text[:close+1]
			} else if strings.HasPrefix(text[close:], "*}") {
				return text[:close+2]
			}
		}
	}
	return ""
}

// take goes on with a token.
func (l *lifter) take(tok string) {
	if l.end == "" {
		l.open(tok)
		return
	}
	switch {
	case tok == l.end && l.braces > 0:
		l.last = l.pos
	case tok == l.end:
		l.cut(l.pos)
	case strings.Count(tok, "\n") > 1:
		if l.last > 0 {
			l.pos = l.last
			l.cut(l.last)
		}
		l.end, l.last = "", 0
	case tok == "{":
		l.braces++
	case tok == "}" && l.braces > 0:
		l.braces--
	}
}

func (l *lifter) open(tok string) {
	switch {
	case tok == "$", tok == "$$":
		l.end = tok
	case tok == `\\(`:
		l.end = `\\)`
	case tok == `\\[`:
		l.end = `\\]`
	case strings.HasPrefix(tok, `\begin`):
		l.end = `\end` + tok[len(`\begin`):]
	default:
		return
	}
	l.start, l.last, l.braces = l.pos-len(tok), 0, 0
}

// cut takes the formula out that ends at end.
func (l *lifter) cut(end int) {
	l.out.WriteString(l.text[l.kept:l.start])
	l.out.WriteRune(markOpen)
	l.out.WriteString(strconv.Itoa(len(l.formulas)))
	l.out.WriteRune(markClose)
	l.formulas = append(l.formulas, l.text[l.start:end])
	l.kept, l.end, l.last = end, "", 0
}

// putBack replaces marks by the formulas' source.
func putBack(text string, formulas []string) string {
	var b strings.Builder
	eachMark(text, formulas, func(plain string) { b.WriteString(plain) }, func(formula string) { b.WriteString(formula) })
	return b.String()
}

// eachMark calls plain for the text between marks and formula for each of them.
func eachMark(text string, formulas []string, plain, formula func(string)) {
	for {
		i := strings.IndexRune(text, markOpen)
		j := strings.IndexRune(text, markClose)
		if i < 0 || j < i {
			break
		}
		plain(text[:i])
		if n, err := strconv.Atoi(text[i+len(string(markOpen)) : j]); err == nil && n < len(formulas) {
			formula(formulas[n])
		}
		text = text[j+len(string(markClose)):]
	}
	plain(text)
}

// placeMath puts formulas back into a parsed tree: as elements for the browser to set, or as text within code and attributes.
func placeMath(n *html.Node, formulas []string, code bool) {
	for i := range n.Attr {
		n.Attr[i].Val = putBack(n.Attr[i].Val, formulas)
	}
	code = code || n.DataAtom == atom.Code || n.DataAtom == atom.Pre
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		switch {
		case c.Type != html.TextNode:
			placeMath(c, formulas, code)
		case code:
			c.Data = putBack(c.Data, formulas)
		case strings.ContainsRune(c.Data, markOpen):
			text := func(s string) { insertText(n, c, s) }
			eachMark(c.Data, formulas, text, func(s string) { n.InsertBefore(mathNode(s), c) })
			n.RemoveChild(c)
		}
		c = next
	}
}

func insertText(parent, before *html.Node, s string) {
	if s != "" {
		parent.InsertBefore(&html.Node{Type: html.TextNode, Data: s}, before)
	}
}

// mathNode is an element with the formula's source, delimiters and all: what a browser without script shows.
func mathNode(formula string) *html.Node {
	class := "math"
	if strings.HasPrefix(formula, "$$") || strings.HasPrefix(formula, `\\[`) || strings.HasPrefix(formula, `\begin`) {
		class = "math block"
	}
	n := &html.Node{Type: html.ElementNode, Data: "span", DataAtom: atom.Span, Attr: []html.Attribute{{Key: "class", Val: class}}}
	n.AppendChild(&html.Node{Type: html.TextNode, Data: formula})
	return n
}

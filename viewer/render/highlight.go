package render

import (
	"html/template"
	"strings"
	"time"

	"github.com/alecthomas/chroma/v2"
)

// Bounds of highlighting one cell; what lies beyond is shown without colours. Lexers are
// regular expressions that backtrack, so that time has a bound of its own.
const (
	maxHighlight     = 64 << 10
	maxHighlightTime = 250 * time.Millisecond
)

// highlight marks up source in a language as the notebook or a Markdown fence names it; an unknown name gives plain text.
func highlight(source, language string) template.HTML {
	var m markup
	lexer := lexerFor(language)
	if lexer == nil || len(source) > maxHighlight {
		m.text(source)
		return m.html()
	}
	next, err := chroma.Coalesce(lexer).Tokenise(&chroma.TokeniseOptions{State: "root"}, source)
	if err != nil {
		m.text(source)
		return m.html()
	}
	// Tokens are the source cut into pieces: what they do not cover any more is shown plainly.
	deadline := time.Now().Add(maxHighlightTime)
	rest := source
	for tok := next(); tok != chroma.EOF && strings.HasPrefix(rest, tok.Value) && time.Now().Before(deadline); tok = next() {
		rest = rest[len(tok.Value):]
		m.token(tok)
	}
	m.text(rest)
	return m.html()
}

func (m *markup) token(tok chroma.Token) {
	class, ok := chroma.StandardTypes[tok.Type]
	if !ok || class == "" || class == "w" || class == "n" || class == "p" || class == "err" {
		m.text(tok.Value)
		return
	}
	m.lit(`<span`)
	m.attr("class", "hl-"+class)
	m.lit(`>`)
	m.text(tok.Value)
	m.lit(`</span>`)
}

// cellLanguage honours a cell magic such as %%bash, which changes the language of the whole cell.
func cellLanguage(source, language string) string {
	if !strings.HasPrefix(source, "%%") {
		return language
	}
	word, _, _ := strings.Cut(source[2:], "\n")
	word, _, _ = strings.Cut(strings.TrimSpace(word), " ")
	switch word {
	case "bash", "sh", "sql", "html", "javascript", "js", "R", "perl", "ruby", "latex", "markdown", "svg", "bigquery", "sparksql":
		return word
	}
	return language
}

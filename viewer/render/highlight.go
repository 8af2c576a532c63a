package render

import (
	"html/template"
	"strings"
	"time"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
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

// languages maps what kernels and magics call a language to the lexer's name, where that differs.
var languages = map[string]string{
	"ipython": "python", "python3": "python", "ir": "r", "sh": "bash", "shell": "bash", "zsh": "bash",
	"js": "javascript", "node": "javascript", "c++": "cpp", "c++17": "cpp", "csharp": "c#", "fsharp": "f#", "ts": "typescript",
	"yml": "yaml", "rlang": "r", "pyspark": "python", "spark": "scala", "sparksql": "sql", "bigquery": "sql", "postgresql": "sql",
}

func lexerFor(language string) chroma.Lexer {
	name := strings.ToLower(strings.TrimSpace(language))
	if known, ok := languages[name]; ok {
		name = known
	}
	// A lexer is also found by patterns of file names: nothing that a notebook says may be one.
	if name == "" || len(name) > 32 || strings.ContainsAny(name, "./\\*?[]{} \t\n") {
		return nil
	}
	return lexers.Get(name)
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

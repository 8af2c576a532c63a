package render

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
)

// lexerFiles are the languages that notebooks are written in. The package with all of chroma's lexers reads
// 270 of them whenever a program starts; these are read when the first cell is highlighted.
//
//go:embed lexers/*.xml
var lexerFiles embed.FS

// lexers returns the lexers by their names and aliases, in lower case.
var lexers = sync.OnceValue(func() map[string]chroma.Lexer {
	files, err := fs.Glob(lexerFiles, "lexers/*.xml")
	if err != nil {
		panic(fmt.Sprintf("the pattern of lexers is right: %v", err))
	}
	registry, named := chroma.NewLexerRegistry(), map[string]chroma.Lexer{} // through the registry one lexer uses another
	for _, file := range files {
		lexer := registry.Register(chroma.MustNewXMLLexer(lexerFiles, file))
		for _, name := range append(lexer.Config().Aliases, lexer.Config().Name) {
			named[strings.ToLower(name)] = lexer
		}
	}
	return named
})

// languages maps what kernels and magics call a language to the lexer's name, where that differs.
var languages = map[string]string{
	"ipython": "python", "python3": "python", "pyspark": "python", "rlang": "r", "ir": "r", "zsh": "bash",
	"node": "javascript", "c++17": "c++", "c++20": "c++", "spark": "scala",
	"sparksql": "sql", "bigquery": "sql", "postgresql": "sql", "mysql": "sql", "sqlite": "sql", "latex": "tex", "svg": "xml", "f#": "fsharp", "yml": "yaml", "shell": "bash",
}

// lexerFor returns the lexer for a language as a notebook names it; nil when it has none.
func lexerFor(language string) chroma.Lexer {
	name := strings.ToLower(strings.TrimSpace(language))
	if known, ok := languages[name]; ok {
		name = known
	}
	return lexers()[name]
}

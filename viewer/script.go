package viewer

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// script serves the code of an executed notebook as one text file, its Markdown as comments. It is in the "percent" format, which
// editors and Jupytext read as cells.
func (v *viewer) script(w http.ResponseWriter, r *http.Request) error {
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	n, err := attemptOf(run, r.URL.Query().Get("attempt"))
	if err != nil {
		return err
	}
	if n == 0 {
		return nes.Errorf(nes.CodeNotFound, "the run has no notebook yet")
	}
	doc, err := v.documents.get(r.Context(), &run, n)
	if err != nil {
		return err
	}
	defer doc.release()
	h := w.Header()
	render.SandboxHeaders(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	name := runName(run) + extension(doc.index.Language)
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
	send(w, r, http.StatusOK, []byte(percent(doc.index)))
	return nil
}

// percent writes a notebook in the percent format.
func percent(x *notebook.Index) string {
	mark := comment(x.Language)
	var b strings.Builder
	for i := range x.Cells {
		c := &x.Cells[i]
		if c.Type == "code" {
			fmt.Fprintf(&b, "%s %%%%\n%s\n\n", mark, strings.TrimRight(c.Source, "\n"))
			continue
		}
		fmt.Fprintf(&b, "%s %%%% [%s]\n", mark, oneWord(c.Type))
		for line := range strings.Lines(c.Source) {
			b.WriteString(strings.TrimRight(mark+" "+strings.TrimRight(line, "\r\n"), " ") + "\n")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// oneWord keeps the type of a cell, which the notebook chose, within its line.
func oneWord(kind string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == ']' || c == '\u2028' || c == '\u2029' || c == '\u0085' {
			return -1
		}
		return c
	}, kind)
}

func comment(language string) string {
	switch language {
	case "scala", "java", "kotlin", "javascript", "typescript", "c", "c++", "c#", "f#", "go", "rust", "php", "groovy":
		return "//"
	case "sql", "haskell", "lua":
		return "--"
	}
	return "#"
}

func extension(language string) string {
	switch language {
	case "python", "ipython":
		return ".py"
	case "r":
		return ".r"
	case "julia":
		return ".jl"
	case "scala":
		return ".scala"
	case "bash":
		return ".sh"
	}
	return ".txt"
}

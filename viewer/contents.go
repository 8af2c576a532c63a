package viewer

import (
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

// maxHeadings is how many lines a table of contents has at most.
const maxHeadings = 300

// heading is a line of the table of contents.
type heading struct {
	Cell, Level int
	Text        string
}

// contentsOf lists the headings of the notebook's Markdown cells.
func contentsOf(x *notebook.Index) []heading {
	var list []heading
	for i := range x.Cells {
		c := &x.Cells[i]
		switch {
		case c.HasTag("papermill-error-cell-tag"):
		case c.Type == "heading":
			list = append(list, heading{i, min(max(c.Level, 1), 6), plain(c.Source)})
		case c.Type == "markdown":
			list = append(list, headingsIn(c.Source, i)...)
		}
	}
	return list[:min(len(list), maxHeadings)]
}

// headingsIn finds the lines that Markdown reads as headings, outside fences of code.
func headingsIn(source string, cell int) (list []heading) {
	fence := ""
	for line := range strings.Lines(source) {
		line = strings.TrimRight(line, "\r\n")
		text := strings.TrimLeft(line, " ")
		if len(line)-len(text) > 3 {
			continue
		}
		if mark := fenceOf(text); mark != "" {
			switch {
			case fence == "":
				fence = mark
			case strings.HasPrefix(text, fence):
				fence = ""
			}
			continue
		}
		level := len(text) - len(strings.TrimLeft(text, "#"))
		if fence != "" || level < 1 || level > 6 || !strings.HasPrefix(text[level:]+" ", " ") {
			continue
		}
		if words := plain(strings.TrimRight(strings.TrimSpace(text[level:]), "# ")); words != "" {
			list = append(list, heading{cell, level, words})
		}
	}
	return list
}

func fenceOf(text string) string {
	for _, mark := range []string{"```", "~~~"} {
		if strings.HasPrefix(text, mark) {
			return mark
		}
	}
	return ""
}

// plain takes the marks of Markdown out of a heading.
func plain(text string) string {
	text = strings.NewReplacer("**", "", "__", "", "`", "", "*", "").Replace(text)
	for {
		open := strings.Index(text, "](")
		if open < 0 {
			return strings.TrimSpace(text)
		}
		start, end := strings.LastIndex(text[:open], "["), strings.Index(text[open:], ")")
		if start < 0 || end < 0 {
			return strings.TrimSpace(text)
		}
		text = strings.TrimRight(text[:start], "!") + text[start+1:open] + text[open+end+1:]
	}
}

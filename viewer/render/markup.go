package render

import (
	"html"
	"html/template"
	"strconv"
	"strings"
)

// markup builds HTML.
type markup struct{ b strings.Builder }

// literal is HTML that stands in this program. A string variable does not convert to it by itself.
type literal string

func (m *markup) lit(pieces ...literal) {
	for _, p := range pieces {
		m.b.WriteString(string(p))
	}
}

func (m *markup) text(s string) { m.b.WriteString(html.EscapeString(s)) }
func (m *markup) int(n int)     { m.b.WriteString(strconv.Itoa(n)) }

// safe takes over HTML that was made by this package's own functions.
func (m *markup) safe(h template.HTML) { m.b.WriteString(string(h)) }

// attr writes an attribute, unless its value is empty.
func (m *markup) attr(name literal, value string) {
	if value == "" {
		return
	}
	m.lit(" ", name, `="`)
	m.text(value)
	m.lit(`"`)
}

func (m *markup) html() template.HTML { return template.HTML(m.b.String()) } //nolint:gosec // made of constants and escaped text

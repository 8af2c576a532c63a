package render

import (
	"html"
	"html/template"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ansiLines shows text as a terminal would: colours and weights of ANSI escapes become
// classes, and carriage return, backspace, erasing and moves between lines are applied. Each line is
// HTML that stands for itself. Time and memory are linear in the text.
func ansiLines(text string) []template.HTML {
	if !strings.ContainsAny(text, "\x1b\r\b\x00\x07\x0b\x0c") {
		return plainLines(text)
	}
	t := terminal{}
	t.write(text)
	t.flush(len(t.rows))
	return trimLast(t.done)
}

func plainLines(text string) []template.HTML {
	split := strings.Split(text, "\n")
	lines := make([]template.HTML, len(split))
	for i, l := range split {
		lines[i] = template.HTML(html.EscapeString(l)) //nolint:gosec // escaped
	}
	return trimLast(lines)
}

// trimLast drops the empty line behind a final newline.
func trimLast(lines []template.HTML) []template.HTML {
	if n := len(lines); n > 0 && lines[n-1] == "" {
		return lines[:n-1]
	}
	return lines
}

// style of a glyph. Colours are 1 more than their number in the palette of 256; 0 is the default.
type style struct {
	fg, bg                                         uint16
	bold, faint, italic, underline, strike, invert bool
}

type glyph struct {
	r     rune
	style style
}

type row []glyph

// screen is how many lines back the cursor can go; what is above has left the screen and is final, as in a terminal.
const screen = 1000

type terminal struct {
	rows []row
	y, x int
	now  style

	done  []template.HTML // lines that left the screen
	spare []row           // their memory
}

// flush makes the first n rows final.
func (t *terminal) flush(n int) {
	for _, r := range t.rows[:n] {
		t.done = append(t.done, r.html())
		t.spare = append(t.spare, r[:0])
	}
	t.rows = append(t.rows[:0], t.rows[n:]...)
	t.y -= n
}

func (t *terminal) write(text string) {
	t.rows = []row{nil}
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == '\x1b' {
			text = t.escape(text[1:])
			continue
		}
		text = text[n:]
		t.control(r)
	}
}

func (t *terminal) control(r rune) {
	switch r {
	case '\n':
		t.down(1)
		t.x = 0
	case '\r':
		t.x = 0
	case '\b':
		t.x = max(0, t.x-1)
	case '\t':
		t.put('\t')
	default:
		if r >= 0x20 && r != 0x7f {
			t.put(r)
		}
	}
}

func (t *terminal) down(n int) {
	for range n {
		if t.y++; t.y < len(t.rows) {
			continue
		}
		if len(t.rows) >= 2*screen {
			t.flush(screen)
		}
		t.rows = append(t.rows, t.blank())
	}
}

func (t *terminal) blank() row {
	n := len(t.spare)
	if n == 0 {
		return nil
	}
	r := t.spare[n-1]
	t.spare = t.spare[:n-1]
	return r
}

// put writes one glyph at the cursor, which is never beyond the end of its row.
func (t *terminal) put(r rune) {
	row := t.rows[t.y]
	t.x = min(t.x, len(row))
	g := glyph{r, t.now}
	if t.x < len(row) {
		row[t.x] = g
	} else {
		t.rows[t.y] = append(row, g)
	}
	t.x++
}

// escape consumes what follows an ESC and returns the rest.
func (t *terminal) escape(text string) string {
	if text == "" {
		return ""
	}
	switch text[0] {
	case '[':
		return t.sequence(text[1:])
	case ']', 'P', '^', '_': // a string for the terminal, up to BEL, ESC \ or the end of the line
		i := strings.IndexAny(text, "\a\x1b\n")
		switch {
		case i < 0:
			return ""
		case text[i] == '\a':
			return text[i+1:]
		case strings.HasPrefix(text[i:], "\x1b\\"):
			return text[i+2:]
		}
		return text[i:]
	case '\n', '\r', '\x1b':
		return text
	default:
		_, n := utf8.DecodeRuneInString(text)
		return text[n:]
	}
}

// sequence consumes a control sequence: parameters, then one final byte.
func (t *terminal) sequence(text string) string {
	i := 0
	for i < len(text) && (text[i] >= 0x20 && text[i] <= 0x3f) {
		i++
	}
	if i == len(text) || text[i] < 0x40 || text[i] > 0x7e {
		return text[i:] // cut or malformed: what was read is dropped
	}
	t.perform(text[i], numbers(text[:i]))
	return text[i+1:]
}

// numbers reads parameters: at most 32, each at most 9999.
func numbers(params string) []int {
	if params == "" {
		return nil
	}
	var out []int
	for _, p := range strings.FieldsFunc(params[:min(len(params), 256)], func(r rune) bool { return r == ';' || r == ':' }) {
		n, err := strconv.Atoi(p)
		if err != nil || n > 9999 || len(out) == 32 {
			return out
		}
		out = append(out, n)
	}
	return out
}

func (t *terminal) perform(final byte, n []int) {
	arg := func(fallback int) int {
		if len(n) == 0 {
			return fallback
		}
		return n[0]
	}
	switch final {
	case 'm':
		t.now = t.now.apply(n)
	case 'A':
		t.y = max(0, t.y-max(1, arg(1)))
	case 'B':
		t.y = min(len(t.rows)-1, t.y+max(1, arg(1)))
	case 'D':
		t.x = max(0, min(t.x, len(t.rows[t.y]))-max(1, arg(1)))
	case 'G':
		t.x = max(0, arg(1)-1)
	case 'K':
		t.erase(arg(0))
	}
}

func (t *terminal) erase(what int) {
	row := t.rows[t.y]
	t.x = min(t.x, len(row))
	switch what {
	case 0:
		t.rows[t.y] = row[:t.x]
	case 2:
		t.rows[t.y], t.x = row[:0], 0
	}
}

func (s style) apply(n []int) style {
	if len(n) == 0 {
		return style{}
	}
	for i := 0; i < len(n); i++ {
		switch c := n[i]; {
		case c == 38 || c == 48:
			colour, used := extended(n[i+1:])
			i += used
			if c == 38 {
				s.fg = colour
			} else {
				s.bg = colour
			}
		default:
			s = s.simple(c)
		}
	}
	return s
}

func (s style) simple(c int) style {
	switch {
	case c == 0:
		return style{}
	case c == 1:
		s.bold = true
	case c == 2:
		s.faint = true
	case c == 3:
		s.italic = true
	case c == 4:
		s.underline = true
	case c == 7:
		s.invert = true
	case c == 9:
		s.strike = true
	case c == 22:
		s.bold, s.faint = false, false
	case c == 23:
		s.italic = false
	case c == 24:
		s.underline = false
	case c == 27:
		s.invert = false
	case c == 29:
		s.strike = false
	case c == 39:
		s.fg = 0
	case c == 49:
		s.bg = 0
	case c >= 30 && c <= 37:
		s.fg = uint16(c - 30 + 1)
	case c >= 40 && c <= 47:
		s.bg = uint16(c - 40 + 1)
	case c >= 90 && c <= 97:
		s.fg = uint16(c - 90 + 8 + 1)
	case c >= 100 && c <= 107:
		s.bg = uint16(c - 100 + 8 + 1)
	}
	return s
}

// extended reads the parameters behind 38 or 48 and says how many it used.
func extended(n []int) (colour uint16, used int) {
	switch {
	case len(n) >= 2 && n[0] == 5:
		return uint16(min(n[1], 255) + 1), 2
	case len(n) >= 4 && n[0] == 2:
		return nearest(n[1], n[2], n[3]) + 1, 4
	}
	return 0, len(n)
}

// nearest finds the colour of the palette of 256 that is closest to a 24-bit one: pages
// allow no inline styles, and a palette can be written down as classes.
func nearest(r, g, b int) uint16 {
	r, g, b = min(r, 255), min(g, 255), min(b, 255)
	if spread := max(r, g, b) - min(r, g, b); spread < 10 {
		grey := (r + g + b) / 3
		if grey > 8 && grey < 243 {
			return uint16(232 + min(23, (grey-3)/10))
		}
	}
	level := func(v int) int {
		if v < 48 {
			return 0
		}
		return max(1, (v-35)/40)
	}
	return uint16(16 + 36*level(r) + 6*level(g) + level(b))
}

func (r row) html() template.HTML {
	var m markup
	for i := 0; i < len(r); {
		j := i
		for j < len(r) && r[j].style == r[i].style {
			j++
		}
		r[i].style.open(&m)
		for _, g := range r[i:j] {
			m.rune(g.r)
		}
		if r[i].style != (style{}) {
			m.lit("</span>")
		}
		i = j
	}
	return m.html()
}

func (m *markup) rune(r rune) {
	switch r {
	case '<', '>', '&', '"', '\'':
		m.text(string(r))
	default:
		m.b.WriteRune(r)
	}
}

func (s style) open(m *markup) {
	if s == (style{}) {
		return
	}
	if s.bold && s.fg >= 1 && s.fg <= 8 {
		s.fg += 8 // bold brightens the first eight, as terminals do
	}
	m.lit(`<span class="an`)
	for _, f := range []struct {
		on    bool
		class literal
	}{{s.bold, " an-b"}, {s.faint, " an-d"}, {s.italic, " an-i"}, {s.underline, " an-u"}, {s.strike, " an-s"}, {s.invert, " an-v"}} {
		if f.on {
			m.lit(f.class)
		}
	}
	if s.fg > 0 {
		m.lit(" an-f")
		m.int(int(s.fg) - 1)
	}
	if s.bg > 0 {
		m.lit(" an-g")
		m.int(int(s.bg) - 1)
	}
	m.lit(`">`)
}

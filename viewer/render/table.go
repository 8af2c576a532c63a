package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/nes-run/nes/viewer/notebook"
)

// Bounds of tables.
const (
	tableHead    = 256 << 10 // bytes of a table that are read for a page
	openRows     = 100       // rows that are in a page; the rest comes when a reader asks for it
	maxRows      = 1 << 20   // rows of a table that a reader can get
	maxColumns   = 2_000
	maxHeadRows  = 16
	maxCellText  = 4 << 10
	maxTableText = 256 << 20 // bytes of a whole table's HTML
)

// table is a data frame: what pandas, polars, R and others write as an HTML table of text alone.
type table struct {
	head  [][]headCell
	stub  int // leading columns that name the row
	width int
	rows  [][]string
	note  string // what stands around the table, such as "5 rows × 2 columns"
	more  bool   // rows were left out
}

type headCell struct {
	text       string
	cols, rows int
}

// errNoFrame is HTML that is not a data frame, or is more than one.
var errNoFrame = errors.New("not a data frame")

// readTable reads a data frame up to a number of rows; emit takes the rows, or nil keeps them. Its error is
// errNoFrame, or the reader's own. A table that is cut in the middle keeps the rows that are whole.
func readTable(r io.Reader, most int, emit func([]string) error) (*table, error) {
	p := tableParser{z: html.NewTokenizer(io.LimitReader(r, maxTableText)), t: &table{}, most: most, emit: emit, spans: map[int]span{}}
	p.z.SetMaxBuf(1 << 20)
	for !p.done {
		kind := p.z.Next()
		if kind == html.ErrorToken {
			if err := p.z.Err(); !errors.Is(err, io.EOF) && !errors.Is(err, html.ErrBufferExceeded) {
				return nil, err
			}
			break
		}
		if err := p.token(kind); err != nil {
			return nil, err
		}
	}
	if !p.seen || p.t.width == 0 {
		return nil, errNoFrame
	}
	p.t.note = strings.Join(strings.Fields(p.around.String()), " ")
	return p.t, nil
}

type tableParser struct {
	z    *html.Tokenizer
	t    *table
	most int
	emit func([]string) error

	seen, inTable, inBody, done bool
	style                       bool // within a style element
	count                       int

	cell    *strings.Builder // nil outside of cells
	cellTag atom.Atom
	heads   []headCell // of the row, while it is in the head
	row     []string
	stub    int
	now     headCell
	spans   map[int]span // cells of rows above that reach into this one
	around  strings.Builder
}

// span is a cell that reaches over rows.
type span struct {
	text string
	left int
}

func (p *tableParser) token(kind html.TokenType) error {
	switch kind {
	case html.TextToken:
		return p.text(string(p.z.Text()))
	case html.StartTagToken, html.SelfClosingTagToken:
		name, more := p.z.TagName()
		return p.open(atom.Lookup(name), more)
	case html.EndTagToken:
		name, _ := p.z.TagName()
		return p.close(atom.Lookup(name))
	}
	return nil
}

func (p *tableParser) text(s string) error {
	switch {
	case p.style:
		if !strings.HasPrefix(strings.TrimSpace(s), ".dataframe") {
			return errNoFrame // styles of its own: see rich
		}
	case p.cell != nil:
		if p.cell.Len() < maxCellText {
			p.cell.WriteString(s[:min(len(s), maxCellText)])
		}
	case p.around.Len() < 256: // also a caption
		p.around.WriteString(s[:min(len(s), 256)])
	}
	return nil
}

func (p *tableParser) open(tag atom.Atom, more bool) error {
	attrs := p.attributes(more)
	switch tag {
	case atom.Div, atom.P, atom.Small, atom.Caption:
		if p.cell != nil {
			return errNoFrame
		}
	case atom.Style:
		p.style = true
	case atom.Table:
		if p.seen || !hasWord(attrs["class"], "dataframe") || attrs["id"] != "" {
			return errNoFrame
		}
		p.seen, p.inTable = true, true
	case atom.Thead, atom.Tbody:
		err := p.endRow()
		p.inBody = tag == atom.Tbody
		return err
	case atom.Tr:
		return p.endRow()
	case atom.Th, atom.Td:
		return p.openCell(tag, attrs)
	case atom.Br:
		return p.text("\n")
	default:
		return errNoFrame
	}
	return nil
}

func (p *tableParser) attributes(more bool) map[string]string {
	attrs := map[string]string{}
	for more {
		var key, value []byte
		key, value, more = p.z.TagAttr()
		attrs[string(key)] = string(value)
	}
	return attrs
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func (p *tableParser) openCell(tag atom.Atom, attrs map[string]string) error {
	p.endCell()
	if !p.inTable || len(p.row)+len(p.heads) >= maxColumns {
		return errNoFrame
	}
	p.fill()
	p.now = headCell{cols: number(attrs["colspan"]), rows: number(attrs["rowspan"])}
	if p.inBody && p.now.cols > 1 {
		return errNoFrame
	}
	p.cell, p.cellTag = &strings.Builder{}, tag
	return nil
}

// number reads a span; what is none is 1.
func number(s string) int {
	n := 0
	if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < 1 || n > maxRows {
		return 1
	}
	return n
}

func (p *tableParser) close(tag atom.Atom) error {
	switch tag {
	case atom.Style:
		p.style = false
	case atom.Th, atom.Td:
		p.endCell()
	case atom.Tr:
		return p.endRow()
	case atom.Table:
		p.inTable = false
		return p.endRow()
	}
	return nil
}

// fill puts in the cells of rows above that reach into the row.
func (p *tableParser) fill() {
	for p.inBody {
		s, ok := p.spans[len(p.row)]
		if !ok {
			return
		}
		if s.left--; s.left == 0 {
			delete(p.spans, len(p.row))
		} else {
			p.spans[len(p.row)] = s
		}
		if p.stub == len(p.row) {
			p.stub++
		}
		p.row = append(p.row, s.text)
	}
}

func (p *tableParser) endCell() {
	if p.cell == nil {
		return
	}
	text := strings.TrimSpace(valid(p.cell.String()))
	p.cell = nil
	if !p.inBody {
		p.now.text = text
		p.heads = append(p.heads, p.now)
		return
	}
	if p.now.rows > 1 {
		p.spans[len(p.row)] = span{text, p.now.rows - 1}
	}
	if p.cellTag == atom.Th && p.stub == len(p.row) {
		p.stub++
	}
	p.row = append(p.row, text)
}

func (p *tableParser) endRow() error {
	p.endCell()
	if len(p.heads) > 0 {
		if len(p.t.head) == maxHeadRows {
			return errNoFrame
		}
		p.t.head = append(p.t.head, p.heads)
		width := 0
		for _, h := range p.heads {
			width += h.cols
		}
		p.t.width = max(p.t.width, min(width, maxColumns))
		p.heads = nil
	}
	if len(p.row) == 0 {
		return nil
	}
	p.fill()
	row := p.row
	p.t.stub, p.t.width = max(p.t.stub, p.stub), max(p.t.width, len(row))
	p.row, p.stub = nil, 0
	if p.count++; p.count > p.most {
		p.t.more, p.done = true, true
		return nil
	}
	if p.emit != nil {
		return p.emit(row)
	}
	p.t.rows = append(p.t.rows, row)
	return nil
}

// dataFrame shows a body of HTML as a table that can be sorted and filtered, where it is one.
func (d *Document) dataFrame(b *notebook.Body, text string, cut bool) (template.HTML, bool) {
	if !strings.Contains(text, "dataframe") {
		return "", false
	}
	most := openRows
	if d.Alone {
		most = maxRows
	}
	t, err := readTable(strings.NewReader(text), most, nil)
	if err != nil || len(t.rows) == 0 {
		return "", false
	}
	t.more = t.more || cut
	return d.table(b, t), true
}

// table writes a data frame. A reader's browser asks for the rest of a long one at "rows" beside the body.
func (d *Document) table(b *notebook.Body, t *table) template.HTML {
	var m markup
	m.lit(`<div class="frame"`)
	if t.more && d.TableBase != "" {
		m.attr("data-rows", d.TableBase+b.SHA256)
	}
	m.lit(`><div class="scroll"><table class="dataframe">`)
	m.tableHead(t)
	m.lit(`<tbody>`)
	for _, row := range t.rows {
		m.tableRow(row, t.stub)
	}
	m.lit(`</tbody></table></div><p class="note">`)
	if t.more {
		m.lit(`The first `)
		m.text(groups(len(t.rows)))
		m.lit(` rows. `)
		if d.BodyBase != "" {
			m.lit(`<a`)
			m.attr("href", d.BodyBase+b.SHA256)
			m.lit(`>Open the whole as text</a> `)
		}
	}
	m.text(t.note)
	m.lit(`</p></div>`)
	return m.html()
}

func (m *markup) tableHead(t *table) {
	m.lit(`<thead>`)
	for _, row := range t.head {
		m.lit(`<tr>`)
		for _, h := range row {
			m.lit(`<th scope="col"`)
			if h.cols > 1 {
				m.attr("colspan", fmt.Sprint(h.cols))
			}
			if h.rows > 1 {
				m.attr("rowspan", fmt.Sprint(h.rows))
			}
			m.lit(`>`)
			m.text(h.text)
			m.lit(`</th>`)
		}
		m.lit(`</tr>`)
	}
	m.lit(`</thead>`)
}

func (m *markup) tableRow(row []string, stub int) {
	m.lit(`<tr>`)
	for i, text := range row {
		if i < stub {
			m.lit(`<th scope="row">`)
			m.text(text)
			m.lit(`</th>`)
			continue
		}
		m.lit(`<td>`)
		m.text(text)
		m.lit(`</td>`)
	}
	m.lit(`</tr>`)
}

// WriteRows writes all rows of a data frame as JSON, {"stub": n, "rows": [[...], ...], "more": false}, while it reads the
// table; ok is false, and nothing is written, where the body is none.
func WriteRows(w io.Writer, b *notebook.Body, file io.ReaderAt) (ok bool, err error) {
	r, copied := io.Pipe()
	go func() { copied.CloseWithError(b.Copy(copied, file)) }()
	defer r.Close()
	if b.MIME == DataResource {
		return writeResource(w, r)
	}
	n := 0
	t, err := readTable(r, maxRows, func(row []string) error {
		raw, err := json.Marshal(row)
		if err != nil {
			return err
		}
		open := ","
		if n == 0 {
			open = `{"rows":[`
		}
		n++
		_, err = fmt.Fprintf(w, "%s%s", open, raw)
		return err
	})
	if n == 0 {
		if errors.Is(err, errNoFrame) {
			err = nil
		}
		return false, err
	}
	if err != nil {
		return true, err
	}
	_, err = fmt.Fprintf(w, `],"stub":%d,"more":%t}`, t.stub, t.more)
	return true, err
}

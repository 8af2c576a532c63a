package render

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

// DataResource is the MIME type of a table as JSON, with a schema.
const DataResource = "application/vnd.dataresource+json"

// maxResource is how much JSON is read for a table.
const maxResource = 32 << 20

type resource struct {
	Schema struct {
		Fields []struct {
			Name json.RawMessage `json:"name"`
		} `json:"fields"`
		PrimaryKey json.RawMessage `json:"primaryKey"`
	} `json:"schema"`
	Data []map[string]json.RawMessage `json:"data"`
}

// readResource reads a tabular data resource; nil is JSON that is none.
func readResource(r io.Reader) *table {
	var in resource
	if json.NewDecoder(io.LimitReader(r, maxResource)).Decode(&in) != nil || len(in.Schema.Fields) == 0 || len(in.Schema.Fields) > maxColumns {
		return nil
	}
	t := &table{width: len(in.Schema.Fields)}
	var head []headCell
	for _, f := range in.Schema.Fields {
		head = append(head, headCell{text: plainJSON(f.Name), cols: 1, rows: 1})
	}
	if len(in.Schema.PrimaryKey) > 0 && strings.Contains(string(in.Schema.PrimaryKey), string(in.Schema.Fields[0].Name)) {
		t.stub = 1
	}
	t.head = [][]headCell{head}
	for _, record := range in.Data {
		row := make([]string, len(head))
		for i, h := range head {
			row[i] = plainJSON(record[h.text])
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// plainJSON is a value as a table shows it: strings without quotes, null as nothing.
func plainJSON(raw json.RawMessage) string {
	var s *string
	if json.Unmarshal(raw, &s) == nil {
		if s == nil {
			return ""
		}
		return *s
	}
	return string(raw)
}

func (d *Document) resource(b *notebook.Body) (template.HTML, bool) {
	if b.Size > maxResource {
		return "", false
	}
	part, err := d.read(b, maxResource, 0)
	if err != nil {
		return "", false
	}
	text, _, _ := part.parts()
	t := readResource(strings.NewReader(text))
	if t == nil {
		return "", false
	}
	if len(t.rows) > openRows && !d.Alone {
		t.rows, t.more = t.rows[:openRows], true
	}
	return d.table(b, t), true
}

func writeResource(w io.Writer, r io.Reader) (ok bool, err error) {
	t := readResource(r)
	if t == nil {
		return false, nil
	}
	rows, err := json.Marshal(t.rows)
	if err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(w, `{"rows":%s,"stub":%d,"more":false}`, rows, t.stub)
	return true, err
}

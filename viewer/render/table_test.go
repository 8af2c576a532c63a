package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/notebook"
)

func TestDataFramesAreRecognised(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		head string // cells by "|", rows by "/"
		rows string
		stub int
		note string
	}{
		"pandas": {`<div><style scoped>.dataframe th {x: y}</style><table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>a</th></tr></thead>
			<tbody><tr><th>0</th><td>1 &lt; 2</td></tr><tr><th>1</th><td>x</td></tr></tbody></table><p>2 rows × 1 columns</p></div>`, "|a", "0|1 < 2/1|x", 1, "2 rows × 1 columns"},
		"polars": {"<div><style>\n.dataframe > thead > tr { text-align: right }</style><small>shape: (1, 2)</small><table border=\"1\" class=\"dataframe\"><thead><tr><th>a</th><th>b</th></tr>" +
			"<tr><td>i64</td><td>str</td></tr></thead><tbody><tr><td>1</td><td>&quot;x&quot;</td></tr></tbody></table></div>", "a|b/i64|str", `1|"x"`, 0, "shape: (1, 2)"},
		"R": {`<table class="dataframe"><caption>A data.frame: 1 x 2</caption><thead><tr><th scope=col>a</th><th scope=col>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>`,
			"a|b", "1|2", 0, "A data.frame: 1 x 2"},
		"two levels of rows": {`<table class="dataframe"><thead><tr><th></th><th></th><th>n</th></tr></thead><tbody><tr><th rowspan="2" valign="top">a</th><th>x</th><td>1</td></tr>
			<tr><th>y</th><td>2</td></tr><tr><th>b</th><th>x</th><td>3</td></tr></tbody></table>`, "||n", "a|x|1/a|y|2/b|x|3", 2, ""},
		"two levels of columns": {`<table class="dataframe"><thead><tr><th></th><th colspan="2">g</th></tr><tr><th></th><th>a</th><th>b</th></tr></thead><tbody><tr><th>0</th><td>1</td><td>2</td></tr></tbody></table>`,
			"|g*2/|a|b", "0|1|2", 1, ""},
		"cut in a row":    {`<table class="dataframe"><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr><tr><td>2`, "a", "1", 0, ""},
		"no end tags":     {`<table class=dataframe><thead><tr><th>a<th>b<tbody><tr><td>1<td>2<tr><td>3<td>4</table>`, "a|b", "1|2/3|4", 0, ""},
		"a break":         {`<table class="dataframe"><tbody><tr><td>1<br>2</td></tr></tbody></table>`, "", "1\n2", 0, ""},
		"a span too long": {`<table class="dataframe"><tbody><tr><th rowspan="9">a</th><td>1</td></tr><tr><td>2</td></tr></tbody></table>`, "", "a|1/a|2", 1, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readTable(strings.NewReader(tt.text), 1000, nil)
			require.NoError(t, err)
			var head []string
			for _, row := range got.head {
				var cells []string
				for _, h := range row {
					if h.cols > 1 {
						h.text += fmt.Sprintf("*%d", h.cols)
					}
					cells = append(cells, h.text)
				}
				head = append(head, strings.Join(cells, "|"))
			}
			var rows []string
			for _, row := range got.rows {
				rows = append(rows, strings.Join(row, "|"))
			}
			require.Equal(t, []any{tt.head, tt.rows, tt.stub, tt.note}, []any{strings.Join(head, "/"), strings.Join(rows, "/"), got.stub, got.note})
			require.False(t, got.more)
		})
	}
}

func TestWhatIsNoDataFrame(t *testing.T) {
	t.Parallel()
	cell := func(s string) string {
		return `<table class="dataframe"><tbody><tr><td>` + s + `</td></tr></tbody></table>`
	}
	for name, text := range map[string]string{
		"nothing": "", "text": "dataframe", "another table": `<table><tr><td>1</td></tr></table>`, "a class like it": `<table class="dataframes"><tr><td>1</table>`,
		"an empty one": `<table class="dataframe"></table>`, "a link": cell(`<a href="x">y</a>`), "an image": cell(`<img src=x>`), "bold": cell(`<b>1</b>`), "a script": cell(`<script>1</script>`),
		"a paragraph": cell("<p>1"), "two tables": cell("1") + cell("2"), "a table within": cell(cell("1")), "a styler": `<style>#T_1 td {color:red}</style>` + cell("1"),
		"a styler's table": `<table id="T_1" class="dataframe"><tr><td>1</table>`, "a script before": `<script></script>` + cell("1"), "cells over columns": `<table class="dataframe"><tbody><tr><td colspan=2>1</table>`,
		"a cell alone": `<td>1</td>`, "too many columns": `<table class="dataframe"><tbody><tr>` + strings.Repeat("<td>1", 3000), "too many rows of heads": `<table class="dataframe"><thead>` + strings.Repeat("<tr><th>1", 20),
	} {
		_, err := readTable(strings.NewReader(text), 1000, nil)
		require.ErrorIs(t, err, errNoFrame, name)
	}
	_, err := readTable(iotest.ErrReader(errors.New("disk")), 10, nil)
	require.ErrorContains(t, err, "disk")
}

// frame writes what pandas would for n rows of two columns.
func frame(n int) string {
	var b strings.Builder
	b.WriteString(`<div><style scoped>.dataframe{}</style><table border="1" class="dataframe"><thead><tr><th></th><th>name</th><th>value</th></tr></thead><tbody>`)
	for i := range n {
		fmt.Fprintf(&b, "\n    <tr>\n      <th>%d</th>\n      <td>row %d</td>\n      <td>%d.5</td>\n    </tr>", i, i, n-i)
	}
	b.WriteString(`</tbody></table></div>`)
	return b.String()
}

// htmlDocument is a document with one output of HTML.
func htmlDocument(t testing.TB, mime string, value any) *Document {
	t.Helper()
	file, err := json.Marshal(map[string]any{"nbformat": 4, "cells": []any{map[string]any{"cell_type": "code", "source": "x", "outputs": []any{
		map[string]any{"output_type": "display_data", "data": map[string]any{mime: value}}}}}})
	require.NoError(t, err)
	x, err := notebook.Parse(bytes.NewReader(file))
	require.NoError(t, err)
	return &Document{Index: x, File: bytes.NewReader(file), BodyBase: "/b/", FrameBase: "/f/", TableBase: "/t/"}
}

// TestLongTablesStayLight: a page carries the first rows of a table, and every row can be had.
func TestLongTablesStayLight(t *testing.T) {
	t.Parallel()
	const n = 100_000
	d := htmlDocument(t, "text/html", frame(n))
	page := string(New().Cell(d, 0))
	require.Less(t, len(page), 20<<10)
	b := d.Index.Cells[0].Outputs[0].Bodies[0]
	require.Contains(t, page, `data-rows="/t/`+b.SHA256+`"`)
	require.Equal(t, openRows, strings.Count(page, `<th scope="row">`))
	require.Contains(t, page, "The first 100 rows.")

	var out bytes.Buffer
	ok, err := WriteRows(&out, &b, d.File)
	require.NoError(t, err)
	require.True(t, ok)
	var got struct {
		Rows [][]string
		Stub int
		More bool
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Len(t, got.Rows, n)
	require.Equal(t, []string{"99999", "row 99999", "1.5"}, got.Rows[n-1])
	require.Equal(t, 1, got.Stub)
	require.False(t, got.More)

	d.Alone, d.BodyBase, d.FrameBase, d.TableBase = true, "", "", ""
	alone := string(New().Cell(d, 0))
	require.Equal(t, n, strings.Count(alone, `<th scope="row">`), "a page that stands alone has all rows")
}

func TestRowsOfWhatIsNoTable(t *testing.T) {
	t.Parallel()
	for mime, value := range map[string]any{"text/html": "<b>x</b>", DataResource: map[string]any{"data": []any{1}}} {
		d := htmlDocument(t, mime, value)
		var out bytes.Buffer
		ok, err := WriteRows(&out, &d.Index.Cells[0].Outputs[0].Bodies[0], d.File)
		require.NoError(t, err)
		require.False(t, ok)
		require.Zero(t, out.Len())
	}
	d := htmlDocument(t, "text/html", frame(20_000))
	_, err := WriteRows(failing{}, &d.Index.Cells[0].Outputs[0].Bodies[0], d.File)
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestDataResourcesAreTables(t *testing.T) {
	t.Parallel()
	resource := func(n int) map[string]any {
		var data []any
		for i := range n {
			data = append(data, map[string]any{"index": i, "name": fmt.Sprintf("<%d>", i), "none": nil, "list": []int{1}})
		}
		return map[string]any{"data": data, "schema": map[string]any{"primaryKey": []string{"index"}, "fields": []any{
			map[string]any{"name": "index"}, map[string]any{"name": "name"}, map[string]any{"name": "none"}, map[string]any{"name": "list"}}}}
	}
	d := htmlDocument(t, DataResource, resource(3))
	page := string(New().Cell(d, 0))
	require.Contains(t, page, `<th scope="row">2</th><td>&lt;2&gt;</td><td></td><td>[1]</td>`)
	require.Contains(t, page, `<th scope="col">name</th>`)

	d = htmlDocument(t, DataResource, resource(300))
	page = string(New().Cell(d, 0))
	require.Equal(t, openRows, strings.Count(page, `<th scope="row">`))
	var out bytes.Buffer
	ok, err := WriteRows(&out, &d.Index.Cells[0].Outputs[0].Bodies[0], d.File)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 300, strings.Count(out.String(), `"[1]"`))
}

func FuzzReadTable(f *testing.F) {
	f.Add(frame(3))
	f.Add(`<table class="dataframe"><tbody><tr><th rowspan=3>a<td>1<tr><td>2<tr></table>`)
	f.Add(`<table class=dataframe><thead><tr><th colspan=9999999>x<tbody><tr><td rowspan=-1>`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readTable(strings.NewReader(text), 50, nil)
		if err != nil {
			require.ErrorIs(t, err, errNoFrame)
			return
		}
		require.LessOrEqual(t, len(got.rows), 50)
		for _, row := range got.rows {
			require.LessOrEqual(t, len(row), got.width)
		}
	})
}

func TestTreesOfJSON(t *testing.T) {
	t.Parallel()
	tree := func(text string) (string, bool) {
		var m markup
		ok := m.tree(text)
		return string(m.html()), ok
	}
	got, ok := tree(`{"a": [1, "<b>", null, true], "": 1e999}`)
	require.True(t, ok)
	for _, want := range []string{`<details open><summary><span class="quiet">{2}</span>`, `<span class="key">a</span> <span class="quiet">[4]</span>`, `<span class="hl-s">&#34;&lt;b&gt;&#34;</span>`,
		`<span class="hl-kc">null</span>`, `<span class="hl-kc">true</span>`, `<span class="hl-m">1e999</span>`} {
		require.Contains(t, got, want)
	}
	for name, text := range map[string]string{
		"no JSON": `{"a": `, "two values": `1 2`, "too deep": strings.Repeat("[", 40) + strings.Repeat("]", 40), "too many": "[" + strings.Repeat("1,", 5000) + "1]", "nothing": "", "NaN": "[NaN]",
	} {
		_, ok := tree(text)
		require.False(t, ok, name)
	}
	long, ok := tree(`[` + strings.Repeat(`0,`, 100) + `{"k": ["v"]}]`)
	require.True(t, ok)
	require.Contains(t, long, `<details open><summary><span class="quiet">[101]`)
	require.Equal(t, strings.Count(long, "<details"), strings.Count(long, "</details>"))
}

package nbformat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/nbformat"
)

func TestHeadingsBecomeMarkdown(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		`"level":1,"source":"a"`: "# a", `"level":6,"source":["a"]`: "###### a", `"level":7,"source":"a"`: "###### a", `"level":0,"source":"a"`: "# a", `"level":-5,"source":"a"`: "# a",
		`"level":2,"source":["a\n","b"]`: "## a b", `"level":2,"source":["a","b"]`: "## a b", `"source":"a\r\nb\n\nc"`: "# a b c", `"level":"3","source":"a"`: "# a", `"level":2.5,"source":"a"`: "# a", `"level":3`: "### ",
	} {
		n := read(t, v3(`{"cell_type":"heading","metadata":{"x":1},"trusted":true,"rendered":true,`+cell+`}`))
		require.Equal(t, nbformat.Markdown, n.Cells[0].Type)
		require.Equal(t, want, n.Cells[0].Source, cell)
		require.Empty(t, n.Cells[0].Extra, "nothing of the old format stays")
		require.Contains(t, n.Cells[0].Metadata, "x")
	}
}

// TestLinesOfVersionThree may have been split with their ends, or without.
func TestLinesOfVersionThree(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`["a\n","b"]`: "a\nb", `["a","b"]`: "a\nb", `["a\r","b"]`: "a\rb", `["a\n","","b"]`: "a\nb", `["","a"]`: "\na", `["a"]`: "a", `[]`: "", `"a\nb"`: "a\nb", `null`: "", `5`: "", `["a",5]`: "a",
	} {
		for _, cell := range []string{`"cell_type":"code","input":`, `"cell_type":"markdown","source":`, `"cell_type":"html","source":`, `"cell_type":"raw","source":`} {
			n := read(t, v3(`{`+cell+raw+`}`))
			require.Equal(t, want, n.Cells[0].Source, cell+raw)
		}
	}
}

func TestCodeCellsOfVersionThree(t *testing.T) {
	t.Parallel()
	n := read(t, v3(`{"cell_type":"code","input":"x","collapsed":false,"language":"python","prompt_number":3,"trusted":true,"metadata":{"trusted":true,"a":1},"mine":5,"outputs":[7,{"output_type":"stream","stream":"stderr","text":["a","b"]}]}`))
	c := n.Cells[0]
	require.Equal(t, 3, *c.ExecutionCount)
	require.Equal(t, map[string]json.RawMessage{"a": json.RawMessage("1"), "collapsed": json.RawMessage("false")}, c.Metadata)
	require.Equal(t, map[string]json.RawMessage{"mine": json.RawMessage("5")}, c.Extra)
	require.Len(t, c.Outputs, 1, "what is no object is no output")
	require.JSONEq(t, `{"output_type":"stream","name":"stderr","text":"a\nb"}`, string(c.Outputs[0]))
	require.NotEmpty(t, c.ID, "it becomes 4.5")
	require.NotContains(t, n.Metadata, "name")
	require.Empty(t, n.Extra)
}

// TestOutputsOfVersionThree maps every kind of them, field by field.
func TestOutputsOfVersionThree(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ old, want string }{
		"stream without a name":     {`{"output_type":"stream","text":"a"}`, `{"output_type":"stream","name":"stdout","text":"a"}`},
		"stream of a name":          {`{"output_type":"stream","stream":"stderr","text":["a\n","b"]}`, `{"output_type":"stream","name":"stderr","text":"a\nb"}`},
		"stream without text":       {`{"output_type":"stream"}`, `{"output_type":"stream","name":"stdout","text":""}`},
		"error":                     {`{"output_type":"pyerr","ename":"E","evalue":"v","traceback":["t"]}`, `{"output_type":"error","ename":"E","evalue":"v","traceback":["t"]}`},
		"result":                    {`{"output_type":"pyout","prompt_number":2,"text":["a","b"]}`, `{"output_type":"execute_result","execution_count":2,"data":{"text/plain":"a\nb"},"metadata":{}}`},
		"result without a number":   {`{"output_type":"pyout","text":"a"}`, `{"output_type":"execute_result","execution_count":null,"data":{"text/plain":"a"},"metadata":{}}`},
		"every short name":          {`{"output_type":"display_data","text":"1","html":"2","svg":"3","png":"4","jpeg":"5","latex":"6","javascript":"8"}`, `{"output_type":"display_data","data":{"text/plain":"1","text/html":"2","image/svg+xml":"3","image/png":"4","image/jpeg":"5","text/latex":"6","application/javascript":"8"},"metadata":{}}`},
		"a MIME type of its own":    {`{"output_type":"display_data","application/pdf":["a","b"]}`, `{"output_type":"display_data","data":{"application/pdf":["a","b"]},"metadata":{}}`},
		"metadata follow the names": {`{"output_type":"display_data","png":"i","metadata":{"png":{"width":1},"isolated":true}}`, `{"output_type":"display_data","data":{"image/png":"i"},"metadata":{"image/png":{"width":1},"isolated":true}}`},
		"metadata that are none":    {`{"output_type":"display_data","png":"i","metadata":5}`, `{"output_type":"display_data","data":{"image/png":"i"},"metadata":{}}`},
		"JSON in a string":          {`{"output_type":"display_data","json":"{\"a\": [1, null]}"}`, `{"output_type":"display_data","data":{"application/json":{"a":[1,null]}},"metadata":{}}`},
		"JSON in lines":             {`{"output_type":"display_data","json":["{\"a\":","1}"]}`, `{"output_type":"display_data","data":{"application/json":{"a":1}},"metadata":{}}`},
		"no JSON in a string":       {`{"output_type":"display_data","json":"{"}`, `{"output_type":"display_data","data":{"application/json":"{"},"metadata":{}}`},
		"loose JSON in a string":    {`{"output_type":"display_data","json":"NaN"}`, `{"output_type":"display_data","data":{"application/json":"NaN"},"metadata":{}}`},
		"an empty list of lines":    {`{"output_type":"display_data","html":[]}`, `{"output_type":"display_data","data":{"text/html":[]},"metadata":{}}`},
		"nothing shown":             {`{"output_type":"display_data"}`, `{"output_type":"display_data","data":{},"metadata":{}}`},
		"a kind of the future":      {`{"output_type":"hologram","x":1}`, `{"output_type":"hologram","x":1}`},
		"no kind at all":            {`{"x":1}`, `{"x":1}`},
	} {
		n := read(t, v3(`{"cell_type":"code","input":"x","outputs":[`+tt.old+`]}`))
		require.JSONEq(t, tt.want, string(n.Cells[0].Outputs[0]), name)
	}
}

// TestWorksheetsAreOneNotebook, in their order; what is none has no cells.
func TestWorksheetsAreOneNotebook(t *testing.T) {
	t.Parallel()
	raw := func(s string) string { return `{"cell_type":"raw","source":"` + s + `"}` }
	n := read(t, `{"nbformat":3,"metadata":{"name":"x","signature":"s","mine":1},"orig_nbformat":2,"cells":[5],"worksheets":[{"cells":[`+raw("a")+`,`+raw("b")+`]},{},7,{"cells":null},{"metadata":{},"cells":[`+raw("c")+`]}]}`)
	var got []string
	for _, c := range n.Cells {
		got = append(got, c.Source)
	}
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.Equal(t, map[string]json.RawMessage{"mine": json.RawMessage("1")}, n.Metadata)
	require.Empty(t, n.Extra)
	require.Empty(t, read(t, `{"nbformat":3,"worksheets":{}}`).Cells)
}

// TestOutputsAreKeptAsTheyAre: what a cell showed is not this package's to judge, down to the digits and the order of keys.
func TestOutputsAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, output := range []string{`{"output_type":"stream","name":"stdout","text":["a","b"]}`, `{"z":1,"a":1.00,"m":1e400}`, `{}`, `5`, `null`, `"x"`, `[[]]`} {
		n := read(t, v4(`{"cell_type":"code","outputs":[`+output+`,`+output+`]}`))
		require.Equal(t, []json.RawMessage{json.RawMessage(output), json.RawMessage(output)}, n.Cells[0].Outputs)
		again := read(t, write(t, n))
		for _, raw := range again.Cells[0].Outputs {
			var b bytes.Buffer
			require.NoError(t, json.Compact(&b, raw))
			require.Equal(t, output, b.String())
		}
	}
	for _, outputs := range []string{`null`, `{}`, `5`, `"x"`} {
		require.Empty(t, read(t, v4(`{"cell_type":"code","outputs":`+outputs+`}`)).Cells[0].Outputs, outputs)
	}
	require.Nil(t, read(t, v4(`{"cell_type":"markdown","outputs":[1],"execution_count":1}`)).Cells[0].Outputs, "only code has any")
}

// anyNotebook makes up a notebook of version 4.
func anyNotebook(rng *rand.Rand) *nbformat.Notebook {
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	raw := func() json.RawMessage {
		return json.RawMessage(pick(`null`, `1.50`, `"<b>&\u2028"`, `[1,{"a":[]}]`, `{}`, `{"z":1,"a":"한"}`, `-0`, `1e999`))
	}
	object := func(names ...string) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		for range rng.IntN(3) {
			m[pick(names...)] = raw()
		}
		return m
	}
	n := &nbformat.Notebook{Minor: 5, Metadata: object("a", "b c", "\"q\"", "한"), Extra: object("x", "zz")}
	for i := range rng.IntN(6) {
		c := nbformat.Cell{Type: pick(nbformat.Code, nbformat.Markdown, nbformat.Raw), ID: fmt.Sprintf("c%d", i), Metadata: object("tags", "m"), Extra: object("attachments", "e")}
		for range rng.IntN(5) {
			c.Source += pick("a", "\n", "\r\n", "한", "\"", "\\", "<&>", "\u2028", "\x00", "\t", "\x7f", "\ufffd")
		}
		if c.Type == nbformat.Code {
			for range rng.IntN(3) {
				c.Outputs = append(c.Outputs, raw())
			}
			if count := rng.IntN(5); count > 0 {
				c.ExecutionCount = &count
			}
		}
		n.Cells = append(n.Cells, c)
	}
	return n
}

// TestWhatIsWrittenIsRead: a property over notebooks that are made up.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 5))
	for range 500 {
		n := anyNotebook(rng)
		text := write(t, n)
		require.NotContains(t, text, `\u003c`, "what is harmless stays readable")
		again := read(t, text)
		require.Equal(t, compact(t, n), compact(t, again), text)
		require.Equal(t, text, write(t, again))
	}
}

// compact is a notebook without the spaces in what it keeps raw.
func compact(t *testing.T, n *nbformat.Notebook) string {
	t.Helper()
	var b strings.Builder
	one := func(m map[string]json.RawMessage) {
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		if len(m) > 0 {
			b.Write(raw)
		}
	}
	one(n.Metadata)
	one(n.Extra)
	for _, c := range n.Cells {
		count, err := json.Marshal(c.ExecutionCount)
		require.NoError(t, err)
		outputs, err := json.Marshal(append([]json.RawMessage{}, c.Outputs...))
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s %s %q %s %s", c.Type, c.ID, c.Source, count, outputs)
		one(c.Metadata)
		one(c.Extra)
	}
	return b.String()
}

// TestAWriterThatFailsAnywhereIsHeard: no part of a notebook is taken for the whole.
func TestAWriterThatFailsAnywhereIsHeard(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(6, 7))
	n := anyNotebook(rng)
	for len(n.Cells) < 3 {
		n = anyNotebook(rng)
	}
	n.Cells[0].Source = strings.Repeat("long ", 50_000) // more than is buffered
	whole := len(write(t, n))
	for range 50 {
		require.ErrorIs(t, n.Write(&capped{rng.IntN(whole)}), errBroken)
	}
	require.ErrorIs(t, n.Write(&capped{whole - 1}), errBroken)
	require.NoError(t, n.Write(&capped{whole}))
}

// capped takes n bytes, and fails then.
type capped struct{ n int }

func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.n {
		return c.n, errBroken
	}
	c.n -= len(p)
	return len(p), nil
}

// TestABodyThatFailsEndsTheNotebook, whichever it is, and nothing is called after it.
func TestABodyThatFailsEndsTheNotebook(t *testing.T) {
	t.Parallel()
	n := read(t, v4(`{"cell_type":"code"}`, `{"cell_type":"raw"}`, `{"cell_type":"code"}`))
	for bad := range 3 {
		var called []int
		body := func(i int) func(io.Writer) error {
			return func(w io.Writer) error {
				called = append(called, i)
				if i == bad {
					return errBroken
				}
				_, err := io.WriteString(w, `{}`)
				return err
			}
		}
		b := nbformat.Bodies{
			Outputs:  func(i int, w io.Writer) error { return body(i / 2)(w) },
			Metadata: map[string]func(io.Writer) error{"m": body(2)},
		}
		require.ErrorIs(t, n.WriteWith(io.Discard, b), errBroken)
		require.Len(t, called, bad+1, "cells 0 and 2 are code, then come the metadata")
	}
}

// TestRawPartsThatAreNoJSONAreRefused: they would break the whole file.
func TestRawPartsThatAreNoJSONAreRefused(t *testing.T) {
	t.Parallel()
	bad := map[string]json.RawMessage{"a": json.RawMessage(`{"x":`)}
	for name, n := range map[string]*nbformat.Notebook{
		"the metadata":        {Metadata: bad},
		"what is beside it":   {Extra: bad},
		"what a cell has":     {Cells: []nbformat.Cell{{Type: nbformat.Raw, Extra: bad}}},
		"an output":           {Cells: []nbformat.Cell{{Type: nbformat.Code, Outputs: []json.RawMessage{bad["a"]}}}},
		"an output among two": {Cells: []nbformat.Cell{{Type: nbformat.Code, Outputs: []json.RawMessage{json.RawMessage(`{}`), bad["a"]}}}},
	} {
		require.Error(t, n.Write(&bytes.Buffer{}), name)
	}
	require.JSONEq(t, `{"nbformat":4,"nbformat_minor":0,"metadata":{},"cells":[]}`, write(t, &nbformat.Notebook{}))
}

package notebook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/notebook"
)

const small = `{
 "cells": [
  {"attachments": {"pic.png": {"image/png": "aGk="}}, "cell_type": "markdown", "id": "m1", "metadata": {}, "source": ["# Head\n", "![x](attachment:pic.png)"]},
  {"cell_type": "code", "execution_count": 3, "id": "c1",
   "metadata": {"tags": ["parameters", "x"], "jupyter": {"source_hidden": true},
    "papermill": {"status": "completed", "start_time": "2026-11-21T10:00:00.250000", "end_time": "2026-11-21T10:00:02", "duration": 1.75, "exception": false},
    "nes": {"status": "ok", "wall_seconds": 1.7512, "cpu_seconds": 0.5, "memory_peak_bytes": 1048576}},
   "outputs": [
    {"name": "stdout", "output_type": "stream", "text": ["a\n", "b\n"]},
    {"data": {"application/json": {"b": [1, 2.50]}, "text/plain": "<x>"}, "execution_count": 3, "metadata": {}, "output_type": "execute_result"},
    {"ename": "KeyError", "evalue": "'x'", "output_type": "error", "traceback": ["\u001b[31mline 1\u001b[0m", "line 2"]},
    {"output_type": "hologram", "data": {"x/y": "z"}, "novel": [1]}
   ], "source": "print('a')\nprint(\"b\") # 한글 \ud83d\ude00"},
  {"cell_type": "raw", "metadata": {"raw_mimetype": "text/x-rst"}, "source": ""},
  {"cell_type": "dream", "metadata": {}, "source": "zzz"}
 ],
 "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "Python"},
  "title": "A <title>", "widgets": {"big": {"state": {}}},
  "papermill": {"start_time": "2026-11-21T10:00:00+00:00", "duration": 2.5, "exception": null, "parameters": {"n": 1}}, "nes": {"run_id": "r"}},
 "nbformat": 4, "nbformat_minor": 5
}`

func parse(t *testing.T, text string) *notebook.Index {
	t.Helper()
	x, err := notebook.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return x
}

func TestParseReadsAWholeNotebook(t *testing.T) {
	t.Parallel()
	x := parse(t, small)

	require.Equal(t, []any{4, 5, "A <title>", "python3", "Python 3", "python"},
		[]any{x.Major, x.Minor, x.Title, x.Kernel, x.KernelName, x.Language})
	require.EqualValues(t, len(small), x.Size)
	require.JSONEq(t, `{"n": 1}`, string(x.Execution.Parameters))
	require.InDelta(t, 2.5, x.Execution.Seconds, 0)
	require.False(t, x.Execution.Failed)
	require.JSONEq(t, `{"run_id": "r"}`, string(x.NES))
	require.Empty(t, x.Problems)
	require.Len(t, x.Cells, 4)

	md := x.Cells[0]
	require.Equal(t, "# Head\n![x](attachment:pic.png)", md.Source)
	require.Equal(t, "pic.png", md.Attachments[0].Name)
	require.Equal(t, "aGk=", md.Attachments[0].Bodies[0].Text)

	code := x.Cells[1]
	require.Equal(t, "print('a')\nprint(\"b\") # 한글 😀", code.Source)
	require.Equal(t, 3, *code.Count)
	require.True(t, code.HasTag("parameters"))
	require.True(t, code.SourceHidden)
	require.Equal(t, notebook.Completed, code.Run.Status)
	require.Equal(t, "ok", code.Run.Detail)
	require.InDelta(t, 1.7512, code.Run.Seconds, 0)
	require.InDelta(t, 0.5, code.Run.CPU, 0)
	require.EqualValues(t, 1<<20, code.Run.Memory)
	require.Equal(t, time.Date(2026, 11, 21, 10, 0, 0, 250e6, time.UTC), *code.Run.Start)

	require.Len(t, code.Outputs, 4)
	require.Equal(t, "a\nb\n", code.Outputs[0].Bodies[0].Text)
	require.Equal(t, `{"b": [1, 2.50]}`, code.Outputs[1].Bodies[0].Text)
	require.Equal(t, &notebook.Error{Name: "KeyError", Value: "'x'", Traceback: []string{"\x1b[31mline 1\x1b[0m", "line 2"}}, code.Outputs[2].Error)
	require.Equal(t, "hologram", code.Outputs[3].Type)
	require.Equal(t, "text/x-rst", x.Cells[2].RawMIME)
	require.Equal(t, "dream", x.Cells[3].Type)
}

func TestParseReadsFormat3(t *testing.T) {
	t.Parallel()
	x := parse(t, `{"metadata": {"name": "old"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": [
	 {"cell_type": "heading", "level": 2, "source": ["Title"]},
	 {"cell_type": "code", "collapsed": true, "input": ["1+1"], "language": "python", "prompt_number": 7, "outputs": [
	  {"output_type": "pyout", "prompt_number": 7, "text": ["2"], "html": "<b>2</b>", "png": "aGk=", "json": "[1]"},
	  {"output_type": "stream", "stream": "stderr", "text": "warn"},
	  {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": "one line"}]}]},
	 {"cells": [{"cell_type": "markdown", "source": "second sheet"}]}]}`)

	require.Equal(t, "old", x.Title)
	require.Len(t, x.Cells, 3)
	require.Equal(t, 2, x.Cells[0].Level)
	code := x.Cells[1]
	require.Equal(t, "1+1", code.Source)
	require.Equal(t, 7, *code.Count)
	require.True(t, code.OutputsHidden)
	require.Equal(t, "execute_result", code.Outputs[0].Type)
	var mimes []string
	for _, b := range code.Outputs[0].Bodies {
		mimes = append(mimes, b.MIME+"="+b.Text)
	}
	require.Equal(t, []string{"text/plain=2", "text/html=<b>2</b>", "image/png=aGk=", "application/json=[1]"}, mimes)
	require.Equal(t, "stderr", code.Outputs[1].Name)
	require.Equal(t, []string{"one line"}, code.Outputs[2].Error.Traceback)
	require.Equal(t, "second sheet", x.Cells[2].Source)
}

func TestParseKeepsWhatIsReadable(t *testing.T) {
	t.Parallel()
	cell := func(fields string) string { return `{"cells": [{` + fields + `}], "nbformat": 4}` }
	tests := map[string]struct {
		text    string
		problem string // somewhere in the index
		cells   int
	}{
		"cut in an output":     {`{"cells": [{"cell_type": "code", "source": "x", "outputs": [{"output_type": "stream", "text": ["a", "b`, "ends in the middle", 1},
		"cut between cells":    {`{"cells": [{"cell_type": "code", "source": "x"},`, "ends in the middle", 1},
		"a cell is a number":   {`{"cells": [1, {"cell_type": "raw", "source": "y"}], "nbformat": 4}`, "not an object", 2},
		"an output is null":    {cell(`"cell_type": "code", "outputs": [null]`), "not an object", 1},
		"outputs are a string": {cell(`"cell_type": "code", "outputs": "x", "metadata": 3, "attachments": []`), "", 1},
		"source is an object":  {cell(`"cell_type": "code", "source": {"a": 1}`), "not text", 1},
		"source mixes kinds":   {cell(`"cell_type": "code", "source": ["a", 1, "b"]`), "not text", 1},
		"the type is a list":   {cell(`"cell_type": ["co", "de"], "source": "x"`), "", 1},
		"counts are floats":    {cell(`"cell_type": "code", "execution_count": 1.5`), "", 1},
		"nbformat of a future": {`{"cells": [], "nbformat": 9}`, "nbformat 9", 0},
		"no nbformat at all":   {`{"cells": []}`, "nbformat 0", 0},
		"bad escape":           {`{"cells": [{"cell_type": "code", "source": "a\q"}]}`, "unknown escape", 1},
		"trailing comma":       {`{"cells": [{"cell_type": "code"},]}`, "damaged", 2},
		"too deep":             {cell(`"cell_type": "code", "metadata": ` + strings.Repeat("[", 300) + strings.Repeat("]", 300)), "nested deeper", 1},
		"huge number":          {cell(`"cell_type": "code", "execution_count": ` + strings.Repeat("9", 1000)), "", 1},
		"data is not a bundle": {cell(`"cell_type": "code", "outputs": [{"output_type": "display_data", "data": [1]}]`), "", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := parse(t, tt.text)
			require.Len(t, x.Cells, tt.cells)
			raw, err := json.Marshal(x)
			require.NoError(t, err)
			require.Contains(t, string(raw), tt.problem)
			if tt.problem == "" {
				require.NotContains(t, string(raw), `"problem`)
			}
		})
	}
}

func TestParseRefusesWhatIsNoNotebook(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hello", "[]", "{}", `{"metadata": {}}`, "<html>", `{"cells"`, "\x00\x01"} {
		_, err := notebook.Parse(strings.NewReader(text))
		require.Error(t, err, text)
		require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err), text)
	}
	broken := errors.New("disk")
	_, err := notebook.Parse(io.MultiReader(strings.NewReader(`{"cells": [`), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

func TestParseDoesNotDependOnHowTheFileArrives(t *testing.T) {
	t.Parallel()
	want := parse(t, small)
	for _, r := range []io.Reader{
		iotest.OneByteReader(strings.NewReader(small)), iotest.HalfReader(strings.NewReader(small)), iotest.DataErrReader(strings.NewReader(small)),
	} {
		got, err := notebook.Parse(r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestEveryPrefixOfANotebookIsReadable(t *testing.T) {
	t.Parallel()
	for n := strings.Index(small, "[") + 1; n < len(small)-1; n++ {
		x, err := notebook.Parse(strings.NewReader(small[:n]))
		require.NoError(t, err, n)
		require.NotEmpty(t, x.Problems, n)
	}
}

func TestLargeBodiesAreFoundAtTheirPlace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("한줄 \"quoted\" \n", 20_000)
	lines := strings.SplitAfter(long, "\n")
	file, err := json.Marshal(map[string]any{"nbformat": 4, "cells": []any{map[string]any{
		"cell_type": "code", "source": "x", "outputs": []any{
			map[string]any{"output_type": "stream", "name": "stdout", "text": lines},
			map[string]any{"output_type": "display_data", "data": map[string]any{
				"text/html": long, "application/vnd.x+json": map[string]any{"k": lines}}},
		}}}})
	require.NoError(t, err)

	x, err := notebook.Parse(bytes.NewReader(file))
	require.NoError(t, err)
	for _, o := range x.Cells[0].Outputs {
		for _, b := range o.Bodies {
			require.False(t, b.Inline)
			var got bytes.Buffer
			require.NoError(t, b.Copy(&got, bytes.NewReader(file)))
			require.EqualValues(t, b.Size, got.Len())
			if b.JSON {
				require.JSONEq(t, string(file[b.Offset:b.Offset+b.Length]), got.String())
			} else {
				require.Equal(t, long, got.String())
			}
			found, ok := x.Body(b.SHA256, func(m string) bool { return m == b.MIME })
			require.True(t, ok)
			require.Equal(t, b, found)
		}
	}
}

func TestImagesTellTheirSize(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewGray(image.Rect(0, 0, 321, 123))))
	file, err := json.Marshal(map[string]any{"nbformat": 4, "cells": []any{map[string]any{"cell_type": "code", "outputs": []any{
		map[string]any{"output_type": "display_data", "data": map[string]any{"image/png": buf.Bytes()}},
		map[string]any{"output_type": "display_data", "data": map[string]any{"image/png": buf.Bytes()}, "metadata": map[string]any{"image/png": map[string]any{"width": 40, "height": "x"}}},
		map[string]any{"output_type": "display_data", "data": map[string]any{"image/png": "!!!"}, "metadata": map[string]any{"image/png": map[string]any{"width": -1}}},
	}}}})
	require.NoError(t, err)
	outputs := parse(t, string(file)).Cells[0].Outputs
	size := func(i int) [2]int { return [2]int{outputs[i].Bodies[0].Width, outputs[i].Bodies[0].Height} }
	require.Equal(t, [2]int{321, 123}, size(0))
	require.Equal(t, [2]int{40, 15}, size(1), "in proportion")
	require.Equal(t, [2]int{0, 0}, size(2))
}

func TestFingerprintIgnoresThePlace(t *testing.T) {
	t.Parallel()
	moved := parse(t, strings.Replace(small, `"source": ["# Head\n"`, `"source": ["# A longer head\n"`, 1))
	was := parse(t, small)
	require.NotEqual(t, was.Cells[0].Fingerprint(), moved.Cells[0].Fingerprint())
	require.NotEqual(t, was.Cells[1].Outputs[0].Bodies[0].Offset, moved.Cells[1].Outputs[0].Bodies[0].Offset)
	require.Equal(t, was.Cells[1].Fingerprint(), moved.Cells[1].Fingerprint())
	changed := parse(t, strings.Replace(small, `"a\n", "b\n"`, `"a\n", "c\n"`, 1))
	require.NotEqual(t, was.Cells[1].Fingerprint(), changed.Cells[1].Fingerprint())
}

func TestTheIndexIsKeptAsJSON(t *testing.T) {
	t.Parallel()
	x := parse(t, small)
	var buf bytes.Buffer
	require.NoError(t, x.Write(&buf))
	got, err := notebook.Read(bytes.NewReader(buf.Bytes()))
	require.NoError(t, err)
	var again bytes.Buffer
	require.NoError(t, got.Write(&again))
	require.Equal(t, buf.String(), again.String())

	_, err = notebook.Read(strings.NewReader(`{"version": 99}`))
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	_, err = notebook.Read(strings.NewReader(`{`))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add(`{"worksheets": [{"cells": [{"input": ["a"], "outputs": [{"output_type": "pyout", "text": "x"}]}]}]}`)
	f.Add(`{"cells": [{"source": "\ud83d\ude00\ud800", "outputs": [{"data": {"application/json": [NaN, 1e999]}}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := notebook.Parse(strings.NewReader(text))
		if err != nil {
			require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err))
			return
		}
		_, err = json.Marshal(x)
		require.NoError(t, err)
		for i := range x.Cells {
			require.NotEmpty(t, x.Cells[i].Fingerprint())
			for _, o := range x.Cells[i].Outputs {
				for _, b := range o.Bodies {
					require.NoError(t, (&b).Copy(io.Discard, strings.NewReader(text)), fmt.Sprint(b))
				}
			}
		}
	})
}

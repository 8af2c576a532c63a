package reduce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/reduce"
)

// texts lists what a cell's outputs show: streams as name:text, displays by text/plain, errors by name.
func texts(c documentCell) []string {
	all := []string{}
	for _, o := range c.Outputs {
		switch o["output_type"] {
		case "stream":
			all = append(all, fmt.Sprintf("%s:%s", o["name"], o["text"]))
		case "error":
			all = append(all, fmt.Sprint("error:", o["ename"]))
		default:
			all = append(all, fmt.Sprint(o["data"].(map[string]any)["text/plain"]))
		}
	}
	return all
}

func TestOutputsOfMessages(t *testing.T) {
	t.Parallel()
	clear := func(cell int, wait bool) string {
		return fmt.Sprintf(`{"k":"msg","cell":%d,"type":"clear_output","content":{"wait":%t}}`, cell, wait)
	}
	plain := func(s string) string { return fmt.Sprintf(`{"text/plain":%q}`, s) }
	tests := []struct {
		name     string
		messages []string
		want     [2][]string // of cells 0 and 1
	}{
		{"adjacent text of one stream is merged", []string{printed(0, "stdout", "a"), printed(0, "stdout", "b"), printed(0, "stderr", "c"), printed(0, "stdout", "d")},
			[2][]string{{"stdout:ab", "stderr:c", "stdout:d"}}},
		{"late text belongs to the cell that started the thread", []string{ended(0, "ok"), started(1), printed(0, "stdout", "late"), printed(1, "stdout", "own")},
			[2][]string{{"stdout:late"}, {"stdout:own"}}},
		{"a display is updated in every cell", []string{display(0, "display_data", "d", plain("1")), ended(0, "ok"), started(1), display(1, "display_data", "d", plain("2")), display(1, "update_display_data", "d", plain("3"))},
			[2][]string{{"3"}, {"3"}}},
		{"an update of what is not shown shows nothing", []string{display(0, "update_display_data", "d", plain("0")), display(0, "display_data", "d", plain("1"))},
			[2][]string{{"1"}}},
		{"clear_output clears at once", []string{printed(0, "stdout", "a"), clear(0, false), printed(0, "stdout", "b")}, [2][]string{{"stdout:b"}}},
		{"clear_output with wait clears before the next output", []string{printed(0, "stdout", "a"), clear(0, true)}, [2][]string{{"stdout:a"}}},
		{"an update is no next output", []string{display(0, "display_data", "d", plain("1")), clear(0, true), display(0, "update_display_data", "d", plain("2"))}, [2][]string{{"2"}}},
		{"what was cleared is not updated", []string{display(0, "display_data", "d", plain("1")), clear(0, false), display(0, "update_display_data", "d", plain("2"))}, [2][]string{{}}},
		{"clearing one cell leaves the other's display", []string{display(0, "display_data", "d", plain("1")), ended(0, "ok"), started(1), display(1, "display_data", "d", plain("2")), clear(1, false), display(1, "update_display_data", "d", plain("3"))},
			[2][]string{{"3"}, {}}},
		{"a message without a cell belongs to the one that runs", []string{`{"k":"msg","type":"stream","content":{"name":"stdout","text":"x"}}`}, [2][]string{{"stdout:x"}}},
		{"an error keeps its place", []string{printed(0, "stdout", "a"), `{"k":"msg","cell":0,"type":"error","content":{"ename":"E","evalue":"v","traceback":["t"]}}`, printed(0, "stdout", "b")},
			[2][]string{{"stdout:a", "error:E", "stdout:b"}}},
		{"an unknown stream is kept under its name", []string{printed(0, "log", "a")}, [2][]string{{"log:a"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nb := reduced(t, notebook("a", "b"), lines(append([]string{started(0)}, tt.messages...)...))
			for i, want := range tt.want {
				if want == nil {
					want = []string{}
				}
				require.Equal(t, want, texts(nb.Cells[i]))
			}
		})
	}
}

func TestMessagesThatMakeNoSenseAreIgnored(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{"k":"msg","cell":7,"type":"stream","content":{"name":"stdout","text":"x"}}`,
		`{"k":"msg","cell":-3,"type":"stream","content":{"name":"stdout","text":5}}`,
		`{"k":"msg","cell":1,"type":"stream","content":{"name":"stdout","text":"never started"}}`,
		`{"k":"msg","cell":0,"type":"stream","content":[1]}`,
		`{"k":"msg","cell":0,"type":"display_data","content":{"data":"x"}}`,
		`{"k":"msg","cell":0,"type":"unheard","content":{}}`,
		`{"k":"cell_start","cell":0}`,
		`{"k":"cell_start","cell":99}`,
		`{"k":"cell_end","cell":1,"status":"ok"}`,
		`{"k":"cell_end","cell":"x"}`,
		`{"k":"word","word":"progress","value":"no object"}`,
		`{"k":"msg","cell":0,"type":"comm_open","content":{"comm_id":"","data":{"state":{}}}}`,
		`{"k":"start","notebook":7}`,
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			text := lines(started(0), bad, printed(0, "stdout", "still here"))
			s := feed(t, notebook("a", "b"), text)
			require.Equal(t, 1, s.Ignored())
			nb := parsed(t, written(t, s, onDisk(text), reduce.Stamp{}))
			require.Equal(t, []string{"stdout:still here"}, texts(nb.Cells[0]))
			require.Equal(t, 1.0, nb.Metadata["nes"].(map[string]any)["ignored_lines"])
		})
	}
}

func TestLinesThatAreNoneAreIgnored(t *testing.T) {
	t.Parallel()
	good := lines(started(0), printed(0, "stdout", "kept"))
	for _, bad := range []string{"", "{}", "[]", "null", "x", `{"v":1,"k":"msg"`, `{"v":2,"k":"exit"}`, "\xff\xfe", `{"v":1,"k":"exit","text":"` + "\x01" + `"}`, strings.Repeat("[", 5000)} {
		s := feed(t, notebook("a"), good+bad+"\n")
		require.Equal(t, 1, s.Ignored(), "%q", bad)
		require.Nil(t, s.Exit())
	}
}

func TestNothingCountsBehindTheExit(t *testing.T) {
	t.Parallel()
	text := lines(started(0), ended(0, "ok"), `{"k":"exit"}`, printed(0, "stdout", "forged"), `{"k":"exit","reason":"CellError"}`)
	s := feed(t, notebook("a"), text)
	require.Equal(t, 2, s.Ignored())
	require.Empty(t, s.Exit().Reason)
}

func TestTextIsSplicedAsItIs(t *testing.T) {
	t.Parallel()
	raw := func(s string) string {
		return `{"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"` + s + `"}}`
	}
	tests := []struct {
		name, want string
		pieces     []string
	}{
		{"escapes", "a\"\\\n\u0000é", []string{`a\"`, `\\`, `\n\u0000`, `\u00e9`}},
		{"a pair within one message", "😀", []string{`\ud83d\ude00`}},
		{"a pair cut between messages", "x😀y", []string{`x\ud83d`, `\ude00y`}},
		{"half a pair", "x\ufffdy", []string{`x\ud83d`, `y`}},
		{"the other half", "x\ufffd", []string{`x`, `\ude00`}},
		{"two first halves", "\ufffd😀", []string{`\ud83d`, `\ud83d\ude00`}},
		{"half a pair at the end", "\ufffd", []string{`\udbff`}},
		{"plain UTF-8", "한글😀", []string{"한", "글😀"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := []string{started(0)}
			for _, p := range tt.pieces {
				all = append(all, raw(p))
			}
			text := lines(all...)
			out := written(t, feed(t, notebook("a"), text), onDisk(text), reduce.Stamp{})
			require.Equal(t, tt.want, parsed(t, out).Cells[0].Outputs[0]["text"])
			require.NotContains(t, string(out), `\ud83d"`)
		})
	}
}

func TestDataThatNoNotebookMayHoldIsShownAsText(t *testing.T) {
	t.Parallel()
	text := lines(started(0), display(0, "display_data", "", `{"text/plain":5,"text/html":["a","b"],"application/x+json":{"k":NaN},"image/png":null,"text/x":["a",1]}`))
	nb := reduced(t, notebook("a"), text)
	require.Equal(t, map[string]any{
		"text/plain": "5", "text/html": []any{"a", "b"}, "application/x+json": map[string]any{"k": nil}, "image/png": "null", "text/x": `["a",1]`,
	}, nb.Cells[0].Outputs[0]["data"])
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	text := lines(started(0), display(0, "display_data", "", `{"application/json":{"big":123456789012345678901234567890,"f":1.50}}`))
	out := written(t, feed(t, notebook("a"), text), onDisk(text), reduce.Stamp{})
	require.Contains(t, string(out), `{"big":123456789012345678901234567890,"f":1.50}`)
}

func TestCutsAreMarked(t *testing.T) {
	t.Parallel()
	text := lines(started(0), printed(0, "stdout", "head"),
		`{"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"tail"},"cut":{"bytes":1234,"file":"cell-0-output.txt"}}`,
		`{"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":""},"cut":{"bytes":7}}`)
	nb := reduced(t, notebook("a"), text)
	require.Equal(t, []string{"stdout:head\n[1234 bytes of output are left out here; all of it is in the file cell-0-output.txt]\ntail\n[7 bytes of output are left out here]\n"}, texts(nb.Cells[0]))
}

func TestTooManyOutputsAreLeftOutAndTextGoesOn(t *testing.T) {
	t.Parallel()
	all := []string{started(0), printed(0, "stdout", "first\n")}
	for range 100_005 {
		all = append(all, display(0, "display_data", "", `{"text/plain":"x"}`))
	}
	all = append(all, printed(0, "stdout", "last"), printed(0, "stderr", "new"))
	nb := reduced(t, notebook("a"), lines(all...))
	outputs := nb.Cells[0].Outputs
	require.Equal(t, "first\nlast", outputs[0]["text"])
	require.Contains(t, outputs[len(outputs)-1]["text"], "6 outputs are left out")
	require.Equal(t, "new", outputs[len(outputs)-2]["text"])
}
